//! What was read of one side and not taken by the other yet.

use super::pipes::Pipe;
use super::side::Side;
use std::io;

pub(super) enum Left {
    Copied { bytes: Box<[u8]>, gone: usize },
    Piped(Pipe),
}

impl Left {
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Copied { bytes, gone } => *gone == bytes.len(),
            Self::Piped(pipe) => pipe.is_empty(),
        }
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
