//! The idle monitor: when to look, and what a look decides. Two stages, as in 2014, now per container and pure.
//!
//! First look `initial_timeout_interval` after a start. Active: look again after `timeout_interval`, as a first look.
//! Idle: one last look after `timeout_interval`; still idle, then stop. A policy that changes moves the look that is pending.

use crate::policy::IdlePolicy;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Which look comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The first since its start: it counts as [`Stage::First`], and alone comes after the initial interval.
    Initial,
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
    /// From when on the interval to it is counted: the start, or the look before.
    #[serde(default)]
    pub since: Timestamp,
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
    /// An interval that is counted from a time yet to come is counted from now: the clock was set back while nobody watched.
    pub fn resumed(self, last_activity: Timestamp, now: Timestamp, policy: &IdlePolicy) -> Self {
        if self.since > now {
            return Self { since: now, next: now.plus(self.next.since(self.since)), ..self }.once_more();
        }
        let used = last_activity.plus(policy.timeout_interval) > self.next;
        if used { self.once_more() } else { self }
    }

    /// The same, where a last look counts as a first one: nothing stops before another look.
    pub fn once_more(self) -> Self {
        Self { stage: if self.stage == Stage::Last { Stage::First } else { self.stage }, ..self }
    }

    /// As they are when the clock was set by so much. They keep their distance from now, and a last one is one no more.
    pub fn shifted(self, by_millis: i64) -> Self {
        let (since, next) = (self.since.shifted(by_millis), self.next.shifted(by_millis));
        Self { since, next, ..self }.once_more()
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
        self.looks(Stage::Initial, now)
    }

    /// The looks of a container that goes on running, one interval from now.
    pub fn another_look(&self, now: Timestamp) -> Option<Looks> {
        self.looks(Stage::First, now)
    }

    fn looks(&self, stage: Stage, since: Timestamp) -> Option<Looks> {
        (!self.disable_timeouts).then(|| self.look_after(stage, since))
    }

    fn look_after(&self, stage: Stage, since: Timestamp) -> Looks {
        let interval =
            if stage == Stage::Initial { self.initial_timeout_interval } else { self.timeout_interval };
        Looks { stage, since, next: since.plus(interval) }
    }

    /// The looks of a running container that another policy may have set. A look that this one would have had already is
    /// made at once, and is no last one: a look found it idle, but nobody knew that the next would come so soon.
    pub fn moved(&self, looks: Option<Looks>, now: Timestamp) -> Option<Looks> {
        let Some(had) = looks else { return self.first_look(now) };
        let looks = self.looks(had.stage, had.since)?;
        let is_early = looks.next < had.next && looks.next < now;
        Some(if is_early { Looks { next: now, ..looks.once_more() } } else { looks })
    }

    /// Decides at a look.
    pub fn look(&self, stage: Stage, evidence: Evidence, now: Timestamp) -> Verdict {
        match (evidence.is_active(), stage) {
            (true, _) => Verdict::LookAgain(self.look_after(Stage::First, now)),
            (false, Stage::Initial | Stage::First) => Verdict::LookAgain(self.look_after(Stage::Last, now)),
            (false, Stage::Last) => Verdict::Stop,
        }
    }
}

#[cfg(test)]
#[path = "idle_tests.rs"]
mod tests;
