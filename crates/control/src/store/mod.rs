//! What outlives a restart: every container that we own, and what must be remembered beside them.
//!
//! [`Sqlite`] is the embedded database, in WAL mode with `synchronous=FULL`: what [`Store::commit`] returned is on disk. It
//! is synchronous on purpose: [`Journal`] calls it from a thread of its own, or, in a simulation, from a task. One process
//! at a time holds it.

mod journal;
mod newer;
mod reserve;

pub use journal::{Journal, Writing};

use ipnet::Ipv4Net;
use model::next_fit::Trail;
use model::{After, Container, Key, Phase};
use reserve::Reserve;
use rusqlite::{Connection, ErrorCode, OptionalExtension, params};
use rusqlite_migration::{M, Migrations};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The schema's version is how many of them were taken.
const STEPS: &[M<'static>] = &[M::up(include_str!("migrations/1-containers.sql"))];

/// One thing to write.
#[derive(Clone, Debug)]
pub enum Change {
    /// The container, as it is now.
    Put(Arc<Container>),
    /// It is no more.
    Forget(Key),
    /// Where the ranges go on.
    Trails {
        /// Of the host ports.
        ports: Trail,
        /// Of the addresses.
        addresses: Trail,
    },
    /// Where every container's address lies.
    Subnet(Ipv4Net),
    /// Whether endpoints are reached from this host alone, as containers were told.
    OnLoopback(bool),
}

impl Change {
    /// What keeps a container as it is now: one that is no more is forgotten.
    pub fn of(container: &Arc<Container>) -> Self {
        match container.phase {
            Phase::Gone => Self::Forget(container.key.clone()),
            _ => Self::Put(Arc::clone(container)),
        }
    }

    /// Whether it says that a container takes up more from now on, or goes on: a full disk refuses that, and nothing else.
    fn takes(&self) -> bool {
        let Self::Put(container) = self else { return false };
        match container.phase {
            Phase::Starting { after, .. } => !matches!(after, After::Stop | After::Remove),
            Phase::Creating | Phase::Running { .. } => true,
            Phase::Stopping { .. } | Phase::Stopped { .. } | Phase::Removing | Phase::Gone => false,
        }
    }
}

/// Why the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process holds it.
    #[error(
        "{path} is in use by another spin-docker; stop that one, or give this one a `data_dir` of its own"
    )]
    InUse {
        /// The database file.
        path: PathBuf,
    },
    /// A later version of ours made it.
    #[error(
        "{path} needs spin-docker {needs} or newer (its schema is {version}, this is {ours} and knows {known}); nothing was \
         changed: run the newer one, or give this one a `data_dir` of its own"
    )]
    Newer {
        /// The database file.
        path: PathBuf,
        /// The version of ours that made its schema.
        needs: String,
        /// Its schema's version.
        version: usize,
        /// This version of ours.
        ours: &'static str,
        /// The newest schema that it knows.
        known: usize,
    },
    /// The disk is full.
    #[error("the disk that holds {path} is full; free some space")]
    Full {
        /// The database file.
        path: PathBuf,
    },
    /// Anything else that SQLite says.
    #[error("cannot {doing} {path}")]
    Database {
        /// What we tried.
        doing: &'static str,
        /// The database file.
        path: PathBuf,
        /// What SQLite says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The thread that writes is gone: the program is ending.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// Whether space on the disk would help.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }
}

/// What remembers. A simulation stands in between, and fails.
pub trait Store: Send + 'static {
    /// Reads everything. `mint` makes the owner id of a store that has none yet.
    fn read(&mut self, mint: &dyn Fn() -> String) -> Result<Contents, StoreError>;

    /// Writes all of it or nothing. Once this has returned, it is on disk.
    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError>;
}

/// The open database.
#[derive(Debug)]
pub struct Sqlite {
    connection: Connection,
    reserve: Reserve,
    path: PathBuf,
}

/// What the store held when it was opened.
#[derive(Debug)]
pub struct Contents {
    /// The random id made with the store, which the engine carries as the label `spin-docker.owner`.
    pub owner: String,
    /// Where the containers' addresses lie, once there was a network.
    pub subnet: Option<Ipv4Net>,
    /// Whether endpoints were on loopback, once there were any.
    pub on_loopback: Option<bool>,
    /// Every container.
    pub containers: Vec<Container>,
    /// Where the host ports go on.
    pub ports: Trail,
    /// Where the addresses go on.
    pub addresses: Trail,
}

impl Sqlite {
    /// Opens the database in this folder, making both where they are missing; the folder is ours alone (mode 0700).
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join("spin-docker.db");
        make_private(folder).map_err(|source| database("make the folder of", &path, source))?;
        make_ours(&path).map_err(|source| database("open", &path, source))?;
        let (mut connection, version) = newer::open(&path)?;
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
        })
    }

    fn trail(&self, name: &str) -> rusqlite::Result<Trail> {
        self.meta(name)?.map_or_else(|| Ok(Trail::default()), from_json)
    }

    fn meta(&self, name: &str) -> rusqlite::Result<Option<String>> {
        self.connection
            .query_row("SELECT value FROM meta WHERE name = ?", [name], |row| row.get(0))
            .optional()
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
    }
    Ok(())
}

fn put_meta(connection: &Connection, name: &str, value: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)")?
        .execute([name, value])
        .map(drop)
}

fn prepare(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")
}

fn to_json(value: &impl serde::Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))
}

fn from_json<T: serde::de::DeserializeOwned>(text: String) -> rusqlite::Result<T> {
    serde_json::from_str(&text)
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(e)))
}

fn classify(doing: &'static str, path: &Path, error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            StoreError::InUse { path: path.to_owned() }
        }
        Some(ErrorCode::DiskFull) => StoreError::Full { path: path.to_owned() },
        _ => database(doing, path, error),
    }
}

fn database(
    doing: &'static str,
    path: &Path,
    source: impl std::error::Error + Send + Sync + 'static,
) -> StoreError {
    StoreError::Database { doing, path: path.to_owned(), source: Box::new(source) }
}

fn make_private(folder: &Path) -> std::io::Result<()> {
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
mod tests;
