//! Sleep and wake, judged from outside: what keeps a container awake is known here because it was done here.

mod rules;

use crate::policies::Policies;
use crate::programs::{Program, Work};
use crate::world::World;
use control::{Control, View};
use model::container::NO_CHECK_IN;
use model::policy::FreezeAfter;
use model::{Container, EngineId, Freezer, IdlePolicy, Key, Observation, Phase, Sleep};
use std::collections::BTreeMap;
use std::time::Duration;

/// By how much drift, timers and the order of our own steps may move what is judged.
const SLACK: Duration = Duration::from_secs(1);
/// How old the record of a check-in that says the same again may be.
const RECORDED_WITHIN: Duration = Duration::from_secs(11);
/// How soon what must not be, with nothing wrong, is over: an event may be late. And how late what should be may come.
const SOON: Duration = Duration::from_secs(5);
const LATE: Duration = Duration::from_secs(30);
/// The same with faults: calls that hang and are tried again.
const FAULTS: Duration = Duration::from_secs(150);
/// A byte may wait so long in a container that is frozen, unless it is being woken.
const A_BYTE_WAITS: Duration = Duration::from_millis(1_500);
/// The deadlines of the engine's calls, added up.
const WOKEN_WITHIN: Duration = Duration::from_secs(1_500);
/// How long something that was frozen may run before it is as it was, if nobody needs it.
const A_BREATH: Duration = Duration::from_secs(3);
/// How long an application may say that it cannot serve yet.
const READY_WITHIN: Duration = Duration::from_secs(45);

#[derive(Default)]
pub struct Sleeps {
    runs: BTreeMap<Key, Run>,
    bodies: BTreeMap<Key, EngineId>,
    frozen: BTreeMap<EngineId, Frozen>,
    thawed: BTreeMap<EngineId, Duration>,
    /// Who wants which container awake, since when.
    waiting: BTreeMap<u64, (Key, Duration)>,
    launched: Duration,
    clock_moved: Duration,
    /// When something was last wrong.
    noisy: Duration,
    /// Whether something was, and whether the engine was not followed, when it was last looked: it may have been so until now.
    was_noisy: bool,
    was_away: bool,
    unfollowed: Option<Duration>,
    /// When the engine was last not followed: nothing freezes then.
    away: Duration,
}

/// One stretch of running, as the control has it.
#[derive(Default)]
struct Run {
    since: Duration,
    visited: bool,
    /// When it was last used beyond doubt; and when it may have been.
    used: Option<Duration>,
    maybe: Duration,
    /// The last check-in.
    reported: Option<(Duration, bool)>,
    /// What was forwarded and is not answered, by visit.
    requests: BTreeMap<u64, Request>,
    /// A stop failed, and nobody knows whether before it was thawed for it.
    went_on: bool,
    /// When its policy was last changed.
    changed: Duration,
    /// Whether it ran all the while nobody knows: what was to be written could not be.
    doubted: bool,
}

/// An answer is owed from when it was asked for, which is before the container was woken for it.
#[derive(Clone, Copy)]
struct Request {
    asked: Duration,
    forwarded: Duration,
    /// Since when its program only waits for time to give it.
    due: Option<Duration>,
}

#[derive(Clone, Copy)]
struct Frozen {
    since: Duration,
    whose: Whose,
}

/// Who had it frozen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The control, since nothing keeps it awake.
    Its,
    /// Somebody, by request.
    Asked,
    /// Somebody beside us, or the engine after we gave a freeze up.
    Others,
}

impl Sleeps {
    // What happens.

    pub fn moved(
        &mut self,
        before: Option<&Container>,
        is: &Container,
        visited: bool,
        ok: bool,
        now: Duration,
    ) {
        if let Some(body) = &is.engine_id {
            self.bodies.insert(is.key.clone(), body.clone());
        }
        let ran = before.is_some_and(|before| matches!(before.phase, Phase::Running { .. }));
        // After a stop that failed, it is not as new.
        let went_on = is.failure.is_some();
        match is.phase {
            Phase::Running { .. } if !ran && self.runs.contains_key(&is.key) => {
                self.run(&is.key, |run| (run.doubted, run.maybe) = (true, now));
            }
            Phase::Running { .. } if !self.runs.contains_key(&is.key) => {
                let run =
                    Run { since: now, maybe: now, visited: visited || went_on, went_on, ..Run::default() };
                self.runs.insert(is.key.clone(), run);
            }
            // A command that could not be written was not obeyed.
            _ if !ok => self.run(&is.key, |run| run.doubted = true),
            Phase::Running { .. } => {}
            _ => drop(self.runs.remove(&is.key)),
        }
    }

    pub fn body(&self, of: &Key) -> Option<EngineId> {
        self.bodies.get(of).cloned()
    }

    fn run(&mut self, of: &Key, alter: impl FnOnce(&mut Run)) {
        if let Some(run) = self.runs.get_mut(of) {
            alter(run);
        }
    }

