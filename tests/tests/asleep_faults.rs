//! Sleep and wake when something is in the way: a freeze in a burst, a stop under way, a container that dies, an engine that is gone.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tests::{Client, Daemon, Dockerd, Settings, ask, connect, docker, test_image, text, throughout, until};

fn count(daemon: &Daemon, container: &Value, kind: &str) -> usize {
    daemon.client.kinds(container).iter().filter(|told| *told == kind).count()
}

fn answers(container: &Value, line: &str) {
    let answer = ask(text(container, "app_port"), line).unwrap();
    assert!(answer.ends_with(&format!(": {line}")), "{answer:?} to {line}");
}

/// It is closed, or reset, without a word; gives how long that took.
fn is_turned_away(container: &Value) -> Duration {
    let begun = Instant::now();
    let answer = ask(text(container, "app_port"), "hello");
    assert!(answer.as_ref().is_ok_and(String::is_empty) || is_reset(&answer), "{answer:?}");
    begun.elapsed()
}

fn is_reset(answer: &std::io::Result<String>) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionRefused, ConnectionReset};
    answer
        .as_ref()
        .is_err_and(|error| matches!(error.kind(), BrokenPipe | ConnectionRefused | ConnectionReset))
}

/// One connection of a burst: numbers, a line each, without an end.
struct Burst {
    stream: TcpStream,
    /// When so many lines are under way the next one comes after a pause.
    ahead: u64,
    is_over: AtomicBool,
    answered: AtomicU64,
}

impl Burst {
    fn new(container: &Value, ahead: u64) -> Self {
        let stream = connect(text(container, "app_port")).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(30))).unwrap();
        Self { stream, ahead, is_over: AtomicBool::new(false), answered: AtomicU64::new(0) }
    }

    /// Gives how many.
    fn send(&self) -> u64 {
        let mut number = 0;
        while !self.is_over.load(Ordering::Relaxed) {
            if number - self.answered.load(Ordering::Relaxed) >= self.ahead {
                std::thread::sleep(Duration::from_millis(20));
            }
            (&self.stream).write_all(format!("{number}\n").as_bytes()).unwrap();
            number += 1;
        }
        self.stream.shutdown(Shutdown::Write).unwrap();
        number
    }

    /// Each is answered in its turn, and the end comes after the last.
    fn read(&self) {
        for line in BufReader::new(&self.stream).lines() {
            let number = self.answered.load(Ordering::Relaxed);
            let line = line.unwrap_or_else(|error| panic!("after {number} lines: {error}"));
            assert!(line.ends_with(&format!(": {number}")), "{line} instead of {number}");
            self.answered.store(number + 1, Ordering::Relaxed);
        }
    }

    /// Sends and reads for as long as somebody else is at work.
    fn during(&self, work: impl FnOnce()) {
        std::thread::scope(|scope| {
            let (sending, reading) = (scope.spawn(|| self.send()), scope.spawn(|| self.read()));
            work();
            self.is_over.store(true, Ordering::Relaxed);
            let sent = sending.join().unwrap();
            reading.join().unwrap();
            assert_eq!(self.answered.load(Ordering::Relaxed), sent, "every line was answered");
            println!("{sent} lines");
        })
    }
}

/// Whether it froze. A byte that came meanwhile has it awake again, or it did not freeze for that.
fn freezes(daemon: &Daemon, container: &Value) -> bool {
    let asked = daemon.client.patch(text(container, "uri"), "depth=frozen");
    assert!(asked.status == 200 || asked.text.contains("needed it meanwhile"), "{}", asked.text);
    asked.status == 200
}

/// A person's freeze holds for what was sent before, if nothing comes after it.
fn thaws(daemon: &Daemon, container: &Value) {
    let asked = daemon.client.patch(text(container, "uri"), "depth=awake");
    assert_eq!(asked.status, 200, "{}", asked.text);
}

#[test]
fn a_burst_loses_nothing_to_freezes_by_hand_and_by_itself() {
    const FREEZES: usize = 50;
    let daemon = Daemon::start(&[]);
    let policy = json!({"freeze_after": "1ms", "busy_cpu": "off"});
    let container = daemon.client.create_as(&json!({"image": test_image(), "policy": policy}));
    Burst::new(&container, 100).during(|| {
        let mut frozen = 0;
        until("it was frozen so often in the burst", Duration::from_secs(60), || {
            frozen += usize::from(freezes(&daemon, &container));
            (frozen == FREEZES).then_some(())
        });
        thaws(&daemon, &container);
    });
    let woke = count(&daemon, &container, "woke");
    assert!(woke > FREEZES / 2, "the next bytes woke it {woke} times");
}

