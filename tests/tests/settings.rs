//! The settings of a daemon that runs: SIGHUP reads them again.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;
use tests::{Client, Daemon, test_image, text, until};

/// A settings file, and a daemon that has no other settings.
struct Told {
    path: PathBuf,
    _folder: tempfile::TempDir,
    daemon: Daemon,
}

impl Told {
    fn start(settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, settings).unwrap();
        let daemon = Daemon::start(&[("@SPIN_DOCKER_CONFIG", path.to_str().unwrap())]);
        Self { path, _folder: folder, daemon }
    }

    fn say(&self, settings: &str) {
        std::fs::write(&self.path, settings).unwrap();
        self.daemon.hang_up();
    }

    fn client(&self, password: &str) -> Client {
        Client::new(&self.daemon.base, password)
    }

    fn admits(&self, password: &str) -> bool {
        self.client(password).get("/v1/containers").status == 200
    }
}

/// Seconds from its creation to its next look.
fn due(container: &Value) -> f64 {
    let time = |field| text(container, field).parse::<jiff::Timestamp>().unwrap();
    time("next_look").duration_since(time("created_at")).as_secs_f64()
}

const BEFORE: &str = "listen = '127.0.0.1:0'\npassword = 'the first'\nlog = 'info,server=off'\n";

#[test]
fn password_log_and_idle_settings_apply_at_once_and_the_rest_is_named() {
    let told = Told::start(BEFORE);
    let daemon = &told.daemon;
    let container = told.client("the first").create(test_image());
    assert!((7200.0..7230.0).contains(&due(&container)), "{container}");
    assert!(!daemon.log().contains("answered"), "the server is silent");

    told.say(
        "listen = '127.0.0.1:9'\npassword = 'the second'\ninitial_timeout_interval = '3h'\nendpoint_ports = '50000-50010'\n\
         data_dir = '/elsewhere'\npids = 1024\nlog_format = 'json'\nengine_host = 'unix:///elsewhere.sock'\n",
    );
    assert!(told.admits("the second") && !told.admits("the first"), "the password is another one");
    let moved = told.client("the second").show(text(&container, "uri"));
    assert_eq!(moved["policy"]["initial_timeout_interval"], 10_800);
    assert!((10_800.0..10_830.0).contains(&due(&moved)), "its look moved: {moved}");
    let log = daemon.log();
    for line in [
        "settings: listen was \\\"127.0.0.1:0\\\" and is \\\"127.0.0.1:9\\\"",
        "settings: endpoint_ports was \\\"49153-65535\\\" and is \\\"50000-50010\\\"",
        "and is \\\"unix:///elsewhere.sock\\\"",
    ] {
        let line = log.lines().find(|logged| logged.contains(line)).unwrap_or_else(|| panic!("no {line}"));
        let line: Value = serde_json::from_str(line).expect("the log is JSON from now on");
        assert!(
            text(&line, "message").ends_with(": this takes a restart") && line["level"] == "WARN",
            "{line}"
        );
    }
    assert!(!log.contains("settings: pids") && !log.contains("data_dir was"), "neither of them changed");
    assert!(log.contains("settings: password was ******** and is ********"));
    assert!(!log.contains("the first") && !log.contains("the second"), "no secret stands in the log");
    until("the server speaks", Duration::from_secs(5), || daemon.log().contains("answered").then_some(()));
}

#[test]
fn looks_that_come_sooner_stop_an_idle_container_and_no_looks_do_not() {
    let told = Told::start(BEFORE);
    let client = told.client("the first");
    let container = client.create(test_image());
    told.say(&format!("{BEFORE}disable_timeouts = true"));
    assert_eq!(client.show(text(&container, "uri"))["next_look"], Value::Null);
    told.say(&format!("{BEFORE}initial_timeout_interval = 2\ntimeout_interval = 1"));
    until("it is stopped", Duration::from_secs(20), || {
        (client.show(text(&container, "uri"))["status"] == "stopped").then_some(())
    });
}

#[test]
fn settings_with_a_mistake_are_refused_whole() {
    let told = Told::start(BEFORE);
    told.say("listen = '127.0.0.1:0'\npassword = 'the second'\ntimeout_interval = 'soon'\npasword = 'x'\n");
    let log = told.daemon.log();
    for mistake in [
        "config.toml:3: timeout_interval is \"soon\"; allowed: seconds",
        "config.toml:4: pasword is not a setting; the nearest is password",
        "the settings were not taken; the old ones stay in force",
    ] {
        assert!(log.contains(mistake), "no {mistake}");
    }
    assert!(told.admits("the first") && !told.admits("the second"));
    std::fs::remove_file(&told.path).unwrap();
    told.daemon.hang_up();
    assert!(told.daemon.log().contains("config.toml: the settings file cannot be read"));
    assert!(told.admits("the first"), "a file that is gone is a mistake too");
}

/// The listener stays until a restart, whatever the file says meanwhile.
#[test]
fn the_default_password_does_not_come_into_force_beyond_loopback() {
    let told = Told::start("listen = '0.0.0.0:0'\npassword = 'the first'\n");
    told.say("listen = '127.0.0.1:0'\n");
    let log = told.daemon.log();
    assert!(log.contains("beyond loopback, while the password is the default"), "{log}");
    assert!(log.contains("(of what takes a restart, the old value counts until then)"));
    assert!(told.admits("the first") && !told.admits("spindocker"));
}
