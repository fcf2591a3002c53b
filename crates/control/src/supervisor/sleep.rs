//! Sleep: when nothing keeps a container awake it freezes. Who has it woken stands in `waking`.
//!
//! What is known here is judged first ([`Container::kept_awake`](model::Container::kept_awake)); only where that keeps nothing awake are
//! the engine and the kernel asked. Then the gate is closed, and if anything passed it since, the container is thawed at once.

use super::Supervisor;
use super::breath::CpuMark;
use super::crashes::Crashes;
use super::freezing::{Careful, Found, thaw};
use super::tell::standing;
use super::waking::Waiting;
use crate::handle::Answer;
use engine::EngineError;
use model::{
    Awake, Cause, Depth, Effect, EngineId, Freezer, IdlePolicy, Input, Inside, Keeper, Meter, Phase, Seen,
    Sleep, Timestamp, Waker,
};
use std::time::Duration;
use tokio::time::Instant;

/// After a thaw: keep-alives are answered in less, and it freezes again.
const BRIEFLY: Duration = Duration::from_millis(300);
/// After the engine said that it is about to do something: on a busy machine, a command that was announced begins later than that.
const ANNOUNCED: Duration = Duration::from_secs(2);
/// How long the engine and the kernel may take to say what a container does: a command may have begun, or work, since they were asked.
const NEWS: Duration = Duration::from_secs(2);
/// While something that may end at any time keeps it awake.
const SOONEST: Duration = Duration::from_millis(100);
const LATEST: Duration = Duration::from_secs(5);

/// What a supervisor knows of its container's sleep.
#[derive(Debug, Default)]
pub(super) struct Sleeper {
    /// When it is next considered whether it may freeze.
    pub(super) check_at: Option<Instant>,
    meter: Meter,
    /// Connections opened before its start.
    opened_before: u64,
    used_since_look: bool,
    pub(super) cpu: Option<CpuMark>,
    /// What was found to keep it awake, and when.
    pub(super) kept: Option<Awake>,
    pub(super) kept_at: Timestamp,
    /// The engine and the kernel are being asked.
    looks_inside: bool,
    /// Since they are, the engine did something to it.
    needed: bool,
    /// It was found frozen, and what waits in it could not be told.
    owes_look_inside: bool,
    /// Why the last freeze came to nothing.
    pub(super) undone: Option<Box<str>>,
    /// It froze since nothing kept it awake, not because somebody said so.
    pub(super) by_itself: bool,
    /// What had happened on its connections when it was last looked at, before it freezes.
    stirred: u64,
    /// Since when it is frozen.
    pub(super) frozen_at: Option<Timestamp>,
    /// Connections that wait for it to be awake.
    pub(super) wakers: Vec<Waiting>,
    /// Persons who wait for it to be as deep as they said.
    pub(super) by_hand: Vec<(Depth, Answer)>,
    pub(super) crashes: Crashes,
}

impl Supervisor {
    /// The counters are looked at. Use is recorded with its time; keep-alives are none.
    pub(super) async fn sample(&mut self) {
        let (now, policy) = (self.catch_up(), self.policy());
        let traffic = self.handle.traffic();
        let (opened, bytes) = (traffic.opened(), traffic.bytes());
        let is_use = self.sleeper.meter.sample(opened, bytes, policy.quiet_below, now);
        if is_use && policy.activity.traffic() {
            self.sleeper.used_since_look = true;
            let at = traffic.moved_at().map_or(now, |at| self.time_of(at, now));
            self.fact(Input::Used(at)).await;
        }
    }

    /// It ends: what it was used for until then counts for when it is deleted, though no look has seen it.
    pub(super) async fn remember_last_use(&mut self) {
        if matches!(self.container.phase, Phase::Running { .. }) {
            self.sample().await;
        }
    }

    /// Something moves, or is open. The first visitor ends the wait for the first look.
    pub(super) async fn used(&mut self) {
        self.sample().await;
        if self.sleeper.kept.is_some_and(|kept| kept.by == Keeper::Unvisited) {
            self.check_in(SOONEST);
        }
    }

    /// The counters ended with the daemon that counted; what is on record was use since the last look, if it came after.
    pub(super) fn take_up_use(&mut self) {
        let Phase::Running { looks: Some(looks), .. } = self.container.phase else { return };
        if self.container.last_activity > looks.since && self.policy().activity.traffic() {
            self.sleeper.used_since_look = true;
            self.moved_at_look = self.handle.traffic().moved().wrapping_sub(1);
        }
    }

    /// Whether it was used since this was last asked.
    pub(super) fn take_use(&mut self) -> bool {
        std::mem::take(&mut self.sleeper.used_since_look)
    }

    fn time_of(&self, instant: Instant, now: Timestamp) -> Timestamp {
        let ago = i64::try_from(instant.elapsed().as_millis()).unwrap_or(i64::MAX);
        now.shifted(-ago)
    }

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

