//! Connections over which so many messages have gone that the kernel's ring forwards them: whatever happens then, happens as on the others.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod bench;

use bench::{Bench, SECONDS, answer, application, echo, until};
use control::Endpoints;
use model::{IdlePolicy, Reach};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, SockRef, Socket, Type};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// More exchanges than it takes.
const EXCHANGES: usize = 100;

/// The descriptors of this process that are rings.
fn rings() -> usize {
    let open = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let targets = open.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    targets.filter(|target| target.to_string_lossy().contains("io_uring")).count()
}

/// A client and the application's end of it.
fn pair(bench: &Bench, listener: &TcpListener) -> (TcpStream, TcpStream) {
    let mut client = bench.connect();
    let (mut container, _) = listener.accept().unwrap();
    container.set_read_timeout(Some(SECONDS)).unwrap();
    exchange(&mut client, &mut container);
    assert!(rings() > 0, "the ring of a thread");
    (client, container)
}

fn exchange(client: &mut TcpStream, container: &mut TcpStream) {
    for at in 0..EXCHANGES {
        let (question, reply) = (format!("question {at:05}"), format!("and the reply {at:05}"));
        client.write_all(question.as_bytes()).unwrap();
        comes(container, question.as_bytes());
        container.write_all(reply.as_bytes()).unwrap();
        comes(client, reply.as_bytes());
    }
}

fn comes(stream: &mut TcpStream, expected: &[u8]) {
    let mut seen = vec![0; expected.len()];
    stream.read_exact(&mut seen).unwrap();
    assert!(
        seen == expected,
        "{:?} instead of {:?}",
        String::from_utf8_lossy(&seen),
        String::from_utf8_lossy(expected)
    );
}

/// Nothing has come, and nothing comes for a while.
fn has_nothing(stream: &mut TcpStream) {
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert_eq!(stream.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
    stream.set_read_timeout(Some(SECONDS)).unwrap();
}

fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at % 251) as u8).collect()
}

fn forwarding() -> (Bench, TcpListener) {
    let (listener, address) = application();
    let bench = Bench::new(address);
    bench.set(Reach::Forward);
    (bench, listener)
}

#[test]
fn few_messages_take_no_ring_and_many_are_counted_as_ever() {
    let bench = Bench::new(echo());
    bench.set(Reach::Forward);
    let mut client = bench.connect();
    for _ in 0..10 {
        answer(&mut client, b"a message");
    }
    assert_eq!(rings(), 0);
    for _ in 0..1000 {
        answer(&mut client, b"a message");
    }
    assert_eq!(rings(), 1, "of the thread that has it");
    drop(client);
    until("it is over", || bench.target.traffic.connections() == 0);
    assert_eq!(bench.target.traffic.moved(), 2 * 9 * 1010 + 1, "bytes both ways, and one connection");
}

/// An old kernel or a hardened host has none; here there is no descriptor for it.
#[test]
fn where_there_is_no_ring_messages_are_forwarded_without() {
    let (bench, listener) = forwarding();
    let mut client = bench.connect();
    let (mut container, _) = listener.accept().unwrap();
    let few = Rlimit { current: Some(0), ..getrlimit(Resource::Nofile) };
    setrlimit(Resource::Nofile, few).unwrap();
    for _ in 0..2 {
        exchange(&mut client, &mut container);
    }
    setrlimit(Resource::Nofile, Rlimit { current: few.maximum, ..few }).unwrap();
    assert_eq!(rings(), 0);
    exchange(&mut client, &mut container);
    assert_eq!(rings(), 0, "it is not asked for again");
}

#[test]
fn messages_of_any_size_that_nobody_waits_for_arrive_whole_and_in_order() {
    let (bench, listener) = forwarding();
    let (client, container) = pair(&bench, &listener);
    let sizes = || (0..4000_usize).map(|at| at * 37 % 12_000 + 1);
    let expected: Vec<u8> = pattern(sizes().sum());
    let say = |mut to: &TcpStream| {
        let mut said = 0;
        for (at, size) in sizes().enumerate() {
            to.write_all(&expected[said..said + size]).unwrap();
            said += size;
            if at % 16 == 0 {
                std::thread::yield_now();
            }
        }
        to.shutdown(Shutdown::Write).unwrap();
    };
    let hear = |mut from: &TcpStream| {
        let mut heard = Vec::new();
        from.read_to_end(&mut heard).unwrap();
        assert!(heard == expected, "{} bytes of {}", heard.len(), expected.len());
    };
    std::thread::scope(|scope| {
        scope.spawn(|| say(&client));
        scope.spawn(|| say(&container));
        scope.spawn(|| hear(&client));
        hear(&container);
    });
}

