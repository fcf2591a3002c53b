//! What the docker CLI does to our containers is seen within a second, and what is not ours is never touched.

use serde_json::Value;
use std::time::{Duration, Instant};
use tests::{Daemon, ask, docker, docker_quietly, test_image, text, until};

fn shown_as(daemon: &Daemon, uri: &str, what: &str, is: impl Fn(&Value) -> bool) {
    let begun = Instant::now();
    until(what, Duration::from_secs(5), || is(&daemon.client.show(uri)).then_some(()));
    assert!(begun.elapsed() < Duration::from_millis(1_500), "{what}: {:?}", begun.elapsed());
}

#[test]
fn what_the_docker_cli_does_is_seen_within_a_second() {
    let daemon = Daemon::start(&[]);
    let container = daemon.client.create(test_image());
    let (uri, id) = (text(&container, "uri"), text(&container, "container_id"));

    docker(&["stop", "-t", "2", id]);
    shown_as(&daemon, uri, "stopped by hand", |shown| shown["status"] == "stopped");
    assert_eq!(daemon.client.show(uri)["failure"], Value::Null, "a person said so");
    docker(&["start", id]);
    shown_as(&daemon, uri, "started by hand", |shown| shown["status"] == "running");
    ask(text(&container, "app_port"), "same port").unwrap();
    docker(&["rename", id, &format!("{}-renamed", daemon.instance)]);
    shown_as(&daemon, uri, "renamed", |shown| shown["name"] == format!("/{}-renamed", daemon.instance));
    // What ended it in a restart is over: its next end is its own.
    docker(&["restart", "-t", "1", id]);
    // A signal that ends nothing makes its own end nobody's wish.
    docker(&["kill", "-s", "WINCH", id]);
    // The exec ends with its container, and says so by its exit code.
    docker_quietly(&["exec", id, "sh", "-c", "kill 1"]).unwrap_or_default();
    shown_as(&daemon, uri, "ended by itself", |shown| shown["status"] == "stopped");
    assert!(daemon.client.show(uri)["failure"].as_str().unwrap().contains("exit code 0"));
    docker(&["rm", "-fv", id]);
    let lost =
        |shown: &Value| shown["failure"].as_str().is_some_and(|failure| failure.contains("removed it"));
    shown_as(&daemon, uri, "removed by hand, and said so", lost);
    let start = daemon.client.patch(uri, "status=running");
    assert_eq!(start.status, 500, "{}", start.text);
    assert!(start.text.contains("DELETE it and create a new one"), "{}", start.text);
    assert_eq!(daemon.client.delete(uri).status, 204);
    assert_eq!(daemon.client.get("/v1/containers").text, "[]");
}

#[test]
fn what_happened_while_the_daemon_was_away_is_seen_at_its_start() {
    let mut daemon = Daemon::start(&[]);
    let containers: Vec<_> = (0..3).map(|_| daemon.client.create(test_image())).collect();
    let ids: Vec<_> = containers.iter().map(|container| text(container, "container_id")).collect();
    daemon.kill();
    docker(&["stop", "-t", "2", ids[0]]);
    docker(&["rm", "-fv", ids[1]]);
    daemon.start_again(&[]);
    let listed = daemon.client.get("/v1/containers").json();
    let shown: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|container| (text(container, "container_id"), text(container, "status")))
        .collect();
    assert_eq!(shown, [(ids[0], "stopped"), (ids[1], "stopped"), (ids[2], "running")]);
    assert!(text(&listed[1], "failure").contains("removed it"), "{}", listed[1]);
    ask(text(&containers[2], "app_port"), "reachable as before").unwrap();
    // Nobody was there to see that a person stopped it.
    ask(text(&containers[0], "app_port"), "woken by a connection").unwrap();
    let started = daemon.client.patch(text(&containers[0], "uri"), "status=running").json();
    assert_eq!(started["app_port"], containers[0]["app_port"]);
}

#[test]
fn strangers_with_our_labels_are_reported_and_left_alone() {
    let mut daemon = Daemon::start(&[]);
    let label = format!("spin-docker.instance={}", daemon.instance);
    let stranger = docker(&["run", "-d", "--label", &label, "--label", "spin-docker.id=abc", test_image()]);
    daemon.end();
    daemon.start_again(&[]);
    let audited = daemon.client.get("/v1/containers?audit=true");
    assert_eq!((audited.status, audited.text.as_str()), (200, "[]"));
    assert!(daemon.log().contains("left alone") && daemon.log().contains(&stranger), "it is reported");
    assert_eq!(docker(&["inspect", "-f", "{{.State.Running}}", &stranger]), "true");
}

#[test]
fn delete_takes_anonymous_volumes_and_never_named_ones() {
    let daemon = Daemon::start(&[]);
    let container = daemon.client.create(test_image());
    let id = text(&container, "container_id");
    let volumes = docker(&["inspect", "-f", "{{range .Mounts}}{{.Name}} {{end}}", id]);
    assert!(!volumes.is_empty(), "the image declares one");
    assert_eq!(daemon.client.delete(text(&container, "uri")).status, 204);
    until("the engine let go of it and its volumes", Duration::from_secs(20), || {
        let known = docker(&["volume", "ls", "-q"]);
        let left = volumes.split_whitespace().any(|volume| known.contains(volume));
        (!left && docker(&["ps", "-aq", "--no-trunc", "--filter", &format!("id={id}")]).is_empty())
            .then_some(())
    });
}
