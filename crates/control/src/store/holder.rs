//! Who holds a store, told without touching it: the kernel is asked for the lock that SQLite keeps on an open database.

use super::sqlite::FILE;
use rustix::process::{Flock, FlockType, fcntl_getlk};
use std::fs::File;
use std::io;
use std::path::Path;

/// Where SQLite's locks lie in a database file, and how many bytes they take.
const LOCKS: (u64, u64) = (0x4000_0000, 512);

/// The process that holds the store in this folder; none where nobody does, or there is no store. From another process
/// namespace its number is not known, and is 0.
pub fn holder(folder: &Path) -> io::Result<Option<i32>> {
    let file = match File::open(folder.join(FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    // To read it is enough: whoever holds the store keeps readers out.
    let lock = Flock { start: LOCKS.0, length: LOCKS.1, ..FlockType::ReadLock.into() };
    let holder = fcntl_getlk(&file, &lock)?;
    Ok(holder.map(|lock| lock.pid.map_or(0, |pid| pid.as_raw_nonzero().get())))
}
