//! What nobody waits for: the kernel's gathering of small messages, and the next attempt of a slow poll.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod bench;

use bench::{Bench, SECONDS, application, free_port, until};
use control::{Caller, Wake, WakeError};
use model::Reach;
use rustix::net::sockopt::set_tcp_quickack;
use socket2::{Domain, Socket, Type};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const MESSAGES: u32 = 100;
/// Far more than they take, and far less than if each second one waited until Linux acknowledges the one before it, after 40 ms.
const WITHIN: Duration = Duration::from_secs(1);

/// How long so many small messages take, one by one and none answered. Whoever takes them acknowledges late.
fn messages(from: &mut TcpStream, to: &mut TcpStream) -> Duration {
    from.set_nodelay(true).unwrap();
    to.set_read_timeout(Some(SECONDS)).unwrap();
    let begun = Instant::now();
    for _ in 0..MESSAGES {
        // Not for good: the kernel decides anew with each acknowledgement that it put off in vain.
        set_tcp_quickack(&*to, false).unwrap();
        from.write_all(b"x").unwrap();
        to.read_exact(&mut [0; 1]).unwrap();
    }
    begun.elapsed()
}

#[test]
fn a_small_message_does_not_wait_until_the_one_before_it_is_acknowledged() {
    let (listener, address) = application();
    let bench = Bench::new(address);
    bench.set(Reach::Forward);
    // The first waits for the application, which has not accepted before; the second is forwarded at once.
    for _ in 0..2 {
        let mut client = bench.connect();
        let (mut container, _) = listener.accept().unwrap();
        let inward = messages(&mut client, &mut container);
        let outward = messages(&mut container, &mut client);
        for took in [inward, outward] {
            assert!(took < WITHIN, "{took:?}");
        }
    }
}

/// From when the application listens, `after` its first client came, until it has that client.
fn connected_within(after: Duration) -> Duration {
    let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, free_port());
    let bench = Bench::new(address.into());
    bench.set(Reach::Forward);
    let _client = bench.connect();
    until("it is held", || bench.target.traffic.connections() == 1);
    std::thread::sleep(after);
    let listener = TcpListener::bind(address).unwrap();
    let listens = Instant::now();
    listener.accept().unwrap();
    listens.elapsed()
}

/// Attempts at a fixed pace would come late each time; a busy machine does not.
#[test]
fn an_application_has_its_client_soon_after_it_listens_however_long_that_took() {
    for (after, within) in [(20, 50), (300, 100)].map(|(after, within)| (ms(after), ms(within))) {
        let soonest = (0..5).map(|_| connected_within(after)).min().unwrap();
        assert!(soonest < within, "{soonest:?} after one that took {after:?}");
    }
}

/// From when there is room in the listener's queue again, which was full when its client came, until it has that client. What finds a queue
/// full is swallowed: the kernel asks again after a second.
fn connected_past_a_full_queue() -> Duration {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let listener = TcpListener::from(socket);
    let address = listener.local_addr().unwrap();
    let _fills_it = TcpStream::connect(address).unwrap();
    let swallowed = TcpStream::connect_timeout(&address, ms(50)).unwrap_err();
    assert_eq!(swallowed.kind(), ErrorKind::TimedOut);
    let bench = Bench::new(address);
    bench.set(Reach::Forward);
    let _client = bench.connect();
    until("it is held", || bench.target.traffic.connections() == 1);
    std::thread::sleep(ms(100));
    listener.accept().unwrap();
    let begun = Instant::now();
    listener.accept().unwrap();
    begun.elapsed()
}

#[test]
fn an_attempt_that_nobody_answers_gives_way_to_a_fresh_one() {
    let soonest = (0..5).map(|_| connected_past_a_full_queue()).min().unwrap();
    assert!(soonest < ms(400), "{soonest:?}");
}

/// When it was asked whether an application listens that does not: before each attempt.
#[derive(Debug, Default)]
struct Asked(Mutex<Vec<Instant>>);

#[async_trait::async_trait]
impl Wake for Asked {
    async fn wake(&self, _: Caller) -> Result<(), WakeError> {
        Ok(())
    }

    async fn listens(&self, _: u16) -> Option<bool> {
        self.0.lock().unwrap().push(Instant::now());
        Some(false)
    }
}

/// Neither a fixed pace of 50 ms nor one of a few: many at first, and few later.
#[test]
fn attempts_come_at_growing_intervals() {
    let mut bench = Bench::new(([127, 0, 0, 1], free_port()).into());
    let asked = Arc::new(Asked::default());
    bench.target.wake = Arc::<Asked>::clone(&asked);
    bench.set(Reach::Forward);
    let _client = bench.connect();
    std::thread::sleep(Duration::from_secs(2));
    let asked = asked.0.lock().unwrap().clone();
    let between = |from, to| {
        let since = asked.iter().map(|at| at.duration_since(asked[0]));
        since.filter(|since| (ms(from)..ms(to)).contains(since)).count()
    };
    let (first, last) = (between(0, 100), between(1000, 2000));
    assert!(first >= 8, "{first} attempts in the first tenth of a second");
    assert!((3..=8).contains(&last), "{last} attempts in a later second");
}

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}
