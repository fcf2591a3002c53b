//! The idle monitor: when to look, and what a look decides. Two stages, as in 2014, now per container and pure.
//!
//! First look `initial_timeout_interval` after a start. Active: look again after `timeout_interval`, as a first look.
//! Idle: one last look after `timeout_interval`; still idle, then stop.

use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// When to look at a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdlePolicy {
    /// From a start to the first look: the least time that a container runs.
    pub initial_timeout_interval: Duration,
    /// From one look to the next.
    pub timeout_interval: Duration,
    /// Never look.
    pub disable_timeouts: bool,
}

/// Which of the two looks comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// An idle container gets one more chance.
    First,
    /// An idle container is stopped.
    Last,
}

/// The next look at a running container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Looks {
    /// Which one.
    pub stage: Stage,
    /// When.
    pub next: Timestamp,
}

/// What a look sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The last check-in since the start is not 0.
    pub checked_in: bool,
    /// Something that the policy counts happened since the look before.
    pub used: bool,
    /// Open connections.
    pub connections: u32,
}

/// What a look decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Look again then.
    LookAgain(Looks),
    /// Two looks in a row found it idle.
    Stop,
}

impl Looks {
    /// As they are when the daemon comes up again. The counters of traffic ended with it; a use that was recorded after
    /// the first look makes the next one a first look again.
    pub fn resumed(self, last_activity: Timestamp, policy: &IdlePolicy) -> Self {
        let used = last_activity.plus(policy.timeout_interval) > self.next;
        Self { stage: if used { Stage::First } else { self.stage }, ..self }
    }
}

impl Evidence {
    /// Whether the container is in use.
    pub fn is_active(&self) -> bool {
        self.checked_in || self.used || self.connections > 0
    }
}

impl IdlePolicy {
    /// The looks of a container that starts now.
    pub fn first_look(&self, now: Timestamp) -> Option<Looks> {
        self.look_in(self.initial_timeout_interval, now)
    }

    /// The looks of a container that goes on running, one interval from now.
    pub fn another_look(&self, now: Timestamp) -> Option<Looks> {
        self.look_in(self.timeout_interval, now)
    }

    fn look_in(&self, interval: Duration, now: Timestamp) -> Option<Looks> {
        (!self.disable_timeouts).then(|| Looks { stage: Stage::First, next: now.plus(interval) })
    }

    /// Decides at a look.
    pub fn look(&self, stage: Stage, evidence: Evidence, now: Timestamp) -> Verdict {
        let next = now.plus(self.timeout_interval);
        match (evidence.is_active(), stage) {
            (true, _) => Verdict::LookAgain(Looks { stage: Stage::First, next }),
            (false, Stage::First) => Verdict::LookAgain(Looks { stage: Stage::Last, next }),
            (false, Stage::Last) => Verdict::Stop,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const POLICY: IdlePolicy = IdlePolicy {
        initial_timeout_interval: Duration::from_secs(7200),
        timeout_interval: Duration::from_secs(1800),
        disable_timeouts: false,
    };
    const IDLE: Evidence = Evidence { checked_in: false, used: false, connections: 0 };

    /// The seed, 2.3.2, row by row.
    #[test]
    fn the_seeds_workflow() {
        let now = Timestamp::from_millis(1_000_000);
        let later = now.plus(Duration::from_secs(1800));
        let again = |stage| Verdict::LookAgain(Looks { stage, next: later });
        let checked_in = Evidence { checked_in: true, ..IDLE };
        let used = Evidence { used: true, ..IDLE };
        let connected = Evidence { connections: 1, ..IDLE };
        let table = [
            ("idle at the first look: one last look", Stage::First, IDLE, again(Stage::Last)),
            ("idle at the last look: stop", Stage::Last, IDLE, Verdict::Stop),
            ("checked in at the first look", Stage::First, checked_in, again(Stage::First)),
            (
                "checked in at the last look: counts as a first one",
                Stage::Last,
                checked_in,
                again(Stage::First),
            ),
            ("used since the look before", Stage::Last, used, again(Stage::First)),
            ("a connection is open", Stage::Last, connected, again(Stage::First)),
        ];
        for (row, stage, evidence, expected) in table {
            assert_eq!(POLICY.look(stage, evidence, now), expected, "{row}");
        }
    }

    #[test]
    fn the_first_look_is_one_initial_interval_after_the_start() {
        let start = Timestamp::from_millis(5);
        let looks = POLICY.first_look(start).expect("timeouts are on");
        assert_eq!(looks, Looks { stage: Stage::First, next: start.plus(Duration::from_secs(7200)) });
    }

    #[test]
    fn disable_timeouts_never_looks() {
        let policy = IdlePolicy { disable_timeouts: true, ..POLICY };
        assert_eq!(policy.first_look(Timestamp::from_millis(5)), None);
        assert_eq!(policy.another_look(Timestamp::from_millis(5)), None);
    }

    /// Runs the monitor over a life in which look `n` finds `active[n]`; the time of the stop, if it came.
    fn run(policy: &IdlePolicy, active: &[bool]) -> Option<Timestamp> {
        let mut looks = policy.first_look(Timestamp::default())?;
        for used in active {
            match policy.look(looks.stage, Evidence { used: *used, ..IDLE }, looks.next) {
                Verdict::LookAgain(next) => looks = next,
                Verdict::Stop => return Some(looks.next),
            }
        }
        None
    }

    proptest! {
        #[test]
        fn an_active_container_is_never_stopped(looks in 1_usize..500) {
            prop_assert_eq!(run(&POLICY, &vec![true; looks]), None);
        }

        #[test]
        fn one_that_is_active_at_every_other_look_is_never_stopped(looks in 1_usize..500, odd in 0_usize..2) {
            let active: Vec<bool> = (0..looks).map(|n| n % 2 == odd).collect();
            prop_assert_eq!(run(&POLICY, &active), None);
        }

        #[test]
        fn an_idle_one_is_stopped_within_initial_and_interval(initial in 1_u64..100_000, interval in 1_u64..100_000) {
            let policy = IdlePolicy {
                initial_timeout_interval: Duration::from_secs(initial),
                timeout_interval: Duration::from_secs(interval),
                disable_timeouts: false,
            };
            let stopped = run(&policy, &[false, false]);
            prop_assert_eq!(stopped, Some(Timestamp::from_millis((initial + interval) * 1000)));
        }

        #[test]
        fn after_its_last_use_it_runs_at_least_one_interval(active in prop::collection::vec(any::<bool>(), 0..50)) {
            let mut life = active.clone();
            life.extend([false, false]);
            let stopped = run(&POLICY, &life).expect("two idle looks end it");
            let first_pair = life.windows(2).position(|pair| pair == [false, false]).expect("the life ends so");
            let expected = 7200 + 1800 * (first_pair as u64 + 1);
            prop_assert_eq!(stopped, Timestamp::from_millis(expected * 1000));
        }
    }
}
