//! The CPU time that a container has used.

use super::Docker;
use super::bodies::blocking;
use super::cgroups::{Place, Version, Wanted};
use crate::{EngineError, Result};
use model::EngineId;
use std::io;
use std::time::Duration;

/// Where it is counted.
pub(super) const WANTED: Wanted =
    Wanted { controller: "cpuacct", in_one: "cpuacct.usage", in_two: "cpu.stat" };

impl Docker {
    pub(super) async fn cpu_of(&self, id: &EngineId) -> Result<Option<Duration>> {
        let Some(place) = self.run(id).await?.and_then(|run| run.cpu.clone()) else { return Ok(None) };
        let used = blocking(move || used(&place)).await;
        used.map_err(|source| EngineError::Host {
            doing: "read the container's CPU time".into(),
            source: source.into(),
        })
    }
}

fn used(place: &Place) -> io::Result<Option<Duration>> {
    Ok(match place.version {
        Version::One => place.read(WANTED.in_one)?.trim().parse().ok().map(Duration::from_nanos),
        Version::Two => {
            let stat = place.read(WANTED.in_two)?;
            let micros = stat.lines().find_map(|line| line.strip_prefix("usage_usec "));
            micros.and_then(|micros| micros.parse().ok()).map(Duration::from_micros)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let used = |version, file: &str, text: &str| {
            std::fs::write(folder.path().join(file), text).unwrap();
            used(&Place { version, folder: folder.path().to_owned() }).unwrap()
        };
        assert_eq!(used(Version::One, "cpuacct.usage", "1500\n"), Some(Duration::from_nanos(1500)));
        let stat = "usage_usec 2500\nuser_usec 2000\nsystem_usec 500\n";
        assert_eq!(used(Version::Two, "cpu.stat", stat), Some(Duration::from_micros(2500)));
        assert_eq!(used(Version::Two, "cpu.stat", ""), None);
    }
}
