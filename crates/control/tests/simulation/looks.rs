//! The idle monitor, judged from outside: an active container is not stopped by a look, and an idle one is in time.

use crate::policies::Policies;
use control::Control;
use model::container::NO_CHECK_IN;
use model::{Container, IdlePolicy, Key, Phase, Status, StopReason};
use std::collections::BTreeMap;
use std::time::Duration;

/// By how much a drifting wall clock, timers and our own steps may move a look.
const SLACK: Duration = Duration::from_secs(3);
/// A use that came so shortly before a crash may not be on record.
const UNRECORDED: Duration = Duration::from_secs(13);
/// How old a check-in's record may be, beside drift.
const RECORDED_WITHIN: Duration = Duration::from_secs(14);

#[derive(Default)]
pub struct Looks {
    runs: BTreeMap<Key, Run>,
    /// Open connections of each, whether it runs or not, and when the last was opened.
    open: BTreeMap<Key, (u32, Duration)>,
    clock_moved: Duration,
}

/// One stretch of running.
struct Run {
    since: Duration,
    /// When bytes last moved; the beginning, if none did.
    moved: Duration,
    /// The use before that, should a crash make us forget the last.
    recorded: Duration,
    /// When a connection last closed, or a check-in came.
    touched: Duration,
    /// When something last moved that may be no use.
    maybe: Duration,
    checked_in: bool,
    checked_in_at: Duration,
    /// When something last happened that lets looks be later: a jump, a drift, a restart, a stop that failed.
    excused: Duration,
    /// When its policy was last changed.
    changed: Duration,
    restarted: Duration,
    /// It was to stop, and that could not be written.
    uncertain: bool,
}

impl Run {
    fn begins(now: Duration, excused: Duration) -> Self {
        Self {
            since: now,
            moved: now,
            recorded: now,
            touched: now,
            maybe: now,
            checked_in: false,
            checked_in_at: now,
            excused,
            changed: Duration::ZERO,
            restarted: Duration::ZERO,
            uncertain: false,
        }
    }

    /// Why a look may not stop it.
    fn may_stop(&self, is: &Container, open: u32, now: Duration, policy: &IdlePolicy) -> Option<String> {
        let by_look = matches!(is.phase, Phase::Stopping { reason: StopReason::Idle, .. });
        if !by_look {
            return None;
        }
        let never = policy.disable_timeouts.then(|| "timeouts are disabled".to_owned());
        never.or_else(|| self.is_active(open, now, policy))
    }

    /// What a look at this moment sees. What happens while it is being written down, it does not.
    fn is_active(&self, open: u32, now: Duration, policy: &IdlePolicy) -> Option<String> {
        let interval = policy.timeout_interval;
        // Two looks found it idle, and the first of them looked back one interval more; counters end with the daemon.
        let window = if self.restarted > self.moved { interval } else { 2 * interval };
        let moved = self.moved > self.since && self.moved < now && self.moved + window > now + SLACK;
        // Of what came before, each look saw what was then its policy's.
        let moved = moved && policy.activity.traffic() && self.moved > self.changed;
        let touched = self.touched > self.since && self.touched + interval > now + SLACK;
        let counts = !policy.stop_with_connections;
        let touched = touched
            && policy.activity.traffic()
            && (self.changed.is_zero() || self.touched > self.changed + UNRECORDED);
        // The same report again is on record at most ten seconds later.
        let reported = policy.check_in_ttl.is_none_or(|ttl| self.checked_in_at + ttl > now + RECORDED_WITHIN);
        let checked_in = self.checked_in && policy.activity.check_ins() && reported;
        match () {
            () if open > 0 && counts && self.moved < now => Some("a connection is open".to_owned()),
            () if checked_in && self.excused < now => Some("it checked in".to_owned()),
            () if moved => Some(format!("bytes moved {:?} ago", now.saturating_sub(self.moved))),
            () if touched && counts => {
                Some(format!("a connection closed {:?} ago", now.saturating_sub(self.touched)))
            }
            () => None,
        }
    }

    /// A look must have stopped it by then, had nobody used it.
    fn due(&self, policy: &IdlePolicy) -> Duration {
        let (initial, interval) = (policy.initial_timeout_interval, policy.timeout_interval);
        let used = self.moved.max(self.touched).max(self.maybe);
        if used <= self.since && self.excused.is_zero() {
            return self.since + initial + interval + Duration::from_secs(1);
        }
        let counted_from =
            (self.since + initial).max(used + interval).max(self.excused + initial.max(interval));
        counted_from + 2 * interval + SLACK
    }
}

