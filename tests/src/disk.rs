//! A disk that can be filled.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A small file system of its own. Dropping it unmounts it.
pub struct Disk(tempfile::TempDir);

impl Disk {
    /// One of this size, such as `24m`.
    pub fn of(size: &str) -> Self {
        Self::mount(&format!("size={size}"))
    }

    /// One that holds so many files and folders, itself among them.
    pub fn of_files(count: usize) -> Self {
        Self::mount(&format!("nr_inodes={count}"))
    }

    fn mount(options: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(folder.path()).status();
        assert!(mounted.expect("there is a mount").success(), "this test needs root");
        Self(folder)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Fills it to the last byte, and gives the file that does.
    pub fn fill(&self) -> PathBuf {
        let path = self.path().join("filler");
        let mut file =
            std::fs::File::options().append(true).create(true).open(&path).expect("it holds files enough");
        for size in [1 << 16, 1 << 12, 1] {
            while file.write_all(&vec![b'x'; size]).is_ok() {}
        }
        path
    }

    /// Fills it to the last file, and gives those that do.
    pub fn fill_with_files(&self) -> Vec<PathBuf> {
        let names = (0..).map(|n| self.path().join(format!("filler-{n}")));
        names.take_while(|path| std::fs::write(path, "").is_ok()).collect()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        rustix::mount::unmount(self.path(), rustix::mount::UnmountFlags::DETACH).expect("it is mounted");
    }
}
