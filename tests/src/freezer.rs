//! A container's freezer as the kernel has it, whatever anybody says of it; of either version.

use crate::docker;
use std::path::{Path, PathBuf};

/// A container's control group. It is known by the container's first process, and then needs no engine any more.
#[derive(Debug)]
pub struct Group {
    folder: PathBuf,
    is_one: bool,
}

impl Group {
    /// That of a container that runs, as this engine's `docker` tells.
    pub fn of(id: &str, docker: impl Fn(&[&str]) -> String) -> Self {
        let pid = docker(&["inspect", "-f", "{{.State.Pid}}", id]);
        let groups = std::fs::read_to_string(format!("/proc/{}/cgroup", pid.trim())).expect("it runs");
        let of_one = groups.lines().find_map(|line| line.split_once(":freezer:"));
        match of_one.filter(|(_, path)| path.contains(id)) {
            Some((_, path)) => Self::at("/sys/fs/cgroup/freezer", path, true),
            None => {
                let path =
                    groups.lines().find_map(|line| line.strip_prefix("0::")).expect("it is in a group");
                Self::at("/sys/fs/cgroup", path, false)
            }
        }
    }

    fn at(hierarchy: &str, path: &str, is_one: bool) -> Self {
        Self { folder: Path::new(hierarchy).join(path.trim_start_matches('/')), is_one }
    }

    /// Whether it is frozen, or is about to be.
    pub fn is_frozen(&self) -> bool {
        let file = self.folder.join(if self.is_one { "freezer.self_freezing" } else { "cgroup.freeze" });
        let told =
            std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        told.trim() == "1"
    }

    fn write(&self, frozen: bool) {
        let (file, texts) =
            if self.is_one { ("freezer.state", ["THAWED", "FROZEN"]) } else { ("cgroup.freeze", ["0", "1"]) };
        std::fs::write(self.folder.join(file), texts[usize::from(frozen)])
            .expect("its freezer can be written");
    }
}

/// Freezes a running container of the shared engine behind everybody's back.
pub fn freeze(id: &str) {
    Group::of(id, docker).write(true);
}

/// Lets it go on.
pub fn thaw(id: &str) {
    Group::of(id, docker).write(false);
}

/// Whether a container of the shared engine is frozen, or is about to be.
pub fn is_frozen(id: &str) -> bool {
    Group::of(id, docker).is_frozen()
}
