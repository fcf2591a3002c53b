//! What is free on this host: memory by the kernel's own estimate, disks as `df` shows them.

use control::Room;
use std::path::{Path, PathBuf};

/// This host.
pub(crate) struct Host {
    folders: Vec<PathBuf>,
}

impl Host {
    /// With the disks of our own data, and of the engine's where they are on this host.
    pub(crate) fn new(data: &Path, engine: Option<PathBuf>) -> Self {
        Self { folders: [data.to_owned()].into_iter().chain(engine).collect() }
    }
}

impl Room for Host {
    fn memory(&self) -> Option<u64> {
        available(&std::fs::read_to_string("/proc/meminfo").ok()?)
    }

    fn disks(&self) -> Vec<(PathBuf, u64)> {
        let free = |folder: &PathBuf| match rustix::fs::statvfs(folder) {
            Ok(disk) => Some((folder.clone(), disk.f_bavail.saturating_mul(disk.f_frsize))),
            Err(error) => {
                tracing::warn!(folder = %folder.display(), %error, "cannot tell how much space is left");
                None
            }
        };
        self.folders.iter().filter_map(free).collect()
    }

    fn pressure(&self) -> Option<f64> {
        stalled(&std::fs::read_to_string("/proc/pressure/memory").ok()?)
    }
}

/// `avg10` of the line `some` of `/proc/pressure/memory`.
fn stalled(pressure: &str) -> Option<f64> {
    let some = pressure.lines().find_map(|line| line.strip_prefix("some "))?;
    some.split_whitespace().find_map(|field| field.strip_prefix("avg10="))?.parse().ok()
}

/// `MemAvailable` of `/proc/meminfo`, which counts in KiB.
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// What runs beside a test may take or give back so much between two looks.
    const TOLERANCE: u64 = 256 << 20;

    #[test]
    fn memory_is_read_as_the_kernel_writes_it() {
        let text = "MemTotal:       24684000 kB\nMemFree:         1000 kB\nMemAvailable:   24087552 kB\n";
        assert_eq!(available(text), Some(24_087_552 * 1024));
        for without in ["", "MemTotal: 1 kB\n", "MemAvailable: many kB\n", "MemAvailable: 1 pages\n"] {
            assert_eq!(available(without), None, "{without:?}");
        }
    }

    #[test]
    fn pressure_is_read_as_the_kernel_writes_it() {
        let text = "some avg10=12.50 avg60=1.00 avg300=0.00 total=1\nfull avg10=3.00 avg60=0.00 avg300=0.00 total=0\n";
        assert_eq!(stalled(text), Some(12.5));
        assert_eq!(stalled("full avg10=3.00\n"), None);
    }

    /// What stands last in the line below the head of a table that a command prints.
    fn shown(command: &str, arguments: &[&str]) -> u64 {
        let output = Command::new(command).args(arguments).output().unwrap();
        let table = String::from_utf8(output.stdout).unwrap();
        table.lines().nth(1).unwrap().split_whitespace().next_back().unwrap().parse().unwrap()
    }

    #[test]
    fn memory_is_what_free_shows_and_a_disk_what_df_shows() {
        let folder = tempfile::tempdir().unwrap();
        let other = Path::new("/dev/shm");
        let host = Host::new(folder.path(), Some(other.to_owned()));
        let (memory, free) = (host.memory().unwrap(), shown("free", &["--bytes"]));
        assert!(memory.abs_diff(free) < TOLERANCE, "{memory}, and free shows {free}");
        let disks = host.disks();
        assert_eq!(disks.iter().map(|disk| disk.0.as_path()).collect::<Vec<_>>(), [folder.path(), other]);
        for (path, disk) in disks {
            let df = shown("df", &["--block-size=1", "--output=avail", path.to_str().unwrap()]);
            assert!(disk.abs_diff(df) < TOLERANCE, "{disk} at {}, and df shows {df}", path.display());
        }
    }

    #[test]
    fn a_disk_that_is_not_there_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let disks = Host::new(folder.path(), Some("/no/such/folder".into())).disks();
        assert_eq!(disks.iter().map(|disk| disk.0.as_path()).collect::<Vec<_>>(), [folder.path()]);
    }
}
