//! The store, read beside whoever holds it: from a copy, so that a daemon that runs is not disturbed, and what one that was killed
//! left is not touched.

use super::StoreError;
use super::sqlite::{FILE, classify, database};
use model::EngineId;
use rusqlite::Connection;
use std::io;
use std::path::Path;
use std::time::SystemTime;

/// How often it is copied anew, where the database changed meanwhile.
const TRIES: usize = 5;

/// The engine's ids of every container in this folder's store, as of a moment ago.
pub fn bodies(folder: &Path) -> Result<Vec<EngineId>, StoreError> {
    let original = folder.join(FILE);
    let aside = tempfile::tempdir().map_err(|error| database("make room for a copy of", &original, error))?;
    copy(&original, aside.path()).map_err(|error| database("copy", &original, error))?;
    read(&aside.path().join(FILE)).map_err(|error| classify("read a copy of", &original, error))
}

/// What is appended to the log meanwhile does no harm; the database itself must not change between the two.
fn copy(original: &Path, aside: &Path) -> io::Result<()> {
    for _ in 0..TRIES {
        let before = changed(original)?;
        std::fs::copy(original, aside.join(FILE))?;
        let log = original.with_extension("db-wal");
        if log.exists() {
            std::fs::copy(log, aside.join(FILE).with_extension("db-wal"))?;
        }
        if changed(original)? == before {
            return Ok(());
        }
    }
    Err(io::Error::new(io::ErrorKind::ResourceBusy, "it changes all the time"))
}

fn changed(path: &Path) -> io::Result<SystemTime> {
    std::fs::metadata(path)?.modified()
}

/// Whatever else a later version keeps of a container.
fn read(copy: &Path) -> rusqlite::Result<Vec<EngineId>> {
    let connection = Connection::open(copy)?;
    let mut bodies = connection.prepare(
        "SELECT record ->> 'engine_id' FROM containers WHERE record ->> 'engine_id' IS NOT NULL ORDER BY 1",
    )?;
    let ids = bodies.query_map([], |row| Ok(EngineId::new(row.get::<_, String>(0)?)))?;
    ids.collect()
}
