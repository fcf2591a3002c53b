//! What the doctor says of machines that are well, that are not, and of settings that cannot be.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::process::Output;
use tests::{Daemon, hide_control_groups, test_image};

/// Its report, and its exit code.
fn doctor(daemon: &Daemon, arguments: &[&str]) -> (Value, i32) {
    let output = daemon.run(&[&["doctor", "--json"], arguments].concat());
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(&output)));
    (report, output.status.code().unwrap())
}

fn said(output: &Output) -> String {
    [output.stdout.as_slice(), &output.stderr]
        .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
        .concat()
}

/// The one check of this name.
fn check<'a>(report: &'a Value, name: &str) -> &'a Value {
    let mut named = report["checks"].as_array().unwrap().iter().filter(|check| check["name"] == name);
    named.next().unwrap_or_else(|| panic!("no {name} in {report:#}"))
}

/// It is so, it is said with this word, and whatever is not right comes with advice.
fn is(report: &Value, name: &str, state: &str, word: &str) {
    let check = check(report, name);
    assert_eq!(check["state"], state, "{check}");
    assert!(check.to_string().contains(word), "{check}");
    assert_eq!(check["advice"].is_null(), state == "right", "{check}");
}

#[test]
fn beside_a_daemon_nothing_is_wrong_and_its_containers_are_counted() {
    let daemon = Daemon::start(&[]);
    daemon.client.create(test_image());
    let (report, code) = doctor(&daemon, &[]);
    assert_eq!(code, 0, "{report:#}");
    is(&report, "store", "right", &format!("a daemon runs (process {})", daemon.pid()));
    is(&report, "store", "right", "containers: 1,");
    for (name, word) in [
        ("settings", "no mistake"),
        ("engine", "API 1."),
        ("freezer", "by their control groups"),
        ("network", "on this engine: "),
        ("check-in", "48080"),
        ("ports", " of containers"),
        ("memory", "MiB are free"),
        ("disk", "MiB are free"),
        ("user", "root"),
    ] {
        is(&report, name, "right", word);
    }
    // What they are is this machine's affair.
    for name in ["walls", "ports_reserved", "gc_thresh3", "max_user_instances", "pid_max", "tcp_tw_reuse"] {
        is(&report, name, check(&report, name)["state"].as_str().unwrap(), "");
    }
    // The folder was here before the daemon, as open as the test made it.
    is(&report, "data_dir", "degraded", "chmod 700");
    let text = said(&daemon.run(&["doctor"]));
    assert!(text.lines().any(|line| line.starts_with("right     engine             Docker ")), "{text}");
}

