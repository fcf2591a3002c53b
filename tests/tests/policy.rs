//! The idle policy of the built program: what requests, labels and settings say, which of them wins, and deletion where it is
//! asked for.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tests::{Answer, Client, Daemon, docker_quietly, test_image, text, until};

/// The test's image with these labels more.
fn labelled(name: &str, labels: &[&str]) -> String {
    let name = format!("spin-docker-test/{name}");
    let mut build = Command::new("docker")
        .args(["build", "-q", "-t", &name, "-"])
        .env("DOCKER_BUILDKIT", "0")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let recipe = format!("FROM {}\nLABEL {}\n", test_image(), labels.join(" "));
    build.stdin.take().unwrap().write_all(recipe.as_bytes()).unwrap();
    assert!(build.wait().unwrap().success(), "cannot build {name}");
    name
}

fn send(client: &Client, method: &str, path: &str, body: Value) -> Answer {
    client.send(method, path, &[], Some(("application/json", &body.to_string())))
}

fn create(client: &Client, image: &str, policy: Value) -> Value {
    client.create_as(&json!({"image": image, "policy": policy}))
}

/// Seconds from its creation to this time of it.
fn after(container: &Value, field: &str) -> f64 {
    let time = |field| text(container, field).parse::<jiff::Timestamp>().unwrap();
    time(field).duration_since(time("created_at")).as_secs_f64()
}

#[test]
fn a_request_wins_over_the_image_and_the_image_over_the_settings() {
    let image = labelled(
        "policy",
        &[
            "spin-docker.initial_timeout_interval=1h",
            "spin-docker.activity=traffic",
            "spin-docker.owed_for=soon",
        ],
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    let settings = "listen = '127.0.0.1:0'\ninitial_timeout_interval = '3h'\nactivity = 'check-in'\n";
    std::fs::write(&path, format!("{settings}busy_cpu = 0.5\n")).unwrap();
    let daemon = Daemon::start(&[("@SPIN_DOCKER_CONFIG", path.to_str().unwrap())]);
    let client = &daemon.client;
    let by_settings = client.create(test_image());
    let by_image = client.create(&image);
    let by_request = create(client, &image, json!({"initial_timeout_interval": "2h"}));
    for (container, initial, activity) in
        [(&by_settings, 10_800, "check-in"), (&by_image, 3_600, "traffic"), (&by_request, 7_200, "traffic")]
    {
        let policy = &container["policy"];
        assert_eq!(
            (&policy["initial_timeout_interval"], &policy["activity"]),
            (&initial.into(), &activity.into())
        );
        assert_eq!(policy["busy_cpu"], 0.5);
        let due = after(container, "next_look");
        assert!((f64::from(initial)..f64::from(initial) + 30.0).contains(&due), "{due}");
    }
    let warning = "the image's label spin-docker.owed_for is \"soon\"; it takes seconds";
    assert!(by_image["warnings"][0].as_str().unwrap().starts_with(warning), "{by_image}");
    assert!(daemon.log().contains(warning), "it is in the log too");
    assert_eq!((&by_image["policy"]["owed_for"], &by_settings["warnings"]), (&3600.into(), &json!([])));

    std::fs::write(&path, format!("{settings}freeze_after = 'off'\n")).unwrap();
    daemon.hang_up();
    for container in [&by_settings, &by_image, &by_request] {
        let shown = client.show(text(container, "uri"));
        assert_eq!(
            (&shown["policy"]["busy_cpu"], &shown["policy"]["freeze_after"]),
            (&0.02.into(), &"off".into())
        );
        assert_eq!(shown["policy"]["activity"], container["policy"]["activity"]);
    }
}

#[test]
fn a_change_holds_at_once_outlives_a_crash_and_is_taken_back() {
    let mut daemon = Daemon::start(&[]);
    let container = daemon.client.create(test_image());
    let uri = text(&container, "uri").to_owned();
    let changed = daemon.client.patch(&uri, "policy.initial_timeout_interval=4h&policy.wake_from=10.0.0.0/8");
    assert_eq!(changed.status, 200, "{}", changed.text);
    daemon.kill();
    daemon.start_again(&[]);
    let shown = daemon.client.show(&uri);
    assert_eq!(shown["policy"]["wake_from"], json!(["10.0.0.0/8"]));
    assert!((14_400.0..14_430.0).contains(&after(&shown, "next_look")), "{shown}");
    let wrong = send(&daemon.client, "PATCH", &uri, json!({"policy": {"wake_form": null}}));
    assert_eq!(wrong.status, 422);
    assert!(wrong.text.contains("the nearest is wake_from"), "{}", wrong.text);
    let back = send(
        &daemon.client,
        "PATCH",
        &uri,
        json!({"policy": {"wake_from": null, "initial_timeout_interval": null}}),
    );
    assert_eq!(back.json()["policy"], container["policy"]);
    let sooner = json!({"policy": {"initial_timeout_interval": 1, "timeout_interval": 1}});
    assert_eq!(send(&daemon.client, "PATCH", &uri, sooner).status, 200);
    until("its looks stop it", Duration::from_secs(20), || {
        (daemon.client.show(&uri)["status"] == "stopped").then_some(())
    });
}

#[test]
fn what_expires_is_deleted_with_its_body_and_nothing_else_is() {
    let daemon = Daemon::start(&[]);
    let begun = Instant::now();
    let kept = daemon.client.create(test_image());
    let gone = create(&daemon.client, test_image(), json!({"expires_after": 5}));
    assert!((4.9..5.1).contains(&after(&gone, "expires_at")), "{gone}");
    assert_eq!(kept["expires_at"], Value::Null);
    let (id, uri) = (text(&gone, "container_id"), text(&gone, "uri"));
    until("it is gone", Duration::from_secs(90), || (daemon.client.get(uri).status == 404).then_some(()));
    let took = begun.elapsed().as_secs();
    assert!((55..70).contains(&took), "not in the first minute of the daemon's: {took} s");
    until("its body is gone", Duration::from_secs(30), || docker_quietly(&["inspect", id]).err());
    assert!(daemon.log().contains("it has expired, as its policy says: deleting"));
    assert_eq!(daemon.client.show(text(&kept, "uri"))["status"], "running");
}

#[test]
fn sd_postgres_counts_traffic() {
    let daemon = Daemon::start(&[]);
    let container = daemon.client.create("spin-docker/sd-postgres");
    assert_eq!((&container["policy"]["activity"], &container["warnings"]), (&"traffic".into(), &json!([])));
}
