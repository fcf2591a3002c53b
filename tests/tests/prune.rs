//! `docker system prune` under sleeping containers: what it takes is named, what it leaves starts again, and the README's
//! filter protects both.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use serde_json::Value;
use std::time::Duration;
use tests::{Daemon, Dockerd, ask, test_image, text, until};

/// As the README has it.
const SAFE: &str = "label!=spin-docker.instance";
const WITHIN: Duration = Duration::from_secs(20);

fn asleep(daemon: &Daemon) -> Value {
    let container = daemon.client.create(test_image());
    let uri = text(&container, "uri");
    assert_eq!(daemon.client.patch(uri, "status=stopped").status, 200);
    until("it sleeps", WITHIN, || (daemon.client.show(uri)["status"] == "stopped").then_some(()));
    container
}

fn starts_again(daemon: &Daemon, container: &Value) {
    let started = daemon.client.patch(text(container, "uri"), "status=running");
    assert_eq!(started.status, 200, "{}", started.text);
    assert_eq!(started.json()["app_port"], container["app_port"]);
    let answer = ask(text(container, "app_port"), "back").unwrap();
    assert!(answer.ends_with("back"), "{answer}");
}

fn subnet(dockerd: &Dockerd, daemon: &Daemon) -> String {
    dockerd.docker(&[
        "network",
        "inspect",
        "-f",
        "{{range .IPAM.Config}}{{.Subnet}}{{end}}",
        &daemon.network(),
    ])
}

#[test]
fn a_prune_with_the_readme_s_filter_takes_nothing_of_ours() {
    let readme = include_str!("../../README.md");
    assert!(readme.contains(&format!("docker system prune --filter {SAFE}")), "the README names the filter");
    let dockerd = Dockerd::start();
    let daemon = Daemon::start(&[("engine_host", &dockerd.host())]);
    let container = asleep(&daemon);
    let network = dockerd.docker(&["network", "inspect", "-f", "{{.Id}}", &daemon.network()]);
    let other = dockerd.docker(&["create", test_image()]);
    let pruned = dockerd.docker(&["system", "prune", "-f", "--volumes", "--filter", SAFE]);
    assert!(pruned.contains(&other), "it takes what is not ours: {pruned}");
    assert_eq!(dockerd.docker(&["network", "inspect", "-f", "{{.Id}}", &daemon.network()]), network);
    starts_again(&daemon, &container);
    assert_eq!(daemon.client.show(text(&container, "uri"))["failure"], Value::Null);
}

#[test]
fn a_prune_of_everything_is_said_and_the_network_comes_back_with_its_subnet() {
    let dockerd = Dockerd::start();
    let mut daemon = Daemon::start(&[("engine_host", &dockerd.host())]);
    let container = asleep(&daemon);
    let before = subnet(&dockerd, &daemon);
    let pruned = dockerd.docker(&["system", "prune", "-f"]);
    assert!(pruned.contains(&daemon.network()), "a network of sleepers counts as unused: {pruned}");
    assert!(pruned.contains(text(&container, "container_id")), "{pruned}");
    let uri = text(&container, "uri");
    let failure =
        until("it says so", WITHIN, || daemon.client.show(uri)["failure"].as_str().map(str::to_owned));
    let name = text(&container, "name").trim_start_matches('/');
    assert!(failure.contains(name) && failure.contains("DELETE it and create a new one"), "{failure}");

    let after = daemon.client.create(test_image());
    assert_eq!(subnet(&dockerd, &daemon), before);
    let answer = ask(text(&after, "app_port"), "a new one").unwrap();
    assert!(answer.ends_with("a new one"), "{answer}");
    assert_eq!(daemon.client.delete(uri).status, 204);
    assert_eq!(daemon.client.delete(text(&after, "uri")).status, 204);
    until("nobody stands on it", WITHIN, || dockerd.docker(&["ps", "-aq"]).is_empty().then_some(()));

    dockerd.docker(&["system", "prune", "-f"]);
    daemon.end();
    daemon.start_again(&[]);
    assert_eq!(subnet(&dockerd, &daemon), before, "also when it went while we were away");
}

#[test]
fn a_pruned_network_is_made_again_under_those_that_name_the_old_one() {
    let dockerd = Dockerd::start();
    let daemon = Daemon::start(&[("engine_host", &dockerd.host())]);
    let (started, created) = (asleep(&daemon), asleep(&daemon));
    let before = subnet(&dockerd, &daemon);
    assert!(dockerd.docker(&["network", "prune", "-f"]).contains(&daemon.network()));
    starts_again(&daemon, &started);
    assert_eq!(subnet(&dockerd, &daemon), before);
    checks_in(&dockerd, &daemon, &started);
    starts_again(&daemon, &created);
    assert_eq!(daemon.client.get("/v1/containers?audit=true").status, 200);
}

/// The redirect went with the old network's bridge.
fn checks_in(dockerd: &Dockerd, daemon: &Daemon, container: &Value) {
    let say = ["say", "POST", "gateway", "80", "/v1/check-in", "active-connections=7"];
    dockerd.docker(&[&["exec", text(container, "container_id")][..], &say].concat());
    until("the check-in is taken", WITHIN, || {
        (daemon.client.show(text(container, "uri"))["active"] == "7").then_some(())
    });
}
