//! One connection to a container: who it is, when its bytes moved, and whether it is owed an answer.
//!
//! An answer is owed while the last bytes went towards the container. In an exchange that the container began, by a ping of its own, the
//! client only answers, and nothing is owed. An exchange begins with the first bytes after a second of rest. What tells a ping from a
//! notice that a client goes to work upon is that it comes again: as many bytes, answered by as many, as in the exchange before.

use crate::Traffic;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// What comes after such a pause begins another exchange.
const REST: u64 = 1000;
/// The bits below the time of the last move: whether it went inward, and whether the container began the exchange.
const INWARD: u64 = 1;
const BY_CONTAINER: u64 = 2;
const BITS: u32 = 2;
/// Bytes of a ping or of its answer, at most: a WebSocket's control frame has up to 131, and TLS or SSH around it some more.
const A_PING: u64 = 256;

/// A connection, counted as open for as long as this lives. One task moves its bytes.
#[derive(Debug)]
pub struct Flow {
    traffic: Arc<Traffic>,
    state: Arc<State>,
    at: usize,
}

/// What the supervisor sees of a flow.
#[derive(Debug)]
pub(crate) struct State {
    peer: SocketAddr,
    port: u16,
    ignored: bool,
    opened_at: Instant,
    /// Milliseconds since it was opened at which bytes last moved, and below them whose they were. The flow's task alone writes.
    moved: AtomicU64,
    bytes: AtomicU64,
    pings: Pings,
    /// Whoever opened it waits for the container, whatever moved last.
    awaited: AtomicBool,
    /// The port from which it reaches the container, once it does.
    upstream: AtomicU16,
    /// Bytes of the client's wait for the container to take them.
    held: AtomicBool,
}

/// An open connection, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Who.
    pub peer: SocketAddr,
    /// The container's port.
    pub port: u16,
    /// Not counted, as the policy says.
    pub ignored: bool,
    /// Since when.
    pub opened_at: Instant,
    /// When a byte moved last; when it was opened, if none did.
    pub moved_at: Instant,
    /// The last bytes went towards the container, and it began nothing itself.
    pub owed: bool,
    /// Both ways.
    pub bytes: u64,
}

impl Flow {
    pub(crate) fn new(traffic: Arc<Traffic>, state: Arc<State>, at: usize) -> Self {
        Self { traffic, state, at }
    }

    /// Counts bytes of the client's that are about to be forwarded. Where this says no the container sleeps, and
    /// [`Target::wake`](crate::Target::wake) has to return before they are.
    pub fn inward(&self, bytes: usize) -> bool {
        self.state.mark(INWARD, bytes);
        if self.state.ignored {
            return self.traffic.gate().is_open();
        }
        self.traffic.inward(bytes as u64)
    }

    /// Says whether bytes of the client's that were let through wait for the container to take them. Where this says no it was put
    /// to sleep meanwhile, and has to be woken: as long as they wait, no other byte of the client's is read that would do so.
    pub fn holds(&self, some: bool) -> bool {
        if self.state.held.load(Ordering::Relaxed) == some || self.state.ignored {
            return true;
        }
        self.state.held.store(some, Ordering::Relaxed);
        // Whoever closes the gate looks for such bytes then: one of the two sees the other.
        !some || self.traffic.gate().pass(0)
    }

    /// The client has ended its side, which is about to be passed on. Where this says no the container sleeps, and
    /// [`Target::wake`](crate::Target::wake) has to return before: a connection that nobody ends keeps looking open.
    pub fn hangs_up(&self) -> bool {
        if self.state.ignored { self.traffic.gate().is_open() } else { self.traffic.hangs_up() }
    }

    /// Counts bytes that are about to be forwarded to the client.
    pub fn outward(&self, bytes: usize) {
        self.state.mark(0, bytes);
        if !self.state.ignored {
            self.traffic.outward(bytes as u64);
        }
    }

    /// Whether the container sleeps at the moment, so that a new connection has to wake it.
    pub fn is_asleep(&self) -> bool {
        !self.traffic.gate().is_open()
    }

    /// It reaches the container from this port of ours.
    pub fn reaches_from(&self, upstream: u16) {
        self.state.upstream.store(upstream, Ordering::Relaxed);
    }

    /// Says whether whoever opened it waits for the container, whatever bytes moved last: for its port to accept, or for the rest of
    /// an answer.
    pub fn awaits(&self, something: bool) {
        self.state.awaited.store(something, Ordering::Relaxed);
    }

    /// Whether it neither wakes the container nor keeps it awake.
    pub fn is_ignored(&self) -> bool {
        self.state.ignored
    }

    /// Who it is.
    pub fn peer(&self) -> SocketAddr {
        self.state.peer
    }

    /// The container's port.
    pub fn port(&self) -> u16 {
        self.state.port
    }
}

/// How many bytes went each way, up to 65,535, in the exchange that the container began last (the lower half: outward, inward) and
/// in the one before (the upper half).
#[derive(Debug, Default)]
struct Pings(AtomicU64);

impl Pings {
    /// Of which none comes again.
    const NONE: u64 = u32::MAX as u64;

    fn note(&self, begins: bool, is_outward: bool, bytes: usize) {
        let mut both = self.0.load(Ordering::Relaxed);
        if begins {
            both <<= 32;
        }
        let shift = if is_outward { 0 } else { 16 };
        let count = both >> shift & u64::from(u16::MAX);
        let more = count.saturating_add(bytes as u64).min(u64::from(u16::MAX));
        self.0.store(both & !(u64::from(u16::MAX) << shift) | more << shift, Ordering::Relaxed);
    }

    /// The last was none: the container had more to say.
    fn forget(&self) {
        self.0.store(Self::NONE, Ordering::Relaxed);
    }

