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

    #[test]
    fn this_host_has_memory_and_a_disk() {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::new(folder.path(), Some("/no/such/folder".into()));
        assert!(host.memory().unwrap() > 0);
        let disks = host.disks();
        assert_eq!(disks.len(), 1, "a folder that is not there is left out");
        assert!(disks[0].0 == folder.path() && disks[0].1 > 0, "{disks:?}");
    }
}
