//! Space set aside beside the database, so that on a full disk a stop and a delete can still be written down. It is given
//! back slice by slice, as it is needed, so that whoever filled the disk does not take all of it at once; and filled again
//! once there is space.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

/// More than SQLite's journal grows to before it begins anew, and then some.
const WHOLE: u64 = 8 << 20;
/// Several transitions of containers.
const SLICE: u64 = 256 << 10;

/// The file, as long as there was space for.
#[derive(Debug)]
pub(super) struct Reserve {
    file: Option<File>,
    length: u64,
}

impl Reserve {
    /// Takes it up, or makes it. Without one, everything works but for a full disk.
    pub(super) fn open(folder: &Path) -> Self {
        let path = folder.join("spin-docker.reserve");
        let opened = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let measured = opened.and_then(|file| Ok((file.metadata()?.len(), file)));
        let mut reserve = match measured {
            Ok((length, file)) => Self { file: Some(file), length },
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "no space is set aside for a full disk");
                Self { file: None, length: 0 }
            }
        };
        reserve.fill();
        reserve
    }

    /// Gives a slice back to the disk. False where none is left.
    pub(super) fn release(&mut self) -> bool {
        let Some(file) = self.file.as_ref().filter(|_| self.length > 0) else { return false };
        let shorter = self.length.saturating_sub(SLICE);
        // Some file systems give freed space out only once they have written down that it is free.
        match file.set_len(shorter).and_then(|()| file.sync_all()) {
            Ok(()) => self.length = shorter,
            Err(error) => {
                tracing::warn!(%error, "the space set aside for a full disk cannot be had");
                return false;
            }
        }
        tracing::warn!(
            left = self.length,
            "the disk is full; what frees something is written into the reserve"
        );
        true
    }

    /// Makes it whole again, as far as there is space.
    pub(super) fn fill(&mut self) {
        while self.length < WHOLE && self.grow().is_ok() {}
    }

    fn grow(&mut self) -> io::Result<()> {
        let mut file = self.file.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let longer = (self.length + SLICE).min(WHOLE);
        let zeros = vec![0; usize::try_from(longer - self.length).unwrap_or_default()];
        file.seek(SeekFrom::Start(self.length))?;
        // What was written in part is not kept: the disk is full, and others need it more.
        if let Err(error) = file.write_all(&zeros) {
            file.set_len(self.length)?;
            return Err(error);
        }
        self.length = longer;
        Ok(())
    }
}
