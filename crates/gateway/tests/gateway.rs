//! The gateway against real sockets on loopback: what connections meet, and whether bytes, ends and resets arrive as sent.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod bench;

use bench::{Bench, SECONDS, answer, application, echo, free_port, until};
use control::Endpoints;
use model::Reach;
use socket2::{Domain, SockRef, Socket, Type};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddrV4, TcpListener, TcpStream};
use std::time::{Duration, Instant};

#[test]
fn a_claimed_port_refuses_and_is_nobody_elses() {
    let bench = Bench::new(echo());
    assert_eq!(TcpStream::connect(bench.address()).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    bench.gateway.claim(bench.port).unwrap();
    for reuse in [false, true] {
        let stranger = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        stranger.set_reuse_address(reuse).unwrap();
        assert_eq!(stranger.bind(&bench.address().into()).unwrap_err().kind(), ErrorKind::AddrInUse);
    }
    bench.set(Reach::Forward);
    assert_eq!(answer(&mut bench.connect(), b"hello"), b"hello");
    bench.set(Reach::Refuse);
    assert_eq!(TcpStream::connect(bench.address()).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    bench.set(Reach::Forward);
    assert_eq!(answer(&mut bench.connect(), b"again"), b"again");
    bench.gateway.release(bench.port);
    until("the port is free", || TcpListener::bind(bench.address()).is_ok());
}

#[test]
fn a_port_that_somebody_holds_is_said_to_be_in_use() {
    let bench = Bench::new(echo());
    let (_held, address) = application();
    assert_eq!(bench.gateway.claim(address.port()).unwrap_err().kind(), ErrorKind::AddrInUse);
}

#[test]
fn a_port_is_claimed_again_over_what_an_earlier_run_left_in_time_wait() {
    let first = Bench::new(echo());
    first.set(Reach::Forward);
    let mut client = first.connect();
    answer(&mut client, b"x");
    // The gateway's side closes first, and so is left in TIME_WAIT.
    first.gateway.release(first.port);
    assert_eq!(client.read(&mut [0; 1]).unwrap_or(0), 0);
    drop(client);
    let again = Bench::new(echo());
    until("the keeper is gone", || again.gateway.claim(first.port).is_ok());
    again.gateway.set(first.port, Reach::Forward, &again.target).unwrap();
    assert_eq!(answer(&mut TcpStream::connect(first.address()).unwrap(), b"y"), b"y");
}

#[test]
fn what_was_sent_while_held_is_not_lost_and_nothing_is_sent_early() {
    let (listener, address) = application();
    listener.set_nonblocking(true).unwrap();
    let bench = Bench::new(address);
    bench.set(Reach::Hold);
    let mut clients: Vec<_> = (0..100).map(|_| bench.connect()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.write_all(format!("{number:03}").as_bytes()).unwrap();
    }
    until("all are held", || bench.target.traffic.connections() == 100);
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "nothing is sent to it yet");
    listener.set_nonblocking(false).unwrap();
    let serving = std::thread::spawn(move || {
        let mut served = 0;
        while served < 100 {
            let (mut stream, _) = listener.accept().unwrap();
            let mut first = [0; 3];
            // On a busy machine an attempt is abandoned that had reached us: it ends at once, and a fresh one comes.
            match stream.read(&mut first).unwrap() {
                0 => continue,
                count => stream.read_exact(&mut first[count..]).unwrap(),
            }
            stream.write_all(&first).unwrap();
            served += 1;
        }
    });
    bench.set(Reach::Forward);
    for (number, client) in clients.iter_mut().enumerate() {
        let mut answer = [0; 3];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(answer, format!("{number:03}").as_bytes());
    }
    serving.join().unwrap();
}

#[test]
fn a_connection_waits_for_the_application_to_listen() {
    let port = free_port();
    let bench = Bench::new(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port).into());
    bench.set(Reach::Forward);
    let mut client = bench.connect();
    client.write_all(b"early").unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    let mut first = [0; 5];
    stream.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"early");
    // Once it has accepted, a refusal is a refusal.
    drop((stream, listener));
    let begun = Instant::now();
    let mut late = bench.connect();
    assert!(late.read(&mut [0; 1]).is_err(), "it is reset");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[test]
fn held_connections_end_with_a_refusal_with_the_timeout_and_with_their_client() {
    let bench = Bench::with_timeout(echo(), Duration::from_millis(300));
    bench.set(Reach::Hold);
    let (mut refused, gone) = (bench.connect(), bench.connect());
    until("both are held", || bench.target.traffic.connections() == 2);
    SockRef::from(&gone).set_linger(Some(Duration::ZERO)).unwrap();
    drop(gone);
    until("who gave up is let go", || bench.target.traffic.connections() == 1);
    bench.set(Reach::Refuse);
    assert!(refused.read(&mut [0; 1]).is_err(), "it is reset");
    bench.set(Reach::Hold);
    let (mut late, begun) = (bench.connect(), Instant::now());
    assert!(late.read(&mut [0; 1]).is_err(), "it is reset");
    assert!(
        (Duration::from_millis(250)..Duration::from_secs(3)).contains(&begun.elapsed()),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn a_stop_lets_open_connections_end_as_the_container_ends_them() {
    let bench = Bench::new(echo());
    bench.set(Reach::Forward);
    let mut client = bench.connect();
    assert_eq!(answer(&mut client, b"one"), b"one");
    bench.set(Reach::Refuse);
    assert_eq!(answer(&mut client, b"two"), b"two");
}

#[test]
fn half_closes_arrive_as_they_were_sent() {
    let bench = Bench::new(echo());
    bench.set(Reach::Forward);
    let mut client = bench.connect();
    client.write_all(b"the last word").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"the last word");

    let (listener, address) = application();
    let bench = Bench::new(address);
    bench.set(Reach::Forward);
    let mut client = bench.connect();
    let (mut container, _) = listener.accept().unwrap();
    container.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.read(&mut [0; 1]).unwrap(), 0);
    client.write_all(b"still heard").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut heard = Vec::new();
    container.read_to_end(&mut heard).unwrap();
    assert_eq!(heard, b"still heard");
    until("it is over", || bench.target.traffic.connections() == 0);
}

