//! Puts a backup where no store is. All of it is read and proved before anything is written; the store gets its name last.

use super::error::{BackupError, doing};
use super::file::{Contents, Manifest};
use super::{Present, written};
use crate::store::holder;
use crate::store::sqlite::{FILE, make_private};
use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// What SQLite keeps beside a database, as the ends of its name.
const BESIDE: [&str; 3] = ["", "-wal", "-shm"];
/// What a store that made way is called.
const SET_ASIDE: &str = "spin-docker.db.replaced";

/// Makes this data folder that of the backup. With [`Present::Replaced`], a store that is there is kept beside it, as
/// `spin-docker.db.replaced`. Where it fails, nothing was changed.
pub fn restore(folder: &Path, from: &Path, present: Present) -> Result<Manifest, BackupError> {
    refuse_running(folder)?;
    if present == Present::Kept {
        refuse_occupied(folder)?;
    }
    let contents = Contents::read(from)?;
    let had_folder = folder.exists();
    let restored = put(folder, &contents, present);
    if restored.is_err() && !had_folder {
        // What we made; a folder that somebody else filled meanwhile stays.
        std::fs::remove_dir(folder).unwrap_or_default();
    }
    restored.map(|()| contents.manifest)
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

fn put(folder: &Path, contents: &Contents, present: Present) -> Result<(), BackupError> {
    make_private(folder).map_err(|error| doing("make", folder, error))?;
    let database = written(&contents.database, folder).map_err(|error| doing("write to", folder, error))?;
    let keys = keys(folder, contents, present)?;
    if present == Present::Replaced {
        set_aside(folder).map_err(|error| doing("set aside the store in", folder, error))?;
    }
    for (path, key) in keys {
        key.persist(&path).map_err(|error| doing("write", &path, error.error))?;
    }
    let path = folder.join(FILE);
    database.persist_noclobber(&path).map_err(|error| doing("write", &path, error.error))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| doing("write to", folder, error))
}

/// The key's halves, on disk, still without their names. One that is there already and is another is somebody's.
fn keys(
    folder: &Path,
    contents: &Contents,
    present: Present,
) -> Result<Vec<(PathBuf, NamedTempFile)>, BackupError> {
    let mut keys = Vec::new();
    for (name, key) in &contents.keys {
        let path = folder.join(name);
        match std::fs::read(&path) {
            Ok(same) if same == *key => continue,
            Ok(_) if present == Present::Kept => return Err(BackupError::Occupied { path }),
            _ => {}
        }
        keys.push((path.clone(), key_file(&path, key).map_err(|error| doing("write", &path, error))?));
    }
    Ok(keys)
}

fn key_file(path: &Path, key: &[u8]) -> io::Result<NamedTempFile> {
    let folder = path.parent().unwrap_or(path);
    make_private(folder)?;
    let file = written(key, folder)?;
    if path.extension().is_some() {
        file.as_file().set_permissions(Permissions::from_mode(0o644))?;
    }
    Ok(file)
}

fn set_aside(folder: &Path) -> io::Result<()> {
    for end in BESIDE {
        let (from, to) = (folder.join(format!("{FILE}{end}")), folder.join(format!("{SET_ASIDE}{end}")));
        // What lies there would be taken for a part of this one.
        for gone in [std::fs::remove_file(&to), std::fs::rename(from, to)] {
            match gone {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}
