//! What may go wrong with an engine. Callers ask questions of it; they never read its text.

use std::error::Error as StdError;

/// What an engine call gives.
pub type Result<T> = std::result::Result<T, EngineError>;

type Source = Box<dyn StdError + Send + Sync>;

/// Why an engine call failed.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// No such container, image or network.
    #[error("the engine has no {what}")]
    NotFound {
        /// What was asked for.
        what: String,
    },
    /// Nothing answers at the engine's address.
    #[error("the engine does not answer at {at}")]
    Unreachable {
        /// Its address.
        at: String,
        /// What the system said.
        source: Source,
    },
    /// The engine is there and we may not speak to it.
    #[error("no permission to use the engine at {at}: add the user to the group `docker`, or run as root")]
    PermissionDenied {
        /// Its address.
        at: String,
    },
    /// The engine did not answer in time.
    #[error("the engine took longer than {seconds} s to {doing}")]
    TimedOut {
        /// What it was asked to do.
        doing: String,
        /// The deadline.
        seconds: u64,
    },
    /// The engine said no.
    #[error("the engine cannot {doing}: {message}")]
    Refused {
        /// What it was asked to do.
        doing: String,
        /// Its HTTP status, 0 where there was none.
        status: u16,
        /// Its words.
        message: String,
    },
    /// A step of ours on the engine's host failed.
    #[error("cannot {doing}")]
    Host {
        /// What we tried.
        doing: String,
        /// What the system said.
        source: Source,
    },
}

impl EngineError {
    /// Whether the thing is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// Whether the engine says that what was asked of it cannot be, however often it is asked.
    pub fn is_invalid(&self) -> bool {
        matches!(self, Self::Refused { status: 400, .. })
    }

    /// Whether the engine itself is out of reach, so that nothing can be concluded about any container.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::PermissionDenied { .. } | Self::TimedOut { .. })
    }

    /// Whether there is nobody to ask: what was asked for was not begun, or nobody knows how far it came.
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::PermissionDenied { .. })
    }

    /// Whether the network that a container stands on is not there.
    pub fn is_network_missing(&self) -> bool {
        matches!(self, Self::NotFound { what } if what.starts_with("network"))
    }

    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::TimedOut { .. } => true,
            Self::Refused { status, .. } => *status >= 500,
            _ => false,
        }
    }

    /// Whether the engine's disk is full, as far as its words tell.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::Refused { message, .. } if message.contains("no space left on device"))
    }
}
