//! What was done to a folder, so that it can be taken back where the rest of it fails.

use super::error::{BackupError, doing};
use crate::store::sqlite::make_private;
use std::io;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// What was done, the latest last.
#[derive(Debug, Default)]
pub(super) struct Undo(Vec<Done>);

#[derive(Debug)]
enum Done {
    Made(PathBuf),
    Moved { from: PathBuf, to: PathBuf },
    Named(PathBuf),
}

impl Undo {
    /// Makes this folder and those above it that are missing, for their owner alone.
    pub(super) fn make(&mut self, folder: &Path) -> io::Result<()> {
        let missing: Vec<_> = folder.ancestors().take_while(|folder| !folder.exists()).collect();
        for folder in missing.into_iter().rev() {
            make_private(folder)?;
            self.0.push(Done::Made(folder.to_owned()));
        }
        Ok(())
    }

    /// Moves a file to where none is.
    pub(super) fn move_to(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)?;
        self.0.push(Done::Moved { from: from.to_owned(), to: to.to_owned() });
        Ok(())
    }

    /// Gives a file its name, which nothing has.
    pub(super) fn name(&mut self, file: NamedTempFile, path: &Path) -> io::Result<()> {
        file.persist_noclobber(path)?;
        self.0.push(Done::Named(path.to_owned()));
        Ok(())
    }

    /// Takes all of it back, the latest first, and gives why it had to be. What cannot be keeps nothing of the rest.
    pub(super) fn take_back(self, why: BackupError) -> BackupError {
        let failed: Vec<_> = self.0.into_iter().rev().filter_map(|done| done.take_back().err()).collect();
        if failed.is_empty() {
            return why;
        }
        let failed = failed.iter().map(|error| crate::chain(error)).collect::<Vec<_>>().join("; ");
        BackupError::NotTakenBack { failed, source: Box::new(why) }
    }
}

impl Done {
    fn take_back(self) -> Result<(), BackupError> {
        match self {
            Self::Made(folder) => {
                // One that somebody else filled meanwhile stays.
                drop(std::fs::remove_dir(folder));
                Ok(())
            }
            Self::Moved { from, to } => {
                std::fs::rename(&to, from).map_err(|error| doing("move back", &to, error))
            }
            Self::Named(path) => std::fs::remove_file(&path).map_err(|error| doing("remove", &path, error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_taken_back_is_told_and_keeps_nothing_of_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let [here, gone] = ["here", "gone"].map(|name| folder.path().join(name));
        let aside = folder.path().join("a/b");
        let mut undo = Undo::default();
        undo.make(&aside).unwrap();
        for path in [&here, &gone] {
            std::fs::write(path, "").unwrap();
            undo.move_to(path, &aside.join(path.file_name().unwrap())).unwrap();
        }
        undo.name(NamedTempFile::new_in(folder.path()).unwrap(), &folder.path().join("new")).unwrap();
        std::fs::remove_file(aside.join("gone")).unwrap();
        let why = doing("write", &here, io::ErrorKind::StorageFull.into());
        let said = crate::chain(&undo.take_back(why));
        assert!(said.contains(&format!("cannot move back {}", aside.join("gone").display())), "{said}");
        assert!(said.ends_with("here: no storage space"), "{said}");
        let left: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|left| left.unwrap().path()).collect();
        assert_eq!(left, [here]);
    }
}