/// What it does not take in time stands in all the sockets on the way, and in the daemon: no byte of the client's can be read that
/// would wake it.
#[test]
fn a_client_that_sends_faster_than_it_is_read_is_not_stuck_by_a_freeze() {
    let daemon = Daemon::start(&[]);
    let policy = json!({"freeze_after": "1ms", "busy_cpu": "off"});
    let container = daemon.client.create_as(&json!({"image": test_image(), "policy": policy}));
    Burst::new(&container, u64::MAX).during(|| {
        throughout(Duration::from_secs(10), || {
            freezes(&daemon, &container);
        });
        thaws(&daemon, &container);
    });
}

/// Nobody's use keeps it, so that looks stop it within seconds.
fn restless(env: &Value) -> Value {
    let policy = json!({"initial_timeout_interval": "2s", "timeout_interval": "1s", "freeze_after": "off"});
    json!({"image": test_image(), "policy": policy, "env": env})
}

#[test]
fn whoever_comes_while_it_is_being_stopped_is_served_by_the_next_start() {
    let daemon = Daemon::start(&[]);
    let container = daemon.client.create_as(&restless(&json!({"STOP_DELAY": "2"})));
    let first = docker(&["inspect", "-f", "{{.State.StartedAt}}", text(&container, "container_id")]);
    daemon.client.until(&container, "status", "stopping");
    std::thread::scope(|scope| {
        for number in 0..10 {
            let container = &container;
            scope.spawn(move || answers(container, &format!("hello {number}")));
        }
    });
    let shown = daemon.client.show(text(&container, "uri"));
    assert_eq!(
        (&shown["status"], &shown["depth"], &shown["failure"]),
        (&"running".into(), &"awake".into(), &Value::Null)
    );
    let inspect = ["inspect", "-f", "{{.State.StartedAt}}", text(&container, "container_id")];
    assert_ne!(docker(&inspect), first, "another run has answered");
    let kinds = daemon.client.kinds(&container);
    assert_eq!(kinds, ["created", "started", "stopped", "woke"]);
}

/// It is made, and dies before its port accepts, a second after each start.
#[test]
fn who_waits_for_one_that_dies_while_it_wakes_is_closed_and_the_next_one_tries_anew() {
    let daemon = Daemon::start(&[]);
    // Not one of its own: it cannot listen there.
    let env = json!({"START_DELAY": "1", "LISTEN_ON": "192.0.2.1"});
    let container = daemon.client.create_as(&json!({"image": test_image(), "env": env}));
    daemon.client.until(&container, "status", "stopped");
    let is_held = |time: Duration| time > Duration::from_millis(700);
    let next_that_waits = || {
        until("somebody's wish is tried", Duration::from_secs(20), || {
            let held = is_turned_away(&container);
            assert!(held < Duration::from_secs(5), "left hanging for {held:?}");
            is_held(held).then(|| Instant::now() - held)
        })
    };
    let died = {
        next_that_waits();
        Instant::now()
    };
    assert!(!is_held(is_turned_away(&container)), "it is not tried at once");
    let tried = next_that_waits() - died;
    // It died twice in a row.
    assert!((1.5..6.0).contains(&tried.as_secs_f32()), "tried again {tried:?} later");
    assert_eq!(daemon.client.kinds(&container).iter().filter(|kind| *kind == "woke").count(), 2);
    let events = daemon.client.get(&format!("{}/events?limit=200", text(&container, "uri"))).text;
    for told in ["ended by itself", "woke again too soon"] {
        assert!(events.contains(told), "{told}: {events}");
    }
    let shown = daemon.client.show(text(&container, "uri"));
    assert!(shown["failure"].as_str().is_some_and(|why| why.contains("exit code")), "{shown}");
}

/// By its name, as a program that is no browser.
fn page(daemon: &Daemon, container: &Value) -> u16 {
    let host = format!("{}.localhost", &text(container, "container_id")[..12]);
    Client::anonymous(&daemon.base).send("GET", "/", &[("host", &host)], None).status
}

#[test]
fn while_the_engine_is_away_what_is_stopped_turns_clients_away_at_once_and_what_is_frozen_serves() {
    let mut engine = Dockerd::start();
    let settings: Settings<'_> = &[("engine_host", &engine.host())];
    let daemon = Daemon::start(settings);
    let stopped = daemon.client.create_as(&restless(&json!({})));
    let frozen = daemon.client.create_as(&json!({"image": test_image(), "policy": {"freeze_after": "off"}}));
    daemon.client.until(&stopped, "status", "stopped");
    daemon.client.freeze(&frozen);
    engine.kill();
    for again in 0..3 {
        let took = is_turned_away(&stopped);
        assert!(took < Duration::from_secs(1), "number {again} after {took:?}");
        let begun = Instant::now();
        assert_eq!(page(&daemon, &stopped), 503);
        assert!(begun.elapsed() < Duration::from_secs(1), "number {again} after {:?}", begun.elapsed());
    }
    answers(&frozen, "without an engine");
    engine.start_again();
    until("it is woken again", Duration::from_secs(30), || {
        ask(text(&stopped, "app_port"), "back").is_ok_and(|answer| answer.ends_with(": back")).then_some(())
    });
}