#[test]
fn what_is_wrong_is_said_with_what_to_do_and_by_the_exit_code() {
    let mut daemon = Daemon::start(&[]);
    daemon.end();
    let before = std::fs::read_dir(daemon.data()).unwrap().count();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (report, code) = doctor(&daemon, &["--listen", &address]);
    is(&report, "listen", "wrong", "ss -ltnp");
    is(&report, "store", "right", "no daemon runs");
    assert_eq!((code, &report["state"]), (1, &"wrong".into()));
    let (report, code) = doctor(&daemon, &["--engine-host", "unix:///no/such/socket"]);
    is(&report, "engine", "wrong", "docker version");
    assert_eq!(code, 1);
    let (report, _) = doctor(&daemon, &["--disk-reserve", "900000g"]);
    is(&report, "disk", "wrong", "lower disk_reserve");
    let output = daemon.run(&["doctor", "--listen", "nowhere", "--timeout-interval", "soon"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(said(&output).matches("wrong     settings").count(), 2, "{}", said(&output));
    assert_eq!(std::fs::read_dir(daemon.data()).unwrap().count(), before, "it changes nothing");
}

/// With the package's socket unit, whose service is stopped. systemctl is a stand-in: there need be no systemd here.
#[test]
fn a_port_that_systemd_holds_for_the_daemon_is_right() {
    let programs = tempfile::tempdir().unwrap();
    let path = format!("{}:{}", programs.path().display(), std::env::var("PATH").unwrap());
    let mut daemon = Daemon::start(&[("@PATH", &path)]);
    daemon.end();
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap().to_string();
    let systemctl = programs.path().join("systemctl");
    let shown = format!(
        r#"#!/bin/sh
[ "$*" = "show --property=ActiveState,Listen spin-docker.socket" ] && printf 'ActiveState=active\nListen={address} (Stream)\n'
"#
    );
    std::fs::write(&systemctl, shown).unwrap();
    std::fs::set_permissions(&systemctl, std::fs::Permissions::from_mode(0o755)).unwrap();
    let (report, _) = doctor(&daemon, &["--listen", &address]);
    is(&report, "listen", "right", "spin-docker.socket");
}

#[test]
fn what_a_start_would_refuse_is_wrong_and_the_start_says_what_to_do() {
    let mut daemon = Daemon::start(&[]);
    daemon.client.create(test_image());
    daemon.end();
    let (report, code) = doctor(&daemon, &["--subnet", "10.231.7.0/24", "--endpoint-address", "0.0.0.0"]);
    is(&report, "containers", "wrong", "`subnet` is 10.231.7.0/24, and 1 containers have addresses");
    is(&report, "containers", "wrong", "`endpoint_address` is beyond loopback now");
    is(&report, "settings", "degraded", "`endpoints` shows 0.0.0.0");
    assert_eq!(code, 1);
    let (report, code) = doctor(&daemon, &["--memory", "900000g"]);
    is(&report, "containers", "right", "as they are");
    is(&report, "memory", "wrong", "or lower memory_reserve or memory");
    assert_eq!(code, 1);
    let said = said(&daemon.run(&["serve", "--engine-host", "unix:///no/such/socket"]));
    let told = said.lines().find(|line| line.contains("does not answer at unix:///no/such/socket: "));
    let told = told.unwrap_or_else(|| panic!("{said}"));
    for word in ["is it started", "`docker version`", "`engine_host`", "`spin-docker doctor`"] {
        assert!(told.contains(word), "{told}");
    }
    let refused = std::env::temp_dir().join(format!("t-no-engine-{}", std::process::id()));
    drop(std::os::unix::net::UnixListener::bind(&refused).unwrap());
    let host = format!("unix://{}", refused.display());
    let said = self::said(&daemon.run(&["serve", "--engine-host", &host]));
    std::fs::remove_file(&refused).unwrap();
    assert!(said.contains("Connection refused") && !said.contains("hyper"), "{said}");
}

#[test]
fn a_store_that_is_damaged_is_wrong() {
    let mut daemon = Daemon::start(&[]);
    daemon.end();
    std::fs::write(daemon.data().join("spin-docker.db"), "no database at all".repeat(400)).unwrap();
    let (report, code) = doctor(&daemon, &[]);
    is(&report, "store", "wrong", "restore");
    assert_eq!(code, 1);
}

#[test]
fn a_store_of_a_later_version_is_wrong_as_a_start_says() {
    let mut daemon = Daemon::start(&[]);
    daemon.end();
    let store = rusqlite::Connection::open(daemon.data().join("spin-docker.db")).unwrap();
    store
        .execute_batch("PRAGMA user_version = 99; UPDATE meta SET value = '9.8.7' WHERE name = 'needs'")
        .unwrap();
    drop(store);
    const WORDS: &str = "needs spin-docker 9.8.7 or newer (its schema is 99";
    let (report, code) = doctor(&daemon, &[]);
    is(&report, "store", "wrong", WORDS);
    is(&report, "store", "wrong", "install that version");
    assert_eq!(code, 1);
    let start = daemon.run(&["serve"]);
    assert!(said(&start).contains(WORDS) && start.status.code() == Some(1), "{}", said(&start));
}

#[test]
fn without_control_groups_the_freezer_is_degraded_which_is_no_failure() {
    let mut daemon = Daemon::start(&[]);
    daemon.end();
    hide_control_groups();
    let (report, code) = doctor(&daemon, &[]);
    is(&report, "freezer", "degraded", "pause");
    assert_eq!(code, 0, "{report:#}");
}

#[test]
fn not_as_root_it_says_what_is_missing() {
    let daemon = Daemon::start_without_root(&[]);
    let (report, code) = doctor(&daemon, &[]);
    is(&report, "user", "degraded", "as root");
    is(&report, "check-in", "degraded", "check_in_port");
    is(&report, "engine", "right", "answers");
    assert_eq!(code, 0, "{report:#}");
}
