//! A web server that watches over its own workers, frozen for longer than it would wait for one of them.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;
use tests::{Client, Daemon, docker, text};

/// Longer than the shortest patience that gunicorn has, of a second.
const FROZEN: Duration = Duration::from_millis(1200);
const CONTAINERS: usize = 10;

fn freezes_and_answers(daemon: &Daemon, container: &Value, times: usize) {
    let site = Client::anonymous(&format!("http://127.0.0.1:{}", text(container, "app_port")));
    assert_eq!(site.get("/").status, 200);
    for cycle in 0..times {
        daemon.client.freeze(container);
        std::thread::sleep(FROZEN);
        let page = site.get("/");
        assert_eq!(page.status, 200, "after {cycle} freezes: {}", page.text);
    }
    let froze = daemon.client.kinds(container).iter().filter(|kind| *kind == "froze").count();
    assert_eq!(froze, times);
}

#[test]
fn gunicorn_answers_after_a_hundred_freezes_and_loses_no_worker() {
    let daemon = Daemon::start(&[]);
    let asked = json!({"image": "spin-docker/sd-django", "policy": {"freeze_after": "off"}});
    std::thread::scope(|scope| {
        for _ in 0..CONTAINERS {
            scope.spawn(|| {
                let container = daemon.client.create_as(&asked);
                freezes_and_answers(&daemon, &container, 100 / CONTAINERS);
                let runs = docker(&["top", text(&container, "container_id"), "-o", "pid,args"]);
                assert!(runs.contains(" --timeout 0 "), "else it is as patient as 30 s: {runs}");
                let log = logs(&container);
                assert!(!log.contains("WORKER TIMEOUT"), "{log}");
                assert_eq!(log.matches("Booting worker").count(), 1, "{log}");
            });
        }
    });
}

fn logs(container: &Value) -> String {
    let output = Command::new("docker").args(["logs", text(container, "container_id")]).output();
    let output = output.unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}
