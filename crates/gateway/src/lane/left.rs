//! What was read of one side and not taken by the other yet.

use super::pipes::Pipe;
use rustix::io::Errno;
use rustix::net::SendFlags;
use std::io::{self, ErrorKind};
use tokio::io::Interest;
use tokio::net::TcpStream;

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

    /// As much of it as the socket takes.
    pub(super) fn move_on(&mut self, to: &TcpStream) -> io::Result<()> {
        let moved = match self {
            Self::Copied { bytes, gone } => to.try_write(&bytes[*gone..]).map(|count| *gone += count),
            Self::Piped(pipe) => to.try_io(Interest::WRITABLE, || match pipe.drain(to)? {
                0 => Err(ErrorKind::WouldBlock.into()),
                _ => Ok(()),
            }),
        };
        match moved {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            moved => moved,
        }
    }
}

/// How many bytes the socket took at once, whether or not the runtime knows yet that it would.
pub(crate) fn send(to: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    match rustix::net::send(to, bytes, SendFlags::NOSIGNAL) {
        Err(Errno::AGAIN) => Ok(0),
        sent => Ok(sent?),
    }
}
