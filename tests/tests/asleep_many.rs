//! Sleep and wake in great numbers: ten thousand connections to one container, and fifty containers under a daemon that is killed.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use serde_json::{Value, json};
use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use tests::freezer::is_frozen;
use tests::{
    Daemon, ask, ask_over, connect, raise_the_descriptor_limit, test_image, text, throughout, until,
};

/// Open, and nothing has come over it.
fn is_quiet(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let peeked = stream.peek(&mut [0]);
    stream.set_nonblocking(false).unwrap();
    peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

#[test]
fn ten_thousand_idle_connections_stay_open_to_one_that_sleeps_until_a_byte_comes() {
    // The daemon takes two descriptors for each, and some for itself.
    let fit = usize::try_from(raise_the_descriptor_limit().saturating_sub(500) / 2).unwrap();
    let connections = fit.min(10_000);
    assert!(
        connections >= 9_000,
        "descriptors for {connections} alone: raise the hard limit (ulimit -Hn) to 20,500"
    );
    let daemon = Daemon::start(&[]);
    let policy = json!({"freeze_after": "off", "busy_cpu": "off"});
    let asked = json!({"image": test_image(), "policy": policy, "env": {"TOGETHER": "1"}});
    let container = daemon.client.create_as(&asked);
    let (port, id) = (text(&container, "app_port"), text(&container, "container_id"));
    let begun = Instant::now();
    let open: Vec<TcpStream> = (0..connections).map(|_| connect(port).unwrap()).collect();
    // Those that came last are through when it has answered over each of a few.
    open.iter().rev().take(10).for_each(|stream| assert!(ask_over(stream, "there").is_ok()));
    println!("{connections} connections in {:?}", begun.elapsed());
    let shown = || daemon.client.show(text(&container, "uri"));
    let all = connections.to_string();
    until("all are through", Duration::from_secs(60), || (shown()["active"] == *all).then_some(()));
    let freezes = json!({"policy": {"freeze_after": "1s"}}).to_string();
    let changed =
        daemon.client.send("PATCH", text(&container, "uri"), &[], Some(("application/json", &freezes)));
    assert_eq!(changed.status, 200, "{}", changed.text);
    daemon.client.until(&container, "depth", "frozen");
    throughout(Duration::from_secs(3), || assert!(is_frozen(id)));
    let lost = open.iter().filter(|stream| !is_quiet(stream)).count();
    assert_eq!(lost, 0, "all stay open");

    let begun = Instant::now();
    // One byte is a line, an empty one.
    let answer = ask_over(&open[connections / 2], "").unwrap();
    assert!(answer.ends_with(':'), "{answer:?}");
    println!("answered in {:?}", begun.elapsed());
    for stream in open.iter().step_by(connections / 100) {
        assert!(ask_over(stream, "still").unwrap().ends_with(": still"));
    }
    assert!(open.iter().all(is_quiet), "and nobody was closed");
}

/// All of these, a few at a time.
fn at_once<T: Sync, U: Send>(all: &[T], each: impl Fn(&T) -> U + Sync) -> Vec<U> {
    const HANDS: usize = 4;
    std::thread::scope(|scope| {
        let each = &each;
        let hands: Vec<_> = all
            .chunks(all.len().div_ceil(HANDS))
            .map(|some| scope.spawn(move || some.iter().map(each).collect::<Vec<_>>()))
            .collect();
        hands.into_iter().flat_map(|hand| hand.join().unwrap()).collect()
    })
}

#[test]
fn a_daemon_that_is_killed_over_fifty_frozen_ones_with_clients_finds_all_of_them() {
    let mut daemon = Daemon::start(&[]);
    let asked = json!({"image": test_image(), "policy": {"freeze_after": "off"}});
    let made: Vec<Value> = at_once(&[(); 50], |()| daemon.client.create_as(&asked));
    let open: Vec<TcpStream> = at_once(&made, |container| {
        let open = [(); 2].map(|()| connect(text(container, "app_port")).unwrap());
        open.iter().for_each(|stream| assert!(ask_over(stream, "hello").unwrap().ends_with(": hello")));
        open
    })
    .into_iter()
    .flatten()
    .collect();
    at_once(&made, |container| daemon.client.freeze(container));
    daemon.kill();
    for mut stream in &open {
        let end = stream.read(&mut [0]);
        assert!(matches!(end, Ok(0) | Err(_)), "it ends with the daemon: {end:?}");
    }
    let id = |container: &Value| text(container, "container_id").to_owned();
    assert!(at_once(&made, |container| is_frozen(&id(container))).into_iter().all(|frozen| frozen));

    let begun = Instant::now();
    daemon.start_again(&[]);
    let shows = |container: &Value, field: &str| daemon.client.show(text(container, "uri"))[field].clone();
    assert!(made.iter().all(|container| shows(container, "status") == "running"));
    at_once(&made, |container| {
        let answer = ask(text(container, "app_port"), "again").unwrap();
        assert!(answer.ends_with(": again"), "{answer}");
        assert_eq!((shows(container, "depth"), shows(container, "failure")), ("awake".into(), Value::Null));
        assert!(!is_frozen(&id(container)));
    });
    println!("all were reached {:?} after the daemon was started again", begun.elapsed());
}
