//! Where the hierarchies of control groups are mounted, as this thread sees it.

use procfs_core::FromRead;
use procfs_core::process::{MountInfo, MountInfos};
use std::path::{Component, Path, PathBuf};

/// Of the thread: a process's own may see other mounts than one of its threads.
const HERE: &str = "/proc/thread-self/mountinfo";

/// One mount of a hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    at: PathBuf,
    /// What of the hierarchy is mounted, in the words of `/proc/PID/cgroup`.
    root: PathBuf,
    /// Version 1's controllers, among other options; none for version 2.
    options: Option<Vec<String>>,
}

impl Mount {
    /// Every one that there is. Some may be hidden under others.
    pub(super) fn all() -> Vec<Self> {
        match MountInfos::from_file(HERE) {
            Ok(mounts) => mounts.iter().filter_map(Self::of).collect(),
            Err(error) => {
                tracing::debug!(%error, "cannot see what is mounted");
                Vec::new()
            }
        }
    }

    fn of(info: &MountInfo) -> Option<Self> {
        let options = match info.fs_type.as_str() {
            "cgroup2" => None,
            "cgroup" => Some(info.super_options.keys().cloned().collect()),
            _ => return None,
        };
        Some(Self { at: info.mount_point.clone(), root: info.root.clone().into(), options })
    }

    #[cfg(test)]
    pub(super) fn of_line(line: &str) -> Self {
        let info = MountInfo::from_line(line).expect("a test writes what the kernel does");
        Self::of(&info).expect("a test mounts hierarchies")
    }

    pub(super) fn is_unified(&self) -> bool {
        self.options.is_none()
    }

    pub(super) fn has(&self, controller: &str) -> bool {
        self.options.as_ref().is_some_and(|options| options.iter().any(|option| option == controller))
    }

    pub(super) fn at(&self) -> &Path {
        &self.at
    }

    /// The folder of a group, if it lies within what is mounted. From within a control group namespace, what is outside
    /// of it begins with `..`.
    pub(super) fn folder(&self, group: &str) -> Option<PathBuf> {
        let below = Path::new(group).strip_prefix(&self.root).ok()?;
        below.components().all(|part| matches!(part, Component::Normal(_))).then(|| self.at.join(below))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(line: &str) -> Option<Mount> {
        Mount::of(&MountInfo::from_line(line).unwrap())
    }

    #[test]
    fn hierarchies_are_told_from_what_else_is_mounted() {
        let v1 = mount("33 25 0:30 / /sys/fs/cgroup/freezer rw,nosuid - cgroup cgroup rw,freezer").unwrap();
        assert!(v1.has("freezer") && !v1.has("cpuacct") && !v1.is_unified());
        let both = mount("34 25 0:31 / /cg/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct").unwrap();
        assert!(both.has("cpu") && both.has("cpuacct"));
        let v2 = mount("35 25 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate").unwrap();
        assert!(v2.is_unified() && !v2.has("nsdelegate"));
        assert_eq!(mount("36 25 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755"), None);
    }

    #[test]
    fn a_group_is_found_where_it_is_mounted_and_only_there() {
        let at = |root: &str, group: &str| {
            let line = format!("35 25 0:27 {root} /cg rw - cgroup2 cgroup2 rw");
            mount(&line).unwrap().folder(group).map(|folder| folder.display().to_string())
        };
        assert_eq!(at("/", "/docker/abc").as_deref(), Some("/cg/docker/abc"));
        assert_eq!(at("/docker", "/docker/abc").as_deref(), Some("/cg/abc"), "a part of it");
        assert_eq!(at("/docker", "/dockers/abc"), None);
        assert_eq!(
            at("/../..", "/../../docker/abc").as_deref(),
            Some("/cg/docker/abc"),
            "all, seen from inside"
        );
        assert_eq!(at("/", "/../../docker/abc"), None, "beyond what is mounted");
        assert_eq!(at("/", "/docker/../../etc"), None);
    }
}