    pub fn visited(&mut self, of: &Key, now: Duration, counts: bool) {
        self.run(of, |run| {
            (run.visited, run.maybe) = (true, now);
            run.used = if counts { Some(now) } else { run.used };
        });
    }

    /// Bytes moved; more than keep-alives, or not.
    pub fn bytes_moved(&mut self, of: &Key, now: Duration, counts: bool) {
        self.run(of, |run| {
            run.used = if counts { Some(now) } else { run.used };
            run.maybe = if counts { now } else { run.maybe };
        });
    }

    pub fn checked_in(&mut self, of: &Key, value: &str, now: Duration) {
        self.run(of, |run| (run.reported, run.maybe) = (Some((now, value != NO_CHECK_IN)), now));
    }

    pub fn forwarded(&mut self, visit: u64, of: &Key, asked: Duration, forwarded: Duration) {
        self.run(of, |run| {
            run.requests.insert(visit, Request { asked, forwarded, due: None });
        });
    }

    /// A timer has run out: its answer is given as soon as the program runs.
    pub fn due(&mut self, visit: u64, of: &Key, now: Duration) {
        self.run(of, |run| {
            run.requests.entry(visit).and_modify(|request| request.due = Some(now));
        });
    }

    pub fn answered(&mut self, visit: u64, of: &Key, now: Duration) {
        self.run(of, |run| {
            if run.requests.remove(&visit).is_some() {
                run.maybe = run.maybe.max(now);
            }
        });
    }

    /// Something that kept it awake is over.
    pub fn ends(&mut self, body: &EngineId, now: Duration) {
        let of: Vec<Key> =
            self.bodies.iter().filter(|(_, its)| *its == body).map(|(key, _)| key.clone()).collect();
        of.iter().for_each(|key| self.run(key, |run| run.maybe = run.maybe.max(now)));
    }

    pub fn waits(&mut self, visit: u64, of: &Key, now: Duration) {
        self.waiting.insert(visit, (of.clone(), now));
    }

    /// Its connection closed.
    pub fn gave_up(&mut self, visit: u64) {
        self.waiting.remove(&visit);
    }

    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whoever waited does so no more. One who was told that it is awake is right.
    pub fn woken(&mut self, visit: u64, of: &Key, awake: bool, world: &World) -> Option<String> {
        self.waiting.remove(&visit);
        let body = self.body(of).filter(|_| awake)?;
        let others = self.frozen.get(&body).is_some_and(|frozen| frozen.whose != Whose::Its);
        match world.fake.look(&body) {
            Observation::Running { frozen: Some(_), .. } if !others => {
                Some(format!("{of} was woken, and is frozen"))
            }
            _ => None,
        }
    }

    pub fn froze(&mut self, body: &EngineId, whose: Whose, now: Duration) {
        self.frozen.insert(body.clone(), Frozen { since: now, whose });
    }

    /// Somebody says so, of one that may be frozen already.
    pub fn asked(&mut self, body: &EngineId) {
        let its = self.frozen.get_mut(body).filter(|frozen| frozen.whose == Whose::Its);
        its.into_iter().for_each(|frozen| frozen.whose = Whose::Asked);
    }

    /// Somebody beside us holds it from now on, whoever did before.
    pub fn paused(&mut self, body: &EngineId, now: Duration) {
        self.frozen.insert(body.clone(), Frozen { since: now, whose: Whose::Others });
    }

    pub fn thawed(&mut self, body: &EngineId, now: Duration) {
        self.frozen.remove(body);
        self.thawed.insert(body.clone(), now);
        self.ends(body, now);
    }

    /// Another policy holds, of one or of all.
    pub fn policy_changed(&mut self, of: Option<&Key>, now: Duration, policies: &Policies) {
        for (key, run) in self.runs.iter_mut().filter(|(key, _)| of.is_none_or(|of| of == *key)) {
            (run.changed, run.maybe) = (now, now);
            // What was not looked at yet counts as the policy of now has it.
            run.used = run.used.filter(|_| policies.of(key).activity.traffic());
        }
    }

    /// When something was last wrong.
    pub fn noisy(&self) -> Duration {
        self.noisy
    }

    pub fn clock_moved(&mut self, now: Duration) {
        self.clock_moved = now;
        self.runs.values_mut().for_each(|run| run.maybe = now);
    }

    /// The program ended, and is started again. What of a use was on record nobody knows.
    pub fn restarted(&mut self, now: Duration) {
        self.waiting.clear();
        self.unfollowed = None;
        (self.launched, self.noisy) = (now, now);
        for run in self.runs.values_mut() {
            run.requests.clear();
            (run.used, run.reported, run.maybe) = (None, None, now);
        }
    }

    pub fn launched(&mut self, now: Duration) {
        (self.launched, self.noisy) = (now, now);
    }
}
