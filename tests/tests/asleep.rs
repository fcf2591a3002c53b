//! Containers asleep on a real engine: pools that stay open, what the engine does to frozen ones, and who wakes what.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use tests::freezer::is_frozen;
use tests::{Daemon, Postgres, ask, docker, test_image, text, until};

const POSTGRES: &str = "atbaker/sd-postgres";
const SECONDS: Duration = Duration::from_secs(30);

fn create(daemon: &Daemon, image: &str, policy: &Value) -> Value {
    daemon.client.create_as(&json!({"image": image, "policy": policy}))
}

fn shows(daemon: &Daemon, container: &Value, field: &str) -> String {
    text(&daemon.client.show(text(container, "uri")), field).to_owned()
}

/// Its server has answered, and nobody else.
fn answers(container: &Value, line: &str) -> std::io::Result<()> {
    let answer = ask(text(container, "app_port"), line)?;
    if answer.ends_with(&format!(": {line}")) { Ok(()) } else { Err(std::io::Error::other(answer)) }
}

/// Nobody's use keeps it, so that looks stop it within seconds.
fn restless(more: &[(&str, &str)]) -> Value {
    let mut policy =
        json!({"initial_timeout_interval": "1s", "timeout_interval": "1s", "freeze_after": "off"});
    for (term, value) in more {
        policy[term] = (*value).into();
    }
    policy
}

#[test]
fn a_pool_of_twenty_connections_outlives_a_hundred_freezes() {
    let daemon = Daemon::start(&[]);
    let container = create(&daemon, POSTGRES, &json!({"freeze_after": "off"}));
    let port = text(&container, "app_port");
    let mut pool: Vec<Postgres> = (0..20).map(|_| Postgres::connect(port).unwrap()).collect();
    for cycle in 0..100 {
        daemon.client.freeze(&container);
        pool[cycle % 20].query("SELECT 1").unwrap();
        assert_eq!(shows(&daemon, &container, "depth"), "awake");
    }
    pool.iter_mut().for_each(|open| open.query("SELECT 1").unwrap());
}

#[test]
fn a_pool_freezes_by_itself_answers_keep_alives_and_finishes_a_long_query() {
    let daemon = Daemon::start(&[]);
    let container = create(&daemon, POSTGRES, &json!({"freeze_after": "1s"}));
    let mut open = Postgres::connect(text(&container, "app_port")).unwrap();
    for _ in 0..5 {
        daemon.client.until(&container, "depth", "frozen");
        open.query("SELECT 1").unwrap();
        let begun = Instant::now();
        daemon.client.until(&container, "depth", "frozen");
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "a keep-alive keeps nothing awake: {:?}",
            begun.elapsed()
        );
    }
    let froze = || daemon.client.kinds(&container).iter().filter(|kind| *kind == "froze").count();
    let before = froze();
    open.query("SELECT pg_sleep(4)").unwrap();
    assert_eq!(froze(), before, "while an answer is owed");
    daemon.client.until(&container, "depth", "frozen");
}

#[test]
fn what_the_engine_does_to_frozen_ones_ends_well() {
    let daemon = Daemon::start(&[]);
    let policy = json!({"freeze_after": "off"});
    let made: Vec<Value> = (0..4).map(|_| create(&daemon, POSTGRES, &policy)).collect();
    let [stopped, restarted, entered, removed] = &made[..] else { unreachable!() };
    made.iter().for_each(|container| daemon.client.freeze(container));
    let id = |container: &Value| text(container, "container_id").to_owned();
    for arguments in [
        &["exec", &id(entered), "true"][..],
        &["stop", &id(stopped)],
        &["restart", &id(restarted)],
        &["rm", "-f", &id(removed)],
    ] {
        let begun = Instant::now();
        docker(arguments);
        // The grace is 10 s.
        assert!(begun.elapsed() < Duration::from_secs(8), "{arguments:?} took {:?}", begun.elapsed());
    }
    for container in [stopped, restarted] {
        let logs = std::process::Command::new("docker").args(["logs", &id(container)]).output().unwrap();
        let logs = [logs.stdout, logs.stderr].concat();
        let logs = String::from_utf8_lossy(&logs);
        assert!(logs.contains("database system is shut down"), "{logs}");
    }
    daemon.client.until(restarted, "status", "running");
    until("it serves again", SECONDS, || Postgres::connect(text(restarted, "app_port")).ok());
    daemon.client.until(stopped, "status", "stopped");
    assert!(
        TcpStream::connect(format!("127.0.0.1:{}", text(stopped, "app_port"))).is_err(),
        "a person stopped it"
    );
    daemon.client.until(removed, "status", "stopped");
}

