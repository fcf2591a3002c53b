//! What must hold at any moment, whatever the weather: told of every write and every engine call as they come, it knows what
//! each of them may be.

use crate::clients::Clients;
use crate::expiries::Expiries;
use crate::leases::Leases;
use crate::looks::Looks;
use crate::policies::Policies;
use crate::sleeps::{Sleeps, Whose};
use crate::world::World;
use control::Control;
use control::store::{Change, Contents};
use engine::ContainerSpec;
use engine::fake::{Call, Fake};
use model::{Container, EngineId, Freezer, IdlePolicy, Key, Observation, Phase, StopReason};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

#[derive(Default)]
pub struct Oracle {
    pub clients: Clients,
    pub leases: Leases,
    pub looks: Looks,
    pub sleeps: Sleeps,
    pub expiries: Expiries,
    violations: Vec<String>,
    /// What the store took.
    written: BTreeMap<Key, Container>,
    /// What the store was asked to take, last: a fact is acted on even if the disk is full.
    asked: BTreeMap<Key, Container>,
    /// What was to be written of these last could not be: a command was not obeyed, and a fact is true.
    unwritten: BTreeSet<Key>,
    strangers: BTreeMap<EngineId, bool>,
    owner: String,
    write_failed: Duration,
    /// Since when the host has no room for another container.
    short: Option<Duration>,
    clock_moved: Duration,
    /// Whether check-ins are redirected.
    door: bool,
    /// Everything of ours is to go, and nobody writes down intents.
    purges: bool,
}

impl Oracle {
    pub fn violated(&mut self, what: impl Into<String>) {
        self.violations.push(what.into());
    }

    pub fn violation(&self) -> Option<String> {
        self.violations.first().cloned()
    }

    pub fn owner(&self) -> &str {
        &self.owner
    }

    pub fn add_stranger(&mut self, id: EngineId, running: bool) {
        self.strangers.insert(id, running);
    }

    pub fn is_stranger(&self, id: &EngineId) -> bool {
        self.strangers.contains_key(id)
    }

    // What befell the world.

    /// The wall clock was set. Until that was noticed, a crash would hide it.
    pub fn clock_moved(&mut self, now: Duration) {
        self.clock_moved = now;
        self.leases.clock_moved(now);
        self.looks.clock_moved(now);
        self.sleeps.clock_moved(now);
        self.expiries.clock_moved();
    }

    /// One container lives under another policy from now on, or all.
    pub fn policy_changed(&mut self, key: Option<&Key>, now: Duration, policies: &Policies) {
        self.looks.policy_changed(key, now);
        self.sleeps.policy_changed(key, now, policies);
        self.expiries.put_off(key, now, policies);
    }

    pub fn room_changed(&mut self, short: bool, now: Duration) {
        self.short = short.then(|| self.short.unwrap_or(now));
    }

    fn is_short(&self, now: Duration) -> bool {
        self.short.is_some_and(|since| since < now)
    }

    pub fn opened_door(&mut self) {
        self.door = true;
    }

    pub fn purges(&mut self) {
        self.purges = true;
    }

    pub fn is_door_open(&self) -> bool {
        self.door
    }

    /// Whether somebody waits for something.
    pub fn is_waiting(&self) -> bool {
        self.clients.is_waiting() || self.sleeps.is_waiting()
    }

    // What clients do.

    pub fn connected(&mut self, of: &Key, now: Duration, policy: &IdlePolicy) {
        self.looks.connected(of, now);
        self.sleeps.visited(of, now, policy.activity.traffic());
        self.used(of, now, policy);
    }

    fn used(&mut self, of: &Key, now: Duration, policy: &IdlePolicy) {
        if policy.activity.traffic() && self.looks.runs(of) {
            self.expiries.used(of, now);
        }
    }

    pub fn disconnected(&mut self, visit: u64, of: &Key, now: Duration) {
        self.looks.disconnected(of, now);
        self.sleeps.answered(visit, of, now);
        self.sleeps.gave_up(visit);
    }

    /// Bytes moved: more than keep-alives, or not.
    pub fn moved(&mut self, of: &Key, is_use: bool, now: Duration, policy: &IdlePolicy) {
        if is_use {
            self.looks.bytes_moved(of, now);
            self.used(of, now, policy);
        } else {
            self.looks.maybe_moved(of, now);
        }
        self.sleeps.bytes_moved(of, now, is_use && policy.activity.traffic());
    }

    pub fn woken(&mut self, visit: u64, of: &Key, awake: bool, world: &World) {
        let complaint = self.sleeps.woken(visit, of, awake, world);
        self.violations.extend(complaint);
    }

