//! One of a connection's two sockets, and what the kernel last said of it. It says each thing once: what a socket is ready for holds
//! until a read or a write meets "not now".

use super::pipes::Pipe;
use rustix::event::epoll::EventFlags;
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{RecvFlags, SendFlags};
use std::io::{self, ErrorKind};
use std::net::TcpStream;
use std::os::fd::AsFd;

pub(super) struct Side {
    socket: TcpStream,
    is_readable: bool,
    is_writable: bool,
    /// What it sends has an end, which is there already or follows what is.
    ends: bool,
    is_broken: bool,
}

impl Side {
    /// What is to be said of one.
    pub(super) const EVENTS: EventFlags =
        EventFlags::IN.union(EventFlags::OUT).union(EventFlags::RDHUP).union(EventFlags::ET);

    /// One of which the kernel has said nothing yet but whether there is something to read.
    pub(super) fn new(socket: TcpStream, is_readable: bool) -> Self {
        Self { socket, is_readable, is_writable: true, ends: false, is_broken: false }
    }

    pub(super) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Takes the kernel's word.
    pub(super) fn note(&mut self, said: EventFlags) {
        const OVER: EventFlags = EventFlags::HUP.union(EventFlags::ERR);
        const ENDS: EventFlags = OVER.union(EventFlags::RDHUP);
        self.is_readable |= said.intersects(EventFlags::IN.union(ENDS));
        self.is_writable |= said.intersects(EventFlags::OUT.union(OVER));
        self.ends |= said.intersects(ENDS);
        self.is_broken |= said.contains(EventFlags::ERR);
    }

    /// Somebody else reads from it, until the kernel says anew that there is something to read.
    pub(super) fn is_read_elsewhere(&mut self) {
        self.is_readable = false;
    }

    pub(super) fn is_readable(&self) -> bool {
        self.is_readable
    }

    pub(super) fn is_writable(&self) -> bool {
        self.is_writable
    }

    /// Nothing comes after what is there already.
    pub(super) fn ends(&self) -> bool {
        self.ends
    }

    /// It was reset.
    pub(super) fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// None where there is nothing yet, 0 at the end. A read that does not fill the buffer has emptied the socket, which saves the read
    /// that would find so; but for the end, of which nothing more would be said.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let read = retry_on_intr(|| rustix::net::recv(&self.socket, &mut *buffer, RecvFlags::empty()));
        match read {
            Ok((count, _)) => {
                self.is_readable = count == buffer.len() || self.ends;
                Ok(Some(count))
            }
            Err(Errno::AGAIN) => Ok(self.has_nothing()),
            Err(error) => Err(error.into()),
        }
    }

    /// How many bytes it took at once. Where `more` is to follow at once, bytes or the end, the last go with that.
    pub(super) fn write(&mut self, bytes: &[u8], more: bool) -> io::Result<usize> {
        let taken = send(&self.socket, bytes, more)?;
        self.is_writable = taken > 0;
        Ok(taken)
    }

    /// Into an empty pipe: None where there is nothing yet, 0 at the end.
    pub(super) fn fill(&mut self, pipe: &mut Pipe) -> io::Result<Option<usize>> {
        match pipe.fill(&self.socket) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(self.has_nothing()),
            filled => filled.map(Some),
        }
    }

    /// How many bytes of the pipe's it took at once.
    pub(super) fn drain(&mut self, pipe: &mut Pipe) -> io::Result<usize> {
        let taken = pipe.drain(&self.socket)?;
        self.is_writable = taken > 0;
        Ok(taken)
    }

    fn has_nothing(&mut self) -> Option<usize> {
        self.is_readable = false;
        None
    }
}

/// How many bytes the socket took at once; the last are held back for a moment where there is `more`.
pub(crate) fn send(to: impl AsFd, bytes: &[u8], more: bool) -> io::Result<usize> {
    let flags = if more { SendFlags::NOSIGNAL | SendFlags::MORE } else { SendFlags::NOSIGNAL };
    match retry_on_intr(|| rustix::net::send(&to, bytes, flags)) {
        Err(Errno::AGAIN) => Ok(0),
        sent => Ok(sent?),
    }
}