#[test]
fn half_closes_arrive_as_they_were_sent() {
    let (bench, listener) = forwarding();
    for client_ends in [true, false] {
        let (client, container) = pair(&bench, &listener);
        let (mut ends, mut goes_on) = if client_ends { (client, container) } else { (container, client) };
        ends.write_all(b"last").unwrap();
        ends.shutdown(Shutdown::Write).unwrap();
        comes(&mut goes_on, b"last");
        assert_eq!(goes_on.read(&mut [0; 1]).unwrap(), 0, "the end");
        goes_on.write_all(b"not yet").unwrap();
        comes(&mut ends, b"not yet");
        drop(goes_on);
        assert_eq!(ends.read(&mut [0; 1]).unwrap(), 0, "the other end");
        until("it counts no more", || bench.target.traffic.connections() == 0);
    }
}

#[test]
fn what_both_say_last_arrives_though_both_end_at_once() {
    let (bench, listener) = forwarding();
    for _ in 0..100 {
        let (client, container) = pair(&bench, &listener);
        let end = |mut one: &TcpStream| {
            one.write_all(b"last").unwrap();
            one.shutdown(Shutdown::Write).unwrap();
            let mut heard = Vec::new();
            one.read_to_end(&mut heard).unwrap();
            assert_eq!(heard, b"last");
        };
        std::thread::scope(|scope| {
            scope.spawn(|| end(&client));
            end(&container);
        });
    }
}

#[test]
fn resets_arrive_as_resets() {
    let (bench, listener) = forwarding();
    for client_goes in [true, false] {
        let (client, container) = pair(&bench, &listener);
        let (goes, mut stays) = if client_goes { (client, container) } else { (container, client) };
        SockRef::from(&goes).set_linger(Some(Duration::ZERO)).unwrap();
        drop(goes);
        assert_eq!(stays.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::ConnectionReset);
        until("it counts no more", || bench.target.traffic.connections() == 0);
    }
}