    /// The control has it frozen: by request, or by itself.
    pub fn asked_to_freeze(&mut self, body: &EngineId, world: &World) -> Whose {
        if self.clients.wants_frozen(body) {
            return Whose::Asked;
        }
        let complaint = self.sleeps.may_freeze(body, world);
        self.violations.extend(complaint);
        Whose::Its
    }

    /// The program ended, and is about to be started again.
    pub fn restarted(&mut self, crashed: Duration, now: Duration) {
        let recent = |what: Duration| what + Duration::from_secs(15) > crashed;
        let doubted = recent(self.write_failed) || recent(self.clock_moved);
        self.leases.restarted();
        self.clients.cut_off();
        self.looks.restarted(&self.written, crashed, now, doubted);
        self.sleeps.restarted(now);
        self.expiries.restarted(now, doubted);
        self.door = false;
    }

    /// The program has ended in good order: what it froze, it thawed.
    pub fn ended(&mut self, world: &World) {
        self.violations.extend(self.sleeps.left_frozen(world));
    }

    // What is written.

    pub fn check_contents(&mut self, contents: &Contents) {
        self.owner.clone_from(&contents.owner);
        let read: BTreeMap<_, _> = contents.containers.iter().map(|c| (c.key.clone(), c.clone())).collect();
        if read != self.written {
            self.violated("the store does not hold what it acknowledged");
        }
        self.asked = read;
    }

    pub fn wrote(&mut self, change: &Change, ok: bool, now: Duration, world: &World) {
        if !ok {
            self.write_failed = now;
        }
        match change {
            Change::Put(container) => self.wrote_container(container, ok, now, world),
            Change::Forget(key) => self.forgot(key, ok, now, &world.fake),
            Change::Event(event) if ok => {
                let complaint = self.expiries.told(event);
                self.violations.extend(complaint);
            }
            Change::Trails { .. } if ok => self.leases.wrote_rests(now),
            Change::Event(_) | Change::Trails { .. } => {}
            Change::Subnet(_) | Change::OnLoopback(_) => {}
        }
    }

    fn wrote_container(&mut self, container: &Container, ok: bool, now: Duration, world: &World) {
        let before = self.asked.get(&container.key);
        if before.is_none() && ok {
            let complaint = self.leases.begun(container, now);
            self.violations.extend(complaint);
            self.expiries.begun(&container.key, now);
            if self.is_short(now) {
                self.violated(format!("{} is made, and there is no room for it", container.key));
            }
        }
        let acts = |container: &Container| !matches!(container.phase, Phase::Stopped { .. });
        if acts(container) || self.asked.get(&container.key).is_some_and(acts) {
            self.expiries.ran(&container.key, now);
        }
        if ok && world.policies.wrote(container) {
            self.policy_changed(Some(&container.key), now, &world.policies);
        }
        let before = self.asked.get(&container.key);
        let policy = world.policies.of(&container.key);
        let is_doomed = before.is_some_and(Container::is_listed) && container.phase.is_doomed();
        if let Some(body) = container.engine_id.as_ref().filter(|_| is_doomed)
            && self.clients.expires(body)
        {
            let complaint = self.expiries.expires(container, now, &policy);
            self.violations.extend(complaint);
        }
        let complaint = self.looks.moved(before, container, ok, now, &policy);
        self.violations.extend(complaint);
        let visited = self.looks.is_visited(&container.key);
        self.sleeps.moved(before, container, visited, ok, now);
        let is_sure = !self.unwritten.contains(&container.key);
        let complaint = begun_unasked(before.filter(|_| is_sure), container, &self.clients);
        self.violations.extend(complaint);
        let was_known = before.is_some();
        if before.is_none_or(|before| !matches!(before.phase, Phase::Stopping { .. })) {
            self.pressed(container, world);
        }
        let stopping_idle = matches!(container.phase, Phase::Stopping { reason: StopReason::Idle, .. });
        let stop_failed = container.failure.as_ref().is_some_and(|why| why.contains("could not be stopped"));
        if let Some(body) = container.engine_id.as_ref().filter(|_| stopping_idle || stop_failed) {
            self.clients.behind_our_back(body);
        }
        if ok {
            self.unwritten.remove(&container.key)
        } else {
            self.unwritten.insert(container.key.clone())
        };
        if was_known || ok {
            self.asked.insert(container.key.clone(), container.clone());
        }
        if ok {
            self.written.insert(container.key.clone(), container.clone());
        }
    }

