//! Connections over which many small messages go: what the epoll loop does for each by two system calls is left to the ring, a call for all
//! that wait. Whatever is not plain sailing, a side that has ended or takes nothing, bulk, a container that sleeps, is the loop's again.

use super::direction::Take;
use super::entries::Key;
use super::pair::{End, Pair};
use super::ring::{self, Full, Ring, Said};
use super::thread::Thread;
use crate::connection::Cut;
use rustix::event::epoll::{self, EventData};
use rustix::io::Errno;

/// A connection of which the kernel has said something so often goes to the ring.
const LIVELY: u8 = 64;

/// What becomes of one connection.
#[derive(Debug, Default)]
pub(super) struct Lively {
    /// How often the kernel said something of it since it came to the loop.
    said: u8,
    /// For which end the ring receives, and to which it sends.
    receives: [bool; 2],
    sends: [bool; 2],
    /// It goes back to the loop, once it neither receives nor sends.
    leaves: bool,
}

impl Lively {
    /// The loop leaves its sockets alone.
    pub(super) fn is_in_the_ring(&self) -> bool {
        self.receives != [false; 2] || self.sends != [false; 2]
    }

    /// Has the ring end what it still receives for it.
    fn receives_no_more(&self, key: Key, ring: &mut Ring) {
        for end in End::BOTH.into_iter().filter(|end| self.receives[*end as usize]) {
            ring.cancel(key.name(end).u64());
        }
    }

    /// Once more; true when it is often enough.
    pub(super) fn counts(&mut self) -> bool {
        self.said = (self.said + 1).min(LIVELY);
        self.said == LIVELY
    }
}

/// A thread's ring, once it has use for one.
#[derive(Default)]
pub(super) struct Uring {
    ring: Option<Ring>,
    is_unavailable: bool,
    said: Vec<Said>,
}

impl Uring {
    pub(super) fn is_in_use(&self) -> bool {
        self.ring.as_ref().is_some_and(Ring::is_in_use)
    }

    fn ring(&mut self) -> Option<&mut Ring> {
        if self.ring.is_none() && !self.is_unavailable {
            self.ring = Ring::new()
                .inspect_err(|error| {
                    tracing::debug!(%error, "there is no io_uring: connections are forwarded by epoll alone");
                })
                .ok();
            self.is_unavailable = self.ring.is_none();
        }
        self.ring.as_mut()
    }

    /// A pair is about to be closed: what the kernel was asked to do with its sockets has begun, and ends.
    pub(super) fn forget(&mut self, key: Key, pair: &Pair) {
        if let Some(ring) = self.ring.as_mut().filter(|_| pair.lively.is_in_the_ring()) {
            pair.lively.receives_no_more(key, ring);
            ring.submit();
        }
    }
}

impl Thread {
    /// Gives it to the ring, where there is one.
    pub(super) fn enliven(&mut self, key: Key) {
        let (Some(ring), Some(pair)) = (self.uring.ring(), self.entries.pair(key)) else {
            return self.go_on(key);
        };
        pair.lively.said = 0;
        for end in End::BOTH {
            let side = pair.side(end);
            if let Err(error) = epoll::delete(&self.epoll, side.socket()) {
                return self.cut(key, &Cut::Broken(error.into()));
            }
            side.is_read_elsewhere();
            ring.receive(side.socket(), key.name(end).u64());
            pair.lively.receives[end as usize] = true;
        }
    }

    /// What the ring says; true where the epoll has something to say.
    pub(super) fn hear(&mut self) -> bool {
        let mut said = std::mem::take(&mut self.uring.said);
        if let Some(ring) = &mut self.uring.ring {
            ring.wait(&self.epoll, !self.again.is_empty(), &mut said);
        }
        let mut epoll = false;
        for one in said.drain(..) {
            match one {
                Said::Epoll => epoll = true,
                Said::Received { name, what, is_last } => self.received(name, what, is_last),
                Said::Ended { name, how } => self.ended(name, how),
                Said::Sent { name, what, taken } => self.sent(name, what, taken),
            }
        }
        self.uring.said = said;
        if let Some(ring) = self.uring.ring.as_mut().filter(|_| epoll || !self.again.is_empty()) {
            // What is seen to next may take its time.
            ring.submit();
        }
        epoll
    }

