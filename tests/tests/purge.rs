//! `spin-docker purge`: everything of ours goes, nothing of anybody else's, and not while a daemon runs.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use tests::{Daemon, docker, docker_quietly, program, test_image, text};

/// The beginning of the id of its network, by which its rule is named.
fn network_id(daemon: &Daemon) -> String {
    docker(&["network", "inspect", "-f", "{{slice .Id 0 12}}", &daemon.network()])
}

fn has_rule(network: &str) -> bool {
    let rules = Command::new("iptables").args(["-w", "-t", "nat", "-S"]).output().unwrap();
    String::from_utf8_lossy(&rules.stdout).contains(&format!("SPIN-DOCKER-{network}"))
}

fn is_there(what: &str, name: &str) -> bool {
    docker_quietly(&[what, "inspect", name]).is_ok()
}

/// Who may not write the firewall's rules has none to take back.
#[test]
fn without_root_everything_goes_too() {
    let mut daemon = Daemon::start_without_root(&[]);
    let container = daemon.client.create(test_image());
    assert_eq!(daemon.end(), Some(0));
    let said = daemon.run(&["purge", "--yes"]);
    // The folder itself is the test's, in root's /tmp.
    assert!(String::from_utf8_lossy(&said.stdout).contains("removed file"), "{said:?}");
    assert!(
        !is_there("container", text(&container, "container_id")) && !is_there("network", &daemon.network())
    );
}

#[test]
fn everything_of_ours_goes_and_nothing_of_anybody_elses() {
    let mut daemon = Daemon::start(&[]);
    let container = daemon.client.create(test_image());
    let id = text(&container, "container_id");
    let label =
        |name: &str| docker(&["inspect", "-f", &format!("{{{{index .Config.Labels \"{name}\"}}}}"), id]);
    let (instance, owner) = (label("spin-docker.instance"), label("spin-docker.owner"));
    let networks = docker(&["network", "ls", "-q", "--filter", &format!("label=spin-docker.owner={owner}")]);
    // A copy has all our labels but no place in the store.
    let labels = ["instance", "owner", "id"]
        .map(|name| format!("--label=spin-docker.{name}={}", label(&format!("spin-docker.{name}"))));
    let labels: Vec<_> = labels.iter().map(String::as_str).collect();
    let copy = docker(&[&["create", "--network", "none"], labels.as_slice(), &[test_image()]].concat());

    let output = daemon.run(&["purge", "--yes"]);
    assert!(
        !output.status.success()
            && String::from_utf8_lossy(&output.stderr)
                .contains("stop it first, as by `systemctl stop spin-docker`"),
        "{output:?}"
    );
    daemon.kill();
    let nowhere = daemon.run(&["purge", "--yes", "--engine-host", "unix:///no/such/socket"]);
    assert!(
        String::from_utf8_lossy(&nowhere.stderr).contains("containers of ours may be left on the engine"),
        "{nowhere:?}"
    );
    let said = daemon.run(&["purge"]);
    for what in [format!("container {id}"), format!("network {}", daemon.network())] {
        assert!(
            String::from_utf8_lossy(&said.stdout).contains(&format!("would remove {what}")),
            "{what}: {said:?}"
        );
    }
    assert!(is_there("container", id) && is_there("network", &networks), "nothing went yet");

    let made = ["backups/before-schema-2-x.backup", "replaced/20000101T000000000Z/ssh/id_ed25519"];
    let made = made.map(|name| daemon.data().join(name));
    for file in &made {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, "a private key").unwrap();
    }
    let somebodys = daemon.data().join("backups/mine");
    std::fs::write(&somebodys, "").unwrap();
    let said = daemon.run(&["purge", "--yes"]);
    assert!(said.status.success(), "{said:?}");
    assert!(made.iter().all(|file| !file.exists()) && somebodys.exists(), "{said:?}");
    assert!(!daemon.data().join("replaced").exists());
    assert!(!is_there("container", id) && !is_there("network", &networks), "{said:?}");
    assert!(is_there("container", &copy), "the copy is somebody's: {instance}");
    docker(&["rm", "-fv", &copy]);
    let said = daemon.run(&["purge", "--yes"]);
    assert!(String::from_utf8_lossy(&said.stdout).starts_with("nothing of ours in "), "{said:?}");
}

/// The daemon is killed, so that its rule stays.
#[test]
fn the_rule_goes_with_the_rest_and_nobody_elses_does() {
    let (mut daemon, other) = (Daemon::start(&[]), Daemon::start(&[]));
    let (ours, others) = (network_id(&daemon), network_id(&other));
    daemon.kill();
    assert!(has_rule(&ours) && has_rule(&others));
    let said = daemon.run(&["purge", "--yes"]);
    assert!(said.status.success(), "{said:?}");
    assert!(!has_rule(&ours) && has_rule(&others), "{said:?}");
}

/// By an iptables that may do nothing, as it is without root.
#[test]
fn a_rule_that_cannot_be_removed_keeps_the_network_and_the_data_and_the_command_is_told() {
    let mut daemon = Daemon::start(&[]);
    let network = network_id(&daemon);
    daemon.kill();
    let programs = tempfile::tempdir().unwrap();
    let iptables = programs.path().join("iptables");
    std::fs::write(&iptables, "#!/bin/sh\necho Permission denied >&2; exit 4\n").unwrap();
    std::fs::set_permissions(&iptables, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", programs.path().display(), std::env::var("PATH").unwrap());
    let output = Command::new(program())
        .args(["purge", "--yes"])
        .envs(daemon.environment())
        .env("PATH", path)
        .output();
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for word in [&format!("iptables -t nat -X SPIN-DOCKER-{network}`"), "Permission denied"] {
        assert!(said.contains(word), "{said}");
    }
    assert!(has_rule(&network) && is_there("network", &network));
    assert!(daemon.data().join("spin-docker.db").is_file());
    let commands = said.split('`').nth(1).unwrap();
    assert!(Command::new("sh").args(["-ec", commands]).status().unwrap().success(), "{commands}");
    assert!(!has_rule(&network));
    assert!(daemon.run(&["purge", "--yes"]).status.success(), "the same command goes on");
    assert!(!is_there("network", &network) && !daemon.data().exists());
}

/// The daemon is killed, and its network removed by hand: nobody is left who knows of the rule on its bridge, but for its name.
#[test]
fn the_rule_of_a_network_that_was_removed_meanwhile_goes_at_the_next_start() {
    let mut daemon = Daemon::start(&[]);
    let before = network_id(&daemon);
    assert!(has_rule(&before));
    daemon.kill();
    docker(&["network", "rm", &daemon.network()]);
    daemon.start_again(&[]);
    let now = network_id(&daemon);
    assert!(has_rule(&now) && !has_rule(&before), "{before}");
    daemon.end();
    assert!(!has_rule(&now), "{now}");
}
