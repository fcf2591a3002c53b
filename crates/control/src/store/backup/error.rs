//! Why there is no backup, or why one is not restored.

use crate::store::StoreError;
use std::io;
use std::path::{Path, PathBuf};

/// Nothing was changed, but for [`BackupError::NotTakenBack`].
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Something has this name.
    #[error("{path} is there already; name another file, or say --replace")]
    Exists {
        /// The backup's name.
        path: PathBuf,
    },
    /// A folder, a device or a link, which is nobody's to replace.
    #[error("{path} is there and is no ordinary file; name another")]
    NoFile {
        /// The backup's name.
        path: PathBuf,
    },
    /// There is nothing to take a backup of.
    #[error("there is no store in {folder}; name its folder as `serve` has it, by --data-dir or --config")]
    NoStore {
        /// The data folder.
        folder: PathBuf,
    },
    /// Some other file.
    #[error("{path} is no backup of spin-docker's; `spin-docker backup FILE` makes one")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// It is not as it was written.
    #[error(
        "{path} is damaged ({what}); nothing of it was restored: take another backup, or fetch this one again"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        what: String,
    },
    /// Its store is of a later version.
    #[error(
        "{path} needs spin-docker {needs} or newer (its schema is {schema}, this one knows {known}); install that one first"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The version that made it.
        needs: String,
        /// Its schema.
        schema: usize,
        /// The newest that we know.
        known: usize,
    },
    /// A store that has containers, or cannot be read; or a key without a store.
    #[error("{path} is there already; name an empty `data_dir`, or say --replace to set it aside")]
    Occupied {
        /// What stands in the way.
        path: PathBuf,
    },
    /// A daemon has it.
    #[error("a spin-docker runs over {path} (process {process}); stop it first")]
    Running {
        /// The data folder.
        path: PathBuf,
        /// Its number; 0 where it is not known.
        process: i32,
    },
    /// Something failed, and then what had been done could not be taken back.
    #[error("not all is as it was ({failed}): put that right by hand")]
    NotTakenBack {
        /// Each thing that could not, and why.
        failed: String,
        /// Why it had to be.
        source: Box<BackupError>,
    },
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system refuses.
    #[error("cannot {doing} {path}")]
    Io {
        /// What we tried.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// What it says.
        source: io::Error,
    },
}

pub(super) fn doing(doing: &'static str, path: &Path, source: io::Error) -> BackupError {
    BackupError::Io { doing, path: path.to_owned(), source }
}
