//! At rest: the faults cease, what was begun ends, and then what the control shows is what the engine has.

use crate::acts::neighbours_subnet;
use crate::life::Session;
use control::View;
use model::{EngineId, Phase, Sleep, StopReason};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

/// How long it may take until nothing is under way: the deadlines of what began before the faults ceased.
const SETTLED_WITHIN: Duration = Duration::from_secs(1_600);
/// How soon what the docker CLI does is seen.
const SEEN_WITHIN: Duration = Duration::from_secs(1);

impl Session {
    pub async fn rest(&self) {
        self.world.say("-- rest");
        self.cease_faults();
        self.settle().await;
        // A delayed event may still be on its way.
        self.world.pass(Duration::from_secs(5)).await;
        if self.world.weather.is_blind() {
            self.make_good().await;
        }
        self.compare("at rest").await;
        self.fall_asleep().await;
        self.somebody_acts().await;
        self.world.weather.set_calm(false);
    }

    fn cease_faults(&self) {
        self.world.weather.cease();
        self.world.set_short(false);
        self.world.host.free_others();
    }

    /// Until every client was answered, and no call is under way.
    async fn settle(&self) {
        let begun = self.world.now();
        while !self.is_settled() {
            if self.world.now() - begun > SETTLED_WITHIN {
                return self.world.oracle().violated("something is under way for good");
            }
            self.world.pass(Duration::from_millis(500)).await;
            if !self.holds() {
                return;
            }
        }
    }

    /// What nothing keeps awake freezes.
    async fn fall_asleep(&self) {
        for _ in 0..8 {
            self.world.pass(Duration::from_secs(4)).await;
            if !self.holds() {
                return;
            }
        }
    }

    fn is_settled(&self) -> bool {
        let waiting = self.world.oracle().is_waiting();
        let settled = self.control.list().iter().all(|view| view.container.phase.is_settled());
        !waiting && self.world.is_quiet() && settled && self.control.is_ready() && self.owns_no_more()
    }

    /// Deleted ones take their bodies and ports with them.
    fn owns_no_more(&self) -> bool {
        let listed = self.control.list();
        let mut ports: Vec<u16> = listed.iter().flat_map(|view| view.container.host_ports()).collect();
        ports.sort_unstable();
        let ours: Vec<u16> = self.world.host.ours().into_keys().collect();
        let of = |view: &View| view.container.engine_id.clone();
        let bodies: Vec<EngineId> = listed.iter().filter_map(|view| of(view)).collect();
        ports == ours && self.world.bodies().iter().all(|(body, _)| bodies.contains(body))
    }

    /// What nobody has is in nobody's way: it would never be handed out again.
    fn leaks(&self) -> Option<String> {
        let (listed, out) = (self.control.list(), self.control.handed_out());
        let ports: BTreeSet<u16> = listed.iter().flat_map(|view| view.container.ports()).collect();
        let addresses = listed.iter().map(|view| view.container.address);
        let addresses: BTreeSet<Ipv4Addr> = addresses.chain([self.control.network().gateway]).collect();
        // A deleted one gives these back before its sockets.
        let is_leak = self.owns_no_more() && out != (ports, addresses);
        is_leak.then(|| format!("{out:?} are out, and are not those of the list"))
    }

    /// Events were lost: an audit makes it good.
    async fn make_good(&self) {
        if let Err(error) = self.control.audit().await {
            self.world.oracle().violated(format!("an audit fails at rest: {error}"));
        }
        self.world.weather.set_blind(false);
    }

    /// One act by hand, and a second to see it.
    async fn somebody_acts(&self) {
        let Some((body, running)) = self.world.pick(&self.world.bodies()) else { return };
        self.world.oracle().clients.behind_our_back(&body);
        let fake = &self.world.fake;
        match self.world.below(4) {
            0 => fake.rename(&body, &format!("/seen_{}", self.world.below(1_000))),
            _ if running => fake.stop_by_hand(&body),
            _ => fake.start_by_hand(&body),
        }
        self.world.say(format_args!("by hand, at rest: {}", body.as_str().trim_start_matches('0')));
        self.compare("after an act by hand").await;
    }

