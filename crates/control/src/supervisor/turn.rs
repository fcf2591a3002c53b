//! A turn of its sleep: a freeze or a thaw is begun, what came of it makes a transition, and the gate and the clocks follow that.

use super::Supervisor;
use super::freezing::{Careful, thaw};
use super::sleep::SOONEST;
use super::tell::standing;
use model::{Depth, Effect, EngineId, Freezer, Input, Phase, Sleep};
use std::time::Duration;
use tokio::time::Instant;

/// After a thaw: keep-alives are answered in less, and it freezes again.
const BRIEFLY: Duration = Duration::from_millis(300);
/// After the engine said that it is about to do something: on a busy machine, a command that was announced begins later than that.
pub(super) const ANNOUNCED: Duration = Duration::from_secs(2);

impl Supervisor {
    pub(super) fn act_on_sleep(&mut self, effect: Effect, body: Option<EngineId>) {
        let Some(body) = body else { return };
        match effect {
            // A person's word counts whatever waits in its sockets.
            Effect::Freeze => {
                self.sleeper.undone = None;
                let careful = Careful { owed_for: self.policy().owed_for };
                self.calls.freeze(body, self.sleeper.by_itself.then_some(careful));
            }
            Effect::Breathe(by) => self.calls.breathe(body, by, self.handle.traffic(), self.policy()),
            Effect::EndFreeze => self.calls.end_freeze(),
            Effect::Thaw(by) => self.calls.thaw(body, by),
            Effect::Start | Effect::Stop | Effect::Remove => {}
        }
    }

    /// A freeze or a thaw returned.
    pub(super) async fn slept(&mut self, input: Input) {
        tracing::trace!(container = %self.name(), ?input, "slept");
        let froze = matches!(input, Input::Froze(_));
        self.sleep_turned(input).await;
        let body = self.container.engine_id.clone();
        if froze && self.policy().reclaim && self.container.phase.depth() == Depth::Frozen {
            body.into_iter().for_each(|body| self.calls.reclaim(body));
        }
    }

    pub(super) async fn sleep_turned(&mut self, input: Input) {
        if let Input::NotFrozen(why) = &input {
            self.sleeper.undone = Some(why.as_str().into());
        }
        self.fact(input).await;
    }

    /// A transition was made.
    pub(super) fn sleep_moved(&mut self, before: &Phase) {
        if *before != self.container.phase {
            self.calls.outdate_inspect();
        }
        self.run_moved(before);
        let frozen = self.container.phase.depth() == Depth::Frozen;
        self.sleeper.frozen_at = frozen.then(|| self.sleeper.frozen_at.unwrap_or(self.shared.clock.now()));
        if self.is_awake() {
            (self.sleeper.by_itself, self.sleeper.owes_look_inside) = (false, false);
        } else if standing(before) != standing(&self.container.phase) {
            // What else happens to it meanwhile, such as a look, puts no breath off.
            (self.sleeper.check_at, self.sleeper.kept) = (self.next_breath(), None);
        }
        self.keep_gate();
    }

    fn run_moved(&mut self, before: &Phase) {
        match (before, &self.container.phase) {
            (Phase::Running { sleep, .. }, Phase::Running { sleep: Sleep::Awake, .. })
                if *sleep != Sleep::Awake =>
            {
                self.goes_on();
            }
            (Phase::Running { .. }, Phase::Running { .. }) => {}
            (_, Phase::Running { .. }) => self.begins(),
            // What stood in the way of its start is no end of its own.
            (Phase::Running { .. } | Phase::Starting { .. }, Phase::Stopped { reason })
                if self.hindrance.is_none() =>
            {
                self.sleeper.crashes.ended(*reason);
            }
            _ => {}
        }
    }

    /// Considered once something may have come of it: what was used is known when the first minute is over.
    fn begins(&mut self) {
        let traffic = self.handle.traffic();
        self.sleeper.opened_before = traffic.opened().wrapping_sub(u64::from(traffic.connections()));
        (self.sleeper.cpu, self.sleeper.used_since_look) = (None, false);
        self.sleeper.beside = None;
        // The answer of one that was under way is about another run.
        self.sleeper.looks_inside = false;
        // What moved before its start is no use of this run.
        let (opened, bytes) = (traffic.opened(), traffic.bytes());
        self.sleeper.meter.sample(opened, bytes, u64::MAX, self.shared.clock.now());
        self.sleeper.crashes.started();
        self.check_in(SOONEST);
    }

    /// Frozen, it used nothing, however long that was.
    fn goes_on(&mut self) {
        let after = self.container.freezes_after(&self.policy()).unwrap_or_default();
        if let (Some((at, _)), Some(since)) = (&mut self.sleeper.cpu, Instant::now().checked_sub(after)) {
            *at = since.max(*at);
        }
        let announced = std::mem::take(&mut self.sleeper.needed);
        self.check_in(if announced { ANNOUNCED } else { BRIEFLY });
    }

    /// It is known how it is: frozen with mail, it is thawed; awake, it is considered.
    pub(super) fn sleep_known(&mut self) {
        self.keep_gate();
        match self.container.phase {
            Phase::Running { sleep: Sleep::Awake, .. } => self.check_in(SOONEST),
            Phase::Running { .. } => self.look_inside(),
            _ => {}
        }
    }

    /// The gate follows how it is.
    pub(super) fn keep_gate(&self) {
        let gate = self.handle.traffic().gate();
        match self.container.phase {
            Phase::Running { sleep, .. } if sleep != Sleep::Awake => gate.close(),
            _ => gate.open(),
        }
    }

    /// The program ends: nobody is there to thaw what is frozen.
    pub(super) async fn leave_awake(&self) {
        let freezer = match self.container.phase {
            Phase::Running { sleep: Sleep::Awake, .. } => return,
            Phase::Running { sleep: Sleep::Breathing { .. }, .. } => None,
            Phase::Running { sleep, .. } => sleep.freezer(),
            // A stop or a removal that is given up may not have thawed it yet.
            Phase::Stopping { .. } | Phase::Removing => None,
            _ => return,
        };
        let Some(body) = &self.container.engine_id else { return };
        let holders = freezer.map_or(vec![Freezer::Cgroup, Freezer::Engine], |by| vec![by]);
        for by in holders {
            if let Input::ThawFailed(why) = thaw(&*self.shared.engine, body, by).await {
                tracing::warn!(container = %self.name(), why, "it stays frozen; `spin-docker thaw --all` frees it");
            }
        }
    }
}
