//! Frozen containers and what their engine does: it runs a command in one, it pauses one, it stops one.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tests::freezer::Group;
use tests::{Daemon, Dockerd, ask, docker, docker_quietly, test_image, text, throughout, until};

fn on(engine: &Dockerd) -> Daemon {
    Daemon::start(&[("engine_host", &engine.host())])
}

fn frozen(daemon: &Daemon, image: &str, count: usize) -> Vec<Value> {
    let asked = json!({"image": image, "policy": {"freeze_after": "off"}});
    let made: Vec<Value> = (0..count).map(|_| daemon.client.create_as(&asked)).collect();
    made.iter().for_each(|container| daemon.client.freeze(container));
    made
}

#[test]
fn a_command_that_runs_in_one_keeps_it_awake() {
    let daemon = Daemon::start(&[]);
    let policy = json!({"freeze_after": "2s", "busy_cpu": "off"});
    let container = daemon.client.create_as(&json!({"image": test_image(), "policy": policy}));
    daemon.client.until(&container, "depth", "frozen");
    // Awake when the command comes: one that meets the freeze may be refused by runc, which docs/frozen.md says.
    assert!(ask(text(&container, "app_port"), "hello").unwrap().ends_with(": hello"));
    docker(&["exec", "-d", text(&container, "container_id"), "sleep", "5"]);
    throughout(Duration::from_millis(3500), || {
        assert_eq!(daemon.client.show(text(&container, "uri"))["depth"], "awake");
    });
    daemon.client.until(&container, "depth", "frozen");
}

#[test]
fn one_that_works_for_nobody_stays_awake_until_it_is_done() {
    let daemon = Daemon::start(&[]);
    let create = |works: &str| {
        let policy = json!({"freeze_after": "1s"});
        daemon.client.create_as(&json!({"image": test_image(), "env": {"WORKS": works}, "policy": policy}))
    };
    let (works, rests) = (create("8"), create("0"));
    daemon.client.until(&rests, "depth", "frozen");
    throughout(Duration::from_secs(3), || {
        assert_eq!(daemon.client.show(text(&works, "uri"))["depth"], "awake");
    });
    let why = daemon.client.get(&format!("{}/why", text(&works, "uri"))).text;
    assert!(why.contains("of a core"), "{why}");
    daemon.client.until(&works, "depth", "frozen");
}

#[test]
fn over_control_groups_of_version_2_it_sleeps_and_wakes_alike() {
    let engine = Dockerd::start_unified();
    let daemon = on(&engine);
    let container =
        daemon.client.create_as(&json!({"image": test_image(), "policy": {"freeze_after": "1s"}}));
    let answers = || assert!(ask(text(&container, "app_port"), "hello").unwrap().ends_with(": hello"));
    let frozen = || daemon.client.until(&container, "depth", "frozen");
    let id = text(&container, "container_id");
    answers();
    frozen();
    assert!(Group::of(id, |args| engine.docker(args)).is_frozen(), "the kernel has it so");
    let why = daemon.client.get(&format!("{}/why", text(&container, "uri"))).text;
    assert!(why.contains("by cgroup"), "{why}");
    answers();
    frozen();
    assert_eq!(engine.docker(&["exec", id, "echo", "inside"]).trim(), "inside");
    frozen();
    let begun = Instant::now();
    engine.docker(&["stop", id]);
    assert!(begun.elapsed() < Duration::from_secs(8), "it was thawed for its end");
    daemon.client.until(&container, "status", "stopped");
}

/// Either may be refused: the engine does not know that it is frozen. Nothing is left of it.
#[test]
fn a_pause_and_an_unpause_of_a_frozen_one_leave_it_as_usable_as_it_was() {
    let daemon = Daemon::start(&[]);
    let container = frozen(&daemon, test_image(), 1).remove(0);
    let id = text(&container, "container_id");
    for command in ["unpause", "pause", "unpause"] {
        let done = docker_quietly(&[command, id]);
        eprintln!("docker {command}: {done:?}");
    }
    until("it answers", Duration::from_secs(30), || {
        ask(text(&container, "app_port"), "hello").ok().filter(|answer| answer.ends_with(": hello"))
    });
    assert_eq!(docker(&["inspect", "-f", "{{.State.Paused}}", id]), "false");
    assert_eq!(daemon.client.show(text(&container, "uri"))["depth"], "awake");
}