    /// Looks may be due at any moment: what they begin ends within the second, too.
    async fn compare(&self, when: &str) {
        self.world.pass(SEEN_WITHIN).await;
        let mut differences = self.differences();
        if !differences.is_empty() && !self.is_settled() {
            self.world.pass(SEEN_WITHIN).await;
            differences = self.differences();
        }
        let mut oracle = self.world.oracle();
        differences.into_iter().for_each(|what| oracle.violated(format!("{when}: {what}")));
        let complaints = oracle.clients.check_wishes(&self.control);
        complaints.into_iter().for_each(|what| oracle.violated(format!("{when}: {what}")));
    }

    /// Of the networks, and of what owners were told.
    fn differences_beside(&self) -> Vec<String> {
        let (world, control) = (&self.world, &self.control);
        let oracle = world.oracle();
        let mut differences = oracle.expiries.unannounced();
        if !world.weather.unrest {
            return differences;
        }
        let neighbour = neighbours_subnet().addr().into();
        if control.neighbours().include(neighbour) != world.has_neighbour() {
            differences.push("another spin-docker came or went unnoticed".to_owned());
        }
        let stands_on = control.network().id;
        let is_there = world.fake.networks().contains(&stands_on);
        if oracle.is_door_open() && is_there && !world.fake.redirects().contains(&stands_on) {
            differences.push("check-ins are not redirected".to_owned());
        }
        differences
    }

    fn differences(&self) -> Vec<String> {
        let all = self.world.fake.all();
        let bodies: BTreeMap<EngineId, _> =
            all.into_iter().map(|entry| (entry.engine_id.clone(), entry)).collect();
        let ours = self.world.host.ours();
        let mut differences = self.differences_beside();
        differences.extend(self.leaks());
        for view in self.control.list() {
            let container = &view.container;
            let body = container.engine_id.as_ref().and_then(|id| bodies.get(id));
            let lost = container.phase == Phase::Stopped { reason: StopReason::Lost };
            let runs = matches!(container.phase, Phase::Running { .. });
            if (runs, lost) != (body.is_some_and(|body| body.running), body.is_none()) {
                differences
                    .push(format!("{} is {:?}, and its body {body:?}", container.key, container.phase));
            }
            let frozen = body.filter(|body| body.running).and_then(|body| body.frozen);
            // Nothing holds it while it breathes.
            let breathes = |sleep: Sleep| matches!(sleep, Sleep::Breathing { .. }) && frozen.is_none();
            let holds = matches!(container.phase, Phase::Running { sleep, .. } if sleep.freezer() != frozen && !breathes(sleep));
            if holds {
                differences.push(format!("{} is {:?}, held by {frozen:?}", container.key, container.phase));
            }
            if body.is_some_and(|body| body.name != container.name) {
                differences
                    .push(format!("{} is called {}, and its body {body:?}", container.key, container.name));
            }
            let open = runs && matches!(container.phase, Phase::Running { sleep: Sleep::Awake, .. });
            let asleep = container.host_ports().find_map(|port| self.world.host.target(port)).map(|to| {
                let nobody = ([127, 0, 0, 1], 1).into();
                to.traffic.flow(nobody, to.port, true).is_asleep()
            });
            if runs && asleep.is_some_and(|asleep| asleep == open) {
                differences.push(format!(
                    "{} is {:?}, and its gate tells otherwise",
                    container.key, container.phase
                ));
            }
            let policy = self.world.policies.of(&container.key);
            if self.world.weather.unrest && view.policy != policy {
                differences.push(format!("{} lives under {:?}, not {policy:?}", container.key, view.policy));
            }
            let reach = container.phase.reach(policy.wake);
            for port in container.host_ports().filter(|port| ours.get(port) != Some(&reach)) {
                differences.push(format!("port {port} is {:?} at {:?}", ours.get(&port), container.phase));
            }
            if !view.ports_missing.is_empty() || (lost && view.failure().is_none()) {
                differences.push(format!(
                    "{}: {:?}, {:?}",
                    container.key,
                    view.ports_missing,
                    view.failure()
                ));
            }
        }
        differences
    }
}
