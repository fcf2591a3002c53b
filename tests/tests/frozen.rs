//! Frozen containers and what their engine does: it ends, it restarts, it runs a command in one.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use serde_json::{Value, json};
use std::time::Duration;
use tests::{Daemon, Dockerd, Postgres, docker, test_image, text, throughout};

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
fn an_engine_that_is_told_to_end_over_twenty_frozen_databases_shuts_each_down_in_order() {
    let mut engine = Dockerd::start();
    engine.load("atbaker/sd-postgres");
    let daemon = on(&engine);
    let made = frozen(&daemon, "atbaker/sd-postgres", 20);
    engine.stop();
    engine.start_again();
    for container in &made {
        let id = text(container, "container_id");
        // PostgreSQL writes to both.
        let logs = ["--host", &engine.host(), "logs", id];
        let logs = std::process::Command::new("docker").args(logs).output().unwrap();
        let logs = [logs.stdout, logs.stderr].concat();
        let logs = String::from_utf8_lossy(&logs);
        assert!(logs.contains("database system is shut down"), "{id}: {logs}");
    }
}

#[test]
fn twenty_frozen_databases_outlive_an_engine_that_restores_them() {
    let mut engine = Dockerd::start_with(&["--live-restore"]);
    engine.load("atbaker/sd-postgres");
    let daemon = on(&engine);
    let made = frozen(&daemon, "atbaker/sd-postgres", 20);
    let connect = |container| Postgres::connect(text(container, "app_port")).unwrap();
    let mut open: Vec<Postgres> = made.iter().map(connect).collect();
    made.iter().for_each(|container| daemon.client.freeze(container));
    engine.stop();
    engine.start_again();
    made.iter().for_each(|container| daemon.client.until(container, "status", "running"));
    open.iter_mut().for_each(|open| open.query("SELECT 1").unwrap());
}

#[test]
fn a_command_that_runs_in_one_keeps_it_awake() {
    let daemon = Daemon::start(&[]);
    let policy = json!({"freeze_after": "500ms", "busy_cpu": "off"});
    let container = daemon.client.create_as(&json!({"image": test_image(), "policy": policy}));
    daemon.client.until(&container, "depth", "frozen");
    docker(&["exec", "-d", text(&container, "container_id"), "sleep", "5"]);
    daemon.client.until(&container, "depth", "awake");
    throughout(Duration::from_secs(3), || {
        assert_eq!(daemon.client.show(text(&container, "uri"))["depth"], "awake");
    });
    daemon.client.until(&container, "depth", "frozen");
}
