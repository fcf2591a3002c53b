//! Two daemons under one name, a store that was lost, and yesterday's store: what another store made is reported once, and
//! left alone.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tests::{Daemon, ask, docker, test_image, text, until};

fn state(id: &str) -> String {
    docker(&["inspect", "-f", "{{.Name}} {{json .State}} {{json .NetworkSettings.Networks}}", id])
}

fn addresses(id: &str) -> String {
    docker(&["inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAMConfig.IPv4Address}}{{end}}", id])
}

fn id(container: &Value) -> &str {
    text(container, "container_id")
}

/// A new one, which is reached.
fn works(daemon: &Daemon) -> Value {
    let container = daemon.client.create(test_image());
    let answer = ask(text(&container, "app_port"), "here").unwrap();
    assert!(answer.ends_with("here"), "{answer}");
    container
}

/// Once, however often it is looked for.
fn is_reported_once(daemon: &Daemon, strangers: &[&str]) {
    for _ in 0..3 {
        assert_eq!(daemon.client.get("/v1/containers?audit=true").status, 200);
    }
    let log = daemon.log();
    for stranger in strangers {
        let lines = log.lines().filter(|line| line.contains("left alone") && line.contains(stranger));
        assert_eq!(lines.count(), 1, "{stranger}");
    }
}

#[test]
fn two_under_one_name_keep_out_of_each_others_way() {
    let first = Daemon::start(&[]);
    let theirs = works(&first);
    let before = state(id(&theirs));
    let second = Daemon::start(&[("instance", &first.instance)]);
    assert!(second.log().contains("belongs to another spin-docker"), "it says so");
    let ours = works(&second);
    is_reported_once(&second, &[id(&theirs)]);
    is_reported_once(&first, &[id(&ours)]);
    let networks = docker(&[
        "network",
        "ls",
        "-q",
        "--filter",
        &format!("label=spin-docker.instance={}", first.instance),
    ]);
    assert_eq!(networks.split_whitespace().count(), 2, "each has its own");

    docker(&["exec", id(&theirs), "say", "POST", "gateway", "80", "/v1/check-in", "active-connections=7"]);
    until("a check-in still arrives where it belongs", Duration::from_secs(5), || {
        (first.client.show(text(&theirs, "uri"))["active"] == "7").then_some(())
    });
    assert_eq!(second.client.delete(text(&ours, "uri")).status, 204);
    drop(second);
    assert_eq!(state(id(&theirs)), before);
    let answer = ask(text(&theirs, "app_port"), "as before").unwrap();
    assert!(answer.ends_with("as before"), "{answer}");
}

#[test]
fn a_lost_store_is_begun_anew_beside_what_it_knew() {
    let mut daemon = Daemon::start(&[]);
    let lost = works(&daemon);
    daemon.kill();
    let before = state(id(&lost));
    let anew = tempfile::tempdir().unwrap();
    daemon.start_again(&[("data_dir", anew.path().to_str().unwrap())]);
    assert_eq!(daemon.client.get("/v1/containers").text, "[]");
    let container = works(&daemon);
    is_reported_once(&daemon, &[id(&lost)]);
    assert_ne!(addresses(id(&container)), addresses(id(&lost)));
    assert_eq!(daemon.client.delete(text(&container, "uri")).status, 204);
    assert_eq!(state(id(&lost)), before);
    // It ends before its folder does.
    daemon.end();
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").args(["-aT".as_ref(), from.as_os_str(), to.as_os_str()]).status();
    assert!(copied.unwrap().success());
}

#[test]
fn yesterdays_store_gives_nothing_out_twice() {
    let (folder, yesterday) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut daemon = Daemon::start(&[("data_dir", folder.path().to_str().unwrap())]);
    let deleted = works(&daemon);
    assert_eq!(daemon.end(), Some(0));
    copy(folder.path(), yesterday.path());
    daemon.start_again(&[]);
    assert_eq!(daemon.client.delete(text(&deleted, "uri")).status, 204);
    let (runs, sleeps) = (works(&daemon), works(&daemon));
    docker(&["stop", id(&sleeps)]);
    assert_eq!(daemon.end(), Some(0));
    let before = [state(id(&runs)), state(id(&sleeps))];

    daemon.start_again(&[("data_dir", yesterday.path().to_str().unwrap())]);
    let shown = daemon.client.show(text(&deleted, "uri"));
    assert!(text(&shown, "failure").contains("DELETE it and create a new one"), "{shown}");
    is_reported_once(&daemon, &[id(&runs), id(&sleeps)]);
    let taken = [addresses(id(&runs)), addresses(id(&sleeps))];
    for _ in 0..3 {
        let container = works(&daemon);
        assert!(!taken.contains(&addresses(id(&container))), "{taken:?}");
    }
    assert_eq!([state(id(&runs)), state(id(&sleeps))], before);
    docker(&["start", id(&sleeps)]);
    daemon.end();
}
