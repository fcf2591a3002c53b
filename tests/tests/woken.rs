//! What is stopped, how, and whether a connection wakes it: the rows of the table in docs/policy.md, on a real engine. Want of
//! memory on the host is `control/tests/pressure.rs`'s; a connection after a start that failed is `control/tests/sleep.rs`'s.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use serde_json::{Value, json};
use std::time::Duration;
use tests::{Daemon, Dockerd, ask, docker, test_image, text, until};

const SECONDS: Duration = Duration::from_secs(30);

/// One whose looks stop it within seconds, or do not.
fn create(daemon: &Daemon, more: &Value) -> Value {
    let mut asked = json!({"image": test_image(), "policy": {"freeze_after": "off"}});
    for (field, value) in more.as_object().unwrap() {
        asked[field] = value.clone();
    }
    daemon.client.create_as(&asked)
}

fn id(container: &Value) -> &str {
    text(container, "container_id")
}

/// Its first process is told so from inside, once it hears: the engine knows of no signal.
fn from_inside(container: &Value, signal: &str) {
    assert!(answers(container));
    docker(&["exec", "-d", id(container), "bash", "-c", &format!("kill -s {signal} 1")]);
}

fn answers(container: &Value) -> bool {
    ask(text(container, "app_port"), "hello").is_ok_and(|answer| answer.ends_with(": hello"))
}

/// Once it has ended, a connection wakes it, or does not, and what is shown says why it ended.
fn ended(daemon: &Daemon, container: &Value, how: &str, wakes: bool, failure: &str) {
    daemon.client.until(container, "status", "stopped");
    // An engine that removes one ends it first, and is done with that some time later.
    until(&format!("{how}: {failure:?} is said of it"), SECONDS, || {
        let shown = daemon.client.show(text(container, "uri"));
        let said = shown["failure"].as_str().unwrap_or_default();
        (said.contains(failure) && said.is_empty() == failure.is_empty()).then_some(())
    });
    if wakes {
        // One that ended by itself has a pause of a second.
        until("it answers", SECONDS, || answers(container).then_some(()));
    } else {
        assert!(!answers(container), "{how}");
    }
    let status = daemon.client.show(text(container, "uri"))["status"].clone();
    assert_eq!(status, if wakes { "running" } else { "stopped" }, "{how}");
}

#[test]
fn what_a_person_stopped_stays_stopped() {
    let daemon = Daemon::start(&[]);
    let [patched, stopped, killed, removed] = std::array::from_fn(|_| create(&daemon, &json!({})));
    daemon.client.patch(text(&patched, "uri"), "status=stopped");
    docker(&["stop", id(&stopped)]);
    docker(&["kill", id(&killed)]);
    docker(&["rm", "-fv", id(&removed)]);
    ended(&daemon, &patched, "PATCH", false, "");
    ended(&daemon, &stopped, "docker stop", false, "");
    ended(&daemon, &killed, "docker kill", false, "");
    ended(&daemon, &removed, "docker rm", false, "somebody removed it");
}

#[test]
fn what_ended_otherwise_is_woken() {
    let daemon = Daemon::start(&[("memory", "64m")]);
    let looks = json!({"initial_timeout_interval": "1s", "timeout_interval": "1s", "freeze_after": "off"});
    let idle = create(&daemon, &json!({"policy": looks}));
    let [exits, out_of_memory] = std::array::from_fn(|_| create(&daemon, &json!({})));
    let crashes = create(&daemon, &json!({"env": {"DIES_AFTER": "2"}}));
    from_inside(&exits, "TERM");
    from_inside(&out_of_memory, "USR1");
    ended(&daemon, &idle, "its looks", true, "");
    ended(&daemon, &exits, "it exited", true, "exit code 0");
    ended(&daemon, &crashes, "it crashed", true, "exit code 3");
    ended(&daemon, &out_of_memory, "out of memory", true, "memory");
}

/// Two at each end: one that waits until it is needed, and one with `restart`.
struct Pair {
    needed: Value,
    always: Value,
}

impl Pair {
    fn create(daemon: &Daemon) -> Self {
        let restart = json!({"policy": {"freeze_after": "off", "restart": true}});
        Self { needed: create(daemon, &json!({})), always: create(daemon, &restart) }
    }

    fn ended(&self, daemon: &Daemon, how: &str) {
        let events = format!("{}/events", text(&self.always, "uri"));
        until(&format!("it is started again: {how}"), SECONDS, || {
            let told = daemon.client.get(&events).text;
            (told.contains(r#""kind":"exited""#) && told.contains(r#""by":"restart""#)).then_some(())
        });
        daemon.client.until(&self.always, "status", "running");
        ended(daemon, &self.needed, how, true, "while spin-docker or the engine was away");
    }
}

#[test]
fn what_the_engine_took_with_it_is_woken_and_started_where_its_policy_says_so() {
    let mut dockerd = Dockerd::start();
    let daemon = Daemon::start(&[("engine_host", &dockerd.host())]);
    let pair = Pair::create(&daemon);
    dockerd.stop();
    until("the engine is missed", SECONDS, || (daemon.client.get("/readyz").status == 503).then_some(()));
    dockerd.start_again();
    pair.ended(&daemon, "the engine restarted");
}

#[test]
fn what_a_reboot_ended_is_woken_and_started_where_its_policy_says_so() {
    let mut dockerd = Dockerd::start();
    let mut daemon = Daemon::start(&[("engine_host", &dockerd.host())]);
    let pair = Pair::create(&daemon);
    daemon.kill();
    dockerd.lose_power();
    dockerd.start_again();
    daemon.start_again(&[]);
    pair.ended(&daemon, "the host restarted");
}
