//! A backup of a data folder: the store as it was at one moment, and the SSH key that containers let in, in one file whose
//! first line proves the rest (`file.rs`). It is taken beside a daemon that runs, and before every migration; restored, it is the
//! data folder of a machine that had none.

mod automatic;
mod error;
mod file;
mod restore;
mod undo;

pub(super) use automatic::before_migration;
pub use error::BackupError;
pub use file::Manifest;
pub use restore::{Restored, restore};

use super::sqlite::{FILE, classify, database};
use super::{StoreError, aside};
use error::doing;
use file::{Contents, KEYS};
use rusqlite::Connection;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// What stands there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Present {
    /// Is left alone: nothing is done.
    Kept,
    /// Makes way.
    Replaced,
}

/// Writes a backup of this data folder, whoever holds its store. The file is there whole or not at all.
pub fn backup(folder: &Path, to: &Path, present: Present) -> Result<Manifest, BackupError> {
    refuse_present(to, present)?;
    if matches!(folder.join(FILE).try_exists(), Ok(false)) {
        return Err(BackupError::NoStore { folder: folder.to_owned() });
    }
    let contents = aside::beside(folder, |copy| contents(copy, folder))?;
    place(&contents.pack()?, to, present)?;
    Ok(contents.manifest)
}

fn refuse_present(to: &Path, present: Present) -> Result<(), BackupError> {
    let path = to.to_owned();
    match to.symlink_metadata() {
        Ok(there) if !there.is_file() => Err(BackupError::NoFile { path }),
        Ok(_) if present == Present::Kept => Err(BackupError::Exists { path }),
        _ => Ok(()),
    }
}

fn contents(store: &Connection, folder: &Path) -> Result<Contents, StoreError> {
    let path = folder.join(FILE);
    let failed = |error| classify("take a backup of", &path, error);
    let aside = tempfile::tempdir().map_err(|error| database("make room for a copy of", &path, error))?;
    let whole = aside.path().join(FILE);
    store.execute("VACUUM INTO ?", [whole.to_string_lossy()]).map_err(failed)?;
    let manifest = Connection::open(&whole).and_then(|whole| Manifest::of(&whole)).map_err(failed)?;
    let database = std::fs::read(&whole).map_err(|error| database("read a copy of", &path, error))?;
    Ok(Contents {
        manifest,
        database,
        keys: keys(folder).map_err(|e| super::sqlite::database("back up the SSH key beside", &path, e))?,
    })
}

/// A folder that never was served from has none.
fn keys(folder: &Path) -> io::Result<Vec<(&'static str, Vec<u8>)>> {
    let read = |name: &&'static str| match std::fs::read(folder.join(name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        read => Some(read.map(|key| (*name, key))),
    };
    KEYS.iter().filter_map(read).collect()
}

/// Under a temporary name first, and its own once it is on disk.
fn place(bytes: &[u8], to: &Path, present: Present) -> Result<(), BackupError> {
    let folder = match to.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let failed = |error| doing("write", to, error);
    // What the library says of a missing one names a file that nobody knows.
    folder.metadata().map_err(failed)?;
    let written = written(bytes, folder).map_err(failed)?;
    let persisted = match present {
        Present::Kept => written.persist_noclobber(to),
        Present::Replaced => written.persist(to),
    };
    persisted.map_err(|error| match error.error.kind() {
        io::ErrorKind::AlreadyExists => BackupError::Exists { path: to.to_owned() },
        _ => failed(error.error),
    })?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}

/// A file without a name of its own yet, for its owner alone, on disk.
fn written(bytes: &[u8], folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut written = tempfile::NamedTempFile::new_in(folder).map_err(|error| error.kind())?;
    // Of the file itself: the library's own errors name its temporary name, which nobody knows.
    written.as_file_mut().write_all(bytes)?;
    written.as_file().sync_all()?;
    Ok(written)
}

#[cfg(test)]
mod tests;
