//! The store, read beside whoever holds it: from a copy, so that a daemon that runs is not disturbed, and what one that was killed
//! left is not touched.

use super::sqlite::{FILE, Sqlite, classify, database, meta};
use super::{Contents, Store, StoreError};
use crate::LaunchError;
use crate::footing::{keeps_closed, keeps_subnet};
use ipnet::Ipv4Net;
use model::EngineId;
use rusqlite::Connection;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// How often it is copied anew, where its log began anew meanwhile.
const TRIES: usize = 20;
/// The beginning of a log: two numbers in it are others each time that the log begins anew.
const LOG_HEADER: u64 = 32;

/// What a store says of its containers, whatever else a later version keeps of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The engine's ids of their bodies, ascending.
    pub bodies: Vec<EngineId>,
    /// All that they have of the range of ports, published ones as well, ascending.
    pub ports: Vec<u16>,
    /// How many there are.
    pub containers: usize,
    /// Where their addresses lie, once there was a network.
    pub subnet: Option<Ipv4Net>,
    /// Whether their endpoints are on loopback, as they were told.
    pub on_loopback: Option<bool>,
}

impl Known {
    /// Why a launch with these settings would be refused over these containers.
    pub fn refuses(&self, subnet: Option<Ipv4Net>, on_loopback: bool) -> Vec<LaunchError> {
        let kept = [
            keeps_subnet(subnet, self.subnet, self.containers),
            keeps_closed(on_loopback, self.on_loopback, self.containers),
        ];
        kept.into_iter().filter_map(Result::err).collect()
    }
}

/// The engine's ids of every container in this folder's store, as of a moment ago.
pub fn bodies(folder: &Path) -> Result<Vec<EngineId>, StoreError> {
    Ok(known(folder)?.bodies)
}

/// What this folder's store says, as of a moment ago.
pub fn known(folder: &Path) -> Result<Known, StoreError> {
    let original = folder.join(FILE);
    beside(folder, |copy| read(copy).map_err(|error| classify("read a copy of", &original, error)))
}

/// All that this folder's store holds, as of a moment ago. One of an older schema is migrated in the copy alone.
pub fn look(folder: &Path) -> Result<Contents, StoreError> {
    let original = folder.join(FILE);
    let aside = copied(&original)?;
    let read = Sqlite::open(aside.path()).and_then(|mut copy| copy.read(&crate::mint));
    read.map_err(|error| error.of(&original))
}

/// Reads a copy of this folder's store, which may be changed at will and is gone afterwards.
pub(super) fn beside<T>(
    folder: &Path,
    read: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let original = folder.join(FILE);
    let aside = copied(&original)?;
    let copy = Connection::open(aside.path().join(FILE));
    read(&copy.map_err(|error| classify("open a copy of", &original, error))?)
}

fn copied(original: &Path) -> Result<tempfile::TempDir, StoreError> {
    let aside = tempfile::tempdir().map_err(|error| database("make room for a copy of", original, error))?;
    copy(original, aside.path()).map_err(|error| database("copy", original, error))?;
    Ok(aside)
}

/// Whatever changes in the database meanwhile comes from the log, which is copied after it: together they are whole, unless
/// the log began anew in between.
fn copy(original: &Path, aside: &Path) -> io::Result<()> {
    let log = original.with_extension("db-wal");
    for _ in 0..TRIES {
        let before = generation(&log)?;
        std::fs::copy(original, aside.join(FILE))?;
        if before.is_some() {
            std::fs::copy(&log, aside.join(FILE).with_extension("db-wal"))?;
        }
        if generation(&log)? == before {
            return Ok(());
        }
    }
    Err(io::Error::new(io::ErrorKind::ResourceBusy, "it changes all the time"))
}

fn generation(log: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut header = Vec::new();
    match File::open(log) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
        Ok(file) => file.take(LOG_HEADER).read_to_end(&mut header).map(|_| Some(header)),
    }
}

fn read(copy: &Connection) -> rusqlite::Result<Known> {
    let bodies =
        "SELECT record ->> 'engine_id' FROM containers WHERE record ->> 'engine_id' IS NOT NULL ORDER BY 1";
    let ports = "SELECT value ->> 'host_port' FROM containers, json_each(record, '$.endpoints')
                 WHERE value ->> 'host_port' IS NOT NULL
                 UNION SELECT CAST(substr(value ->> 'published', instr(value ->> 'published', ':') + 1) AS INTEGER)
                 FROM containers, json_each(record, '$.endpoints')
                 WHERE value ->> 'published' IS NOT NULL ORDER BY 1";
    Ok(Known {
        bodies: column(copy, bodies)?.into_iter().map(|id: String| EngineId::new(id)).collect(),
        ports: column(copy, ports)?,
        containers: copy.query_row("SELECT count(*) FROM containers", [], |row| row.get(0))?,
        subnet: meta(copy, "subnet")?.and_then(|text| serde_json::from_str(&text).ok()),
        on_loopback: meta(copy, "on_loopback")?.and_then(|text| serde_json::from_str(&text).ok()),
    })
}

fn column<T: rusqlite::types::FromSql>(connection: &Connection, query: &str) -> rusqlite::Result<Vec<T>> {
    connection.prepare(query)?.query_map([], |row| row.get(0))?.collect()
}
