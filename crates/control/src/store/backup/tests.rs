//! Backups of real stores in real folders.

use super::*;
use crate::store::sqlite::tests::put;
use crate::store::sqlite::{STEPS, put_meta};
use crate::store::{Change, Sqlite, Store};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A folder with a store of this owner, a key, and what a caller does to them.
fn data(owner: &str) -> (tempfile::TempDir, Sqlite) {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Sqlite::open(folder.path()).unwrap();
    store.read(&|| owner.to_owned()).unwrap();
    store.commit(&[Change::OnLoopback(true)]).unwrap();
    std::fs::create_dir(folder.path().join("ssh")).unwrap();
    std::fs::write(folder.path().join("ssh/id_ed25519"), "private").unwrap();
    std::fs::write(folder.path().join("ssh/id_ed25519.pub"), "public").unwrap();
    (folder, store)
}

fn owner_of(folder: &Path) -> String {
    Sqlite::open(folder).unwrap().read(&|| "nobody".to_owned()).unwrap().owner
}

fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_file()).map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

/// A backup of a store of this owner, in a folder of its own.
fn backup_of(owner: &str) -> (tempfile::TempDir, PathBuf) {
    let (folder, store) = data(owner);
    let to = tempfile::tempdir().unwrap();
    let file = to.path().join("b");
    backup(folder.path(), &file, Present::Kept).unwrap();
    drop(store);
    (to, file)
}

#[test]
fn what_is_backed_up_beside_an_open_store_is_restored() {
    let (_to, file) = backup_of("me");
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("below/data");
    let Restored { manifest, replaced } = restore(&folder, &file, Present::Kept).unwrap();
    assert_eq!(replaced, None);
    assert_eq!((manifest.schema, manifest.containers), (STEPS.len(), 0));
    assert_eq!(std::fs::read(folder.join("ssh/id_ed25519")).unwrap(), b"private");
    let mode = |name: &str| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::metadata(folder.join(name)).unwrap().permissions().mode() & 0o777
    };
    assert_eq!((mode(""), mode(FILE), mode("ssh/id_ed25519")), (0o700, 0o600, 0o600));
    assert_eq!(owner_of(&folder), "me");
}

#[test]
fn a_backup_overwrites_nothing_unless_it_is_told_to() {
    let (to, file) = backup_of("me");
    let (other, _store) = data("other");
    let before = files(to.path());
    let error = backup(other.path(), &file, Present::Kept).unwrap_err();
    assert!(matches!(error, BackupError::Exists { .. }), "{error}");
    assert_eq!(files(to.path()), before);
    backup(other.path(), &file, Present::Replaced).unwrap();
    let folder = tempfile::tempdir().unwrap();
    restore(folder.path(), &file, Present::Kept).unwrap();
    assert_eq!(owner_of(folder.path()), "other");
}

