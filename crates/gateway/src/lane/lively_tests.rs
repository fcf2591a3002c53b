//! Moments that no client can bring about at will: what the ring was asked to do and has not begun.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use super::*;
use crate::connections::Connections;
use crate::lane::{Lane, Shared};
use control::{Caller, Target, Traffic, Wake, WakeError};
use rustix::event::{EventfdFlags, eventfd};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
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
        }
        panic!("it never ends");
    }

    fn hear(&mut self) {
        // It says at once what there is to say.
        self.thread.again.push(Key::named(epoll::EventData::new_u64(0)).0);
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
    bench.hear();
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
    bench.hears_it_out();
    let mut seen = [0; 6];
    container.read_exact(&mut seen).unwrap();
    assert_eq!(&seen, b"before");
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
    let mut seen = [0; 9];
    container.read_exact(&mut seen).unwrap();
    assert_eq!(&seen, b"rstsecond");
}

#[test]
fn the_ring_is_waited_for_until_what_it_was_given_is_sent() {
    let mut bench = Bench::new();
    let (_, mut client, mut container) = bench.lively();
    client.write_all(b"last").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    container.shutdown(Shutdown::Write).unwrap();
    bench.hears_it_out();
    let mut last = [0; 4];
    container.read_exact(&mut last).unwrap();
    assert_eq!(&last, b"last");
}