#[test]
fn resets_arrive_as_resets() {
    let (listener, address) = application();
    let bench = Bench::new(address);
    bench.set(Reach::Forward);
    let reset = |stream: TcpStream| {
        SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
        drop(stream);
    };
    let mut client = bench.connect();
    client.write_all(b"x").unwrap();
    let (mut container, _) = listener.accept().unwrap();
    container.read_exact(&mut [0; 1]).unwrap();
    reset(container);
    assert_eq!(client.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::ConnectionReset);

    let mut client = bench.connect();
    client.write_all(b"x").unwrap();
    let (mut container, _) = listener.accept().unwrap();
    container.read_exact(&mut [0; 1]).unwrap();
    reset(client);
    container.set_read_timeout(Some(SECONDS)).unwrap();
    assert_eq!(container.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn who_is_refused_gets_nothing() {
    let bench = Bench::new(echo());
    bench.gateway.refuse(vec!["127.0.0.2/32".parse().unwrap()].into());
    bench.set(Reach::Forward);
    let from = |source: [u8; 4]| {
        let mut stream = bench.connect_from(source);
        stream.write_all(b"x").unwrap();
        stream.read(&mut [0; 1]).unwrap_or(0)
    };
    assert_eq!((from([127, 0, 0, 2]), from([127, 0, 0, 3])), (0, 1));
    assert_eq!(bench.target.traffic.moved(), 3, "one connection, one byte each way");
}

#[test]
fn a_drain_lets_connections_end_and_then_cuts_them_off() {
    let bench = Bench::new(echo());
    bench.set(Reach::Forward);
    let (mut ends, mut stays) = (bench.connect(), bench.connect());
    answer(&mut ends, b"a");
    answer(&mut stays, b"b");
    let gateway = bench.gateway.clone();
    let draining = bench.runtime.spawn(async move { gateway.drain(Duration::from_secs(3)).await });
    until("nobody more is accepted", || TcpStream::connect(bench.address()).is_err());
    assert_eq!(answer(&mut ends, b"c"), b"c", "what is open goes on");
    drop(ends);
    assert_eq!(stays.read(&mut [0; 1]).unwrap_or(0), 0, "it is cut off");
    bench.runtime.block_on(draining).unwrap();
}

/// Of each established connection to or from this port, the timer that the kernel runs on it; 2 is the keepalive's.
fn timers(port: u16) -> Vec<String> {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let rows = table.lines().skip(1).map(|row| row.split_whitespace().collect::<Vec<_>>());
    let of_port = |address: &str| address.ends_with(&format!(":{port:04X}"));
    let ours = rows.filter(|row| row[3] == "01" && (of_port(row[1]) || of_port(row[2])));
    ours.map(|row| row[5].split(':').next().unwrap().to_owned()).collect()
}

#[test]
fn who_vanished_without_a_word_is_asked_after_on_both_sides() {
    let application = echo();
    let bench = Bench::new(application);
    bench.set(Reach::Forward);
    let mut client = bench.connect();
    answer(&mut client, b"x");
    for port in [bench.port, application.port()] {
        let watched = |timers: Vec<String>| timers.iter().filter(|timer| *timer == "02").count();
        until("our end of it is kept alive, the other is not ours", || watched(timers(port)) == 1);
    }
}

#[test]
fn where_nobody_ever_listens_a_connection_is_held_only_while_it_may_be_coming_up() {
    let nobody = SocketAddrV4::new(Ipv4Addr::LOCALHOST, free_port());
    let bench = Bench::with_timeout(nobody.into(), Duration::from_secs(1));
    bench.set(Reach::Forward);
    let refused_after = || {
        let begun = Instant::now();
        assert!(bench.connect().read(&mut [0; 1]).is_err(), "it is reset");
        begun.elapsed()
    };
    assert!(refused_after() > Duration::from_millis(700), "at first it is waited for");
    assert!(refused_after() < Duration::from_millis(700), "later a refusal is a refusal");
}

/// Of the connections to this port in this network, those that have a keep-alive timer (proc(5): `tr` is 2).
fn kept_alive(port: u16) -> usize {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let to = format!("0100007F:{port:04X}");
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row[2] == to && row[3] == "01" && row[5].starts_with("02:")).count()
}

#[test]
fn a_container_that_vanishes_without_a_word_is_noticed_once_a_connection_lasts() {
    let bench = Bench::new(echo());
    bench.set(Reach::Forward);
    // The first waits for the application, which has not accepted before; the second is forwarded at once, and is the one to watch.
    let mut first = bench.connect();
    answer(&mut first, b"x");
    let mut second = bench.connect();
    answer(&mut second, b"x");
    let port = bench.target.address.port();
    until("both are watched", || kept_alive(port) == 2);
}
