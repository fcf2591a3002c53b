//! Moments that no client can bring about at will: what the ring was asked to do and has not begun.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use super::*;
use crate::connections::Connections;
use crate::lane::{Lane, Order, Shared};
use control::{Caller, Target, Traffic, Wake, WakeError};
use rustix::event::{EventfdFlags, eventfd};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio_util::task::TaskTracker;

#[derive(Debug)]
struct Awake;

#[async_trait::async_trait]
impl Wake for Awake {
    async fn wake(&self, _: Caller) -> Result<(), WakeError> {
        Ok(())
    }
}

/// A lane that goes on when it is told to.
struct Bench {
    thread: Thread,
    traffic: Arc<Traffic>,
    _runtime: tokio::runtime::Runtime,
}

impl Bench {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (orders, taken) = std::sync::mpsc::channel();
        let bell = eventfd(0, EventfdFlags::NONBLOCK).unwrap();
        let lane = Lane(Arc::new(Shared { orders, bell, pairs: AtomicUsize::new(0) }));
        let thread = Thread::new(lane, taken, runtime.handle().clone(), TaskTracker::new()).unwrap();
        Self { thread, traffic: Arc::default(), _runtime: runtime }
    }

    /// A connection in the ring: the client, the container.
    fn lively(&mut self) -> (Key, TcpStream, TcpStream) {
        let ((client, ours), (container, towards)) = (sockets(), sockets());
        let SocketAddr::V4(address) = container.local_addr().unwrap() else { unreachable!("it is of IPv4") };
        let target = Target { address, port: 1, traffic: Arc::clone(&self.traffic), wake: Arc::new(Awake) };
        let flow = Arc::new(target.traffic.open(client.local_addr().unwrap(), 1));
        let among = (Arc::new(Connections::new()), TaskTracker::new().token());
        let pair = Pair::new(ours, towards, (flow, target), among);
        let key = self.thread.enter(Box::new(pair));
        self.thread.watch(key);
        self.thread.enliven(key);
        (key, client, container)
    }

    /// Until the ring has nothing more to say.
    fn hears_it_out(&mut self) {
        for _ in 0..1000 {
            if !self.thread.uring.is_in_use() {
                return;
            }
            self.hear();
            for key in std::mem::take(&mut self.thread.again) {
                self.thread.go_on(key);
            }
        }
        panic!("it never ends");
    }

    /// What the ring says, which is something, within some seconds.
    fn hear(&mut self) {
        let (heard, lane) = (Arc::new(AtomicBool::new(false)), self.thread.lane.clone());
        let watch = std::thread::spawn({
            let heard = Arc::clone(&heard);
            move || {
                std::thread::park_timeout(Duration::from_secs(3));
                if !heard.load(Ordering::Relaxed) {
                    lane.order(Order::Sweep);
                }
            }
        });
        let is_called = self.thread.hear();
        heard.store(true, Ordering::Relaxed);
        watch.thread().unpark();
        watch.join().unwrap();
        assert!(!is_called, "the ring had nothing to say");
    }

    /// The same, where there may be nothing.
    fn hear_at_once(&mut self) {
        self.thread.again.push(Key::named(EventData::new_u64(0)).0);
        self.thread.hear();
        self.thread.again.clear();
    }
}

/// Both ends of a connection, ours not blocking.
fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let theirs = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    theirs.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let (ours, _) = listener.accept().unwrap();
    ours.set_nonblocking(true).unwrap();
    (theirs, ours)
}

fn comes(stream: &mut TcpStream, expected: &[u8]) {
    let mut seen = vec![0; expected.len()];
    stream.read_exact(&mut seen).unwrap();
    assert_eq!(seen, expected);
}

fn has_nothing(stream: &mut TcpStream) {
    stream.set_nonblocking(true).unwrap();
    assert_eq!(stream.read(&mut [0; 100]).unwrap_err().kind(), ErrorKind::WouldBlock);
}

