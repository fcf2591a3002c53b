//! Connections to a container that sleeps: what they send waits, and wakes it.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod bench;

use bench::{Bench, SECONDS, answer, application, free_port, until};
use control::{Endpoints, GaveUp, WakeError};
use model::{IdlePolicy, Reach};
use socket2::SockRef;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Nothing more than this has come.
fn has_only(stream: &mut TcpStream, expected: &[u8]) {
    stream.set_read_timeout(Some(SECONDS)).unwrap();
    let mut seen = vec![0; expected.len()];
    stream.read_exact(&mut seen).unwrap();
    assert_eq!(seen, expected);
    stream.set_nonblocking(true).unwrap();
    assert_eq!(stream.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
    stream.set_nonblocking(false).unwrap();
}

#[test]
fn what_a_client_sends_over_an_open_connection_waits_until_the_container_is_awake() {
    let (listener, address) = application();
    let (bench, sleeper) = Bench::asleep(address, SECONDS);
    bench.set(Reach::Forward);
    let mut client = bench.connect();
    let (mut container, _) = listener.accept().unwrap();
    client.write_all(b"before").unwrap();
    has_only(&mut container, b"before");
    assert_eq!(sleeper.callers(), [], "it was awake");

    bench.target.traffic.shut();
    client.write_all(b"first").unwrap();
    until("it is woken", || sleeper.callers().len() == 1);
    let caller = sleeper.callers()[0];
    assert_eq!((caller.peer, caller.port), (client.local_addr().unwrap(), address.port()));
    client.write_all(b"second").unwrap();
    // What its kernel still held for the client arrives meanwhile.
    container.write_all(b"kept").unwrap();
    has_only(&mut client, b"kept");
    has_only(&mut container, b"");

    sleeper.wakes(Ok(()));
    has_only(&mut container, b"firstsecond");
    assert_eq!(sleeper.callers().len(), 1);
}

/// A connection that nobody ends would look open until the next thaw, and keep the container from being stopped.
#[test]
fn whoever_hangs_up_on_a_container_that_sleeps_has_it_hear_of_it() {
    let (listener, address) = application();
    let (bench, sleeper) = Bench::asleep(address, SECONDS);
    bench.set(Reach::Forward);
    let client = bench.connect();
    let (mut container, _) = listener.accept().unwrap();
    let traffic = &bench.target.traffic;
    until("it is open", || traffic.connections() == 1);
    traffic.shut();
    let moved = traffic.moved();
    drop(client);
    until("it is woken", || sleeper.callers().len() == 1);
    has_only(&mut container, b"");
    traffic.reopen();
    sleeper.wakes(Ok(()));
    assert_eq!(container.read(&mut [0; 1]).unwrap(), 0, "the client's end");
    drop(container);
    until("it is over", || traffic.connections() == 0);
    assert_eq!(traffic.moved(), moved, "no use");
}

#[test]
fn a_client_that_is_reset_after_its_end_is_gone_though_the_container_says_nothing() {
    let (listener, address) = application();
    let (bench, _sleeper) = Bench::asleep(address, SECONDS);
    bench.set(Reach::Forward);
    let client = bench.connect();
    let (mut container, _) = listener.accept().unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(container.read(&mut [0; 1]).unwrap(), 0);
    SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
    until("it is over", || bench.target.traffic.connections() == 0);
}

#[test]
fn bulk_waits_too_and_arrives_whole() {
    let (listener, address) = application();
    let (bench, sleeper) = Bench::asleep(address, SECONDS);
    bench.set(Reach::Forward);
    let mut client = bench.connect();
    let (mut container, _) = listener.accept().unwrap();
    let block: Vec<u8> = (0..8_000_003_usize).map(|at| (at % 251) as u8).collect();
    let mut received = vec![0; block.len()];
    std::thread::scope(|scope| {
        scope.spawn(|| client.write_all(&block).unwrap());
        container.read_exact(&mut received).unwrap();
    });
    bench.target.traffic.shut();
    let mut again = vec![0; block.len()];
    std::thread::scope(|scope| {
        scope.spawn(|| client.write_all(&block).unwrap());
        until("it is woken", || sleeper.callers().len() == 1);
        has_only(&mut container, b"");
        sleeper.wakes(Ok(()));
        container.read_exact(&mut again).unwrap();
    });
    assert!(received == block && again == block);
}

/// Nothing more is read meanwhile that would wake it, so whoever puts it to sleep has to know.
#[test]
fn bytes_that_wait_for_the_container_to_take_them_are_told_of() {
    let (listener, address) = application();
    let bench = Bench::new(address);
    bench.set(Reach::Forward);
    let mut client = bench.connect();
    let (mut container, _) = listener.accept().unwrap();
    // More than all sockets on the way hold.
    let mut block = vec![7; 32_000_000];
    let traffic = &bench.target.traffic;
    std::thread::scope(|scope| {
        let mut sending = &client;
        let sent = scope.spawn(move || sending.write_all(&vec![7; 32_000_000]).unwrap());
        until("some wait", || traffic.is_held());
        container.read_exact(&mut block).unwrap();
        sent.join().unwrap();
    });
    until("all are there", || !traffic.is_held());
    client.write_all(b"end").unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    container.read_to_end(&mut block).unwrap();
    assert!(!traffic.is_held());
}

#[test]
fn a_new_connection_wakes_a_frozen_container_before_its_first_byte() {
    let (listener, address) = application();
    let (bench, sleeper) = Bench::asleep(address, SECONDS);
    bench.set(Reach::Forward);
    bench.target.traffic.shut();
    let mut client = bench.connect();
    until("it is woken", || sleeper.callers().len() == 1);
    // Its kernel accepts while it is thawed.
    let (mut container, _) = listener.accept().unwrap();
    client.write_all(b"hello").unwrap();
    has_only(&mut container, b"");
    sleeper.wakes(Ok(()));
    has_only(&mut container, b"hello");
}

#[test]
fn one_that_freezes_before_its_port_accepts_is_woken_by_whoever_waits_for_that() {
    let (listener, address) = application();
    drop(listener);
    let (bench, sleeper) = Bench::asleep(address, SECONDS);
    bench.set(Reach::Forward);
    let mut client = bench.connect();
    client.write_all(b"hello").unwrap();
    until("it is being waited for", || bench.target.traffic.connections() == 1);
    // Its first attempts find it awake.
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(sleeper.callers(), []);
    bench.target.traffic.shut();
    until("it is woken", || sleeper.callers().len() == 1);
    sleeper.wakes(Ok(()));
    let listener = TcpListener::bind(address).unwrap();
    let (mut container, _) = listener.accept().unwrap();
    has_only(&mut container, b"hello");
    assert_eq!(sleeper.callers().len(), 1);
}

#[test]
fn where_it_does_not_wake_both_sides_are_reset() {
    let (listener, address) = application();
    let (bench, sleeper) = Bench::asleep(address, SECONDS);
    bench.set(Reach::Forward);
    let mut open = bench.connect();
    let (mut container, _) = listener.accept().unwrap();
    open.write_all(b"x").unwrap();
    has_only(&mut container, b"x");
    bench.target.traffic.shut();
    sleeper.wakes(Err(WakeError::EngineAway));
    open.write_all(b"y").unwrap();
    assert_eq!(open.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(container.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    let mut new = bench.connect();
    assert_eq!(new.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    until("both are gone", || bench.target.traffic.connections() == 0);
}

#[test]
fn a_stopped_container_is_woken_and_nothing_is_sent_to_it_before() {
    let (listener, address) = application();
    listener.set_nonblocking(true).unwrap();
    let (bench, sleeper) = Bench::asleep(address, SECONDS);
    bench.set(Reach::Wake);
    let (mut stays, gives_up) = (bench.connect(), bench.connect());
    stays.write_all(b"early").unwrap();
    until("both have asked", || sleeper.callers().len() == 2);
    SockRef::from(&gives_up).set_linger(Some(Duration::ZERO)).unwrap();
    drop(gives_up);
    until("who gave up is let go", || bench.target.traffic.connections() == 1);
    bench.set(Reach::Hold);
    sleeper.wakes(Ok(()));
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "nothing is sent to it yet");
    bench.set(Reach::Forward);
    listener.set_nonblocking(false).unwrap();
    let (mut container, _) = listener.accept().unwrap();
    has_only(&mut container, b"early");
    container.write_all(b"answer").unwrap();
    has_only(&mut stays, b"answer");
}

#[test]
fn where_only_a_byte_wakes_it_a_bare_connection_does_not() {
    let (listener, address) = application();
    let (bench, sleeper) = Bench::asleep(address, SECONDS);
    bench.set(Reach::WakeOnByte);
    let (mut says_nothing, mut client) = (bench.connect(), bench.connect());
    until("both are held", || bench.target.traffic.connections() == 2);
    client.write_all(b"hello").unwrap();
    until("it is woken", || !sleeper.callers().is_empty());
    assert_eq!(sleeper.callers().len(), 1);
    says_nothing.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(says_nothing.read(&mut [0; 1]).is_err(), "it is reset");
    sleeper.wakes(Ok(()));
    bench.set(Reach::Forward);
    let (mut container, _) = listener.accept().unwrap();
    has_only(&mut container, b"hello");
    assert_eq!(sleeper.callers().len(), 1);
}

#[test]
fn a_wake_that_takes_too_long_ends_with_the_timeout() {
    let (_listener, address) = application();
    for reach in [Reach::Wake, Reach::Forward] {
        let (bench, sleeper) = Bench::asleep(address, Duration::from_millis(300));
        bench.target.traffic.shut();
        bench.set(reach);
        let (mut client, begun) = (bench.connect(), Instant::now());
        assert!(client.read(&mut [0; 1]).is_err(), "it is reset");
        let expected = Duration::from_millis(250)..Duration::from_secs(3);
        assert!(expected.contains(&begun.elapsed()), "{:?}", begun.elapsed());
        assert_eq!(sleeper.gave_up(), [GaveUp::NotAwake(Duration::from_millis(300))]);
    }
}

#[test]
fn whoever_waits_for_the_port_to_accept_is_owed_that() {
    let address: SocketAddr = (Ipv4Addr::LOCALHOST, free_port()).into();
    let (bench, _sleeper) = Bench::asleep(address, SECONDS);
    bench.set(Reach::Forward);
    let _client = bench.connect();
    until("it waits", || bench.target.traffic.owed().is_some());
    let listener = TcpListener::bind(address).unwrap();
    let (_container, _) = listener.accept().unwrap();
    until("it is connected, and has asked nothing", || bench.target.traffic.owed().is_none());
}

#[test]
fn whoever_comes_where_nothing_listens_any_more_is_told() {
    let (bench, sleeper) =
        Bench::asleep((Ipv4Addr::LOCALHOST, free_port()).into(), Duration::from_millis(300));
    bench.set(Reach::Forward);
    std::thread::sleep(Duration::from_millis(350));
    let (mut client, begun) = (bench.connect(), Instant::now());
    assert!(client.read(&mut [0; 1]).is_err(), "it is reset");
    assert!(begun.elapsed() < Duration::from_millis(250), "at once: {:?}", begun.elapsed());
    assert_eq!(sleeper.gave_up(), [GaveUp::Closed]);
}

#[test]
fn behind_a_proxy_that_accepts_in_its_place_nothing_is_sent_before_it_listens() {
    let (proxy, address) = application();
    proxy.set_nonblocking(true).unwrap();
    let (bench, sleeper) = Bench::asleep(address, SECONDS);
    sleeper.set_deaf(true);
    bench.set(Reach::Forward);
    let mut client = bench.connect();
    client.write_all(b"early").unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert!(proxy.accept().is_err(), "somebody connected to what does not listen");
    sleeper.set_deaf(false);
    proxy.set_nonblocking(false).unwrap();
    let (mut container, _) = proxy.accept().unwrap();
    let mut said = [0; 5];
    container.read_exact(&mut said).unwrap();
    assert_eq!(&said, b"early");
    assert_eq!(sleeper.gave_up(), []);
}

#[test]
fn behind_a_proxy_whoever_comes_where_nothing_listens_any_more_is_told_too() {
    let (_proxy, address) = application();
    let (bench, sleeper) = Bench::asleep(address, Duration::from_millis(300));
    sleeper.set_deaf(true);
    bench.set(Reach::Forward);
    std::thread::sleep(Duration::from_millis(350));
    assert!(bench.connect().read(&mut [0; 1]).is_err(), "it is reset");
    assert_eq!(sleeper.gave_up(), [GaveUp::Closed]);
}

#[test]
fn an_open_connection_whose_container_does_not_thaw_ends_with_the_timeout_and_says_so() {
    let (listener, address) = application();
    let (bench, sleeper) = Bench::asleep(address, SECONDS * 6);
    let policy = IdlePolicy { wake_timeout: Duration::from_millis(300), ..IdlePolicy::DEFAULT };
    bench.target.traffic.follow(&Arc::new(policy));
    bench.set(Reach::Forward);
    let mut client = bench.connect();
    let (_container, _) = listener.accept().unwrap();
    bench.target.traffic.shut();
    client.write_all(b"anybody there?").unwrap();
    assert!(client.read(&mut [0; 1]).is_err(), "it is reset");
    assert_eq!(sleeper.gave_up(), [GaveUp::NotAwake(Duration::from_millis(300))]);
}

#[test]
fn the_policy_says_how_long_a_connection_waits() {
    let (listener, address) = application();
    let (bench, _sleeper) = Bench::asleep(address, SECONDS * 6);
    let policy = IdlePolicy { wake_timeout: Duration::from_millis(300), ..IdlePolicy::DEFAULT };
    bench.target.traffic.follow(&Arc::new(policy));
    let is_reset_in_time = |client: &mut TcpStream| {
        let begun = Instant::now();
        assert!(client.read(&mut [0; 1]).is_err(), "it is reset");
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    };
    bench.set(Reach::Wake);
    is_reset_in_time(&mut bench.connect());
    bench.set(Reach::Forward);
    let mut open = bench.connect();
    open.write_all(b"x").unwrap();
    let (mut container, _) = listener.accept().unwrap();
    has_only(&mut container, b"x");
    bench.target.traffic.shut();
    open.write_all(b"y").unwrap();
    is_reset_in_time(&mut open);
}

fn header_of(client: &TcpStream, endpoint: SocketAddr) -> Vec<u8> {
    let ports = [client.local_addr().unwrap().port().to_be_bytes(), endpoint.port().to_be_bytes()].concat();
    [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\x7f\x00\x00\x01\x7f\x00\x00\x01"[..], &ports].concat()
}

#[test]
fn a_container_that_takes_the_proxy_protocol_is_told_who_its_client_is() {
    let (listener, address): (TcpListener, _) = application();
    let (bench, _sleeper) = Bench::asleep(address, SECONDS);
    let policy = IdlePolicy { proxy_protocol: true, ..IdlePolicy::DEFAULT };
    bench.target.traffic.follow(&Arc::new(policy));
    bench.set(Reach::Forward);
    // Before a client has said anything, since some servers speak first.
    let mut silent = bench.connect();
    let (mut container, _) = listener.accept().unwrap();
    has_only(&mut container, &header_of(&silent, bench.address()));
    container.write_all(b"welcome").unwrap();
    has_only(&mut silent, b"welcome");

    bench.set(Reach::Hold);
    let mut client = bench.connect();
    client.write_all(b"hello").unwrap();
    bench.set(Reach::Forward);
    let (mut container, _) = listener.accept().unwrap();
    has_only(&mut container, &[&header_of(&client, bench.address())[..], b"hello"].concat());
    let mut echoing = container.try_clone().unwrap();
    std::thread::spawn(move || std::io::copy(&mut container, &mut echoing));
    assert_eq!(answer(&mut client, b"no header again"), b"no header again");
    bench.gateway.release(bench.port);
}
