//! One direction of a connection: copies messages through a buffer that its thread shares, splices bulk through a pipe, and
//! reads nothing more until the other side has taken what was read. Idle, it owns neither buffer nor pipe.

use super::left::{Left, send};
use super::pace::Pace;
use super::pipes::Pipe;
use rustix::net::RecvFlags;
use std::cell::RefCell;
use std::io::{self, ErrorKind};
use std::task::{Context, Poll, ready};
use tokio::io::Interest;
use tokio::net::TcpStream;

const BUFFER: usize = 64 * 1024;
/// A direction that moved so much lets others go first.
const TURN: usize = 1024 * 1024;

thread_local! {
    static SHARED: RefCell<Box<[u8]>> = RefCell::new(vec![0; BUFFER].into_boxed_slice());
}

/// How far a direction went.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Went {
    /// All was forwarded that there will be. It may be polled again.
    ToTheEnd,
    /// What was read is kept back, and is forwarded at the next poll.
    ToTheGate,
}

/// Small: there are two for each connection.
#[derive(Default)]
pub(super) struct Direction {
    /// What the other side did not take yet.
    left: Option<Box<Left>>,
    pace: Pace,
    ended: bool,
}

/// What came of a read.
struct Moved {
    bytes: usize,
    at_the_gate: bool,
}

impl Moved {
    const NOTHING: Self = Self { bytes: 0, at_the_gate: false };
}

impl Direction {
    /// Nothing more is read until the other side takes what is left.
    pub(super) fn is_blocked(&self) -> bool {
        self.left.is_some()
    }

    /// `open` is told of bytes before they are forwarded, and says whether they may be.
    pub(super) fn poll(
        &mut self,
        context: &mut Context<'_>,
        from: &TcpStream,
        to: &TcpStream,
        open: impl Fn(usize) -> bool,
    ) -> Poll<io::Result<Went>> {
        let mut moved = 0;
        loop {
            ready!(self.flush(context, to))?;
            if self.ended {
                return Poll::Ready(Ok(Went::ToTheEnd));
            }
            if moved >= TURN {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            ready!(from.poll_read_ready(context))?;
            let some = self.move_some(from, to, &open)?;
            if some.at_the_gate {
                return Poll::Ready(Ok(Went::ToTheGate));
            }
            moved += some.bytes;
        }
    }

    fn flush(&mut self, context: &mut Context<'_>, to: &TcpStream) -> Poll<io::Result<()>> {
        if let Some(left) = &mut self.left {
            while !left.is_empty() {
                ready!(to.poll_write_ready(context))?;
                left.move_on(to)?;
            }
            self.left = None;
        }
        Poll::Ready(Ok(()))
    }

    fn move_some(
        &mut self,
        from: &TcpStream,
        to: &TcpStream,
        open: &impl Fn(usize) -> bool,
    ) -> io::Result<Moved> {
        if self.pace.is_bulk() {
            match Pipe::take() {
                Some(pipe) => return self.splice(pipe, from, to, open),
                None => self.pace.cannot_splice(),
            }
        }
        SHARED.with_borrow_mut(|buffer| self.copy(buffer, from, to, open))
    }

    fn splice(
        &mut self,
        mut pipe: Pipe,
        from: &TcpStream,
        to: &TcpStream,
        open: &impl Fn(usize) -> bool,
    ) -> io::Result<Moved> {
        let bytes = match from.try_io(Interest::READABLE, || pipe.fill(from)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Moved::NOTHING),
            Err(error) => return Err(error),
        };
        self.ended = bytes == 0;
        self.pace.spliced(bytes);
        let at_the_gate = bytes > 0 && !open(bytes);
        if !at_the_gate && bytes > 0 {
            pipe.drain(to)?;
        }
        self.keep(Left::Piped(pipe));
        Ok(Moved { bytes, at_the_gate })
    }

    fn copy(
        &mut self,
        buffer: &mut [u8],
        from: &TcpStream,
        to: &TcpStream,
        open: &impl Fn(usize) -> bool,
    ) -> io::Result<Moved> {
        let Some(bytes) = read(from, buffer)? else { return Ok(Moved::NOTHING) };
        self.ended = bytes == 0;
        self.pace.copied(bytes == buffer.len());
        let at_the_gate = bytes > 0 && !open(bytes);
        let taken = if at_the_gate || bytes == 0 { 0 } else { send(to, &buffer[..bytes])? };
        self.keep(Left::Copied { bytes: buffer[taken..bytes].into(), gone: 0 });
        Ok(Moved { bytes, at_the_gate })
    }

    fn keep(&mut self, left: Left) {
        self.left = (!left.is_empty()).then(|| Box::new(left));
    }
}

/// None where there is nothing yet. A read that does not fill the buffer has emptied the socket: said to the runtime as
/// "would block", it saves the read that would find so.
fn read(from: &TcpStream, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    let mut read = None;
    let tried = from.try_io(Interest::READABLE, || {
        let (bytes, _) = rustix::net::recv(from, &mut *buffer, RecvFlags::empty())?;
        read = Some(bytes);
        if (1..buffer.len()).contains(&bytes) { Err(ErrorKind::WouldBlock.into()) } else { Ok(()) }
    });
    match tried {
        Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
        _ => Ok(read),
    }
}
