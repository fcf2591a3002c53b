//! One direction of a connection: copies messages through a buffer that its thread shares, splices bulk through a pipe, and
//! reads nothing more until the other side has taken what was read. Idle, it owns neither buffer nor pipe.

use super::left::Left;
use super::pace::Pace;
use super::pipes::Pipe;
use super::side::Side;
use std::io;

/// A direction that moved so much lets others go first.
const TURN: usize = 1024 * 1024;

/// How far a direction went.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Went {
    /// There is nothing to read, or no room for what was.
    AsFarAsItGoes,
    /// Others go first, and then it goes on.
    ItsTurn,
    /// All was forwarded that there will be. It may be asked again.
    ToTheEnd,
    /// What was read is kept back, and is forwarded the next time.
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

/// What is to become of bytes that were received already.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Take {
    /// They may be sent, all of them.
    Send,
    /// They are kept, behind what is left.
    Kept,
    /// They are kept back.
    AtTheGate,
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

    /// Whether it moves small messages, and all of them so far.
    pub(super) fn is_brisk(&self) -> bool {
        self.left.is_none() && !self.ended && !self.pace.is_bulk()
    }

    /// Takes what was received. `is_sending` where what was received before it is not sent yet.
    pub(super) fn take(&mut self, bytes: &[u8], is_sending: bool, open: impl Fn(usize) -> bool) -> Take {
        self.pace.copied(false);
        let may = open(bytes.len());
        match &mut self.left {
            Some(left) => left.append(bytes),
            None if may && !is_sending => return Take::Send,
            None => self.keep(Left::Copied { bytes: bytes.into(), gone: 0 }),
        }
        if may { Take::Kept } else { Take::AtTheGate }
    }

    /// The other side did not take these, which go before what is left.
    pub(super) fn take_back(&mut self, unsent: &[u8]) {
        if unsent.is_empty() {
            return;
        }
        let mut first = Left::Copied { bytes: unsent.into(), gone: 0 };
        if let Some(left) = self.left.take() {
            first.append(left.bytes());
        }
        self.keep(first);
    }

    /// `open` is told of bytes before they are forwarded, and says whether they may be.
    pub(super) fn go(
        &mut self,
        from: &mut Side,
        to: &mut Side,
        buffer: &mut [u8],
        open: impl Fn(usize) -> bool,
    ) -> io::Result<Went> {
        let mut moved = 0;
        loop {
            if !self.flush(to)? {
                return Ok(Went::AsFarAsItGoes);
            }
            if self.ended {
                return Ok(Went::ToTheEnd);
            }
            if moved >= TURN {
                return Ok(Went::ItsTurn);
            }
            if !from.is_readable() {
                return Ok(Went::AsFarAsItGoes);
            }
            let some = self.move_some(from, to, buffer, &open)?;
            if some.at_the_gate {
                return Ok(Went::ToTheGate);
            }
            moved += some.bytes;
        }
    }

    /// Whether nothing is left.
    pub(super) fn flush(&mut self, to: &mut Side) -> io::Result<bool> {
        if let Some(left) = &mut self.left {
            while !left.is_empty() {
                if !to.is_writable() {
                    return Ok(false);
                }
                left.move_on(to)?;
            }
            self.left = None;
        }
        Ok(true)
    }

    fn move_some(
        &mut self,
        from: &mut Side,
        to: &mut Side,
        buffer: &mut [u8],
        open: &impl Fn(usize) -> bool,
    ) -> io::Result<Moved> {
        if self.pace.is_bulk() {
            match Pipe::take() {
                Some(pipe) => return self.splice(pipe, from, to, open),
                None => self.pace.cannot_splice(),
            }
        }
        self.copy(buffer, from, to, open)
    }

    fn splice(
        &mut self,
        mut pipe: Pipe,
        from: &mut Side,
        to: &mut Side,
        open: &impl Fn(usize) -> bool,
    ) -> io::Result<Moved> {
        let Some(bytes) = from.fill(&mut pipe)? else { return Ok(Moved::NOTHING) };
        self.ended = bytes == 0;
        self.pace.spliced(bytes);
        let at_the_gate = bytes > 0 && !open(bytes);
        if !at_the_gate && bytes > 0 {
            to.drain(&mut pipe)?;
        }
        self.keep(Left::Piped(pipe));
        Ok(Moved { bytes, at_the_gate })
    }

    fn copy(
        &mut self,
        buffer: &mut [u8],
        from: &mut Side,
        to: &mut Side,
        open: &impl Fn(usize) -> bool,
    ) -> io::Result<Moved> {
        let Some(bytes) = from.read(buffer)? else { return Ok(Moved::NOTHING) };
        self.ended = bytes == 0;
        self.pace.copied(bytes == buffer.len());
        let at_the_gate = bytes > 0 && !open(bytes);
        let taken = if at_the_gate || bytes == 0 { 0 } else { to.write(&buffer[..bytes], from.ends())? };
        if taken < bytes {
            self.keep(Left::Copied { bytes: buffer[taken..bytes].into(), gone: 0 });
        }
        Ok(Moved { bytes, at_the_gate })
    }

    fn keep(&mut self, left: Left) {
        self.left = (!left.is_empty()).then(|| Box::new(left));
    }
}