#[test]
fn a_folder_without_a_store_has_no_backup() {
    let (empty, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let error = backup(empty.path(), &to.path().join("b"), Present::Kept).unwrap_err();
    assert!(matches!(error, BackupError::NoStore { .. }), "{error}");
    assert!(error.to_string().contains(empty.path().to_str().unwrap()), "{error}");
    assert_eq!(files(to.path()), BTreeMap::new());
}

#[test]
fn only_an_ordinary_file_makes_way_for_a_backup() {
    let ((data, _store), to) = (data("me"), tempfile::tempdir().unwrap());
    let (link, file) = (to.path().join("link"), to.path().join("file"));
    std::fs::write(&file, "somebody's").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    for there in [&link, to.path(), Path::new("/dev/null")] {
        let error = backup(data.path(), there, Present::Replaced).unwrap_err();
        assert!(matches!(error, BackupError::NoFile { .. }), "{error}");
    }
    assert!(link.is_symlink() && std::fs::read(&file).unwrap() == b"somebody's");
}

#[test]
fn a_missing_folder_is_told_without_a_name_of_ours() {
    let (data, _store) = data("me");
    let error = backup(data.path(), Path::new("/nope/dir/f"), Present::Kept).unwrap_err();
    let said = crate::chain(&error);
    assert!(said.starts_with("cannot write /nope/dir/f") && !said.contains(".tmp"), "{said}");
}

/// Each refusal leaves the folder as it was.
fn refused(folder: &Path, file: &Path) -> BackupError {
    let before = files(folder);
    let error = restore(folder, file, Present::Kept).unwrap_err();
    assert_eq!(files(folder), before);
    error
}

#[test]
fn whatever_byte_is_damaged_the_whole_file_is_refused() {
    let (to, file) = backup_of("me");
    let whole = std::fs::read(&file).unwrap();
    let (folder, wrong) = (tempfile::tempdir().unwrap(), to.path().join("wrong"));
    for at in (0..whole.len()).step_by(whole.len() / 40).chain(0..100) {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        std::fs::write(&wrong, &damaged).unwrap();
        let error = refused(folder.path(), &wrong);
        assert!(matches!(error, BackupError::Damaged { .. } | BackupError::Foreign { .. }), "{at}: {error}");
    }
    for length in [0, 10, 60, 92, 93, 94, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&wrong, &whole[..length]).unwrap();
        let error = refused(folder.path(), &wrong);
        assert!(
            matches!(error, BackupError::Damaged { .. } | BackupError::Foreign { .. }),
            "{length}: {error}"
        );
    }
    std::fs::write(&wrong, [whole.as_slice(), b"more"].concat()).unwrap();
    assert!(matches!(refused(folder.path(), &wrong), BackupError::Damaged { .. }));
}

#[test]
fn another_programs_file_and_a_folder_are_refused() {
    let (folder, store) = data("me");
    drop(store);
    let empty = tempfile::tempdir().unwrap();
    let error = refused(empty.path(), &folder.path().join(FILE));
    assert!(error.to_string().contains("no backup of spin-docker's"), "{error}");
    assert!(matches!(refused(empty.path(), folder.path()), BackupError::Io { .. }));
    assert!(matches!(refused(empty.path(), &folder.path().join("none")), BackupError::Io { .. }));
}

/// One of a later version: whole, and not for us.
#[test]
fn a_later_schema_is_refused_by_its_version() {
    let (folder, store) = data("me");
    drop(store);
    let later = Connection::open(folder.path().join(FILE)).unwrap();
    later.pragma_update(None, "user_version", 99).unwrap();
    put_meta(&later, "needs", "9.8.7").unwrap();
    let file = folder.path().join("b");
    place(&contents(&later, folder.path()).unwrap().pack().unwrap(), &file, Present::Kept).unwrap();
    let error = refused(tempfile::tempdir().unwrap().path(), &file).to_string();
    assert!(error.contains("needs spin-docker 9.8.7 or newer (its schema is 99"), "{error}");
}

#[test]
fn where_a_store_or_its_log_or_another_key_is_nothing_is_restored_unless_told_to() {
    let (_to, file) = backup_of("me");
    for name in [FILE, "spin-docker.db-wal"] {
        let occupied = tempfile::tempdir().unwrap();
        std::fs::write(occupied.path().join(name), "something").unwrap();
        assert!(matches!(refused(occupied.path(), &file), BackupError::Occupied { .. }));
    }
    let (other, mut store) = data("other");
    store.commit(&[put("a")]).unwrap();
    drop(store);
    assert!(matches!(refused(other.path(), &file), BackupError::Occupied { .. }));
    std::fs::write(other.path().join("ssh/id_ed25519"), "another").unwrap();
    let first = restore(other.path(), &file, Present::Replaced).unwrap().replaced.unwrap();
    let second = restore(other.path(), &file, Present::Replaced).unwrap().replaced.unwrap();
    assert_eq!((owner_of(other.path()), owner_of(&second)), ("me".into(), "me".into()));
    assert_eq!(owner_of(&first), "other", "the first is still there");
    assert_eq!(std::fs::read(first.join("ssh/id_ed25519")).unwrap(), b"another");
    let with_key = tempfile::tempdir().unwrap();
    std::fs::create_dir(with_key.path().join("ssh")).unwrap();
    std::fs::write(with_key.path().join("ssh/id_ed25519"), "another").unwrap();
    assert!(matches!(refused(with_key.path(), &file), BackupError::Occupied { .. }));
}