/// Sends messages until none has been taken for a while.
fn fill(mut stream: &TcpStream, what: &[u8]) -> usize {
    stream.set_nonblocking(true).unwrap();
    let (mut sent, mut quiet) = (0, Instant::now());
    while quiet.elapsed() < Duration::from_millis(300) {
        let message = &what[sent..(sent + 1000).min(what.len())];
        match stream.write(message) {
            Ok(count) => (sent, quiet) = (sent + count, Instant::now()),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }
    stream.set_nonblocking(false).unwrap();
    sent
}

#[test]
fn whoever_reads_nothing_holds_its_sender_back_and_gets_everything_and_it_goes_on() {
    let (bench, listener) = forwarding();
    let (mut client, mut container) = pair(&bench, &listener);
    let what = pattern(64 << 20);
    let (inward, outward) = (fill(&client, &what), fill(&container, &what));
    assert!(inward < what.len() && outward < what.len(), "{inward} and {outward} bytes were taken");
    assert!(bench.target.traffic.is_held());
    comes(&mut container, &what[..inward]);
    comes(&mut client, &what[..outward]);
    until("nothing waits", || !bench.target.traffic.is_held());
    exchange(&mut client, &mut container);
}

/// Each of them is a message by itself, so that one is on its way when the other side takes no more; and since that one's window is small,
/// some are taken in part.
#[test]
fn small_messages_that_are_not_taken_wait_and_arrive_in_order() {
    const MESSAGE: usize = 700;
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(1).unwrap();
    let listener = TcpListener::from(socket);
    let bench = Bench::new(listener.local_addr().unwrap());
    bench.set(Reach::Forward);
    let (mut client, mut container) = pair(&bench, &listener);
    client.set_nodelay(true).unwrap();
    let what = pattern(MESSAGE * 50_000);
    let mut sent = 0;
    while !bench.target.traffic.is_held() {
        client.write_all(&what[sent..sent + MESSAGE]).unwrap();
        sent += MESSAGE;
        std::thread::sleep(Duration::from_micros(100));
    }
    client.write_all(&what[sent..sent + MESSAGE]).unwrap();
    comes(&mut container, &what[..sent + MESSAGE]);
    exchange(&mut client, &mut container);
}

#[test]
fn bulk_goes_as_bulk_and_messages_after_it_as_messages() {
    let (bench, listener) = forwarding();
    let (mut client, mut container) = pair(&bench, &listener);
    let bulk = pattern(32 << 20);
    for _ in 0..2 {
        std::thread::scope(|scope| {
            scope.spawn(|| client.write_all(&bulk).unwrap());
            comes(&mut container, &bulk);
        });
        exchange(&mut client, &mut container);
    }
}

#[test]
fn what_a_client_sends_waits_until_the_container_is_awake() {
    let (listener, address) = application();
    let (bench, sleeper) = Bench::asleep(address, SECONDS);
    bench.set(Reach::Forward);
    let (mut client, mut container) = pair(&bench, &listener);
    for round in 1..=20 {
        bench.target.traffic.shut();
        client.write_all(b"first").unwrap();
        until("it is woken", || sleeper.callers().len() == round);
        client.write_all(b"second").unwrap();
        container.write_all(b"kept").unwrap();
        comes(&mut client, b"kept");
        has_nothing(&mut container);
        sleeper.wakes(Ok(()));
        comes(&mut container, b"firstsecond");
        sleeper.sleeps();
        exchange(&mut client, &mut container);
    }
    assert_eq!(sleeper.callers().len(), 20);
}

#[test]
fn whoever_hangs_up_on_a_container_that_sleeps_has_it_hear_of_it() {
    let (listener, address) = application();
    let (bench, sleeper) = Bench::asleep(address, SECONDS);
    bench.set(Reach::Forward);
    let (client, mut container) = pair(&bench, &listener);
    bench.target.traffic.shut();
    drop(client);
    until("it is woken", || sleeper.callers().len() == 1);
    has_nothing(&mut container);
    sleeper.wakes(Ok(()));
    assert_eq!(container.read(&mut [0; 1]).unwrap(), 0, "the client's end");
}

#[test]
fn a_client_that_the_policy_ignores_wakes_nothing() {
    let (listener, address) = application();
    let (bench, sleeper) = Bench::asleep(address, SECONDS);
    let policy = IdlePolicy { ignore_from: vec!["127.0.0.1/32".parse().unwrap()], ..IdlePolicy::DEFAULT };
    bench.target.traffic.follow(&Arc::new(policy));
    bench.set(Reach::Forward);
    let (mut client, mut container) = pair(&bench, &listener);
    bench.target.traffic.shut();
    client.write_all(b"and now?").unwrap();
    for end in [&mut client, &mut container] {
        assert_eq!(end.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
    assert_eq!(sleeper.callers(), []);
}

/// More than the ring has buffers: some find none, and are served all the same.
#[test]
fn six_hundred_at_once_each_get_their_own_answers() {
    let bench = Bench::new(echo());
    bench.set(Reach::Forward);
    let mut clients: Vec<_> = (0..600).map(|_| bench.connect()).collect();
    for round in 0..EXCHANGES {
        let message =
            |at: usize| format!("{at:04} says {round:04} {}", "x".repeat(at * 7 % 4000)).into_bytes();
        for (at, client) in clients.iter_mut().enumerate() {
            client.write_all(&message(at)).unwrap();
        }
        for (at, client) in clients.iter_mut().enumerate() {
            comes(client, &message(at));
        }
    }
}

/// Descriptors are used again at once: nothing that was on its way over one may come to whoever has it next.
#[test]
fn those_that_are_cut_off_amid_messages_leave_nothing_to_whoever_comes_next() {
    let bench = Bench::new(echo());
    for _ in 0..20 {
        bench.set(Reach::Forward);
        let mut old: Vec<_> = (0..20).map(|_| bench.connect()).collect();
        for client in &mut old {
            for _ in 0..EXCHANGES {
                answer(client, b"old");
            }
        }
        for client in &mut old {
            client.write_all(b"of the old ones").unwrap();
        }
        bench.gateway.release(bench.port);
        bench.gateway.claim(bench.port).unwrap();
        bench.set(Reach::Forward);
        let mut new: Vec<_> = (0..20).map(|_| bench.connect()).collect();
        for client in &mut new {
            for _ in 0..EXCHANGES {
                assert_eq!(answer(client, b"NEW"), b"NEW");
            }
        }
        for mut client in old {
            let mut last = Vec::new();
            let _broken = client.read_to_end(&mut last);
            assert!(b"of the old ones".starts_with(&last), "{:?}", String::from_utf8_lossy(&last));
        }
    }
}
