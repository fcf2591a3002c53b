//! What nobody waits for: the kernel's gathering of small messages, and the next attempt of a slow poll.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod bench;

use bench::{Bench, SECONDS, application, free_port, until};
use model::Reach;
use rustix::net::sockopt::set_tcp_quickack;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
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

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}
