//! What was read of one side and not taken by the other yet.

use super::pipes::Pipe;
use super::side::Side;
use std::io;

pub(super) enum Left {
    Copied { bytes: Vec<u8>, gone: usize },
    Piped(Pipe),
}

impl Left {
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Copied { bytes, gone } => *gone == bytes.len(),
            Self::Piped(pipe) => pipe.is_empty(),
        }
    }

    /// All of it, of what was copied.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Copied { bytes, gone } => &bytes[*gone..],
            Self::Piped(_) => unreachable!("what is piped is not received by the ring"),
        }
    }

    /// What came after it, behind it.
    pub(super) fn append(&mut self, more: &[u8]) {
        let Self::Copied { bytes, gone } = self else {
            unreachable!("what is piped is not received by the ring")
        };
        bytes.drain(..*gone);
        bytes.extend_from_slice(more);
        *gone = 0;
    }

    /// As much of it as the other side takes now.
    pub(super) fn move_on(&mut self, to: &mut Side) -> io::Result<()> {
        match self {
            Self::Copied { bytes, gone } => *gone += to.write(&bytes[*gone..], false)?,
            Self::Piped(pipe) => {
                to.drain(pipe)?;
            }
        }
        Ok(())
    }
}
