//! Where a container stands, and the words for it.

use super::Sleep;
use crate::idle::Looks;
use serde::{Deserialize, Serialize};

/// Where a container stands. Each state in which an engine call is under way says what comes after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The intent is on disk; the engine may or may not have made the body.
    Creating,
    /// The engine's start is under way. `first` until it has run once.
    Starting {
        /// Nobody has been told of this container yet.
        first: bool,
        /// What was asked for meanwhile.
        after: After,
    },
    /// It runs.
    Running {
        /// When we look at it next; none with `disable_timeouts`.
        looks: Option<Looks>,
        /// Whether its processes run.
        #[serde(default)]
        sleep: Sleep,
    },
    /// The engine's stop is under way.
    Stopping {
        /// Who wanted it.
        reason: StopReason,
        /// What was asked for meanwhile.
        after: After,
    },
    /// Nothing but disk.
    Stopped {
        /// Why.
        reason: StopReason,
    },
    /// Deleted by its owner; the engine still has to let go of it.
    Removing,
    /// No more: the store forgets it, its ports and its address rest.
    Gone,
}

impl Phase {
    /// The word for it on the wire.
    pub fn status(&self) -> Status {
        match self {
            Self::Starting { after: After::Stop | After::Remove, .. } => Status::Stopping,
            Self::Stopping { after: After::Start, .. } => Status::Starting,
            Self::Creating | Self::Starting { .. } => Status::Starting,
            Self::Running { .. } => Status::Running,
            Self::Stopping { .. } | Self::Removing => Status::Stopping,
            Self::Stopped { .. } | Self::Gone => Status::Stopped,
        }
    }

    /// Why it stops or is stopped.
    pub fn cause(&self) -> Option<StopReason> {
        match self {
            Self::Stopping { reason, .. } | Self::Stopped { reason } => Some(*reason),
            _ => None,
        }
    }

    /// Deleted by its owner: it is on no list any more.
    pub fn is_doomed(&self) -> bool {
        match self {
            Self::Removing | Self::Gone => true,
            Self::Starting { after, .. } | Self::Stopping { after, .. } => *after == After::Remove,
            _ => false,
        }
    }

    /// No call of the engine's is under way: what was asked for has happened, or has failed.
    pub fn is_settled(&self) -> bool {
        match self {
            Self::Running { sleep, .. } => matches!(sleep, Sleep::Awake | Sleep::Frozen { .. }),
            _ => matches!(self, Self::Stopped { .. } | Self::Gone),
        }
    }
}

/// What follows the engine call that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum After {
    /// Nothing.
    Stay,
    /// A stop, if it was starting.
    Stop,
    /// A start, if it was stopping.
    Start,
    /// Its removal.
    Remove,
}

/// Why a container is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// A person said so, here or through the docker CLI.
    Asked,
    /// Two looks in a row found it idle.
    Idle,
    /// The host was short of memory, and it had slept longest.
    Pressure,
    /// It ended by itself, or the host or the engine went down under it.
    Exited,
    /// The engine could not start it.
    Failed,
    /// The engine knows its body no more: somebody removed it behind our back, and its data with it.
    Lost,
}

impl StopReason {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Asked, Self::Idle, Self::Pressure, Self::Exited, Self::Failed, Self::Lost];

    /// As logs and metrics tell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Idle => "idle",
            Self::Pressure => "pressure",
            Self::Exited => "exited",
            Self::Failed => "failed",
            Self::Lost => "lost",
        }
    }

    /// Whether a connection wakes what was stopped so. What a person stopped only a person starts.
    pub fn wakes(self) -> bool {
        !matches!(self, Self::Asked | Self::Lost)
    }
}

/// The four words of the seed's `status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// A create or a start is under way.
    Starting,
    /// It runs.
    Running,
    /// A stop is under way.
    Stopping,
    /// It does not run.
    Stopped,
}

impl Status {
    /// As it stands on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
        }
    }
}
