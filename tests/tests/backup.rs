//! A machine that is lost, and its backup.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use tests::{Daemon, Disk, ask, docker, test_image, text, throughout};

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
    let mut daemon = Daemon::start(&[]);
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

fn network_names(daemon: &Daemon) -> String {
    let label = format!("label=spin-docker.instance={}", daemon.instance);
    docker(&["network", "ls", "--filter", &label, "--format", "{{.Name}}"])
}

/// As a package leaves a machine: its daemon has run once, and made a store, a key and a network.
#[test]
fn what_a_first_start_made_makes_way_and_the_restored_store_has_its_network() {
    let mut daemon = Daemon::start(&[]);
    let made = daemon.client.create(test_image());
    let to = tempfile::tempdir().unwrap();
    let file = to.path().join("b");
    let file = file.to_str().unwrap();
    run(&daemon, &["backup", file]);
    let key = fs::read(daemon.ssh_key()).unwrap();
    run_purge(&mut daemon);
    daemon.start_again(&[]);
    daemon.end();

    let said = run(&daemon, &["restore", file]);
    let replaced = said.split("kept in ").nth(1).unwrap().trim();
    assert!(Path::new(replaced).join("spin-docker.db").is_file(), "{said}");
    assert_eq!((fs::read(daemon.ssh_key()).unwrap(), network_names(&daemon)), (key, String::new()), "{said}");
    daemon.start_again(&[]);
    assert_eq!(network_names(&daemon), daemon.network());
    assert_eq!(daemon.client.show(text(&made, "uri"))["status"], "stopped");
}

/// The machine is a new one.
fn run_purge(daemon: &mut Daemon) {
    daemon.end();
    run(daemon, &["purge", "--yes"]);
    assert!(!daemon.data().exists());
}

/// All that is in it, by its names.
fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut tree = BTreeMap::new();
    for path in names(folder).iter().map(|name| folder.join(name)) {
        let is_folder = path.is_dir();
        tree.insert(path.clone(), if is_folder { Vec::new() } else { fs::read(&path).unwrap() });
        tree.extend(is_folder.then(|| self::tree(&path)).into_iter().flatten());
    }
    tree
}

/// With room for one file more at each try, it fails at one step after the other.
#[test]
fn a_restore_that_fails_halfway_leaves_everything_as_it_was() {
    let mut daemon = Daemon::start(&[]);
    daemon.end();
    let (to, disk) = (tempfile::tempdir().unwrap(), Disk::of_files(64));
    let (file, folder) = (to.path().join("b"), disk.path().join("data"));
    let file = file.to_str().unwrap();
    run(&daemon, &["backup", file]);
    let restore = ["restore", "--replace", file, "--data-dir", folder.to_str().unwrap()];
    run(&daemon, &restore);
    fs::write(folder.join("ssh/id_ed25519"), "another").unwrap();
    let before = tree(&folder);
    let mut failed = Vec::new();
    for filler in disk.fill_with_files() {
        let output = daemon.run(&restore);
        if output.status.success() {
            break;
        }
        failed.push(said(&output));
        assert!(tree(&folder) == before, "{failed:#?}, and {:?} are left", names(&folder));
        fs::remove_file(filler).unwrap();
    }
    let set_aside = failed.iter().filter(|said| said.contains("cannot set aside the store in")).count();
    assert_eq!(set_aside, 3, "for want of replaced, replaced/TIME, replaced/TIME/ssh: {failed:#?}");
    assert!(folder.join("replaced").is_dir(), "the last one had room enough");
}

/// By the command of docs/backup.md. The older program is not at hand: its store is, to the letter.
#[test]
fn an_upgrade_is_taken_back_by_the_backup_that_it_made() {
    let mut daemon = Daemon::start(&[]);
    daemon.end();
    for name in ["spin-docker.db", "spin-docker.db-wal"] {
        drop(fs::remove_file(daemon.data().join(name)));
    }
    let path = daemon.data().join("spin-docker.db");
    let store = || rusqlite::Connection::open(&path).unwrap();
    let schema = || store().pragma_query_value(None, "user_version", |row| row.get::<_, usize>(0)).unwrap();
    let steps = include_str!("../../crates/control/src/store/migrations/1-containers.sql");
    let of_owner = "INSERT INTO meta VALUES ('owner', 'me'); PRAGMA user_version = 1;";
    store().execute_batch(&[steps, of_owner].concat()).unwrap();
    let said = run(&daemon, &["purge"]);
    assert!(
        schema() == 1 && !daemon.data().join("backups").exists(),
        "what only looks migrates nothing: {said}"
    );

    daemon.start_again(&[]);
    daemon.end();
    assert_eq!(schema(), 2);
    let folder = daemon.data().join("backups");
    let before = folder.join(&names(&folder)[0]);
    run(&daemon, &["restore", "--replace", before.to_str().unwrap()]);
    assert_eq!(schema(), 1, "as the older program left it");
}

#[test]
fn what_cannot_be_backed_up_or_written_is_one_clear_message() {
    let mut daemon = Daemon::start(&[]);
    daemon.end();
    let to = tempfile::tempdir().unwrap();
    let file = to.path().join("b");
    let file = file.to_str().unwrap();
    refused(&daemon, &["backup", "--replace", "/dev/full"], "/dev/full is there and is no ordinary file");
    refused(&daemon, &["backup", "-"], "a backup goes to a file");
    refused(&daemon, &["backup", "/nope/dir/f"], "cannot write /nope/dir/f: No such file");
    let elsewhere = ["backup", file, "--data-dir", to.path().to_str().unwrap()];
    refused(&daemon, &elsewhere, "name its folder as `serve` has it, by --data-dir or --config");
}

#[test]
fn a_full_disk_takes_no_part_of_a_backup_and_is_told_by_the_files_own_name() {
    let mut daemon = Daemon::start(&[]);
    daemon.end();
    let disk = Disk::of("16k");
    let file = disk.path().join("b");
    let file = file.to_str().unwrap();
    refused(
        &daemon,
        &["backup", file],
        &format!("cannot write {file}: No space left on device (os error 28)\n"),
    );
    assert_eq!(names(disk.path()), Vec::<String>::new());
}

/// The store is of a version that the program does not know, as one is after an upgrade that is taken back.
#[test]
fn a_store_of_a_later_version_makes_way_for_the_backup_of_before_and_all_is_there() {
    let mut daemon = Daemon::start(&[]);
    let made = daemon.client.create(test_image());
    let to = tempfile::tempdir().unwrap();
    let file = to.path().join("b");
    let file = file.to_str().unwrap();
    run(&daemon, &["backup", file]);
    daemon.end();
    let store = rusqlite::Connection::open(daemon.data().join("spin-docker.db")).unwrap();
    store.execute_batch("PRAGMA user_version = 99; ALTER TABLE containers RENAME TO of_later").unwrap();
    drop(store);
    assert!(said(&daemon.run(&["serve"])).contains("or newer (its schema is 99"));
    refused(&daemon, &["restore", file], "is there already");

    assert!(run(&daemon, &["restore", "--replace", file]).contains("1 container, taken"));
    daemon.start_again(&[]);
    let found = daemon.client.show(text(&made, "uri"));
    assert_eq!((&found["app_port"], &found["container_id"]), (&made["app_port"], &made["container_id"]));
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