    /// What follows before it is sent waits for that. A buffer that is full is more than a message.
    fn received(&mut self, name: u64, what: Full, is_last: bool) {
        let (key, from) = Key::named(EventData::new_u64(name));
        let Some(ring) = &mut self.uring.ring else { return };
        let Some(pair) = self.entries.pair(key) else { return ring.give_back(what) };
        let (to, bytes) = (from.other(), ring.bytes(&what));
        let is_small = bytes.len() < ring::SIZE;
        let take = pair.take(from, bytes, pair.lively.sends[to as usize]);
        if take == Take::Send {
            pair.lively.sends[to as usize] = true;
            ring.send(pair.side(to).socket(), key.name(to).u64(), what);
        } else {
            ring.give_back(what);
        }
        if take != Take::Send || pair.lively.leaves {
            ring.hurry();
        }
        if take == Take::AtTheGate && !pair.is_waking() {
            self.wake(key);
        }
        if is_last {
            self.is_over(key, from);
        }
        if is_last || !is_small || take == Take::AtTheGate {
            self.leave(key);
        }
    }

    fn ended(&mut self, name: u64, how: Result<(), Errno>) {
        let (key, end) = Key::named(EventData::new_u64(name));
        self.is_over(key, end);
        match how {
            // The loop meets the end again, and needs no memory to read.
            Ok(()) | Err(Errno::CANCELED | Errno::INTR | Errno::NOMEM) => self.leave(key),
            Err(Errno::NOBUFS) => self.receive_again(key, end),
            Err(error) => self.cut(key, &Cut::Broken(error.into())),
        }
    }

    fn sent(&mut self, name: u64, what: Full, taken: Result<usize, Errno>) {
        let (key, to) = Key::named(EventData::new_u64(name));
        let Some(ring) = &mut self.uring.ring else { return };
        let Some(pair) = self.entries.pair(key) else { return ring.give_back(what) };
        pair.lively.sends[to as usize] = false;
        let all_taken = match taken {
            Ok(_) | Err(Errno::AGAIN | Errno::INTR | Errno::NOMEM) => {
                pair.take_back(to, &ring.bytes(&what)[taken.unwrap_or(0)..]);
                pair.flush(to)
            }
            Err(error) => Err(error.into()),
        };
        ring.give_back(what);
        match all_taken {
            Ok(true) if !pair.lively.leaves => {}
            Ok(_) => self.leave(key),
            Err(error) => self.cut(key, &Cut::Broken(error)),
        }
    }

    fn is_over(&mut self, key: Key, end: End) {
        if let Some(pair) = self.entries.pair(key) {
            pair.lively.receives[end as usize] = false;
        }
    }

    /// There was no buffer: there is one by now, or will be.
    fn receive_again(&mut self, key: Key, end: End) {
        let (Some(ring), Some(pair)) = (&mut self.uring.ring, self.entries.pair(key)) else { return };
        if pair.lively.leaves {
            return self.leave(key);
        }
        pair.lively.receives[end as usize] = true;
        ring.receive(pair.side(end).socket(), key.name(end).u64());
    }

    /// Takes it back from the ring, at once or as soon as nothing more comes from there.
    fn leave(&mut self, key: Key) {
        let (Some(ring), Some(pair)) = (&mut self.uring.ring, self.entries.pair(key)) else { return };
        if !std::mem::replace(&mut pair.lively.leaves, true) {
            // Of two that receive one does still: the ring says of that.
            pair.lively.receives_no_more(key, ring);
        }
        if !pair.lively.is_in_the_ring() {
            pair.lively = Lively::default();
            self.watch(key);
            // Once what others have just said is on its way.
            self.again.push(key);
        }
    }
}

#[cfg(test)]
#[path = "lively_tests.rs"]
mod tests;
