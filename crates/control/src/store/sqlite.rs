//! The embedded database, in WAL mode with `synchronous=FULL`: what was committed is on disk. One process at a time holds it.

use super::reserve::Reserve;
use super::{Change, Contents, Store, StoreError, Wanted, backup, events, newer};
use model::Event;
use model::next_fit::Trail;
use rusqlite::{Connection, ErrorCode, OptionalExtension, params};
use rusqlite_migration::{M, Migrations};
use std::path::{Path, PathBuf};

/// The database's name within its folder.
pub const FILE: &str = "spin-docker.db";

/// The schema's version is how many of them were taken.
pub(super) const STEPS: &[M<'static>] =
    &[M::up(include_str!("migrations/1-containers.sql")), M::up(include_str!("migrations/2-events.sql"))];

/// The open database.
#[derive(Debug)]
pub struct Sqlite {
    connection: Connection,
    reserve: Reserve,
    path: PathBuf,
}

impl Sqlite {
    /// Opens the database in this folder, making both where they are missing; the folder is ours alone (mode 0700).
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join(FILE);
        make_private(folder).map_err(|source| database("make the `data_dir`", folder, source))?;
        make_ours(&path).map_err(|source| database("open", &path, source))?;
        let (mut connection, version) = newer::open(&path)?;
        if (1..STEPS.len()).contains(&version) {
            back_up(&connection, folder, &path)?;
        }
        prepare(&mut connection).map_err(|e| classify("open", &path, e))?;
        Migrations::from_slice(STEPS).to_latest(&mut connection).map_err(|e| match e {
            rusqlite_migration::Error::RusqliteError { err, .. } => classify("migrate", &path, err),
            other => database("migrate", &path, other),
        })?;
        if version < STEPS.len() {
            newer::say_what_it_needs(&connection).map_err(|e| classify("write to", &path, e))?;
        }
        Ok(Self { connection, reserve: Reserve::open(folder), path })
    }

    fn read_all(&mut self, mint: &dyn Fn() -> String) -> rusqlite::Result<Contents> {
        let owner = match self.meta("owner")? {
            Some(owner) => owner,
            None => {
                let owner = mint();
                put_meta(&self.connection, "owner", &owner)?;
                owner
            }
        };
        let containers = self
            .connection
            .prepare("SELECT record FROM containers")?
            .query_map([], |row| from_json(row.get(0)?))?
            .collect::<rusqlite::Result<_>>()?;
        let subnet = self.meta("subnet")?.map(from_json).transpose()?;
        let on_loopback = self.meta("on_loopback")?.map(from_json).transpose()?;
        Ok(Contents {
            owner,
            subnet,
            on_loopback,
            containers,
            ports: self.trail("ports")?,
            addresses: self.trail("addresses")?,
            last_event: events::last(&self.connection)?,
        })
    }

    fn trail(&self, name: &str) -> rusqlite::Result<Trail> {
        self.meta(name)?.map_or_else(|| Ok(Trail::default()), from_json)
    }

    fn meta(&self, name: &str) -> rusqlite::Result<Option<String>> {
        meta(&self.connection, name)
    }

    fn write(&mut self, changes: &[Change]) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        for change in changes {
            apply(&transaction, change)?;
        }
        transaction.commit()
    }
}

impl Store for Sqlite {
    fn read(&mut self, mint: &dyn Fn() -> String) -> Result<Contents, StoreError> {
        self.read_all(mint).map_err(|e| classify("read", &self.path, e))
    }

    /// Where the disk is full, what only frees something is written all the same, from the reserve.
    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        let takes = changes.iter().any(Change::takes);
        let mut written = self.write(changes).map_err(|e| classify("write to", &self.path, e));
        while !takes && written.as_ref().is_err_and(StoreError::is_full) && self.reserve.release() {
            written = self.write(changes).map_err(|e| classify("write to", &self.path, e));
        }
        if takes && written.is_ok() {
            self.reserve.fill();
        }
        written
    }

    fn events(&mut self, wanted: &Wanted) -> Result<Vec<Event>, StoreError> {
        events::read(&self.connection, wanted).map_err(|e| classify("read", &self.path, e))
    }
}

fn apply(connection: &Connection, change: &Change) -> rusqlite::Result<()> {
    match change {
        Change::Put(container) => {
            connection
                .prepare_cached("INSERT OR REPLACE INTO containers (key, record) VALUES (?, ?)")?
                .execute(params![container.key.as_str(), to_json(container)?])?;
        }
        Change::Forget(key) => {
            connection.prepare_cached("DELETE FROM containers WHERE key = ?")?.execute([key.as_str()])?;
        }
        Change::Trails { ports, addresses } => {
            put_meta(connection, "ports", &to_json(ports)?)?;
            put_meta(connection, "addresses", &to_json(addresses)?)?;
        }
        Change::Subnet(subnet) => put_meta(connection, "subnet", &to_json(subnet)?)?,
        Change::OnLoopback(on_loopback) => put_meta(connection, "on_loopback", &to_json(on_loopback)?)?,
        Change::Event(event) => events::add(connection, event)?,
    }
    Ok(())
}

pub(super) fn meta(connection: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    connection.query_row("SELECT value FROM meta WHERE name = ?", [name], |row| row.get(0)).optional()
}

pub(super) fn put_meta(connection: &Connection, name: &str, value: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)")?
        .execute([name, value])
        .map(drop)
}

/// An older program can be gone back to: with this, and with nothing else.
fn back_up(connection: &Connection, folder: &Path, path: &Path) -> Result<(), StoreError> {
    match backup::before_migration(connection, folder, STEPS.len()) {
        Ok(file) => tracing::info!(file = %file.display(), "backed up before the migration of the store"),
        Err(backup::BackupError::Store(error)) => return Err(error),
        Err(error) => return Err(database("back up, before its migration,", path, error)),
    }
    Ok(())
}

fn prepare(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // In KiB, by its sign. Everything is read once, at the start: what SQLite would keep of it is of no use.
    connection.pragma_update(None, "cache_size", -256)
}

pub(super) fn to_json(value: &impl serde::Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))
}

pub(super) fn from_json<T: serde::de::DeserializeOwned>(text: String) -> rusqlite::Result<T> {
    serde_json::from_str(&text)
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(e)))
}

pub(super) fn classify(doing: &'static str, path: &Path, error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            StoreError::InUse { path: path.to_owned() }
        }
        Some(ErrorCode::DiskFull) => StoreError::Full { path: path.to_owned() },
        _ => database(doing, path, error),
    }
}

pub(super) fn database(
    doing: &'static str,
    path: &Path,
    source: impl std::error::Error + Send + Sync + 'static,
) -> StoreError {
    StoreError::Database { doing, path: path.to_owned(), source: Box::new(source) }
}

pub(super) fn make_private(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// A folder that was there may be everybody's. SQLite gives the files beside the database its mode.
fn make_ours(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    let file = std::fs::File::options().create(true).append(true).mode(0o600).open(path)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o600))
}

#[cfg(test)]
#[path = "tests.rs"]
pub(super) mod tests;
