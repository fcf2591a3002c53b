//! The engine is stopped, killed and started again under twenty containers: what needs it says so at once, reads go on,
//! and within 5 s of its return each container is shown as it is.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tests::{Client, Daemon, Dockerd, ask, test_image, text, until};

const CONTAINERS: usize = 20;
/// Of those, how many sleep when the engine goes.
const ASLEEP: usize = 4;
const WITHIN: Duration = Duration::from_secs(5);

/// Twenty containers of a daemon on this engine, the first few asleep.
fn populate(daemon: &Daemon) -> Vec<Value> {
    let containers: Vec<Value> = std::thread::scope(|scope| {
        let hands: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    (0..CONTAINERS / 4).map(|_| daemon.client.create(test_image())).collect::<Vec<_>>()
                })
            })
            .collect();
        hands.into_iter().flat_map(|hand| hand.join().unwrap()).collect()
    });
    for container in &containers[..ASLEEP] {
        assert_eq!(daemon.client.patch(text(container, "uri"), "status=stopped").status, 200);
    }
    for container in &containers[..ASLEEP] {
        let uri = text(container, "uri");
        until("it sleeps", Duration::from_secs(20), || {
            (daemon.client.show(uri)["status"] == "stopped").then_some(())
        });
    }
    containers
}

/// It is reached through its endpoint.
fn answers(container: &Value, line: &str) {
    let answer = ask(text(container, "app_port"), line).unwrap();
    assert!(answer.ends_with(line), "{answer}");
}

/// What needs the engine answers 503 with `Retry-After`, at once; what does not, goes on.
fn away(daemon: &Daemon, containers: &[Value]) {
    let asleep = text(&containers[0], "uri");
    let image = format!("image={}", test_image());
    let anybody = Client::anonymous(&daemon.base);
    until("the engine is missed", WITHIN, || (anybody.get("/readyz").status == 503).then_some(()));
    assert_eq!(anybody.get("/readyz").text, "not ready\n");
    assert_eq!((anybody.get("/healthz").status, anybody.get("/healthz").text.as_str()), (200, "alive\n"));
    let begun = Instant::now();
    for answer in [
        daemon.client.post("/v1/containers", &image),
        daemon.client.patch(asleep, "status=running"),
        daemon.client.get("/v1/containers?audit=true"),
        daemon.client.get("/v1/images"),
    ] {
        assert_eq!(answer.status, 503, "{}", answer.text);
        assert!(answer.header("retry-after").parse::<u32>().is_ok_and(|after| after > 0), "{answer:?}");
        assert!(answer.text.contains("urn:spin-docker:problem:engine-away"), "{}", answer.text);
    }
    let listed = daemon.client.get("/v1/containers").json();
    assert_eq!(listed.as_array().unwrap().len(), CONTAINERS);
    assert_eq!(daemon.client.show(asleep)["status"], "stopped", "what could not be begun changed nothing");
    assert_eq!(daemon.client.show(asleep)["failure"], Value::Null);
    assert!(begun.elapsed() < Duration::from_secs(2), "nothing waits: {:?}", begun.elapsed());
}

/// Waits until everything is shown as the engine has it, and whatever runs is reachable; gives what is shown, by id.
fn as_it_is(daemon: &Daemon, dockerd: &Dockerd, but: &[&str]) -> BTreeMap<String, Value> {
    let back = Instant::now();
    let listed = ["ps", "-aq", "--no-trunc", "--filter", "label=spin-docker.instance"];
    let whole = dockerd.docker(&listed).lines().count();
    let running = dockerd.docker(&[&listed[..], &["--filter", "status=running"]].concat());
    let shown = until("each is shown as it is", WITHIN, || {
        let shown: BTreeMap<String, Value> = daemon
            .client
            .get("/v1/containers")
            .json()
            .as_array()
            .unwrap()
            .iter()
            .map(|container| (text(container, "container_id").to_owned(), container.clone()))
            .filter(|(id, _)| !but.contains(&id.as_str()))
            .collect();
        let is_so = |(id, container): (&String, &Value)| {
            (container["status"] == "running") == running.contains(id.as_str())
        };
        // All of them: an empty list would be as it is, too.
        let is_whole = shown.len() == whole - but.len();
        (daemon.client.get("/readyz").status == 200 && is_whole && shown.iter().all(is_so)).then_some(shown)
    });
    for container in shown.values().filter(|container| container["status"] == "running") {
        answers(container, "reachable");
    }
    assert!(back.elapsed() < WITHIN, "{:?} after the engine was back", back.elapsed());
    eprintln!("all {} as they are {:?} after the engine was back", shown.len(), back.elapsed());
    shown
}

