//! The backup before a migration: what is needed to go back to the older program. Without it, nothing is migrated.

use super::error::{BackupError, doing};
use super::{Present, contents, place};
use crate::store::sqlite::make_private;
use rusqlite::Connection;
use std::io;
use std::path::{Path, PathBuf};

/// The folder of them, in the data folder.
const FOLDER: &str = "backups";
/// So many are kept, the newest.
const KEPT: usize = 3;
const BEGINNING: &str = "before-schema-";

/// Backs up a store that is about to be migrated to this schema, and gives the file.
pub(in crate::store) fn before_migration(
    store: &Connection,
    folder: &Path,
    to: usize,
) -> Result<PathBuf, BackupError> {
    let backups = folder.join(FOLDER);
    make_private(&backups).map_err(|error| doing("make", &backups, error))?;
    let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S%3fZ");
    let file = backups.join(format!("{BEGINNING}{to}-{now}.backup"));
    place(&contents(store, folder)?.pack()?, &file, Present::Kept)?;
    // One too many is no reason not to start.
    if let Err(error) = keep_the_newest(&backups) {
        tracing::warn!(folder = %backups.display(), %error, "old backups cannot be removed");
    }
    Ok(file)
}

/// Their names say when they were made. Whatever else lies there is somebody's own.
fn keep_the_newest(backups: &Path) -> io::Result<()> {
    let mut ours = Vec::new();
    for entry in std::fs::read_dir(backups)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let made =
            name.strip_prefix(BEGINNING).and_then(|rest| rest.strip_suffix(".backup")?.split_once('-'));
        if let Some((_, made)) = made {
            ours.push((made.to_owned(), name.clone()));
        }
    }
    ours.sort_unstable();
    let many = ours.len().saturating_sub(KEPT);
    ours[..many].iter().try_for_each(|(_, name)| std::fs::remove_file(backups.join(name)))
}
