//! What a frozen program waits for: a timer of its own, which fires since it runs for a moment now and then while clients are connected.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use serde_json::{Value, json};
use std::io::{Read, Write};
use std::time::{Duration, Instant};
use tests::{
    Daemon, Dialogue, Dockerd, Postgres, connect, freezer, hide_control_groups, protocol_image, text,
    throughout,
};

/// Two of the shortest pauses, a breath, and what a busy machine takes.
const LATE: Duration = Duration::from_secs(15);
const SAYS_AND_WAITS: &str = "DO $$ BEGIN RAISE NOTICE 'begun'; PERFORM pg_sleep(12); END $$";

fn create(daemon: &Daemon, image: &str, breathe: bool) -> Value {
    let policy = json!({"freeze_after": "1s", "breathe": breathe});
    daemon.client.create_as(&json!({"image": image, "policy": policy}))
}

fn answers_though_it_froze_midway(daemon: &Daemon) {
    let container = create(daemon, "atbaker/sd-postgres", true);
    let mut client = Postgres::connect(text(&container, "app_port")).unwrap();
    let begun = Instant::now();
    client.query(SAYS_AND_WAITS).unwrap();
    let took = begun.elapsed();
    assert!((Duration::from_secs(12)..Duration::from_secs(12) + LATE).contains(&took), "{took:?}");
    let kinds = daemon.client.kinds(&container);
    let froze = kinds.iter().position(|kind| kind == "froze").unwrap();
    assert!(!kinds[froze..].contains(&"woke".to_owned()), "no byte of a client's was needed: {kinds:?}");
    client.query("SELECT 1").unwrap();
}

#[test]
fn a_statement_that_spoke_and_waits_is_answered_though_it_froze_midway() {
    answers_though_it_froze_midway(&Daemon::start(&[]));
}

#[test]
fn so_it_is_over_control_groups_of_version_2() {
    let engine = Dockerd::start_unified();
    engine.load("atbaker/sd-postgres");
    answers_though_it_froze_midway(&Daemon::start(&[("engine_host", &engine.host())]));
}

#[test]
fn so_it_is_by_the_engine_s_pause() {
    hide_control_groups();
    answers_though_it_froze_midway(&Daemon::start(&[]));
}

#[test]
fn a_command_over_ssh_that_spoke_and_waits_goes_on_though_it_froze_midway() {
    let daemon = Daemon::start(&[]);
    let container = create(&daemon, "spin-docker/sd-base", true);
    let mut shell = Dialogue::over_ssh(&daemon, &container, &[]);
    assert_eq!(shell.ask("echo begun; sleep 10; echo done"), "begun");
    daemon.client.until(&container, "depth", "frozen");
    assert_eq!(shell.hear(), "done");
}

#[test]
fn a_server_hangs_up_by_its_own_timeout_though_it_is_frozen() {
    let daemon = Daemon::start(&[]);
    let container = create(&daemon, &protocol_image("redis"), true);
    let mut client = connect(text(&container, "app_port")).unwrap();
    client.write_all(b"CONFIG SET timeout 8\r\n").unwrap();
    let mut heard = String::new();
    client.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "+OK\r\n");
    assert!(daemon.client.kinds(&container).contains(&"froze".to_owned()));
}

#[test]
fn without_breaths_it_stays_frozen_until_a_byte_comes() {
    let daemon = Daemon::start(&[]);
    let container = create(&daemon, "spin-docker/sd-base", false);
    let mut shell = Dialogue::over_ssh(&daemon, &container, &[]);
    assert_eq!(shell.ask("echo begun; sleep 3; echo done"), "begun");
    daemon.client.until(&container, "depth", "frozen");
    let id = text(&container, "container_id");
    throughout(Duration::from_secs(8), || assert!(freezer::is_frozen(id)));
    assert_eq!(shell.ask("echo more"), "done");
}