    /// May it freeze? Where nothing that is known here keeps it awake, the engine and the kernel are asked.
    pub(super) async fn consider(&mut self) {
        self.sleeper.check_at = None;
        self.sample().await;
        if self.sleeper.owes_look_inside {
            return self.look_inside();
        }
        if self.container.phase.depth() == Depth::Frozen {
            return self.breathe().await;
        }
        if !self.may_sleep() {
            return self.consider_later();
        }
        let (now, policy) = (self.catch_up(), self.policy());
        self.sleeper.stirred = self.handle.traffic().stirred();
        let kept = self.container.kept_awake(&self.seen_of_it(now), now, &policy);
        self.gives_up(kept);
        if kept.is_none() || self.wants_reading(&policy) {
            self.look_inside();
        }
        if let Some(kept) = kept {
            self.keep_awake(kept);
        }
    }

    /// What it uses is told by two readings, not much further apart than it must rest: work that has just begun would be lost in a
    /// long time of little.
    fn wants_reading(&self, policy: &IdlePolicy) -> bool {
        let is_old = |after| self.sleeper.cpu.is_none_or(|(at, _)| at.elapsed() >= after / 2);
        self.container.freezes_after(policy).is_some_and(is_old)
    }

    /// Until it can serve, or the engine is followed again.
    fn consider_later(&mut self) {
        if self.is_awake() {
            self.check_in(LATEST);
        }
    }

    pub(super) fn look_inside(&mut self) {
        self.sleeper.owes_look_inside = false;
        let Some(body) = self.container.engine_id.as_ref().filter(|_| !self.sleeper.looks_inside) else {
            return;
        };
        // One that is frozen could not take what came, however long ago.
        let lying = if self.is_awake() { self.policy().owed_for } else { Duration::MAX };
        // Behind the engine's proxy, the kernel does not tell our connections from others'.
        let upstream = (!self.container.is_published()).then(|| self.handle.traffic().upstream());
        self.calls.look_inside(body.clone(), upstream, lying);
        (self.sleeper.looks_inside, self.sleeper.needed) = (true, false);
    }

    /// Awake, known as it is, and followed: a frozen container that nobody follows could not be thawed in time.
    fn may_sleep(&self) -> bool {
        let awake = matches!(self.container.phase, Phase::Running { sleep: Sleep::Awake, .. });
        awake && self.resumed && self.ready && self.shared.reconciler.is_following()
    }

    pub(super) fn seen_of_it(&self, now: Timestamp) -> Seen {
        let traffic = self.handle.traffic();
        let owed_since = traffic.owed().map(|flow| self.time_of(flow.moved_at, now));
        Seen { connected: traffic.opened() != self.sleeper.opened_before, owed_since }
    }

