//! `spin-docker thaw`: whatever froze them, containers go on, with a daemon and an engine or without, and nobody else's do.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::process::Output;
use tests::freezer::{Group, freeze, is_frozen, thaw};
use tests::{Daemon, Dockerd, ask, docker, test_image, text};

fn printed(output: &Output) -> Vec<String> {
    let mut lines: Vec<_> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

fn complaints(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn thawed(ids: &[&str]) -> Vec<String> {
    let mut lines: Vec<_> = ids.iter().map(|id| format!("thawed {id}")).collect();
    lines.sort();
    lines
}

struct Stranger(String);

impl Stranger {
    fn run() -> Self {
        Self(docker(&["run", "-d", "--network", "none", test_image()]))
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        docker(&["rm", "-fv", &self.0]);
    }
}

#[test]
fn everything_of_ours_is_freed_whoever_is_left_to_do_it() {
    let mut daemon = Daemon::start(&[]);
    let (one, two) = (daemon.client.create(test_image()), daemon.client.create(test_image()));
    let ids = [text(&one, "container_id"), text(&two, "container_id")];
    let stranger = Stranger::run();
    freeze(&stranger.0);
    let free = |daemon: &Daemon, arguments: &[&str], expected: &[&str]| {
        let output = daemon.run(&[&["thaw", "--all"], arguments].concat());
        assert!(output.status.success(), "{output:?}");
        assert_eq!(printed(&output), thawed(expected), "{output:?}");
        assert!(!ids.iter().any(|id| is_frozen(id)));
        complaints(&output)
    };

    freeze(ids[0]);
    docker(&["pause", ids[1]]);
    assert_eq!(free(&daemon, &[], &ids), "", "beside a daemon");
    assert_eq!(docker(&["inspect", "-f", "{{.State.Paused}}", ids[1]]), "false");
    for container in [&one, &two] {
        assert!(ask(text(container, "app_port"), "hello").unwrap().ends_with("hello"));
    }

    daemon.kill();
    ids.iter().for_each(|id| freeze(id));
    let nowhere = ["--engine-host", "unix:///no/such/socket"];
    let said = free(&daemon, &nowhere, &ids);
    assert!(said.contains("without the engine") && said.contains("/no/such/socket"), "{said}");
    free(&daemon, &nowhere, &[]);

    ids.iter().for_each(|id| freeze(id));
    let said = free(&daemon, &["--data-dir", "/no/such/folder"], &ids);
    assert!(said.contains("only what the engine has is known"), "{said}");

    freeze(ids[0]);
    let blind = ["--data-dir", "/no/such/folder"];
    let output = daemon.run(&[&["thaw", "--all"], blind.as_slice(), &nowhere].concat());
    let said = complaints(&output);
    assert!(
        output.status.code() == Some(1) && said.contains("neither a store in /no/such/folder nor"),
        "{said}"
    );
    let output = daemon.run(&[&["thaw", "--all"], blind.as_slice(), &["--instance", "another"]].concat());
    let said = complaints(&output);
    assert!(output.status.success() && said.contains("no container of the instance \"another\""), "{said}");
    assert!(is_frozen(ids[0]));
    thaw(ids[0]);
    assert!(is_frozen(&stranger.0), "nobody asked for that one");
}

#[test]
fn over_control_groups_of_version_2_they_are_freed_too() {
    let engine = Dockerd::start_unified();
    let mut daemon = Daemon::start(&[("engine_host", &engine.host())]);
    let made = [daemon.client.create(test_image()), daemon.client.create(test_image())];
    let ids = [text(&made[0], "container_id"), text(&made[1], "container_id")];
    let groups = ids.map(|id| Group::of(id, |args| engine.docker(args)));
    for (arguments, dies) in [([].as_slice(), false), (&["--engine-host", "unix:///no/such/socket"], true)] {
        made.iter().for_each(|container| daemon.client.freeze(container));
        assert!(groups.iter().all(Group::is_frozen));
        if dies {
            daemon.kill();
        }
        let output = daemon.run(&[&["thaw", "--all"], arguments].concat());
        assert!(output.status.success(), "{output:?}");
        assert_eq!(printed(&output), thawed(&ids), "{output:?}");
        assert!(!groups.iter().any(Group::is_frozen));
        if !dies {
            // The daemon hears of it when it is needed.
            made.iter().for_each(|container| {
                assert!(ask(text(container, "app_port"), "hello").unwrap().ends_with("hello"));
            });
        }
    }
}

#[test]
fn one_is_freed_by_the_beginning_of_its_id() {
    let daemon = Daemon::start(&[]);
    let (one, other) = (Stranger::run(), Stranger::run());
    freeze(&one.0);
    freeze(&other.0);
    let output = daemon.run(&["thaw", &one.0[..12]]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(printed(&output), thawed(&[&one.0]));
    assert!(!is_frozen(&one.0) && is_frozen(&other.0));
    assert_eq!(printed(&daemon.run(&["thaw", &one.0])), thawed(&[]), "it is awake");

    let output = daemon.run(&["thaw", "nobody", &other.0]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(printed(&output), thawed(&[&other.0]), "the others are freed all the same");
    assert!(complaints(&output).contains("no container whose id begins with nobody runs here"), "{output:?}");
    assert_eq!(daemon.run(&["thaw"]).status.code(), Some(2), "which?");
}

#[test]
fn whoever_may_not_is_told_so() {
    let daemon = Daemon::start_without_root(&[]);
    let container = daemon.client.create(test_image());
    let id = text(&container, "container_id");
    freeze(id);
    let output = daemon.run(&["thaw", "--all"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = complaints(&output);
    assert!(said.contains(&format!("cannot thaw {id}")) && said.contains("is this root"), "{said}");
    assert!(is_frozen(id) && printed(&output).is_empty());
    // Removed while it is frozen, it would stay for as long as a signal may take.
    thaw(id);
}