#[test]
fn a_daemon_that_is_killed_over_frozen_ones_finds_them_and_one_that_ends_leaves_none() {
    let mut daemon = Daemon::start(&[]);
    let policy = json!({"freeze_after": "off"});
    let made: Vec<Value> = (0..5).map(|_| create(&daemon, test_image(), &policy)).collect();
    let open: Vec<TcpStream> = made
        .iter()
        .map(|one| TcpStream::connect(format!("127.0.0.1:{}", text(one, "app_port"))).unwrap())
        .collect();
    made.iter().for_each(|container| daemon.client.freeze(container));
    daemon.kill();
    assert!(made.iter().all(|container| is_frozen(text(container, "container_id"))));
    daemon.start_again(&[]);
    for container in &made {
        assert_eq!(shows(&daemon, container, "status"), "running");
        answers(container, "hello").unwrap();
        assert_eq!(shows(&daemon, container, "depth"), "awake");
    }
    drop(open);
    made.iter().for_each(|container| daemon.client.freeze(container));
    daemon.end();
    for container in &made {
        assert!(!is_frozen(text(container, "container_id")));
    }
}

#[test]
fn a_hundred_connections_at_once_are_one_start_and_lose_nothing() {
    let daemon = Daemon::start(&[]);
    let container = create(&daemon, test_image(), &restless(&[]));
    daemon.client.until(&container, "status", "stopped");
    std::thread::scope(|scope| {
        let container = &container;
        let asking: Vec<_> = (0..100)
            .map(|number| scope.spawn(move || answers(container, &format!("hello {number}"))))
            .collect();
        asking.into_iter().for_each(|asked| asked.join().unwrap().unwrap());
    });
    let kinds = daemon.client.kinds(&container);
    let woke = kinds.iter().filter(|kind| *kind == "woke").count();
    let started = kinds.iter().filter(|kind| *kind == "started").count();
    assert_eq!((woke, started), (1, 1), "{kinds:?}");
}

/// It is considered some 100 or 300 ms after a thaw: each comes a little later than the one before.
#[test]
fn connections_at_the_very_moment_of_freezing_are_all_answered() {
    let daemon = Daemon::start(&[]);
    let policy = json!({"freeze_after": "1ms", "busy_cpu": "off"});
    let made: Vec<Value> = (0..8).map(|_| create(&daemon, test_image(), &policy)).collect();
    std::thread::scope(|scope| {
        for container in &made {
            scope.spawn(move || {
                for number in 0..125 {
                    answers(container, "hello").unwrap_or_else(|error| panic!("number {number}: {error}"));
                    std::thread::sleep(Duration::from_millis(95 + number % 20));
                }
            });
        }
    });
    for container in &made {
        let froze = daemon.client.kinds(container).iter().filter(|kind| *kind == "froze").count();
        assert!(froze > 5, "it froze in between: {froze}");
    }
}

#[test]
fn a_first_byte_wakes_what_a_bare_connect_does_not_and_api_is_for_requests_alone() {
    let daemon = Daemon::start(&[]);
    let by_byte = create(&daemon, test_image(), &restless(&[("wake", "first-byte")]));
    let by_api = create(&daemon, test_image(), &restless(&[("wake", "api")]));
    daemon.client.until(&by_byte, "status", "stopped");
    daemon.client.until(&by_api, "status", "stopped");
    let address = |container: &Value| format!("127.0.0.1:{}", text(container, "app_port"));
    let refused = TcpStream::connect(address(&by_api)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    let mut scan = TcpStream::connect(address(&by_byte)).unwrap();
    tests::throughout(Duration::from_secs(2), || assert_eq!(shows(&daemon, &by_byte, "status"), "stopped"));
    scan.write_all(b"hello\n").unwrap();
    let mut answer = String::new();
    BufReader::new(&scan).read_line(&mut answer).unwrap();
    assert!(answer.ends_with(": hello\n"), "the byte that woke it arrives: {answer}");
    assert!(daemon.client.kinds(&by_byte).contains(&"woke".to_owned()));
}
