//! Containers asleep on a real engine: pools that stay open, and who wakes what.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use deadpool_postgres::{Manager, Pool};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use tests::freezer::is_frozen;
use tests::{Daemon, Postgres, ask, test_image, text};
use tokio_postgres::NoTls;

const POSTGRES: &str = "atbaker/sd-postgres";
const POOLED: usize = 20;

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

/// A driver's own pool. It lends the connection that was given back last: all are asked for, so that all are open.
async fn backends(pool: &Pool) -> BTreeSet<i32> {
    let open = join_all((0..POOLED).map(|_| pool.get())).await;
    let mut backends = BTreeSet::new();
    for connection in open {
        let row = connection.unwrap().query_one("SELECT pg_backend_pid()", &[]).await.unwrap();
        backends.insert(row.get(0));
    }
    backends
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_of_twenty_connections_outlives_a_hundred_freezes() {
    let daemon = Daemon::start(&[]);
    let container = create(&daemon, POSTGRES, &json!({"freeze_after": "off"}));
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(text(&container, "app_port").parse().unwrap()).user("postgres");
    let pool = Pool::builder(Manager::new(config, NoTls)).max_size(POOLED).build().unwrap();
    let before = backends(&pool).await;
    assert_eq!(before.len(), POOLED);
    for cycle in 0..100 {
        tokio::task::block_in_place(|| daemon.client.freeze(&container));
        let connection = pool.get().await.unwrap();
        let row = connection.query_one("SELECT $1 + 1", &[&cycle]).await.unwrap();
        assert_eq!(row.get::<_, i32>(0), cycle + 1);
    }
    assert_eq!(backends(&pool).await, before, "none was opened anew");
}

#[test]
fn a_pool_freezes_by_itself_answers_again_and_finishes_a_long_query() {
    let daemon = Daemon::start(&[]);
    // Much longer than a query keeps it awake, were that use.
    let policy = json!({"freeze_after": "8s", "quiet_below": "10KiB/min", "busy_cpu": "off"});
    let container = create(&daemon, POSTGRES, &policy);
    let mut open = Postgres::connect(text(&container, "app_port")).unwrap();
    daemon.client.until(&container, "depth", "frozen");
    for _ in 0..5 {
        open.query("SELECT 1").unwrap();
        let begun = Instant::now();
        daemon.client.until(&container, "depth", "frozen");
        let awake = begun.elapsed();
        assert!(awake < Duration::from_secs(6), "one query keeps it awake for {awake:?}");
    }
    let froze = || daemon.client.kinds(&container).iter().filter(|kind| *kind == "froze").count();
    let before = froze();
    open.query("SELECT pg_sleep(4)").unwrap();
    assert_eq!(froze(), before, "while an answer is owed");
    daemon.client.until(&container, "depth", "frozen");
}

#[test]
fn whoever_hangs_up_on_a_frozen_one_does_not_keep_it_from_its_stop() {
    let daemon = Daemon::start(&[]);
    let container = create(&daemon, test_image(), &restless(&[]));
    let mut open = TcpStream::connect(format!("127.0.0.1:{}", text(&container, "app_port"))).unwrap();
    open.write_all(b"hello\n").unwrap();
    BufReader::new(&open).read_line(&mut String::new()).unwrap();
    daemon.client.freeze(&container);
    drop(open);
    daemon.client.until(&container, "status", "stopped");
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

/// One freezes by `PATCH` as another connects, up to some two milliseconds later. Where that is refused with 409, the connection met
/// the freeze under way, and is answered by itself. Else what it said may have reached the container just before: a person's word
/// freezes even that, and whoever comes next has it answered.
fn meets_a_freeze(daemon: &Daemon, container: &Value, number: u64) -> bool {
    let asking = || {
        std::thread::sleep(Duration::from_micros(number % 25 * 100));
        let mut stream = tests::connect(text(container, "app_port")).unwrap();
        stream.write_all(b"hello\n").unwrap();
        stream
    };
    let (frozen, stream) = std::thread::scope(|scope| {
        let frozen = scope.spawn(|| daemon.client.patch(text(container, "uri"), "depth=frozen"));
        let stream = asking();
        (frozen.join().unwrap(), stream)
    });
    let is_overtaken = frozen.status == 409 && frozen.text.contains("needed it meanwhile");
    assert!(is_overtaken || frozen.status == 200, "number {number}: {}", frozen.text);
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    if !is_overtaken && stream.peek(&mut [0]).is_err() {
        answers(container, "wakes it").unwrap_or_else(|error| panic!("number {number}: {error}"));
    }
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut answer = String::new();
    let read = BufReader::new(&stream).read_line(&mut answer);
    assert!(read.is_ok() && answer.ends_with(": hello\n"), "number {number}: {read:?} {answer:?}");
    is_overtaken
}

#[test]
fn connections_at_the_very_moment_of_freezing_are_all_answered() {
    const EACH: u64 = 125;
    let daemon = Daemon::start(&[]);
    let policy = json!({"freeze_after": "off"});
    let made: Vec<Value> = (0..8).map(|_| create(&daemon, test_image(), &policy)).collect();
    let met_by =
        |container: &Value| (0..EACH).filter(|number| meets_a_freeze(&daemon, container, *number)).count();
    let met_by = &met_by;
    let met: usize = std::thread::scope(|scope| {
        let all: Vec<_> = made.iter().map(|container| scope.spawn(move || met_by(container))).collect();
        all.into_iter().map(|one| one.join().unwrap()).sum()
    });
    println!("{met} of 1,000 met a freeze under way");
    assert!(met >= 100, "{met} of 1,000 met a freeze under way");
}

/// It is considered some 100 or 300 ms after a thaw: each comes a little later than the one before.
#[test]
fn connections_about_when_it_freezes_by_itself_are_all_answered() {
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
