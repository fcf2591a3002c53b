//! One connection to a container: who it is, when its bytes moved, and whether it is owed an answer.
//!
//! An answer is owed while the last bytes went towards the container. In an exchange that the container began, by a ping of its own, the
//! client only answers, and nothing is owed. An exchange begins with the first bytes after a second of rest. Whether the container began
//! it by a ping, by a notice that the client goes to work upon, or by a late answer, is told by what comes next: a ping comes again, as many
//! bytes, answered by as many, three times in a row, and says nothing to its answer.

use crate::Traffic;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// What comes after such a pause begins another exchange.
const REST: u64 = 1000;
/// The bits below the time of the last move: whether it went inward, and whether the container began the exchange, or answered late.
const INWARD: u64 = 1;
const OUTWARD: u64 = 0;
const BY_CONTAINER: u64 = 2;
const BITS: u32 = 2;
/// Bytes that are more than a ping has, or its answer: a WebSocket's control frame has up to 131, and TLS or SSH around it some more.
const TOO_MUCH: u64 = 255;

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
        self.state.mark(OUTWARD, bytes);
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

/// Of the last exchange that the container began, and of the one before: bytes outward and inward, up to 255 each; and how often in a
/// row they were alike until then. Five times eight bits.
#[derive(Debug, Default)]
struct Pings(AtomicU64);

impl Pings {
    fn begin(&self) {
        let [last, before, alike] = self.parts();
        let alike = if last == before { (alike + 1).min(u64::from(u8::MAX)) } else { 0 };
        self.0.store(alike << 32 | last << 16, Ordering::Relaxed);
    }

    fn note(&self, is_outward: bool, bytes: usize) {
        let all = self.0.load(Ordering::Relaxed);
        let shift = if is_outward { 0 } else { 8 };
        let sum = (all >> shift & TOO_MUCH).saturating_add(bytes as u64).min(TOO_MUCH);
        self.0.store(all & !(TOO_MUCH << shift) | sum << shift, Ordering::Relaxed);
    }

    /// The last was none: the container had more to say.
    fn forget(&self) {
        self.0.store(TOO_MUCH, Ordering::Relaxed);
    }

    /// Whether the last exchange was like the two before it, with no more than pings have.
    fn came_again(&self) -> bool {
        let [last, before, alike] = self.parts();
        let is_small = last & TOO_MUCH != TOO_MUCH && last >> 8 != TOO_MUCH;
        is_small && last == before && alike > 0
    }

    fn parts(&self) -> [u64; 3] {
        let all = self.0.load(Ordering::Relaxed);
        [all & 0xffff, all >> 16 & 0xffff, all >> 32]
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
        let has_rested = now - (before >> BITS) >= REST;
        // A greeting is no ping.
        let is_first = self.bytes.load(Ordering::Relaxed) == 0;
        let (was_inward, was_theirs) = (before & INWARD != 0, before & BY_CONTAINER != 0);
        let exchange = match direction {
            OUTWARD if has_rested && !is_first => {
                self.pings.begin();
                BY_CONTAINER
            }
            OUTWARD if was_theirs && was_inward => {
                self.pings.forget();
                0
            }
            // The first word to what the container said belongs to that, however late.
            INWARD if has_rested && (was_inward || !was_theirs) => 0,
            _ => before & BY_CONTAINER,
        };
        if exchange == BY_CONTAINER {
            self.pings.note(direction == OUTWARD, bytes);
        }
        self.moved.store(now << BITS | exchange | direction, Ordering::Relaxed);
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

    /// The client spoke last, and not to a ping; or it waits all the same.
    pub(crate) fn is_owed(&self) -> bool {
        let last = self.moved.load(Ordering::Relaxed);
        let is_pong = last & BY_CONTAINER != 0 && self.pings.came_again();
        (last & INWARD != 0 && !is_pong) || self.awaited.load(Ordering::Relaxed)
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
        const PING: (u64, bool) = (30_000, OUT);
        const PONG: (u64, bool) = (20, IN);
        let table: [(&[(u64, bool)], bool); 18] = [
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
            (&[(0, IN), (1, OUT), PING, PONG, PING, PONG], true),
            (&[(0, IN), (1, OUT), PING, PONG, PING, PONG, PING, PONG], false),
            (&[(0, IN), (1, OUT), PING, PONG, PING, PONG, PING, (5000, IN)], false),
            (&[(0, IN), (1, OUT), PING, PONG, PING, PONG, PING, PONG, (15_000, IN)], true),
            (&[(0, IN), (1, OUT), PING, PONG, PING, PONG, PING, PONG, (1, IN)], true),
            // One that came while the two were talking looks like a question, and the next like the answer to it.
            (&[(0, IN), (1, OUT), (1, OUT), PONG, PING, PONG, PING, PONG, PING, PONG], false),
            (&[(0, IN), PING, PONG, PING, PONG, PING, PONG], false),
            // Notices are alike too, but their answers are answered, at once or later.
            (&[(0, IN), (1, OUT), PING, (1, IN), (1, OUT), PING, (1, IN)], true),
            (&[(0, IN), (1, OUT), PING, (1, IN), (6000, OUT), PING, (1, IN)], true),
        ];
        for (moves, owed) in table {
            assert_eq!(owed_after(moves).await, owed, "{moves:?}");
        }
    }
}
