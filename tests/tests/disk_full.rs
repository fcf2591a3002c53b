//! A full disk: what would take more is a 507 and leaves nothing behind, what frees something is still done and kept, and
//! serving goes on once there is space.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::time::Duration;
use tests::{Answer, Daemon, Disk, Dockerd, ask, docker, move_apart, test_image, text, until};

fn create(daemon: &Daemon) -> Answer {
    daemon.client.post("/v1/containers", &format!("image={}", test_image()))
}

fn bodies(daemon: &Daemon) -> usize {
    let filter = format!("label=spin-docker.instance={}", daemon.instance);
    docker(&["ps", "-aq", "--filter", &filter]).split_whitespace().count()
}

#[test]
fn on_a_full_disk_creates_are_507_and_stops_and_deletes_are_done_and_kept() {
    let disk = Disk::of("24m");
    let mut daemon = Daemon::start(&[("data_dir", disk.path().to_str().unwrap()), ("disk_reserve", "0")]);
    let containers: Vec<_> = (0..4).map(|_| daemon.client.create(test_image())).collect();
    let [runs, stopped, deleted, sleeps] = [0, 1, 2, 3].map(|n| text(&containers[n], "uri"));
    assert_eq!(daemon.client.patch(sleeps, "status=stopped").status, 200);
    let is_stopped = |daemon: &Daemon, uri: &str| {
        until("it is stopped", Duration::from_secs(20), || {
            (daemon.client.show(uri)["status"] == "stopped").then_some(())
        });
    };
    is_stopped(&daemon, sleeps);
    let filler = disk.fill();

    // What the journal has room for may still be written; then it is full.
    let refused = until("the disk is full", Duration::from_secs(60), || {
        disk.fill();
        let answer = daemon.client.patch(sleeps, "status=running");
        (answer.status != 200).then_some(answer).or_else(|| {
            daemon.client.patch(sleeps, "status=stopped");
            is_stopped(&daemon, sleeps);
            None
        })
    });
    for answer in [refused, create(&daemon)] {
        assert_eq!(answer.status, 507, "{}", answer.text);
        assert!(answer.text.contains("urn:spin-docker:problem:disk-full"), "{}", answer.text);
        assert!(answer.text.contains("free some space"), "{}", answer.text);
    }
    assert_eq!(daemon.client.get("/v1/containers").json().as_array().unwrap().len(), 4);
    assert_eq!(bodies(&daemon), 4, "nothing is half made");
    assert_eq!(daemon.client.show(sleeps)["status"], "stopped", "nothing is half started");
    let body = text(&containers[3], "container_id");
    assert_eq!(docker(&["inspect", "-f", "{{.State.Running}}", body]), "false");

    disk.fill();
    assert_eq!(daemon.client.patch(stopped, "status=stopped").status, 200);
    is_stopped(&daemon, stopped);
    disk.fill();
    assert_eq!(daemon.client.delete(deleted).status, 204);
    until("its body is gone", Duration::from_secs(20), || (bodies(&daemon) == 3).then_some(()));
    let answer = ask(text(&containers[0], "app_port"), "served").unwrap();
    assert!(answer.ends_with("served"), "{answer}");

    daemon.kill();
    disk.fill();
    daemon.start_again(&[]);
    assert_eq!(daemon.client.show(stopped)["status"], "stopped");
    assert_eq!(daemon.client.get(deleted).status, 404);
    assert_eq!(daemon.client.show(runs)["status"], "running");

    std::fs::remove_file(filler).unwrap();
    let made = create(&daemon);
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(daemon.client.patch(stopped, "status=running").status, 200);
    // It ends before its disk does.
    daemon.end();
}

/// Where the engine is, so is the test: in a network of its own, where all ports are free.
#[test]
fn a_full_disk_of_the_engine_is_507_too_and_costs_neither_a_body_nor_a_port() {
    // The image is there before nobody sees the shared engine's disk any more.
    test_image();
    move_apart();
    let disk = Disk::of("300m");
    let dockerd = Dockerd::start_in(disk.path());
    // Enough for three containers.
    let settings =
        [("engine_host", &*dockerd.host()), ("disk_reserve", "0"), ("endpoint_ports", "49153-49161")];
    let daemon = Daemon::start(&settings);
    let listed = || daemon.client.get("/v1/containers").json();
    let bodies = || dockerd.docker(&["ps", "-aq"]).split_whitespace().count();
    let [stopped, deleted] = [(); 2].map(|()| daemon.client.create(test_image()));
    let (before, taken) = (listed(), bound());
    assert_eq!(taken.len(), 6);

    let filler = disk.fill();
    let refused = create(&daemon);
    assert_eq!(refused.status, 507, "{}", refused.text);
    assert!(refused.text.contains("urn:spin-docker:problem:disk-full"), "{}", refused.text);
    assert!(refused.text.contains("free some space"), "{}", refused.text);
    assert_eq!(listed(), before);
    until("its body is gone", Duration::from_secs(20), || (bodies() == 2).then_some(()));
    until("nobody listens at its ports", Duration::from_secs(5), || (bound() == taken).then_some(()));
    assert_eq!(listed(), before);

    disk.fill();
    let stop = daemon.client.patch(text(&stopped, "uri"), "status=stopped");
    assert_eq!((stop.status, &stop.json()["status"]), (200, &"stopping".into()));
    daemon.client.until(&stopped, "status", "stopped");
    assert_eq!(daemon.client.delete(text(&deleted, "uri")).status, 204);
    until("the deleted one is gone", Duration::from_secs(20), || (bodies() == 1).then_some(()));

    std::fs::remove_file(filler).unwrap();
    // Two need the ports of the deleted one, and those that were given to the refused one: these rest, and come back.
    for _ in 0..2 {
        until("its ports have rested", Duration::from_secs(75), || {
            let answer = create(&daemon);
            let rests = answer.text.contains("urn:spin-docker:problem:used-up");
            assert!(answer.status == 201 || rests, "{}", answer.text);
            (answer.status == 201).then_some(())
        });
    }
    assert_eq!((listed().as_array().unwrap().len(), bodies(), bound().len()), (3, 3, 9));
    assert_eq!(daemon.client.patch(text(&stopped, "uri"), "status=running").status, 200);
}

/// The endpoints that somebody listens at.
fn bound() -> Vec<u16> {
    let is_bound = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_err();
    (49_153..=49_161).filter(is_bound).collect()
}
