//! A machine that is lost, and its backup.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::fs;
use std::path::Path;
use std::process::Output;
use tests::{Daemon, ask, test_image, text, throughout};

fn said(output: &Output) -> String {
    [output.stdout.as_slice(), &output.stderr]
        .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
        .concat()
}

fn run(daemon: &Daemon, arguments: &[&str]) -> String {
    let output = daemon.run(arguments);
    assert!(output.status.success(), "{}", said(&output));
    said(&output)
}

/// Refused, by this word, with `data_dir` as it was.
fn refused(daemon: &Daemon, arguments: &[&str], word: &str) {
    let before = names(&daemon.data());
    let output = daemon.run(arguments);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains(word) && said(&output).lines().count() == 1, "{}", said(&output));
    assert_eq!(names(&daemon.data()), before);
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_lost_data_folder_is_restored_from_a_backup_that_was_taken_while_the_daemon_ran() {
    let mut daemon = Daemon::start(&[("endpoint_ports", "51880-51919")]);
    let made = daemon.client.create(test_image());
    let uri = text(&made, "uri");
    let to = tempfile::tempdir().unwrap();
    let file = to.path().join("b");
    let (file, key) = (file.to_str().unwrap(), fs::read(daemon.ssh_key()).unwrap());
    assert!(run(&daemon, &["backup", file]).contains("1 container, taken"), "what was acknowledged is in it");
    refused(&daemon, &["backup", file], "is there already");
    refused(&daemon, &["restore", file], "runs over");
    refused(&daemon, &["restore", "--replace", file], "runs over");
    daemon.kill();

    refused(&daemon, &["restore", file], "is there already");
    for entry in names(&daemon.data()).iter().map(|name| daemon.data().join(name)) {
        if entry.is_dir() { fs::remove_dir_all(entry).unwrap() } else { fs::remove_file(entry).unwrap() }
    }
    fs::write(to.path().join("half"), &fs::read(file).unwrap()[..2000]).unwrap();
    refused(&daemon, &["restore", to.path().join("half").to_str().unwrap()], "is damaged");
    assert!(run(&daemon, &["restore", file]).contains("1 container, taken"));
    assert_eq!(fs::read(daemon.ssh_key()).unwrap(), key);
    daemon.start_again(&[]);
    let found = daemon.client.show(uri);
    assert_eq!((&found["app_port"], &found["status"]), (&made["app_port"], &made["status"]));
    assert!(ask(text(&found, "app_port"), "hello").is_ok());
}

/// While it writes: whatever moment the backup is of, it is whole.
#[test]
fn backups_beside_a_busy_daemon_are_whole() {
    let daemon = Daemon::start(&[]);
    let made = daemon.client.create(test_image());
    let to = tempfile::tempdir().unwrap();
    let file = to.path().join("b");
    throughout(std::time::Duration::from_secs(3), || {
        daemon.client.freeze(&made);
        run(&daemon, &["backup", "--replace", file.to_str().unwrap()]);
        daemon.client.patch(text(&made, "uri"), "depth=awake");
    });
    let other = tempfile::tempdir().unwrap();
    let folder = other.path().to_str().unwrap();
    assert!(run(&daemon, &["restore", file.to_str().unwrap(), "--data-dir", folder]).contains("1 container"));
}
