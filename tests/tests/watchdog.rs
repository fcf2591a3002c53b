//! A web server that watches over its own workers, frozen for longer than it would wait for one of them.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;
use tests::{Answer, Client, Daemon, docker, impatient_image, text, until};

/// Any sleep is longer than no patience; and this one than a patience in which a worker comes up on a busy machine.
const FROZEN: Duration = Duration::from_millis(1200);
const LONG_FROZEN: Duration = Duration::from_millis(5500);
const CONTAINERS: usize = 10;

/// How its page is asked for.
type Get = fn(&Daemon, &Value) -> Answer;

fn by_port(_: &Daemon, container: &Value) -> Answer {
    Client::anonymous(&format!("http://127.0.0.1:{}", text(container, "app_port"))).get("/")
}

fn by_name(daemon: &Daemon, container: &Value) -> Answer {
    let host = format!("{}.localhost", &text(container, "container_id")[..12]);
    Client::anonymous(&daemon.base).send("GET", "/", &[("host", &host)], None)
}

fn freezes_and_answers(daemon: &Daemon, container: &Value, (get, frozen): (Get, Duration), times: usize) {
    assert_eq!(get(daemon, container).status, 200);
    for cycle in 0..times {
        daemon.client.freeze(container);
        std::thread::sleep(frozen);
        let page = get(daemon, container);
        assert_eq!(page.status, 200, "after {cycle} freezes: {}", page.text);
    }
    let froze = daemon.client.kinds(container).iter().filter(|kind| *kind == "froze").count();
    assert_eq!(froze, times);
}

/// A hundred freezes in all, each answered after; of those that run with these arguments, what is to be seen in each one's log.
fn over_a_hundred_freezes(
    image: &str,
    arguments: &str,
    how: (Get, Duration),
    seen: impl Fn(&str) -> usize + Sync,
) -> usize {
    let daemon = Daemon::start(&[]);
    let asked = json!({"image": image, "policy": {"freeze_after": "off"}});
    let one = || {
        let container = daemon.client.create_as(&asked);
        freezes_and_answers(&daemon, &container, how, 100 / CONTAINERS);
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
        (by_port, FROZEN),
        |log| {
            assert!(!log.contains("WORKER TIMEOUT"), "{log}");
            assert_eq!(log.matches("Booting worker").count(), 1, "{log}");
            0
        },
    );
}

/// Each freeze is longer than its patience. At the thaw a worker mostly reports before it is looked at; one that is killed under a request costs
/// nobody by name, where that is sent once more, and cuts off whoever asks by the port.
#[test]
fn gunicorn_with_a_timeout_shorter_than_each_freeze_fails_no_request_by_name() {
    let killed = over_a_hundred_freezes(
        impatient_image(),
        " --worker-class gthread --threads 4 --timeout 5 ",
        (by_name, LONG_FROZEN),
        |log| log.matches("WORKER TIMEOUT").count(),
    );
    println!("{killed} workers were killed");
    // It watches: a worker that is stopped for as long is killed.
    let daemon = Daemon::start(&[]);
    let container =
        daemon.client.create_as(&json!({"image": impatient_image(), "policy": {"freeze_after": "off"}}));
    let worker = until("a worker is up", Duration::from_secs(30), || worker_of(&container));
    assert!(Command::new("kill").args(["-STOP", &worker]).status().unwrap().success());
    let is_killed = || logs(&container).contains("WORKER TIMEOUT").then_some(());
    until("it is killed", Duration::from_secs(30), is_killed);
}

/// The process of the one whose parent is gunicorn, too.
fn worker_of(container: &Value) -> Option<String> {
    let top = docker(&["top", text(container, "container_id"), "-o", "pid,ppid,args"]);
    let all = top.lines().filter(|line| line.contains("gunicorn --") || line.contains("/gunicorn "));
    let all: Vec<Vec<&str>> = all.map(|line| line.split_whitespace().take(2).collect()).collect();
    let is_master = |pid: &str| all.iter().any(|process| process[0] == pid);
    all.iter().find(|process| is_master(process[1])).map(|process| process[0].to_owned())
}

fn logs(container: &Value) -> String {
    let output = Command::new("docker").args(["logs", text(container, "container_id")]).output();
    let output = output.unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}
