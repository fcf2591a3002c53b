//! Whether the processes of a container run, and how deep it sleeps.

use super::Phase;
use crate::freezer::Freezer;
use serde::{Deserialize, Serialize};

/// Whether the processes of a running container run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sleep {
    /// They do.
    #[default]
    Awake,
    /// A freeze is under way.
    Freezing,
    /// They do not; connections stay open.
    Frozen {
        /// What holds them.
        by: Freezer,
    },
    /// They do for a moment, so that timers that ran out fire; then they are frozen again.
    Breathing {
        /// What held them.
        by: Freezer,
    },
    /// A thaw is under way, or comes after the freeze that is.
    Thawing {
        /// What held them; none while the freeze has not ended.
        by: Option<Freezer>,
    },
}

impl Sleep {
    /// What holds its processes.
    pub fn freezer(self) -> Option<Freezer> {
        match self {
            Self::Frozen { by } | Self::Breathing { by } => Some(by),
            Self::Thawing { by } => by,
            Self::Awake | Self::Freezing => None,
        }
    }

    /// Frozen, but for a breath that it may take.
    pub fn is_frozen(self) -> bool {
        matches!(self, Self::Frozen { .. } | Self::Breathing { .. })
    }
}

/// How deep a container sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Its processes run.
    Awake,
    /// They are held, with memory and connections kept.
    Frozen,
    /// Nothing but disk.
    Stopped,
}

impl Depth {
    /// As it stands on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Awake => "awake",
            Self::Frozen => "frozen",
            Self::Stopped => "stopped",
        }
    }
}

impl Phase {
    /// How deep it sleeps.
    pub fn depth(&self) -> Depth {
        match self {
            Self::Running { sleep: Sleep::Thawing { .. }, .. } => Depth::Frozen,
            Self::Running { sleep, .. } if sleep.is_frozen() => Depth::Frozen,
            Self::Running { .. } | Self::Stopping { .. } => Depth::Awake,
            _ => Depth::Stopped,
        }
    }
}