    /// The engine and the kernel have answered.
    pub(super) async fn looked_inside(&mut self, found: Result<Found, EngineError>) {
        self.sleeper.looks_inside = false;
        if self.container.phase.depth() == Depth::Frozen {
            return self.looked_inside_frozen(found).await;
        }
        if !self.may_sleep() {
            return self.consider_later();
        }
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                tracing::debug!(container = %self.name(), error = %crate::chain(&error), "cannot look inside");
                return self.check_in(LATEST);
            }
        };
        if found.at.elapsed() > NEWS {
            tracing::debug!(container = %self.name(), "a look inside took so long that it tells nothing of now");
            return self.check_in(SOONEST);
        }
        let (now, policy) = (self.catch_up(), self.policy());
        let inside = self.inside(found, &policy);
        if let Some(kept) = self.container.kept_awake(&self.seen_of_it(now), now, &policy) {
            return self.keep_awake(kept);
        }
        // A command that somebody began meanwhile may not have been counted.
        if self.sleeper.needed {
            return self.check_in(ANNOUNCED);
        }
        match inside.map(|inside| inside.keeps_awake(&policy)) {
            Some(Some(by)) => self.keep_awake(Awake { by, until: None }),
            Some(None) => self.freeze().await,
            None => self.check_in(self.soon(&policy)),
        }
    }

    /// It was found frozen: what came meanwhile has to be taken, and what somebody runs in it has to go on.
    async fn looked_inside_frozen(&mut self, found: Result<Found, EngineError>) {
        match found {
            Ok(found) if found.mail => self.thaw_because(Cause::Mail).await,
            Ok(found) if found.execs > 0 => self.thaw_because(Cause::Exec).await,
            Ok(_) => self.sleeper.check_at = self.next_breath(),
            Err(error) => {
                tracing::debug!(container = %self.name(), error = %crate::chain(&error), "cannot look inside");
                self.sleeper.owes_look_inside = true;
                self.check_in(LATEST);
            }
        }
    }

    /// It reported just before it froze, or its policy lets an old report count again: one that counts keeps it awake, unless a
    /// person said otherwise.
    pub(super) async fn reported(&mut self) {
        let counts = self.container.is_checked_in(self.shared.clock.now(), &self.policy());
        if counts && self.sleeper.by_itself {
            self.thaw_because(Cause::CheckIn).await;
        }
    }

    /// Nothing while its CPU was read only once: whether it works nobody knows yet.
    fn inside(&mut self, found: Found, policy: &IdlePolicy) -> Option<Inside> {
        let Found { execs, mail, owed, .. } = found;
        let now = found.at;
        let (Some(used), Some(_)) = (found.cpu, policy.busy_cpu) else {
            return Some(Inside { execs, cpu: None, mail, owed });
        };
        let (since, before) = *self.sleeper.cpu.get_or_insert((now, used));
        let elapsed = now.duration_since(since);
        if elapsed < SOONEST {
            return None;
        }
        self.sleeper.cpu = Some((now, used));
        let share = used.saturating_sub(before).as_micros() * 1000 / elapsed.as_micros();
        Some(Inside { execs, cpu: u32::try_from(share).ok(), mail, owed })
    }

    fn soon(&self, policy: &IdlePolicy) -> Duration {
        self.container.freezes_after(policy).map_or(LATEST, |after| (after / 4).clamp(SOONEST, LATEST))
    }

    /// Looked at again when that ends, or soon where nobody knows when it does.
    fn keep_awake(&mut self, kept: Awake) {
        tracing::trace!(container = %self.name(), ?kept, "kept awake");
        let now = self.shared.clock.now();
        (self.sleeper.kept, self.sleeper.kept_at) = (Some(kept), now);
        let policy = self.policy();
        let soon = self.soon(&policy);
        let after = match (kept.by, kept.until) {
            // Only another policy, or another start, ends it.
            (Keeper::Policy | Keeper::Reports, _) => None,
            (Keeper::Use | Keeper::Unvisited, Some(until)) => Some(until.since(now)),
            _ => Some(soon),
        };
        self.sleeper.check_at = after.map(|after| Instant::now() + after);
        self.publish();
    }

    /// Another policy holds. Under one by which it does not freeze, what froze by itself goes on.
    pub(super) async fn consider_anew(&mut self) {
        let stays = self.container.freezes_after(&self.policy()).is_some();
        if self.sleeper.by_itself && !stays {
            self.thaw_because(Cause::NeverFreezes).await;
        } else {
            self.reported().await;
        }
        self.consider_now();
    }

    fn consider_now(&mut self) {
        let frozen = self.container.phase.depth() == Depth::Frozen && !self.sleeper.owes_look_inside;
        let breath = self.next_breath().map(|next| self.sleeper.check_at.unwrap_or(next).min(next));
        self.sleeper.check_at = if frozen { breath } else { Some(Instant::now()) };
    }

    /// Considers it again after so long.
    pub(super) fn check_in(&mut self, after: Duration) {
        self.sleeper.check_at = Some(Instant::now() + after);
    }

    /// It freezes, unless something passed the gate since it was looked at.
    async fn freeze(&mut self) {
        self.sleeper.by_itself = true;
        self.ports.quiet();
        let because = self.what_is_quiet();
        self.fact_because(Input::Freeze, Some(because)).await;
        if self.handle.traffic().stirred() != self.sleeper.stirred {
            self.fact(Input::Wake(Waker::Need)).await;
        }
    }

    /// The engine is about to do something to it, or has gone.
    pub(super) async fn thaw_because(&mut self, why: Cause) {
        self.sleeper.needed = true;
        if self.is_awake() {
            self.check_in(ANNOUNCED);
        }
        self.fact_because(Input::Wake(Waker::Need), Some(why)).await;
    }

    /// The gate follows how it is.
    pub(super) fn keep_gate(&self) {
        let gate = self.handle.traffic().gate();
        match self.container.phase {
            Phase::Running { sleep, .. } if sleep != Sleep::Awake => gate.close(),
            _ => gate.open(),
        }
    }

    /// A transition was made.
    pub(super) fn sleep_moved(&mut self, before: &Phase) {
        let is_awake = self.is_awake();
        if *before != self.container.phase {
            self.calls.outdate_inspect();
        }
        match (before, &self.container.phase) {
            (Phase::Running { sleep, .. }, Phase::Running { .. }) if is_awake && *sleep != Sleep::Awake => {
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
        let frozen = self.container.phase.depth() == Depth::Frozen;
        self.sleeper.frozen_at = frozen.then(|| self.sleeper.frozen_at.unwrap_or(self.shared.clock.now()));
        if is_awake {
            (self.sleeper.by_itself, self.sleeper.owes_look_inside) = (false, false);
        } else if standing(before) != standing(&self.container.phase) {
            // What else happens to it meanwhile, such as a look, puts no breath off.
            (self.sleeper.check_at, self.sleeper.kept) = (self.next_breath(), None);
        }
        self.keep_gate();
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

    pub(super) fn is_awake(&self) -> bool {
        matches!(self.container.phase, Phase::Running { sleep: Sleep::Awake, .. })
    }

    /// Considered once something may have come of it: what was used is known when the first minute is over.
    fn begins(&mut self) {
        let traffic = self.handle.traffic();
        self.sleeper.opened_before = traffic.opened().wrapping_sub(u64::from(traffic.connections()));
        (self.sleeper.cpu, self.sleeper.used_since_look) = (None, false);
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
}
