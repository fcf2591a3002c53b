//! The daemon as a process: how it ends, what it refuses, and what a jump of the clock does to it.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use tests::{Daemon, docker, test_image, text, throughout, until};

#[test]
fn sigterm_ends_it_within_the_grace_period_and_containers_run_on() {
    let mut daemon = Daemon::start(&[]);
    let container = daemon.client.create(test_image());
    let stream = TcpStream::connect(format!("127.0.0.1:{}", text(&container, "app_port"))).unwrap();
    (&stream).write_all(b"one\n").unwrap();
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line).unwrap();
    let begun = Instant::now();
    assert_eq!(daemon.end(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let id = text(&container, "container_id");
    assert_eq!(docker(&["inspect", "-f", "{{.State.Running}}", id]), "true");
}

/// An engine that accepts and says nothing, as one that hangs.
#[test]
fn sigterm_is_heard_while_an_engine_keeps_it_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("engine");
    let engine = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let mut daemon = std::process::Command::new(tests::program())
        .args(["serve", "--listen", "127.0.0.1:0", "--engine-host", &format!("unix://{}", socket.display())])
        .arg("--data-dir")
        .arg(folder.path().join("data"))
        .spawn()
        .unwrap();
    let _asked = engine.accept().unwrap();
    let pid = rustix::process::Pid::from_child(&daemon);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let status = until("it has ended", Duration::from_secs(5), || daemon.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_redirect_is_taken_back_at_the_end() {
    let mut daemon = Daemon::start(&[]);
    let id = docker(&["network", "inspect", "-f", "{{.Id}}", &daemon.network()]);
    let rules = || {
        let output = std::process::Command::new("iptables-save").args(["-t", "nat"]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).to_uppercase().matches(&id[..12].to_uppercase()).count()
    };
    let with = rules();
    assert_eq!(daemon.end(), Some(0));
    assert!(rules() < with, "{with} rules before, {} after", rules());
}

#[test]
fn without_root_it_serves_and_says_what_is_degraded() {
    let daemon = Daemon::start_without_root(&[]);
    let container = daemon.client.create(test_image());
    tests::ask(text(&container, "app_port"), "forwarded").unwrap();
    until("it says so", Duration::from_secs(2), || {
        daemon.log().contains("degraded: not running as root").then_some(())
    });
    let off = daemon.log().contains("check-ins are off: no redirect (");
    assert!(off || daemon.log().contains("is bound directly"), "one or the other, and why");
}

/// Each test has a process of its own under nextest, so that the limit is this test's alone; the daemon inherits it.
#[test]
fn the_descriptor_limit_is_raised_as_far_as_may_be() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let before = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(256), ..before }).unwrap();
    let daemon = Daemon::start(&[]);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", daemon.pid())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let words: Vec<_> = line.split_whitespace().skip(3).take(2).collect();
    assert_eq!(words[0], words[1], "{line}");
}

#[test]
fn two_daemons_on_one_data_dir_do_not_run_and_the_first_goes_on_unharmed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let first = Daemon::start(&[("data_dir", path)]);
    let container = first.client.create(test_image());
    let second = std::panic::catch_unwind(|| Daemon::start(&[("data_dir", path)]));
    let said = second.err().and_then(|panic| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    assert!(said.contains("is in use by another spin-docker") && said.contains(path), "{said}");
    assert!(said.contains("stop that one, or give this one a `data_dir` of its own"), "{said}");

    assert_eq!(first.client.get("/v1/containers").json(), serde_json::json!([container]));
    let id = text(&container, "container_id");
    assert_eq!(docker(&["inspect", "-f", "{{.State.Running}}", id]), "true");
    let answer = tests::ask(text(&container, "app_port"), "still here").unwrap();
    assert!(answer.ends_with("still here"), "{answer}");
    assert_eq!(first.client.create(test_image())["status"], "running");
    assert_eq!(first.client.delete(text(&container, "uri")).status, 204);
}

/// libfaketime moves the wall clock of the daemon alone, and leaves the monotonic one as it is.
#[test]
fn a_clock_that_jumps_an_hour_stops_nothing_early() {
    let library = [
        "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
        "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
    ]
    .into_iter()
    .find(|path| std::path::Path::new(path).exists())
    .expect("libfaketime is installed: scripts/tools does it");
    let folder = tempfile::tempdir().unwrap();
    let offset = folder.path().join("offset");
    std::fs::write(&offset, "+0").unwrap();
    let daemon = Daemon::start(&[
        ("initial_timeout_interval", "8"),
        ("timeout_interval", "8"),
        ("@LD_PRELOAD", library),
        ("@FAKETIME_TIMESTAMP_FILE", offset.to_str().unwrap()),
        ("@FAKETIME_NO_CACHE", "1"),
        ("@FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ]);
    let container = daemon.client.create(test_image());
    let uri = text(&container, "uri");
    std::fs::write(&offset, "+1h").unwrap();
    until("the jump is seen", Duration::from_secs(5), || {
        daemon.log().contains("the clock jumped").then_some(())
    });
    throughout(Duration::from_secs(9), || {
        assert_eq!(daemon.client.show(uri)["status"], "running");
    });
    until("it is stopped all the same, in its time", Duration::from_secs(30), || {
        (daemon.client.show(uri)["status"] == "stopped").then_some(())
    });
}

#[test]
fn a_log_in_json_is_one_object_a_line_with_ids_and_transitions() {
    let mut daemon = Daemon::start(&[("log_format", "json"), ("log", "info")]);
    let made = daemon.client.post("/v1/containers", &format!("image={}", test_image()));
    let id = made.header("x-request-id").to_owned();
    let name = text(&made.json(), "name").to_owned();
    assert_eq!(daemon.end(), Some(0));
    let lines: Vec<serde_json::Value> =
        daemon.log().lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
    let answered = lines.iter().find(|line| line["span"]["id"] == id).expect("the request has a line");
    assert_eq!((&answered["path"], &answered["status"]), (&"/v1/containers".into(), &201.into()));
    let ran = |line: &&serde_json::Value| line["to"] == "running" && line["container"] == name;
    assert!(lines.iter().any(|line| ran(&line)), "the transition has a line");
}