impl Looks {
    /// A container's state is being written. A command that could not be written was not obeyed, and a fact was: which of
    /// the two it was, the next write tells.
    pub fn moved(
        &mut self,
        before: Option<&Container>,
        is: &Container,
        ok: bool,
        now: Duration,
        policy: &IdlePolicy,
    ) -> Option<String> {
        let open = self.open.get(&is.key).filter(|(_, last)| *last < now).map_or(0, |(open, _)| *open);
        let ran = before.is_some_and(|before| matches!(before.phase, Phase::Running { .. }));
        match (is.phase.status(), self.runs.get_mut(&is.key)) {
            (Status::Running, Some(run)) if run.uncertain => {
                (run.uncertain, run.excused) = (false, now);
                run.checked_in = is.check_in != NO_CHECK_IN;
            }
            (Status::Running, _) if !ran => {
                // The clock is compared once a second: a run may begin by one that was moved.
                let recent = self.clock_moved + Duration::from_secs(2) > now;
                let excused = if is.failure.is_some() || recent { now } else { Duration::ZERO };
                self.runs.insert(is.key.clone(), Run::begins(now, excused));
            }
            (Status::Running, _) | (_, None) => {}
            (_, Some(run)) => {
                // One that could not be written is written again, and was judged when it was decided.
                let complaint = if run.uncertain { None } else { run.may_stop(is, open, now, policy) };
                if ok {
                    self.runs.remove(&is.key);
                } else {
                    run.uncertain = true;
                }
                return complaint.map(|why| format!("{} is stopped by a look, and {why}", is.key));
            }
        }
        None
    }

    pub fn ended(&mut self, key: &Key) {
        self.runs.remove(key);
    }

    pub fn bytes_moved(&mut self, key: &Key, now: Duration) {
        if let Some(run) = self.runs.get_mut(key) {
            // At the very moment of its start is after it.
            let now = now.max(run.since + Duration::from_nanos(1));
            (run.recorded, run.moved) = (run.moved, now);
        }
    }

    /// Something moved that may count as keep-alives.
    pub fn maybe_moved(&mut self, key: &Key, now: Duration) {
        self.runs.entry(key.clone()).and_modify(|run| run.maybe = now);
    }

    /// Whether it runs beyond doubt.
    pub fn runs(&self, key: &Key) -> bool {
        self.runs.get(key).is_some_and(|run| !run.uncertain)
    }

    /// Whether somebody is connected.
    pub fn is_visited(&self, key: &Key) -> bool {
        self.open.get(key).is_some_and(|(open, _)| *open > 0)
    }

    pub fn connected(&mut self, key: &Key, now: Duration) {
        self.bytes_moved(key, now);
        let open = self.open.entry(key.clone()).or_default();
        *open = (open.0 + 1, now);
    }

    pub fn disconnected(&mut self, key: &Key, now: Duration) {
        self.open.entry(key.clone()).and_modify(|open| open.0 = open.0.saturating_sub(1));
        self.runs.entry(key.clone()).and_modify(|run| run.touched = now);
    }

    pub fn checked_in(&mut self, key: &Key, value: &str, now: Duration) {
        if let Some(run) = self.runs.get_mut(key) {
            run.checked_in = value != NO_CHECK_IN;
            (run.checked_in_at, run.excused) = (now, now);
        }
    }

    /// The clock was moved: looks keep their distance, and may begin anew.
    /// Looks may be nearer or further, of one or of all.
    pub fn policy_changed(&mut self, key: Option<&Key>, now: Duration) {
        let these = self.runs.iter_mut().filter(|(its, _)| key.is_none_or(|key| key == *its));
        these.for_each(|(_, run)| (run.changed, run.excused) = (now, now));
    }

    pub fn clock_moved(&mut self, now: Duration) {
        self.clock_moved = now;
        self.runs.values_mut().for_each(|run| run.excused = now);
    }

    /// The daemon came up again. What was not on record is forgotten, and its connections are closed. Which uses were on record nobody
    /// knows, where that is in doubt: the disk was full, or the clock had jumped.
    pub fn restarted(
        &mut self,
        written: &BTreeMap<Key, Container>,
        crashed: Duration,
        now: Duration,
        doubted: bool,
    ) {
        self.open.clear();
        for (key, run) in &mut self.runs {
            let last = if run.moved + UNRECORDED > crashed { run.recorded } else { run.moved };
            let recent = last + UNRECORDED > crashed;
            run.moved = if recent { run.since } else { last };
            (run.touched, run.maybe) = (run.since, run.since);
            run.checked_in = written.get(key).is_some_and(|c| c.check_in != NO_CHECK_IN);
            (run.restarted, run.excused) = (now, now);
            // Those of before the crash, not those that come now.
            if doubted {
                (run.moved, run.recorded, run.touched) = (run.since, run.since, run.since);
            }
        }
    }

    /// Who runs and should have been stopped.
    pub fn overdue(&mut self, control: &Control, now: Duration, policies: &Policies) -> Vec<String> {
        if !control.is_ready() {
            // Of a container that was not seen since the daemon came up, nobody knows whether it runs.
            let unseen = self.runs.values_mut().filter(|run| !run.restarted.is_zero());
            unseen.for_each(|run| run.excused = now);
        }
        let listed = control.list();
        let running = listed.iter().filter(|view| matches!(view.container.phase, Phase::Running { .. }));
        let runs = running.filter_map(|view| {
            let key = &view.container.key;
            let policy = Some(policies.of(key)).filter(|policy| !policy.disable_timeouts)?;
            let run = self.runs.get(key)?;
            Some((key, view, run.due(&policy)))
        });
        let idle = runs.filter(|(_, view, due)| {
            self.open.get(&view.container.key).is_none_or(|(open, _)| *open == 0)
                && view.container.check_in == NO_CHECK_IN
                && *due < now
        });
        idle.map(|(key, _, due)| format!("{key} is idle, and still runs {:?} after", now - due)).collect()
    }
}