/// As a package's first start leaves it: the daemon has made a store, and a key.
#[test]
fn a_store_without_containers_makes_way_by_itself() {
    let (_to, file) = backup_of("me");
    let (unused, store) = data("unused");
    drop(store);
    std::fs::write(unused.path().join("ssh/id_ed25519"), "another").unwrap();
    let replaced = restore(unused.path(), &file, Present::Kept).unwrap().replaced.unwrap();
    assert_eq!((owner_of(unused.path()), owner_of(&replaced)), ("me".into(), "unused".into()));
    assert_eq!(std::fs::read(unused.path().join("ssh/id_ed25519")).unwrap(), b"private");
}

/// A store as the first version made it.
fn of_schema_1(folder: &Path) {
    let store = Connection::open(folder.join(FILE)).unwrap();
    store.execute_batch(include_str!("../migrations/1-containers.sql")).unwrap();
    put_meta(&store, "owner", "me").unwrap();
    store.pragma_update(None, "user_version", 1).unwrap();
}

fn schema(folder: &Path) -> usize {
    Connection::open(folder.join(FILE))
        .unwrap()
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap()
}

#[test]
fn a_migration_is_preceded_by_a_backup_that_takes_the_store_back() {
    let folder = tempfile::tempdir().unwrap();
    of_schema_1(folder.path());
    drop(Sqlite::open(folder.path()).unwrap());
    assert_eq!(schema(folder.path()), STEPS.len());
    let backups: Vec<_> = files(&folder.path().join("backups")).into_keys().collect();
    assert_eq!(backups.len(), 1);
    let manifest = restore(folder.path(), &backups[0], Present::Replaced).unwrap().manifest;
    assert_eq!((manifest.schema, schema(folder.path())), (1, 1));
    assert_eq!(owner_of(folder.path()), "me", "and it can be migrated again");
    assert_eq!(files(&folder.path().join("backups")).len(), 2);
}

#[test]
fn the_newest_three_are_kept_and_what_is_somebodys_own() {
    let folder = tempfile::tempdir().unwrap();
    of_schema_1(folder.path());
    let store = Connection::open(folder.path().join(FILE)).unwrap();
    let backups = folder.path().join("backups");
    std::fs::create_dir(&backups).unwrap();
    std::fs::write(backups.join("mine.backup"), "").unwrap();
    for at in 1..=4 {
        std::fs::write(backups.join(format!("before-schema-9-2000010{at}T000000000Z.backup")), "").unwrap();
    }
    let newest = before_migration(&store, folder.path(), 2).unwrap();
    let left: Vec<_> = files(&backups).into_keys().collect();
    assert_eq!(left.len(), 4);
    assert!(left.contains(&newest) && left.contains(&backups.join("mine.backup")), "{left:?}");
}

#[test]
fn a_store_that_cannot_be_backed_up_is_not_migrated() {
    let folder = tempfile::tempdir().unwrap();
    of_schema_1(folder.path());
    std::fs::write(folder.path().join("backups"), "in the way").unwrap();
    let error = Sqlite::open(folder.path()).unwrap_err();
    assert!(error.to_string().contains("back up, before its migration"), "{error}");
    assert_eq!(schema(folder.path()), 1);
}

#[test]
fn a_new_store_has_no_backup() {
    let (folder, _store) = data("me");
    assert!(!folder.path().join("backups").exists());
}
