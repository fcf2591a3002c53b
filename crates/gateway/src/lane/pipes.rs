//! The pipes that bulk is spliced through: few, large, shared by all lanes, and held by a connection only while it moves.
//!
//! One that still holds bytes is closed and never shared: they are somebody's.

use rustix::io::{Errno, retry_on_intr};
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_getpipe_size, fcntl_setpipe_size, pipe_with, splice};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes of a pipe. A smaller one costs half the speed, a larger one wins nothing.
const SIZE: usize = 256 * 1024;
/// Of all users but the most privileged, the kernel takes 64 MiB of pipes in all.
const MOST: usize = 64;

static MADE: AtomicUsize = AtomicUsize::new(0);
static FREE: Mutex<Vec<Ends>> = Mutex::new(Vec::new());

struct Ends {
    read: OwnedFd,
    write: OwnedFd,
}

/// One pipe. Dropped, it is free for others, or closed if anything is left in it.
pub(super) struct Pipe {
    ends: Option<Ends>,
    holds: usize,
}

impl Pipe {
    /// None where there are as many as there may be, or the kernel gives no large one: then copying does.
    pub(super) fn take() -> Option<Self> {
        let free = free().pop();
        free.or_else(make).map(|ends| Self { ends: Some(ends), holds: 0 })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.holds == 0
    }

    /// Moves what the socket has into an empty pipe, and gives how many bytes those are; 0 at its end. Only an empty one: of a
    /// full one, "not now" would not say whether it is the socket or the pipe.
    pub(super) fn fill(&mut self, socket: impl AsFd) -> io::Result<usize> {
        let into = &self.ends().write;
        self.holds = retry_on_intr(|| splice(socket.as_fd(), None, into, None, SIZE, flags()))?;
        Ok(self.holds)
    }

    /// Moves on what it holds, as much as the socket takes, and gives how many bytes those are.
    pub(super) fn drain(&mut self, socket: impl AsFd) -> io::Result<usize> {
        let from = &self.ends().read;
        let moved = match retry_on_intr(|| splice(from, None, socket.as_fd(), None, self.holds, flags())) {
            Err(Errno::AGAIN) => 0,
            moved => moved?,
        };
        self.holds -= moved;
        Ok(moved)
    }

    fn ends(&self) -> &Ends {
        self.ends.as_ref().expect("taken out by drop alone")
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        let ends = self.ends.take().expect("dropped once");
        if self.holds == 0 {
            free().push(ends);
        } else {
            drop(ends);
            MADE.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

fn free() -> MutexGuard<'static, Vec<Ends>> {
    FREE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn make() -> Option<Ends> {
    if MADE.fetch_add(1, Ordering::Relaxed) < MOST
        && let Ok(ends) = open()
    {
        return Some(ends);
    }
    MADE.fetch_sub(1, Ordering::Relaxed);
    None
}

fn open() -> rustix::io::Result<Ends> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    fcntl_setpipe_size(&write, SIZE)?;
    if fcntl_getpipe_size(&write)? < SIZE {
        return Err(Errno::PERM);
    }
    Ok(Ends { read, write })
}

fn flags() -> SpliceFlags {
    SpliceFlags::NONBLOCK | SpliceFlags::MOVE
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (one, listener.accept().unwrap().0)
    }

    #[test]
    fn they_are_bounded_shared_when_empty_and_closed_with_leftovers() {
        let all: Vec<Pipe> = std::iter::from_fn(Pipe::take).take(MOST + 1).collect();
        assert_eq!(all.len(), MOST);
        drop(all);
        assert_eq!(free().len(), MOST);

        let (mut from, to) = pair();
        from.write_all(b"left over").unwrap();
        let mut pipe = Pipe::take().unwrap();
        assert_eq!(pipe.fill(&to).unwrap(), 9);
        drop(pipe);
        assert_eq!((free().len(), MADE.load(Ordering::Relaxed)), (MOST - 1, MOST - 1));

        let mut pipe = Pipe::take().unwrap();
        from.write_all(b"through").unwrap();
        assert_eq!(pipe.fill(&to).unwrap(), 7, "nothing but its own");
        pipe.drain(&to).unwrap();
        assert!(pipe.is_empty());
        let mut through = [0; 7];
        from.read_exact(&mut through).unwrap();
        assert_eq!(&through, b"through");
    }
}
