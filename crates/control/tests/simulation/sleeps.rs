//! Sleep and wake, judged from outside: what keeps a container awake is known here because it was done here.

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

    // What must hold.

    /// The control freezes it by itself.
    pub fn may_freeze(&self, body: &EngineId, world: &World) -> Option<String> {
        let (now, policy) = (world.now(), &world.weather.policy);
        let key = self.bodies.iter().find(|(_, its)| *its == body)?.0;
        let run = self.runs.get(key).filter(|run| !run.doubted)?;
        let awake_since = self.thawed.get(body).copied().unwrap_or_default().max(run.since);
        let mut program = world.program(body).unwrap_or_default();
        program.work = program.work.map(|work| Work { since: work.since.max(awake_since), ..work });
        let why = self.keeps(run, &program, now, policy)?;
        Some(format!("{key} is frozen, and {why}"))
    }

    fn keeps(&self, run: &Run, program: &Program, now: Duration, policy: &IdlePolicy) -> Option<String> {
        let ago = |at: Duration| now.saturating_sub(at);
        let steady = |at: Duration| at < now && self.clock_moved + 2 * SLACK < at;
        let after = match policy.freeze_after {
            FreezeAfter::Off => return Some("its policy says never".to_owned()),
            FreezeAfter::After(after) => after,
            FreezeAfter::Unsaid if policy.disable_timeouts => {
                return Some("timeouts are disabled".to_owned());
            }
            FreezeAfter::Unsaid => FreezeAfter::UNSAID,
        };
        let unsaid = policy.freeze_after == FreezeAfter::Unsaid;
        let reported = run.reported.filter(|(at, _)| *at < now && policy.activity.check_ins());
        let first_look = run.since + policy.initial_timeout_interval;
        let visits = unsaid && !run.visited && first_look > now + SLACK && steady(run.since);
        let asked = run.requests.values().map(|request| request.asked);
        let owed = asked.max().filter(|at| *at + policy.owed_for > now + SLACK && steady(*at));
        let used = run.used.filter(|at| *at + after > now + SLACK && steady(*at));
        let window = after * 2 + LATE;
        let busy = program.work.filter(|work| {
            let most = policy.busy_cpu.map_or(u32::MAX, |most| most.saturating_mul(4));
            work.share > most && work.since + window < now && now < work.until
        });
        let ttl = policy.check_in_ttl;
        let counts = reported.filter(|(at, counts)| {
            *counts && ttl.is_none_or(|ttl| *at + ttl > now + RECORDED_WITHIN) && steady(*at)
        });
        match () {
            () if visits => Some("nobody has connected yet, and no look has been".to_owned()),
            () if unsaid && reported.is_some() => Some("it reports for itself".to_owned()),
            () if counts.is_some() => Some(format!("it checked in: {counts:?}")),
            () if owed.is_some() => Some(format!("an answer is owed since {:?}", owed.map(ago))),
            () if used.is_some() => Some(format!("it was used {:?} ago", used.map(ago))),
            () if busy.is_some() => Some("it works".to_owned()),
            () => None,
        }
    }

    /// What nobody thaws now that the program has ended, unless the engine would not.
    pub fn left_frozen(&self, world: &World) -> Option<String> {
        let ours = self.frozen.iter().filter(|(body, frozen)| {
            world.is_frozen(body) && frozen.whose != Whose::Others && world.thaws_are_sure(body)
        });
        ours.map(|(body, _)| format!("{body} is left frozen by a program that ended in good order")).next()
    }

    /// At any moment.
    pub fn check(&mut self, control: &Control, world: &World) -> Vec<String> {
        let now = world.now();
        self.frozen.retain(|body, _| world.is_frozen(body));
        let follows = control.is_ready();
        self.unfollowed = if follows { None } else { self.unfollowed.or(Some(now)) };
        let is_noisy = !world.weather.is_calm() || !follows;
        if std::mem::replace(&mut self.was_away, !follows) || !follows {
            self.away = now;
        }
        if std::mem::replace(&mut self.was_noisy, is_noisy) || is_noisy {
            self.noisy = now;
        }
        let late = self.waiting.values().filter(|(_, since)| *since + WOKEN_WITHIN < now);
        let mut complaints: Vec<String> =
            late.map(|(of, since)| format!("somebody waits for {of} to wake since {since:?}")).collect();
        for view in control.list() {
            let Phase::Running { sleep, .. } = view.container.phase else { continue };
            let (Some(body), Some(run)) =
                (view.container.engine_id.as_ref(), self.runs.get(&view.container.key))
            else {
                continue;
            };
            let complaint = match (sleep, world.is_frozen(body)) {
                (Sleep::Frozen { by }, true) => self.sleeps_too_well(run, &view, body, by, world),
                (Sleep::Awake, true) => self.is_thought_awake(run, body, now),
                (Sleep::Awake, false) => self.stays_awake(run, &view, body, world),
                _ => None,
            };
            complaints.extend(complaint.map(|why| format!("{} {why}", view.container.key)));
        }
        complaints
    }

    fn is_over(&self, cause: Duration, now: Duration) -> bool {
        let calm = self.noisy < now;
        if calm { cause.max(self.noisy) + SOON < now } else { cause + FAULTS < now }
    }

    /// It is frozen, and the control knows.
    fn sleeps_too_well(
        &self,
        run: &Run,
        view: &View,
        body: &EngineId,
        by: Freezer,
        world: &World,
    ) -> Option<String> {
        let (now, policy) = (world.now(), &world.weather.policy);
        let frozen = self.frozen.get(body)?;
        let program = world.program(body)?;
        let is_its = frozen.whose == Whose::Its;
        let over = |cause: Duration| !world.weather.is_blind() && self.is_over(cause.max(frozen.since), now);
        let counts = run.reported.filter(|(at, counts)| {
            let ttl = policy.check_in_ttl;
            *counts && policy.activity.check_ins() && ttl.is_none_or(|ttl| *at + ttl > now + RECORDED_WITHIN)
        });
        let mailed = program.mail.map(|mail| mail.since);
        match () {
            () if is_its && program.exec.filter(|_| program.is_heard).is_some_and(over) => {
                Some("is frozen, and somebody runs a command in it".to_owned())
            }
            () if by == Freezer::Cgroup
                && program
                    .told_to_end
                    .filter(|at| *at > self.launched && program.is_heard)
                    .is_some_and(over) =>
            {
                Some("is to end, and stays frozen".to_owned())
            }
            () if is_its && counts.is_some_and(|(at, _)| over(at) && !run.doubted) => {
                Some("is frozen, and has checked in".to_owned())
            }
            () if is_its && mailed.is_some_and(|at| at <= frozen.since && over(frozen.since)) => {
                Some("froze with mail in its sockets".to_owned())
            }
            () if mailed.is_some_and(|at| at.max(frozen.since) < self.launched && over(self.launched)) => {
                Some("was found frozen with mail in its sockets".to_owned())
            }
            () if is_its
                && by == Freezer::Cgroup
                && view.failure().is_none()
                && self.is_left_alone(frozen, now) =>
            {
                Some("is frozen, and nobody follows the engine".to_owned())
            }
            () if is_its && policy.breathe && self.waits_for_a_breath(run, now) => {
                Some("is frozen, and did not breathe while an answer in it was due".to_owned())
            }
            () => self.bytes_wait(run, frozen, view, now, policy),
        }
    }

    /// A tenth late at most.
    fn waits_for_a_breath(&self, run: &Run, now: Duration) -> bool {
        run.requests.values().any(|request| {
            let late = SOON.max((now - request.asked) / 10) + SOON;
            request.due.is_some_and(|due| due.max(self.noisy) + late < now)
        })
    }

    fn is_left_alone(&self, frozen: &Frozen, now: Duration) -> bool {
        self.unfollowed.is_some_and(|since| frozen.since < since && since + SOON < now)
    }

    fn bytes_wait(
        &self,
        run: &Run,
        frozen: &Frozen,
        view: &View,
        now: Duration,
        policy: &IdlePolicy,
    ) -> Option<String> {
        if self.waiting.values().any(|(of, _)| *of == view.container.key) {
            return None;
        }
        let lies = |Request { asked, forwarded, .. }: Request| match frozen.whose {
            Whose::Its if forwarded <= frozen.since => {
                asked + policy.owed_for > frozen.since + SLACK && self.clock_moved + 2 * SLACK < asked
            }
            Whose::Asked if forwarded <= frozen.since => false,
            // The engine's pause is seen once the engine answers.
            _ if run.went_on && frozen.since < run.since => false,
            Whose::Its | Whose::Asked => true,
            Whose::Others => false,
        };
        let waits = |it: &&Request| lies(**it) && it.forwarded.max(frozen.since) + A_BYTE_WAITS < now;
        run.requests.values().find(waits).map(|Request { forwarded: at, .. }| {
            format!("is frozen since {:?}, and a byte that was forwarded at {at:?} waits in it", frozen.since)
        })
    }

    /// It is frozen by us, and the control does not know.
    fn is_thought_awake(&self, run: &Run, body: &EngineId, now: Duration) -> Option<String> {
        let frozen = self.frozen.get(body).filter(|frozen| frozen.whose != Whose::Others)?;
        self.is_over(frozen.since.max(run.since), now)
            .then(|| format!("is thought awake, and frozen since {:?}", frozen.since))
    }

    /// What nothing keeps awake freezes in time.
    fn stays_awake(&self, run: &Run, view: &View, body: &EngineId, world: &World) -> Option<String> {
        let (now, policy) = (world.now(), &world.weather.policy);
        let unsaid = policy.freeze_after == FreezeAfter::Unsaid;
        let after = match policy.freeze_after {
            FreezeAfter::Off => return None,
            FreezeAfter::After(after) => after,
            FreezeAfter::Unsaid if policy.disable_timeouts => return None,
            FreezeAfter::Unsaid => FreezeAfter::UNSAID,
        };
        let container = &view.container;
        if container.check_in != NO_CHECK_IN || (unsaid && container.checked_in_at.is_some()) {
            return None;
        }
        let program = world.program(body)?;
        if program.exec.is_some() || program.mail.is_some() {
            return None;
        }
        let owed = run.requests.values().map(|request| request.asked + policy.owed_for).max();
        let work = program.work.map(|work| work.until + after);
        let unvisited = unsaid.then(|| run.since.max(self.launched) + policy.initial_timeout_interval);
        let ready = container.ready.as_ref().map(|_| run.since.max(self.launched) + READY_WITHIN);
        let keepers = [owed, work, unvisited, ready, Some(run.maybe + after), Some(run.since + after)];
        let due = keepers.into_iter().flatten().max()?;
        let late = if self.noisy < now { due.max(self.noisy) + LATE } else { due.max(self.away) + FAULTS };
        (late < now).then(|| format!("stays awake, and nothing keeps it so since {due:?}: {:?}", view.kept))
    }
}
