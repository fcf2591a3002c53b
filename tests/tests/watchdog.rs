//! A web server that watches over its own workers, frozen for longer than it would wait for one of them.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;
use tests::{Client, Daemon, docker, impatient_image, text};

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

/// A hundred freezes in all, each answered after; of those that run with these arguments, what is to be seen in each one's log.
fn over_a_hundred_freezes(image: &str, arguments: &str, seen: impl Fn(&str) -> usize + Sync) -> usize {
    let daemon = Daemon::start(&[]);
    let asked = json!({"image": image, "policy": {"freeze_after": "off"}});
    let one = || {
        let container = daemon.client.create_as(&asked);
        freezes_and_answers(&daemon, &container, 100 / CONTAINERS);
        let runs = docker(&["top", text(&container, "container_id"), "-o", "pid,args"]);
        assert!(runs.contains(arguments), "{runs}");
        seen(&logs(&container))
    };
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..CONTAINERS).map(|_| scope.spawn(one)).collect();
        all.into_iter().map(|one| one.join().unwrap()).sum()
    })
}

/// Else it were as patient as 30 s.
#[test]
fn gunicorn_answers_after_a_hundred_freezes_and_loses_no_worker() {
    over_a_hundred_freezes(
        "spin-docker/sd-django",
        " --worker-class gthread --threads 4 --timeout 0 ",
        |log| {
            assert!(!log.contains("WORKER TIMEOUT"), "{log}");
            assert_eq!(log.matches("Booting worker").count(), 1, "{log}");
            0
        },
    );
}

/// Each freeze is longer than its patience. Workers are killed for it at the thaw, and whoever comes meanwhile waits for the next one.
#[test]
fn gunicorn_with_a_timeout_shorter_than_each_freeze_fails_no_request() {
    let killed = over_a_hundred_freezes(
        impatient_image(),
        " --worker-class gthread --threads 4 --timeout 1 ",
        |log| log.matches("WORKER TIMEOUT").count(),
    );
    println!("{killed} workers were killed");
}

fn logs(container: &Value) -> String {
    let output = Command::new("docker").args(["logs", text(container, "container_id")]).output();
    let output = output.unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}
