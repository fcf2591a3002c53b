//! Opens the database so that one of a later version stays as it was, to the byte: its version is read before anything is
//! set, migrated or tidied up.

use super::StoreError;
use super::sqlite::{STEPS, classify, database, put_meta};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension};
use std::path::Path;
use std::time::Duration;

/// How long the lock of another process is waited for.
const BUSY: Duration = Duration::from_millis(500);
/// Under which name the version of ours that made the schema stands in the table `meta`.
const NEEDS: &str = "needs";

/// The database, and its schema's version, which is ours or an older one.
pub(super) fn open(path: &Path) -> Result<(Connection, usize), StoreError> {
    let wal = path.with_extension("db-wal");
    let had_wal = wal.exists();
    let connection = Connection::open(path).map_err(|e| classify("open", path, e))?;
    let version = read_version(&connection).map_err(|e| classify("open", path, e))?;
    if version <= STEPS.len() {
        let tidy = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false);
        return tidy.map(|_| (connection, version)).map_err(|e| classify("open", path, e));
    }
    let needs = read_needs(&connection);
    drop(connection);
    // SQLite makes an empty one to read by.
    if !had_wal && wal.exists() {
        std::fs::remove_file(&wal).map_err(|e| database("leave alone", path, e))?;
    }
    let (path, ours, known) = (path.to_owned(), env!("CARGO_PKG_VERSION"), STEPS.len());
    Err(StoreError::Newer { path, needs, version, ours, known })
}

/// Without a file of shared memory beside it, and without a checkpoint when it is closed.
fn read_version(connection: &Connection) -> rusqlite::Result<usize> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    Ok(usize::try_from(version).unwrap_or(usize::MAX))
}

/// A later schema may keep it elsewhere; then its number is all that can be said.
fn read_needs(connection: &Connection) -> String {
    let read = connection.query_row("SELECT value FROM meta WHERE name = ?", [NEEDS], |row| row.get(0));
    read.optional().ok().flatten().unwrap_or_else(|| "of a later version".to_owned())
}

/// For an older program that may meet this database later.
pub(super) fn say_what_it_needs(connection: &Connection) -> rusqlite::Result<()> {
    put_meta(connection, NEEDS, env!("CARGO_PKG_VERSION"))
}