    /// It is stopped for want of memory, which only what is frozen may be.
    fn pressed(&mut self, container: &Container, world: &World) {
        let pressed = matches!(container.phase, Phase::Stopping { reason: StopReason::Pressure, .. });
        let Some(body) = container.engine_id.as_ref().filter(|_| pressed) else { return };
        self.clients.behind_our_back(body);
        let weather = &world.weather;
        let is_known = weather.freezer == Freezer::Cgroup && !weather.is_blind() && !weather.is_away();
        if is_known && matches!(world.fake.look(body), Observation::Running { frozen: None, .. }) {
            self.violated(format!("{} is stopped for want of memory, and is awake", container.key));
        }
    }

    fn forgot(&mut self, key: &Key, ok: bool, now: Duration, fake: &Fake) {
        let left = self.bodies_of(key, fake);
        if !left.is_empty() {
            self.violated(format!("{key} is forgotten, and its body {} is there", left[0]));
        }
        if let Some(container) = self.asked.remove(key) {
            self.leases.ended(&container, now);
            self.looks.ended(key);
            self.expiries.ended(key);
        }
        if ok {
            self.written.remove(key);
        }
    }

    fn bodies_of(&self, key: &Key, fake: &Fake) -> Vec<EngineId> {
        let all = fake.all().into_iter().filter(|entry| entry.key == key.as_str());
        all.map(|entry| entry.engine_id).filter(|id| !self.is_stranger(id)).collect()
    }

    // What the engine is asked for.

    /// The intent is on disk before its effect.
    pub fn asked_to_create(&mut self, spec: &ContainerSpec) {
        let intent = self.written.get(&Key::new(&spec.key));
        if intent.is_none_or(|container| container.phase != Phase::Creating) {
            self.violated(format!("{} is made, and no intent of it is on disk", spec.key));
        }
    }

    /// Something is done to a body, or in it.
    pub fn touches(&mut self, call: Call, id: &EngineId) {
        if self.is_stranger(id) {
            self.violated(format!("{call:?} of {id}, which is not ours"));
        }
    }

    pub fn asked_to(&mut self, call: Call, id: &EngineId, now: Duration, fake: &Fake) {
        let Some(entry) = fake.all().into_iter().find(|entry| entry.engine_id == *id) else { return };
        let phase = self.asked.get(&Key::new(entry.key)).map(|container| &container.phase);
        let meant = match call {
            Call::Start => matches!(phase, Some(Phase::Starting { .. } | Phase::Creating)),
            Call::Stop => matches!(phase, Some(Phase::Stopping { .. })),
            _ => matches!(phase, Some(Phase::Removing)),
        };
        let again = matches!(phase, Some(Phase::Starting { first: false, .. }));
        if call == Call::Start && again && self.is_short(now) {
            self.violations.push(format!("{id} is started, and there is no room for it"));
        }
        if !meant && !self.purges {
            self.violated(format!("{call:?} of {id}, and no intent of it is on disk: {phase:?}"));
        }
    }

    // What must hold between any two steps.

    pub fn check(&mut self, world: &World, control: Option<&Control>) {
        let now = world.now();
        self.check_bodies(&world.fake);
        self.violations.extend(self.clients.overdue(now));
        if let Some(control) = control {
            self.violations.extend(self.clients.check_list(control));
            self.violations.extend(self.looks.overdue(control, now, &world.policies));
            self.violations.extend(self.sleeps.check(control, world));
            self.violations.extend(self.expiries.overdue(control, world, self.sleeps.noisy()));
        }
    }

    fn check_bodies(&mut self, fake: &Fake) {
        let all = fake.all();
        for (id, running) in &self.strangers {
            if !all.iter().any(|entry| entry.engine_id == *id && entry.running == *running) {
                self.violations.push(format!("{id} is not ours, and was touched"));
            }
        }
        for entry in all.iter().filter(|entry| !self.strangers.contains_key(&entry.engine_id)) {
            if !self.asked.contains_key(&Key::new(&entry.key)) {
                self.violations
                    .push(format!("{} is an orphan: nothing knows {}", entry.engine_id, entry.key));
            }
        }
    }
}

/// What a person stopped is started by nothing but a request.
fn begun_unasked(was: Option<&Container>, is: &Container, clients: &Clients) -> Option<String> {
    let stopped = was?.phase == Phase::Stopped { reason: StopReason::Asked };
    let begins = matches!(is.phase, Phase::Starting { .. });
    (stopped && begins && !clients.wants_started(is.engine_id.as_ref()?))
        .then(|| format!("{} was stopped by a person, and is started unasked", is.key))
}
