//! Memory and disk, as a create is judged by them.

use super::Check;
use crate::config::Settings;
use crate::serve::{most_memory, reserves, room};
use control::{Reserves, Room};
use std::path::{Path, PathBuf};

/// With the engine's folder, where it is on this host.
pub(super) fn check(settings: &Settings, engine: Option<PathBuf>) -> Vec<Check> {
    // Before the first start, the disk is that of the folder above.
    let is_there = |folder: &&Path| folder.exists();
    let data = settings.data_dir.ancestors().find(is_there).unwrap_or(&settings.data_dir);
    let engine = engine.filter(|folder| folder != data);
    let host = room::Host::new(data, engine);
    let reserves = reserves(settings);
    vec![memory(&host, reserves, most_memory(settings)), disk(&host, reserves)]
}

/// With what one container may take.
fn memory(host: &impl Room, reserves: Reserves, takes: u64) -> Check {
    let Some(available) = host.memory() else {
        return Check::right("memory", "the kernel does not say how much is free");
    };
    match reserves.check_memory(host, takes) {
        Ok(()) => Check::right(
            "memory",
            format!("{} MiB are free, {} of them kept so", available >> 20, reserves.memory >> 20),
        ),
        Err(error) => {
            Check::wrong("memory", error.to_string(), "until then every create and start is refused")
        }
    }
}

fn disk(host: &impl Room, reserves: Reserves) -> Check {
    let disks =
        host.disks().into_iter().map(|(at, free)| format!("{} MiB are free at {}", free >> 20, at.display()));
    let of_disk = Reserves { memory: 0, ..reserves };
    match of_disk.check(host, 0) {
        Ok(()) => Check::right("disk", disks.collect::<Vec<_>>().join(", ")),
        Err(error) => Check::wrong("disk", error.to_string(), "until then every create is refused"),
    }
}
