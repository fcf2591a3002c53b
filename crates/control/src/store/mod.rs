//! What outlives a restart: every container that we own, and what must be remembered beside them.
//!
//! A [`Store`] is synchronous on purpose: [`Journal`] calls it from a thread of its own, or, in a simulation, from a task.
//! [`Sqlite`] is the one that the program has.

mod aside;
pub mod backup;
mod events;
mod holder;
mod journal;
mod newer;
mod reserve;
mod sqlite;
mod told;

pub use aside::{Known, bodies, known, look};
pub use holder::holder;
pub use journal::{Journal, Writing};
pub use sqlite::{FILE, Sqlite};

use ipnet::Ipv4Net;
use model::next_fit::Trail;
use model::{After, Container, Event, Key, Phase};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Whether there is a store in this folder.
pub fn is_in(folder: &Path) -> bool {
    folder.join(sqlite::FILE).exists()
}

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
    /// Something happened.
    Event(Arc<Event>),
}

/// How many events of one container are kept.
pub const EVENTS_OF_ONE: usize = 200;
/// How many are kept in all.
pub const EVENTS: usize = 20_000;

/// Which events somebody wants to read: the oldest of those after one, or else the newest. They come in ascending order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Of one container; else of all.
    pub of: Option<Key>,
    /// Those after this one.
    pub after: Option<u64>,
    /// So many at most.
    pub limit: usize,
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
        let Self::Put(container) = self else { return matches!(self, Self::Event(_)) };
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

    /// Whether a later version of ours made it.
    pub fn is_newer(&self) -> bool {
        matches!(self, Self::Newer { .. })
    }

    /// The same of another file, of which the one that it names is a copy.
    fn of(mut self, original: &Path) -> Self {
        match &mut self {
            Self::InUse { path }
            | Self::Newer { path, .. }
            | Self::Full { path }
            | Self::Database { path, .. } => {
                original.clone_into(path);
            }
            Self::Closed => {}
        }
        self
    }
}

/// What remembers. A simulation stands in between, and fails.
pub trait Store: Send + 'static {
    /// Reads everything. `mint` makes the owner id of a store that has none yet.
    fn read(&mut self, mint: &dyn Fn() -> String) -> Result<Contents, StoreError>;

    /// Writes all of it or nothing. Once this has returned, it is on disk.
    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError>;

    /// Reads events.
    fn events(&mut self, wanted: &Wanted) -> Result<Vec<Event>, StoreError>;
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
    /// The newest event's id; 0 where there is none.
    pub last_event: u64,
}
