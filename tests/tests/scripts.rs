//! `scripts/engine` with stand-ins for the programs that it asks: what it says, and that it never installs beside an engine.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// Runs it with these programs first on the path; gives what it said, and whether anything was to be installed or started.
fn engine(stand_ins: &[(&str, &str)], variables: &[(&str, &str)]) -> (String, bool) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let marker = folder.path().join("touched");
    let touch = format!("touch {}", marker.display());
    let touching = ["apt-get", "dockerd", "systemctl", "modprobe"].map(|name| (name, touch.as_str()));
    for (name, script) in touching.iter().chain(stand_ins) {
        let path = folder.path().join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("the folder is ours");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("the file is ours");
    }
    // The scripts put the tools' folder first.
    let cache = folder.path().join("cache");
    std::fs::create_dir_all(cache.join("tools")).expect("the folder is ours");
    std::os::unix::fs::symlink(folder.path(), cache.join("tools/bin")).expect("the folder is ours");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/engine");
    let mut command = Command::new(script);
    command.env("SPIN_DOCKER_CACHE", &cache).env_remove("CI").env_remove("DOCKER_HOST");
    let output = command.envs(variables.iter().copied()).output().expect("bash is there");
    let found = stand_ins.iter().any(|(name, _)| *name == "sg");
    assert_eq!(output.status.success(), found, "{output:?}");
    (String::from_utf8_lossy(&output.stderr).into_owned(), marker.exists())
}

#[test]
fn an_engine_that_forbids_is_not_one_that_is_missing() {
    let docker = (
        "docker",
        "echo 'permission denied while trying to connect to the Docker daemon socket' >&2; exit 1",
    );
    let (said, touched) = engine(&[docker], &[]);
    assert!(said.contains("may not use it: run 'sudo usermod -aG docker "), "{said}");
    assert!(!touched);
}

/// The docker command is forbidden until the script runs in the group, which the account has and the session has not.
#[test]
fn whoever_joined_the_group_since_they_logged_in_need_not_log_in_again() {
    let docker = ("docker", "[ \"$WITH_DOCKER_GROUP\" ] || { echo 'permission denied' >&2; exit 1; }");
    let id = ("id", "case $1 in -nG) echo users docker;; *) echo somebody;; esac");
    let sg = ("sg", "[ \"$1 $2\" = 'docker -c' ] && exec sh -c \"$3\"");
    let (said, touched) = engine(&[docker, id, sg], &[]);
    assert!(said.contains("engine: "), "{said}");
    assert!(!touched);
}

#[test]
fn an_engine_that_is_stopped_gets_the_command_to_run_and_never_an_install() {
    let docker = ("docker", "exit 1");
    let dpkg = ("dpkg", "echo 'un  docker.io'; echo 'ii  docker-ce 5:29'; exit 1");
    for stand_ins in [vec![docker], vec![docker, dpkg]] {
        let (said, touched) = engine(&stand_ins, &[]);
        assert!(said.contains("is installed and does not answer: "), "{said}");
        assert!(!touched);
    }
}

#[test]
fn a_docker_host_that_does_not_answer_is_named() {
    let (said, touched) = engine(&[("docker", "exit 1")], &[("DOCKER_HOST", "unix:///no/such")]);
    assert!(said.contains("nothing answers at DOCKER_HOST=unix:///no/such"), "{said}");
    assert!(!touched);
}