/// Those that ran are stopped, and say why; a start brings each back at its port.
fn ended_with_it(daemon: &Daemon, containers: &[Value], shown: &BTreeMap<String, Value>) {
    for container in containers {
        let now = &shown[text(container, "container_id")];
        assert_eq!(now["status"], "stopped", "{now}");
        let failure = now["failure"].as_str().unwrap_or_default();
        assert!(failure.contains("the engine was away"), "{now}");
    }
    std::thread::scope(|scope| {
        for some in containers.chunks(containers.len().div_ceil(4)) {
            scope.spawn(move || {
                for container in some {
                    let started = daemon.client.patch(text(container, "uri"), "status=running");
                    assert_eq!(started.status, 200, "{}", started.text);
                    assert_eq!(started.json()["failure"], Value::Null);
                    assert_eq!(started.json()["app_port"], container["app_port"]);
                    answers(container, "back");
                }
            });
        }
    });
}

#[test]
fn an_engine_that_is_stopped_takes_its_containers_with_it() {
    let mut dockerd = Dockerd::start();
    let daemon = Daemon::start(&[("engine_host", &dockerd.host())]);
    let containers = populate(&daemon);
    dockerd.stop();
    away(&daemon, &containers);
    dockerd.start_again();
    let shown = as_it_is(&daemon, &dockerd, &[]);
    for asleep in &containers[..ASLEEP] {
        assert_eq!(shown[text(asleep, "container_id")]["failure"], Value::Null, "it was asleep anyway");
    }
    ended_with_it(&daemon, &containers[ASLEEP..], &shown);
}

#[test]
fn an_engine_that_is_killed_is_taken_up_again_and_what_was_asked_for_meanwhile_is_done() {
    let mut dockerd = Dockerd::start();
    let daemon = Daemon::start(&[("engine_host", &dockerd.host())]);
    let containers = populate(&daemon);
    let [.., stopped, deleted] = &containers[..] else { unreachable!() };
    dockerd.kill();
    away(&daemon, &containers);
    // Its containers run on until it is back, and connections still reach them.
    answers(stopped, "without an engine");
    assert_eq!(daemon.client.patch(text(stopped, "uri"), "status=stopped").status, 200);
    assert_eq!(daemon.client.delete(text(deleted, "uri")).status, 204);
    dockerd.start_again();
    let shown = as_it_is(&daemon, &dockerd, &[text(stopped, "container_id")]);
    let (stopped, deleted) = (text(stopped, "uri"), text(deleted, "container_id"));
    until("it is stopped, as was asked", WITHIN, || {
        (daemon.client.show(stopped)["status"] == "stopped").then_some(())
    });
    assert_eq!(daemon.client.show(stopped)["failure"], Value::Null);
    until("the deleted one is gone", WITHIN, || {
        dockerd.docker(&["ps", "-aq", "--filter", &format!("id={deleted}")]).is_empty().then_some(())
    });
    ended_with_it(&daemon, &containers[ASLEEP..CONTAINERS - 2], &shown);
}

#[test]
fn with_live_restore_they_run_on() {
    let mut dockerd = Dockerd::start_with(&["--live-restore"]);
    let daemon = Daemon::start(&[("engine_host", &dockerd.host())]);
    let containers = populate(&daemon);
    for down in [Dockerd::stop, Dockerd::kill] {
        down(&mut dockerd);
        away(&daemon, &containers);
        answers(&containers[ASLEEP], "still");
        dockerd.start_again();
        let shown = as_it_is(&daemon, &dockerd, &[]);
        let running = shown.values().filter(|container| container["status"] == "running").count();
        assert_eq!(running, CONTAINERS - ASLEEP);
    }
}
