//! Whether there is room for one more container. Beyond a reserve of memory or of disk a create is refused: what runs
//! already would suffer for it, and a full disk or the kernel's killer choose their victims blindly.
//!
//! What is free is asked of the host through [`Room`], which the binary implements.

use std::path::PathBuf;

/// What is free on the engine's host. Both calls return at once.
pub trait Room: Send + Sync + 'static {
    /// Bytes of memory that programs may still take without swapping; none where it cannot be told.
    fn memory(&self) -> Option<u64>;

    /// The folders that containers and our own state write to, each with the bytes that are free there. One that cannot be
    /// asked is left out.
    fn disks(&self) -> Vec<(PathBuf, u64)>;

    /// The share of the last ten seconds, in percent, in which something waited for memory; none where it cannot be told.
    fn pressure(&self) -> Option<f64> {
        None
    }
}

/// Nothing is measured, and so nothing refused: for tests, and where the host cannot be asked.
#[derive(Clone, Copy, Debug)]
pub struct Unmeasured;

impl Room for Unmeasured {
    fn memory(&self) -> Option<u64> {
        None
    }

    fn disks(&self) -> Vec<(PathBuf, u64)> {
        Vec::new()
    }
}

/// What a create must leave, in bytes; 0 for no reserve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reserves {
    /// Of memory.
    pub memory: u64,
    /// On each disk.
    pub disk: u64,
}

/// There is no room for one more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRoom {
    /// Too little memory would be left.
    #[error(
        "too little memory would be left: {} available, {} for the creates under way, {} kept free by memory_reserve; {}",
        mebibytes(*.available), mebibytes(*.takes), mebibytes(*.reserve), advice(*.takes)
    )]
    Memory {
        /// What is free.
        available: u64,
        /// What the container may take: its limit, if it has one.
        takes: u64,
        /// The setting.
        reserve: u64,
    },
    /// Too little disk is left.
    #[error(
        "too little disk is left at {}: {} available, {} kept free by disk_reserve; free some space, or lower disk_reserve",
        .at.display(), mebibytes(*.available), mebibytes(*.reserve)
    )]
    Disk {
        /// Where.
        at: PathBuf,
        /// What is free.
        available: u64,
        /// The setting.
        reserve: u64,
    },
}

impl Reserves {
    /// Whether they would still be there beside a container that may take so much memory.
    pub fn check(&self, room: &dyn Room, takes: u64) -> Result<(), NoRoom> {
        self.check_memory(room, takes)?;
        let reserve = self.disk;
        match room.disks().into_iter().find(|(_, available)| *available < reserve) {
            Some((at, available)) => Err(NoRoom::Disk { at, available, reserve }),
            None => Ok(()),
        }
    }

    /// The same for memory alone, which is what a start takes.
    pub fn check_memory(&self, room: &dyn Room, takes: u64) -> Result<(), NoRoom> {
        let reserve = self.memory;
        if let Some(available) = room.memory().filter(|_| reserve > 0)
            && available < takes.saturating_add(reserve)
        {
            return Err(NoRoom::Memory { available, takes, reserve });
        }
        Ok(())
    }
}

/// Only where containers have a limit do creates count with it.
fn advice(takes: u64) -> &'static str {
    match takes {
        0 => "stop containers, or lower memory_reserve",
        _ => "stop containers, or lower memory_reserve or memory, the limit of each",
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    struct Host(Option<u64>, &'static [u64]);

    impl Room for Host {
        fn memory(&self) -> Option<u64> {
            self.0.map(|mebibytes| mebibytes * MIB)
        }

        fn disks(&self) -> Vec<(PathBuf, u64)> {
            self.1.iter().map(|mebibytes| (format!("/{mebibytes}").into(), mebibytes * MIB)).collect()
        }
    }

    #[test]
    fn reserves_are_kept_and_the_figures_said() {
        let reserves = Reserves { memory: 256 * MIB, disk: 1024 * MIB };
        let check = |host: Host, takes| reserves.check(&host, takes * MIB).map_err(|error| error.to_string());
        assert_eq!(check(Host(Some(256), &[1024]), 0), Ok(()));
        assert_eq!(check(Host(None, &[]), 1 << 40), Ok(()), "what is not measured refuses nobody");
        assert_eq!(
            check(Host(Some(300), &[1024]), 100).unwrap_err(),
            "too little memory would be left: 300 MiB available, 100 MiB for the creates under way, 256 MiB kept free by \
             memory_reserve; stop containers, or lower memory_reserve or memory, the limit of each"
        );
        assert_eq!(
            check(Host(Some(256), &[2048, 1023, 5]), 0).unwrap_err(),
            "too little disk is left at /1023: 1023 MiB available, 1024 MiB kept free by disk_reserve; free some \
             space, or lower disk_reserve"
        );
        assert!(check(Host(Some(u64::MAX / MIB), &[]), u64::MAX / MIB).is_err(), "nothing overflows");
    }

    #[test]
    fn a_reserve_of_0_keeps_nothing() {
        assert_eq!(Reserves::default().check(&Host(Some(0), &[0]), 1 << 30), Ok(()));
    }
}
