//! Whom the policy lets wake a container, and who is forwarded but counts for nothing.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod bench;

use bench::{Bench, SECONDS, Sleeper, answer, application, until};
use control::GaveUp;
use model::{IdlePolicy, Reach};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

/// Whom the policies here name, or leave out.
const STRANGER: [u8; 4] = [127, 0, 0, 2];

fn container(policy: IdlePolicy) -> (Bench, Arc<Sleeper>, TcpListener) {
    let (listener, address) = application();
    let (bench, sleeper) = Bench::asleep(address, SECONDS);
    bench.target.traffic.follow(&Arc::new(policy));
    bench.set(Reach::Forward);
    (bench, sleeper, listener)
}

fn is_reset(stream: &mut TcpStream) {
    assert_eq!(stream.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::ConnectionReset);
}

/// Both ways, over a connection that is there.
fn is_forwarded(client: &mut TcpStream, container: &mut TcpStream) {
    let mut echoing = (container.try_clone().unwrap(), container.try_clone().unwrap());
    let echo = std::thread::spawn(move || {
        let mut line = [0; 5];
        echoing.0.read_exact(&mut line).unwrap();
        echoing.1.write_all(&line).unwrap();
    });
    assert_eq!(answer(client, b"hello"), b"hello");
    echo.join().unwrap();
}

/// One that comes while the container is as it is, and asks.
fn is_turned_away(bench: &Bench) {
    let mut stranger = bench.connect_from(STRANGER);
    // It may be reset before it has asked.
    let asked = stranger.write_all(b"let me in").and_then(|()| stranger.read(&mut [0; 1]));
    assert_eq!(asked.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

/// The stranger reaches a container that is awake, and wakes none, whether it has a connection already or comes anew.
fn is_served_only_by_one_that_is_awake(bench: &Bench, sleeper: &Sleeper, listener: &TcpListener) {
    let mut stranger = bench.connect_from(STRANGER);
    let (mut container, _) = listener.accept().unwrap();
    is_forwarded(&mut stranger, &mut container);

    bench.target.traffic.shut();
    stranger.write_all(b"and now?").unwrap();
    is_reset(&mut stranger);
    is_reset(&mut container);
    is_turned_away(bench);
    for stopped in [Reach::Wake, Reach::WakeOnByte] {
        bench.set(stopped);
        is_turned_away(bench);
    }
    assert_eq!(sleeper.callers(), [], "nobody asked for it");
    assert_eq!(sleeper.gave_up(), [GaveUp::NotAllowed; 4]);
    listener.set_nonblocking(true).unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "nothing is sent to it");
}

#[test]
fn a_client_that_the_policy_does_not_admit_wakes_nothing_and_reaches_what_is_awake() {
    let (bench, sleeper, listener) =
        container(IdlePolicy { wake_from: vec!["127.0.0.1/32".parse().unwrap()], ..IdlePolicy::DEFAULT });
    is_served_only_by_one_that_is_awake(&bench, &sleeper, &listener);
    assert!(bench.target.traffic.moved() > 10, "its bytes are use of it all the same");

    let mut admitted = bench.connect();
    admitted.write_all(b"hello").unwrap();
    until("it is woken", || sleeper.callers().len() == 1);
    assert_eq!(sleeper.callers()[0].peer, admitted.local_addr().unwrap());
}

#[test]
fn a_client_that_the_policy_ignores_wakes_nothing_and_counts_for_nothing() {
    let (bench, sleeper, listener) =
        container(IdlePolicy { ignore_from: vec!["127.0.0.2/32".parse().unwrap()], ..IdlePolicy::DEFAULT });
    let traffic = &bench.target.traffic;
    let mut ignored = bench.connect_from(STRANGER);
    let (mut container, _) = listener.accept().unwrap();
    is_forwarded(&mut ignored, &mut container);
    // Its bytes are owed an answer by anybody's reckoning but the policy's.
    ignored.write_all(b"x").unwrap();
    container.read_exact(&mut [0; 1]).unwrap();
    assert_eq!((traffic.connections(), traffic.moved()), (0, 0));
    assert!(traffic.owed().is_none());
    drop((ignored, container));
    is_served_only_by_one_that_is_awake(&bench, &sleeper, &listener);
    assert_eq!((traffic.connections(), traffic.moved()), (0, 0));

    let _counted = bench.connect();
    until("who is not ignored asks for it", || traffic.connections() == 1);
}
