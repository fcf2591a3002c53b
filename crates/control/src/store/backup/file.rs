//! The file of a backup: a line that names it, its format and the SHA-256 of all that follows; then a tar archive of the manifest,
//! the store and the SSH key. Every byte is proved by the line, or is the line's own, which must be as it is written.

use super::error::{BackupError, doing};
use crate::store::sqlite::{FILE, STEPS};
use rusqlite::{Connection, OptionalExtension};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// How the first line begins; the digits of the SHA-256 and a line's end follow.
const BEGINNING: &str = "spin-docker backup 1 sha256 ";
const DIGITS: usize = 64;
const FIRST_LINE: usize = BEGINNING.len() + DIGITS + 1;
const MANIFEST: &str = "manifest.json";

/// The SSH key's halves, below the data folder.
pub(super) const KEYS: [&str; 2] = ["ssh/id_ed25519", "ssh/id_ed25519.pub"];

/// What a backup says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of spin-docker that is needed to read it.
    pub needs: String,
    /// Its store's schema.
    pub schema: usize,
    /// How many containers it holds.
    pub containers: usize,
    /// When it was taken, as RFC 3339 has it.
    pub taken_at: String,
}

/// A backup in memory.
pub(super) struct Contents {
    pub(super) manifest: Manifest,
    pub(super) database: Vec<u8>,
    pub(super) keys: Vec<(&'static str, Vec<u8>)>,
}

impl Manifest {
    pub(super) fn of(store: &Connection) -> rusqlite::Result<Self> {
        let sound: String = store.pragma_query_value(None, "quick_check", |row| row.get(0))?;
        if sound != "ok" {
            let damaged = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
            return Err(rusqlite::Error::SqliteFailure(damaged, Some(sound)));
        }
        let schema = store.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let needs = "SELECT value FROM meta WHERE name = 'needs'";
        let needs: Option<String> = store.query_row(needs, [], |row| row.get(0)).optional()?;
        Ok(Self {
            needs: needs.unwrap_or_else(|| env!("CARGO_PKG_VERSION").to_owned()),
            schema,
            containers: store.query_row("SELECT count(*) FROM containers", [], |row| row.get(0))?,
            taken_at: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        })
    }
}

impl Contents {
    pub(super) fn pack(&self) -> Result<Vec<u8>, BackupError> {
        let archive = self.archive().map_err(|error| doing("pack", Path::new(FILE), error))?;
        let line = format!("{BEGINNING}{}\n", sum(&archive));
        Ok([line.into_bytes(), archive].concat())
    }

    fn archive(&self) -> io::Result<Vec<u8>> {
        let mut archive = tar::Builder::new(Vec::new());
        let manifest = serde_json::to_vec_pretty(&self.manifest)?;
        append(&mut archive, MANIFEST, &manifest)?;
        append(&mut archive, FILE, &self.database)?;
        self.keys.iter().try_for_each(|(name, key)| append(&mut archive, name, key))?;
        archive.into_inner()
    }

    /// Reads and proves all of it.
    pub(super) fn read(path: &Path) -> Result<Self, BackupError> {
        let damaged = |what: &str| BackupError::Damaged { path: path.to_owned(), what: what.to_owned() };
        let archive = proved(path)?;
        let contents = Self::unpack(&archive).map_err(|error| damaged(&error.to_string()))?;
        let Manifest { needs, schema, .. } = contents.manifest.clone();
        if schema > STEPS.len() {
            return Err(BackupError::Newer { path: path.to_owned(), needs, schema, known: STEPS.len() });
        }
        contents.check_store().map_err(|error| damaged(&error.to_string()))?;
        Ok(contents)
    }

    fn unpack(archive: &[u8]) -> io::Result<Self> {
        let (mut manifest, mut database, mut keys) = (None, None, Vec::new());
        for entry in tar::Archive::new(archive).entries()? {
            let mut entry = entry?;
            let name = entry.path()?.to_string_lossy().into_owned();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            match name.as_str() {
                MANIFEST => manifest = Some(serde_json::from_slice(&bytes)?),
                FILE => database = Some(bytes),
                other => match KEYS.into_iter().find(|key| *key == other) {
                    Some(key) => keys.push((key, bytes)),
                    None => return Err(io::Error::other(format!("it holds {name:?}"))),
                },
            }
        }
        let missing = || io::Error::other("it does not hold all that a backup holds");
        Ok(Self { manifest: manifest.ok_or_else(missing)?, database: database.ok_or_else(missing)?, keys })
    }

    /// A database that says of itself what the manifest says of it.
    fn check_store(&self) -> io::Result<()> {
        let copy = tempfile::NamedTempFile::new()?;
        std::fs::write(copy.path(), &self.database)?;
        let read =
            Connection::open(copy.path()).and_then(|store| Manifest::of(&store)).map_err(io::Error::other)?;
        let agrees = (read.schema, read.containers) == (self.manifest.schema, self.manifest.containers);
        if agrees { Ok(()) } else { Err(io::Error::other("its store is not what it says")) }
    }
}

/// The archive, if the first line proves it. No more of a file of somebody else's is read than that line.
fn proved(path: &Path) -> Result<Vec<u8>, BackupError> {
    let failed = |error| doing("read", path, error);
    let damaged = |what: &str| BackupError::Damaged { path: path.to_owned(), what: what.to_owned() };
    let mut file = File::open(path).map_err(failed)?;
    let mut line = Vec::new();
    file.by_ref().take(FIRST_LINE as u64).read_to_end(&mut line).map_err(failed)?;
    let Some(said) = line.strip_prefix(BEGINNING.as_bytes()) else {
        return Err(BackupError::Foreign { path: path.to_owned() });
    };
    let said = said.strip_suffix(b"\n").filter(|said| said.len() == DIGITS);
    let said = said.ok_or_else(|| damaged("its first line is not whole"))?;
    let mut archive = Vec::new();
    file.read_to_end(&mut archive).map_err(failed)?;
    if sum(&archive).as_bytes() == said { Ok(archive) } else { Err(damaged("its SHA-256 is another")) }
}

fn sum(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

fn append(archive: &mut tar::Builder<Vec<u8>>, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o600);
    archive.append_data(&mut header, name, bytes)
}
