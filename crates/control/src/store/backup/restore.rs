//! Puts a backup where no store is, or none that has containers. All of it is read and proved before anything is written; the store gets its name last.

use super::error::{BackupError, doing};
use super::file::{Contents, Manifest};
use super::undo::Undo;
use super::{Present, written};
use crate::store::sqlite::FILE;
use crate::store::{holder, known};
use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// What SQLite keeps beside a database, as the ends of its name.
const BESIDE: [&str; 3] = ["", "-wal", "-shm"];
/// The folder of what made way, in the data folder; in it, each restore has one of its own.
const REPLACED: &str = "replaced";

/// What a restore did.
#[derive(Debug)]
pub struct Restored {
    /// Of the backup.
    pub manifest: Manifest,
    /// Where the store that was there is now, and the SSH key if that was another.
    pub replaced: Option<PathBuf>,
}

/// Makes this data folder that of the backup. A store without containers, such as a daemon's first start makes, is set aside; any
/// other one, and a key without a store, only with [`Present::Replaced`]. Where it fails, what was done is taken back.
pub fn restore(folder: &Path, from: &Path, present: Present) -> Result<Restored, BackupError> {
    refuse_running(folder)?;
    let is_unused = known(folder).is_ok_and(|known| known.containers == 0);
    let present = if is_unused { Present::Replaced } else { present };
    if present == Present::Kept {
        refuse_occupied(folder)?;
    }
    let contents = Contents::read(from)?;
    let mut undo = Undo::default();
    match put(folder, &contents, present, &mut undo) {
        Ok(replaced) => Ok(Restored { manifest: contents.manifest, replaced }),
        Err(why) => Err(undo.take_back(why)),
    }
}

fn refuse_running(folder: &Path) -> Result<(), BackupError> {
    match holder(folder).map_err(|error| doing("look at", folder, error))? {
        Some(process) => Err(BackupError::Running { path: folder.to_owned(), process }),
        None => Ok(()),
    }
}

/// A log that was left would be taken for the restored store's.
fn refuse_occupied(folder: &Path) -> Result<(), BackupError> {
    let mut present = BESIDE.iter().map(|end| folder.join(format!("{FILE}{end}")));
    match present.find(|path| path.symlink_metadata().is_ok()) {
        Some(path) => Err(BackupError::Occupied { path }),
        None => Ok(()),
    }
}

fn put(
    folder: &Path,
    contents: &Contents,
    present: Present,
    undo: &mut Undo,
) -> Result<Option<PathBuf>, BackupError> {
    undo.make(folder).map_err(|error| doing("make", folder, error))?;
    let database = written(&contents.database, folder).map_err(|error| doing("write to", folder, error))?;
    let keys = keys(folder, contents, present, undo)?;
    let replaced = match present {
        Present::Kept => None,
        Present::Replaced => {
            set_aside(folder, &keys, undo).map_err(|error| doing("set aside the store in", folder, error))?
        }
    };
    for (path, file) in keys.into_iter().chain([(folder.join(FILE), database)]) {
        undo.name(file, &path).map_err(|error| doing("write", &path, error))?;
    }
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| doing("write to", folder, error))?;
    Ok(replaced)
}

/// The key's halves, on disk, still without their names. One that is there already and is another is somebody's.
fn keys(
    folder: &Path,
    contents: &Contents,
    present: Present,
    undo: &mut Undo,
) -> Result<Vec<(PathBuf, NamedTempFile)>, BackupError> {
    let mut keys = Vec::new();
    for (name, key) in &contents.keys {
        let path = folder.join(name);
        match std::fs::read(&path) {
            Ok(same) if same == *key => continue,
            Ok(_) if present == Present::Kept => return Err(BackupError::Occupied { path }),
            _ => {}
        }
        keys.push((path.clone(), key_file(&path, key, undo).map_err(|error| doing("write", &path, error))?));
    }
    Ok(keys)
}

fn key_file(path: &Path, key: &[u8], undo: &mut Undo) -> io::Result<NamedTempFile> {
    let folder = path.parent().unwrap_or(path);
    undo.make(folder)?;
    let file = written(key, folder)?;
    if path.extension().is_some() {
        file.as_file().set_permissions(Permissions::from_mode(0o644))?;
    }
    Ok(file)
}

/// The store, and the keys in place of which others come, as they lay, into a folder that is new. A disk that has no room for its
/// folders says so before anything is moved.
fn set_aside(
    folder: &Path,
    keys: &[(PathBuf, NamedTempFile)],
    undo: &mut Undo,
) -> io::Result<Option<PathBuf>> {
    let aside = folder.join(REPLACED).join(jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S%3fZ").to_string());
    let store = BESIDE.map(|end| folder.join(format!("{FILE}{end}")));
    let moves: Vec<_> = store
        .iter()
        .chain(keys.iter().map(|(path, _)| path))
        .filter(|path| path.symlink_metadata().is_ok())
        .map(|path| (path, aside.join(path.strip_prefix(folder).unwrap_or(path))))
        .collect();
    for (_, to) in &moves {
        undo.make(to.parent().unwrap_or(to))?;
    }
    for (path, to) in &moves {
        undo.move_to(path, to)?;
    }
    Ok((!moves.is_empty()).then_some(aside))
}
