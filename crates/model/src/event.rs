//! What happened to a container, and why: each transition that its owner may ask about, as it is kept and told.

use crate::cause::Cause;
use crate::container::{Container, Phase, Sleep, StopReason};
use crate::ids::{ContainerId, Key};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Ascending over all containers and restarts; 0 until it is written.
    #[serde(skip)]
    pub id: u64,
    /// When.
    pub at: Timestamp,
    /// To which container, in our own words.
    pub key: Key,
    /// To which, in everybody's; none of one that was never made.
    pub container_id: Option<ContainerId>,
    /// By which name it went then.
    pub name: String,
    /// What.
    pub kind: EventKind,
    /// Why, where that is known.
    pub cause: Option<Cause>,
    /// How often, of what is told together.
    pub times: u32,
}

macro_rules! kinds {
    ($($(#[doc = $meaning:literal])+ $kind:ident = $name:literal, $verb:literal;)+) => {
        /// The kinds of events. docs/events.md lists them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum EventKind {
            $($(#[doc = $meaning])+ $kind,)+
        }

        impl EventKind {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$kind,)+];

            /// As it stands on the wire.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)+ }
            }

            /// What it means.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$kind => concat!($($meaning),+).trim_ascii(),)+ }
            }

            /// Whether another state began with it.
            pub fn is_transition(self) -> bool {
                use EventKind::{Expiring, GaveUp, PolicyChanged, Refused, Unreachable};
                !matches!(self, GaveUp | Refused | Unreachable | Expiring | PolicyChanged)
            }

            const fn verb(self) -> &'static str {
                match self { $(Self::$kind => $verb,)+ }
            }
        }
    };
}

kinds! {
    /// The engine has made it.
    Created = "created", "was created";
    /// It runs, and no connection asked for that.
    Started = "started", "started";
    /// It is frozen.
    Froze = "froze", "froze";
    /// A connection has woken it: thawed it, or started it.
    Woke = "woke", "woke";
    /// It runs on, and no connection asked for that.
    Thawed = "thawed", "thawed";
    /// It was stopped.
    Stopped = "stopped", "stopped";
    /// It ended by itself, or with the engine.
    Exited = "exited", "exited";
    /// It did not start, stop or thaw, or was not made.
    Failed = "failed", "failed";
    /// The engine has its body no more.
    Lost = "lost", "was lost";
    /// A client has waited too long for an answer to keep it awake any more.
    GaveUp = "gave-up", "gave up waiting";
    /// A connection did not wake it.
    Refused = "refused", "refused";
    /// It runs, and its application cannot be reached from outside.
    Unreachable = "unreachable", "unreachable";
    /// It is deleted soon, if it is not used.
    Expiring = "expiring", "expires";
    /// It is deleted, and on no list any more.
    Deleted = "deleted", "was deleted";
    /// Its owner said something of its policy.
    PolicyChanged = "policy-changed", "policy changed";
}

impl Event {
    /// Of this container, as it is now.
    pub fn of(container: &Container, at: Timestamp, kind: EventKind, cause: Option<Cause>) -> Self {
        let (key, container_id) = (container.key.clone(), container.container_id.clone());
        Self { id: 0, at, key, container_id, name: container.name.clone(), kind, cause, times: 1 }
    }

    /// What a transition was, if it was more than a step on the way; `because` is what began it.
    pub fn of_transition(
        before: &Container,
        after: &Container,
        at: Timestamp,
        because: Option<&Cause>,
    ) -> Option<Self> {
        let kind = happened(&before.phase, &after.phase, because)?;
        let cause = match stop_of(&before.phase, &after.phase) {
            Some(StopReason::Idle) if kind == EventKind::Stopped => Some(Cause::Looks),
            Some(StopReason::Pressure) if kind == EventKind::Stopped => Some(Cause::Pressure),
            _ => because.cloned(),
        };
        Some(Self::of(after, at, kind, cause))
    }
}

/// "froze: no bytes for 60 s".
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.verb())?;
        match &self.cause {
            None => {}
            Some(cause @ (Cause::Exit { .. } | Cause::Refusal { .. })) => write!(f, " {cause}")?,
            Some(cause @ Cause::Expiry { seconds: 1.., .. }) => write!(f, " {cause}")?,
            Some(cause) => write!(f, ": {cause}")?,
        }
        if self.times > 1 {
            write!(f, " ({} times within a minute)", self.times)?;
        }
        Ok(())
    }
}

fn happened(before: &Phase, after: &Phase, because: Option<&Cause>) -> Option<EventKind> {
    let unless_woken = |kind| match because {
        Some(Cause::Connection { .. }) => EventKind::Woke,
        _ => kind,
    };
    match (before, after) {
        _ if after.is_doomed() => {
            let failed = matches!(because, Some(Cause::Error { .. }));
            (!before.is_doomed()).then_some(if failed { EventKind::Failed } else { EventKind::Deleted })
        }
        (Phase::Creating, Phase::Starting { .. }) => Some(EventKind::Created),
        (Phase::Starting { .. } | Phase::Stopped { .. }, Phase::Running { .. }) => {
            Some(unless_woken(EventKind::Started))
        }
        (Phase::Running { sleep: was, .. }, Phase::Running { sleep, .. }) => {
            slept(*was, *sleep).map(|kind| if kind == EventKind::Thawed { unless_woken(kind) } else { kind })
        }
        (Phase::Stopping { .. }, Phase::Running { .. }) => Some(EventKind::Failed),
        (Phase::Stopping { .. }, Phase::Starting { .. }) => Some(EventKind::Stopped),
        (Phase::Stopped { reason: was }, Phase::Stopped { reason }) if was == reason => None,
        (_, Phase::Stopped { reason }) => Some(rests(*reason)),
        _ => None,
    }
}

fn slept(before: Sleep, after: Sleep) -> Option<EventKind> {
    match (before, after) {
        (Sleep::Awake | Sleep::Freezing, Sleep::Frozen { .. }) => Some(EventKind::Froze),
        (Sleep::Thawing { .. }, Sleep::Frozen { .. }) => Some(EventKind::Failed),
        (Sleep::Frozen { .. } | Sleep::Breathing { .. } | Sleep::Thawing { by: Some(_) }, Sleep::Awake) => {
            Some(EventKind::Thawed)
        }
        _ => None,
    }
}

fn rests(reason: StopReason) -> EventKind {
    match reason {
        StopReason::Asked | StopReason::Idle | StopReason::Pressure => EventKind::Stopped,
        StopReason::Exited => EventKind::Exited,
        StopReason::Failed => EventKind::Failed,
        StopReason::Lost => EventKind::Lost,
    }
}

/// The reason that stands in the phase that ends, or in the one that begins.
fn stop_of(before: &Phase, after: &Phase) -> Option<StopReason> {
    after.cause().or(match before {
        Phase::Stopping { reason, .. } => Some(*reason),
        _ => None,
    })
}

#[cfg(test)]
#[path = "event_tests.rs"]
mod tests;