    /// Whether the last exchange was the one before, again, with no more than pings have.
    fn come_again(&self) -> bool {
        let both = self.0.load(Ordering::Relaxed);
        let (last, before) = (both & u64::from(u32::MAX), both >> 32);
        last == before && last & 0xffff <= A_PING && last >> 16 <= A_PING
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.traffic.close(self.at, &self.state);
    }
}

impl State {
    pub(crate) fn new(peer: SocketAddr, port: u16, ignored: bool) -> Self {
        Self {
            peer,
            port,
            ignored,
            opened_at: Instant::now(),
            moved: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            pings: Pings::default(),
            awaited: AtomicBool::new(false),
            upstream: AtomicU16::new(0),
            held: AtomicBool::new(false),
        }
    }

    fn mark(&self, direction: u64, bytes: usize) {
        let now = u64::try_from(self.opened_at.elapsed().as_millis()).unwrap_or(u64::MAX >> BITS);
        let before = self.moved.load(Ordering::Relaxed);
        // A greeting is no ping.
        let is_first = self.bytes.load(Ordering::Relaxed) == 0;
        let (is_outward, is_to_client) = (direction != INWARD, before & INWARD != 0);
        let was_by_container = before & BY_CONTAINER != 0;
        // A late answer begins nothing.
        let answers = is_outward && is_to_client && !was_by_container;
        let begins = !is_first && now - (before >> BITS) >= REST && !answers;
        let is_answered = !begins && was_by_container && is_outward && is_to_client;
        let by_container = if begins { is_outward } else { was_by_container && !is_answered };
        if is_answered {
            self.pings.forget();
        } else if by_container {
            self.pings.note(begins, is_outward, bytes);
        }
        let begun_by = if by_container { BY_CONTAINER } else { 0 };
        self.moved.store(now << BITS | begun_by | direction, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn is_ignored(&self) -> bool {
        self.ignored
    }

    pub(crate) fn is_held(&self) -> bool {
        self.held.load(Ordering::Relaxed)
    }

    pub(crate) fn upstream(&self) -> u16 {
        self.upstream.load(Ordering::Relaxed)
    }

    pub(crate) fn moved_at(&self) -> Instant {
        self.opened_at + Duration::from_millis(self.moved.load(Ordering::Relaxed) >> BITS)
    }

    pub(crate) fn is_owed(&self) -> bool {
        let last = self.moved.load(Ordering::Relaxed);
        let asks = last & INWARD != 0 && !(last & BY_CONTAINER != 0 && self.pings.come_again());
        asks || self.awaited.load(Ordering::Relaxed)
    }

    pub(crate) fn shown(&self) -> Shown {
        Shown {
            peer: self.peer,
            port: self.port,
            ignored: self.ignored,
            opened_at: self.opened_at,
            moved_at: self.moved_at(),
            owed: self.is_owed(),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn owed_after(moves: &[(u64, bool)]) -> bool {
        let traffic = Arc::new(Traffic::default());
        let flow = traffic.open(([127, 0, 0, 1], 5123).into(), 5432);
        for (after, inward) in moves {
            tokio::time::advance(Duration::from_millis(*after)).await;
            if *inward { assert!(flow.inward(10)) } else { flow.outward(10) }
        }
        traffic.owed().is_some()
    }

    #[test]
    fn bytes_that_wait_for_room_are_seen_by_who_puts_it_to_sleep_or_see_that_it_sleeps() {
        let traffic = Arc::new(Traffic::default());
        let (one, other) =
            (traffic.open(([127, 0, 0, 1], 1).into(), 80), traffic.open(([127, 0, 0, 1], 2).into(), 80));
        assert!(one.holds(false) && !traffic.is_held());
        assert!(one.holds(true) && traffic.is_held());
        traffic.shut();
        assert!(one.holds(true), "that was seen");
        assert!(!other.holds(true), "this was not");
        assert!(one.holds(false) && traffic.is_held());
        drop(other);
        assert!(!traffic.is_held());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_owed_to_whoever_began() {
        const IN: bool = true;
        const OUT: bool = false;
        let table: [(&[(u64, bool)], bool); 14] = [
            (&[], false),
            (&[(0, IN)], true),
            (&[(0, IN), (600_000, OUT)], false),
            // A greeting, and what it is answered; whatever comes after that is the client's own.
            (&[(0, OUT), (1, IN)], true),
            (&[(0, OUT), (1, IN), (1, OUT), (1, IN)], true),
            (&[(0, OUT), (1, IN), (1, OUT), (5000, IN)], true),
            (&[(0, IN), (1, OUT), (1, IN)], true),
            (&[(0, IN), (600_000, OUT), (1, IN)], true),
            // What the container says of itself may be a notice that the client goes to work upon; a ping comes again.
            (&[(0, IN), (1, OUT), (30_000, OUT), (20, IN)], true),
            (&[(0, IN), (1, OUT), (30_000, OUT), (20, IN), (30_000, OUT), (20, IN)], false),
            (&[(0, IN), (1, OUT), (30_000, OUT), (20, IN), (30_000, OUT), (20, IN), (15_000, IN)], true),
            (&[(0, IN), (1, OUT), (30_000, OUT), (20, IN), (30_000, OUT), (20, IN), (1, IN)], true),
            // Notices are alike too, but their answers are answered, at once or later.
            (&[(0, IN), (1, OUT), (30_000, OUT), (1, IN), (1, OUT), (30_000, OUT), (1, IN)], true),
            (&[(0, IN), (1, OUT), (30_000, OUT), (1, IN), (6000, OUT), (30_000, OUT), (1, IN)], true),
        ];
        for (moves, owed) in table {
            assert_eq!(owed_after(moves).await, owed, "{moves:?}");
        }
    }
}
