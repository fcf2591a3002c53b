//! What may go wrong with an engine. Callers ask questions of it; they never read its text.

use std::error::Error as StdError;
use std::io;

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
    /// A body was made, could not be furnished, and was removed again: none is left, and none comes late.
    #[error(transparent)]
    Unmade(Box<Self>),
}

impl EngineError {
    fn cause(&self) -> &Self {
        if let Self::Unmade(cause) = self { cause } else { self }
    }

    /// Whether a create has left no body behind for sure.
    pub fn is_unmade(&self) -> bool {
        matches!(self, Self::Unmade(_))
    }

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
        let cause = self.cause();
        matches!(cause, Self::Unreachable { .. } | Self::PermissionDenied { .. } | Self::TimedOut { .. })
    }

    /// Whether there is nobody to ask: what was asked for was not begun, or nobody knows how far it came.
    pub fn is_away(&self) -> bool {
        matches!(self.cause(), Self::Unreachable { .. } | Self::PermissionDenied { .. })
    }

    /// Whether the network that a container stands on is not there.
    pub fn is_network_missing(&self) -> bool {
        matches!(self, Self::NotFound { what } if what.starts_with("network"))
    }

    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self.cause() {
            Self::Unreachable { .. } | Self::TimedOut { .. } => true,
            Self::Refused { status, .. } => *status >= 500,
            _ => false,
        }
    }

    /// Whether a program of the host's is not there that a step of ours runs.
    pub fn is_program_missing(&self) -> bool {
        let Self::Host { source, .. } = self else { return false };
        let inner = source.downcast_ref::<Self>().is_some_and(Self::is_program_missing);
        inner
            || source.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
    }

    /// Whether the engine's disk is full, as far as its words tell.
    pub fn is_disk_full(&self) -> bool {
        matches!(self.cause(), Self::Refused { message, .. } if message.contains("no space left on device"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_missing_is_told_from_one_that_fails() {
        let host = |source: Source| EngineError::Host { doing: "x".into(), source };
        let missing = || host(io::Error::from(io::ErrorKind::NotFound).into());
        assert!(missing().is_program_missing() && host(missing().into()).is_program_missing());
        assert!(!host(io::Error::other("No such file").into()).is_program_missing());
        assert!(!EngineError::NotFound { what: "x".into() }.is_program_missing());
    }
}