/// Its descriptors are the next connection's: what was to be sent by them, and received, is not that one's.
#[test]
fn what_is_asked_of_a_socket_has_begun_before_it_is_closed() {
    let mut bench = Bench::new();
    let (key, mut client, mut container) = bench.lively();
    client.write_all(b"secret").unwrap();
    bench.hear();
    drop(bench.thread.remove(key));
    let mut next = [sockets(), sockets()];
    bench.hear_at_once();
    for (theirs, ours) in &mut next {
        has_nothing(theirs);
        has_nothing(ours);
    }
    let mut last = Vec::new();
    container.read_to_end(&mut last).unwrap();
    assert_eq!(last, b"secret");
}

/// What was sent before it slept tells that it is sent; what came since waits all the same.
#[test]
fn what_follows_what_is_being_sent_waits_for_a_container_that_sleeps() {
    let mut bench = Bench::new();
    let (key, mut client, mut container) = bench.lively();
    client.write_all(b"before").unwrap();
    bench.hear();
    bench.traffic.shut();
    let pair = bench.thread.entries.pair(key).unwrap();
    assert_eq!(pair.take(End::Client, b"since", true), Take::AtTheGate);
    bench.thread.wake(key);
    bench.thread.leave(key);
    bench.hears_it_out();
    comes(&mut container, b"before");
    has_nothing(&mut container);
}

#[test]
fn what_follows_what_is_being_sent_goes_after_what_of_that_was_not_taken() {
    let mut bench = Bench::new();
    let (key, _client, mut container) = bench.lively();
    let pair = bench.thread.entries.pair(key).unwrap();
    assert_eq!(pair.take(End::Client, b"first", false), Take::Send);
    assert_eq!(pair.take(End::Client, b"second", true), Take::Kept);
    pair.take_back(End::Container, b"rst");
    assert!(pair.flush(End::Container).unwrap());
    comes(&mut container, b"rstsecond");
}

#[test]
fn the_ring_is_waited_for_until_what_it_was_given_is_sent() {
    let mut bench = Bench::new();
    let (_, mut client, mut container) = bench.lively();
    client.write_all(b"last").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    container.shutdown(Shutdown::Write).unwrap();
    bench.hears_it_out();
    comes(&mut container, b"last");
}

/// It woke before the ring had sent what came first.
#[test]
fn nothing_overtakes_what_the_ring_is_about_to_send() {
    let mut bench = Bench::new();
    let (key, mut client, mut container) = bench.lively();
    client.write_all(b"first ").unwrap();
    bench.hear();
    bench.traffic.shut();
    let pair = bench.thread.entries.pair(key).unwrap();
    assert_eq!(pair.take(End::Client, b"second", true), Take::AtTheGate);
    bench.thread.leave(key);
    bench.traffic.reopen();
    bench.thread.go_on(key);
    bench.hears_it_out();
    comes(&mut container, b"first second");
}

/// The second came while the first was on its way, and nobody says anything more.
#[test]
fn two_messages_in_a_row_arrive_though_nothing_follows() {
    const NOTHING: u64 = 7;
    let mut bench = Bench::new();
    let (_, mut client, mut container) = bench.lively();
    for message in [b"first ", b"second"] {
        client.write_all(message).unwrap();
        // Has the kernel receive it, which is not heard yet.
        let ring = bench.thread.uring.ring().unwrap();
        ring.cancel(NOTHING);
        ring.submit();
    }
    bench.hear();
    bench.hear();
    comes(&mut container, b"first second");
}

/// Nobody says anything more that it would be noticed by.
#[test]
fn a_last_message_that_is_not_taken_is_told_of() {
    let mut bench = Bench::new();
    let (key, mut client, _container) = bench.lively();
    let mut full = bench.thread.entries.pair(key).unwrap().side(End::Container).socket();
    while full.write(&[7; 65_536]).is_ok() {}
    client.write_all(b"last").unwrap();
    bench.hear();
    bench.hear();
    bench.hears_it_out();
    assert!(bench.traffic.is_held());
}
