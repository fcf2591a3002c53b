//! Where the control groups of containers are, in either version of the hierarchy and whichever driver the engine has: a
//! container's carries its id of 64 hex digits in its name, and one that does not is never touched. Nor is our own.

mod mounts;

use model::EngineId;
use mounts::Mount;
use procfs_core::{FromRead, ProcessCGroup, ProcessCGroups};
use rustix::fs::{Access, access};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

const OWN: &str = "/proc/thread-self/cgroup";
const ID_DIGITS: usize = 64;
/// How many folders deep a container's control group may lie.
const DEPTH: usize = 8;

/// The version of a hierarchy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    One,
    Two,
}

/// A container's control group, in the hierarchy of one controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) version: Version,
    pub(super) folder: PathBuf,
}

/// What we look for: a controller by its name in version 1, and the files that it brings.
pub(super) struct Wanted {
    pub(super) controller: &'static str,
    pub(super) in_one: &'static str,
    pub(super) in_two: &'static str,
}

/// What this thread sees of the hierarchies.
#[derive(Clone, Debug)]
pub(super) struct View {
    mounts: Vec<Mount>,
    own: Vec<ProcessCGroup>,
}

impl View {
    pub(super) fn here() -> Self {
        let own = ProcessCGroups::from_file(OWN).map(|groups| groups.0);
        let own = own.inspect_err(|error| tracing::debug!(%error, "cannot see our own control group"));
        Self { mounts: Mount::all(), own: own.unwrap_or_default() }
    }

    /// The place of a container, one of whose processes is in these groups. Its own programs may have made groups below it.
    pub(super) fn find(&self, id: &EngineId, groups: &[ProcessCGroup], wanted: &Wanted) -> Option<Place> {
        groups.iter().find_map(|group| {
            let version = version_of(group, wanted)?;
            let path = up_to_id(&group.pathname, id)?;
            let mut mounts = self.mounts_of(version, wanted);
            mounts.find_map(|mount| self.place(mount, mount.folder(path)?, version, wanted))
        })
    }

    /// Every container's place, by its id, wherever it is mounted.
    pub(super) fn walk(&self, wanted: &Wanted) -> Vec<(EngineId, Place)> {
        let mut found = Vec::new();
        for version in [Version::One, Version::Two] {
            for mount in self.mounts_of(version, wanted) {
                collect(mount.at(), DEPTH, &mut |id, folder| {
                    found.extend(self.place(mount, folder, version, wanted).map(|place| (id, place)));
                });
            }
        }
        found
    }

    fn place(&self, mount: &Mount, folder: PathBuf, version: Version, wanted: &Wanted) -> Option<Place> {
        let own = self.own.iter().filter(|own| version_of(own, wanted) == Some(version));
        let is_own = own.filter_map(|own| mount.folder(&own.pathname)).any(|own| own.starts_with(&folder));
        let is_there = folder.join(wanted.file(version)).exists();
        (is_there && !is_own).then_some(Place { version, folder })
    }

    /// Whether containers' groups may be written, as far as that can be told without a container; else why not.
    pub(super) fn may_write(&self, version: Version, wanted: &Wanted) -> Result<(), String> {
        let name = match version {
            Version::One => format!("the {} hierarchy of control groups", wanted.controller),
            Version::Two => "the hierarchy of control groups".to_owned(),
        };
        let mut seen =
            self.mounts_of(version, wanted).filter(|mount| mount.at().join("cgroup.procs").exists());
        let mount = seen.next().ok_or_else(|| format!("{name} is not mounted where spin-docker runs"))?;
        access(mount.at(), Access::WRITE_OK)
            .map_err(|error| format!("{name} at {} may not be written: {error}", mount.at().display()))
    }

    fn mounts_of(&self, version: Version, wanted: &Wanted) -> impl Iterator<Item = &Mount> {
        self.mounts.iter().filter(move |mount| match version {
            Version::One => mount.has(wanted.controller),
            Version::Two => mount.is_unified(),
        })
    }
}

impl Wanted {
    fn file(&self, version: Version) -> &'static str {
        match version {
            Version::One => self.in_one,
            Version::Two => self.in_two,
        }
    }
}

impl Place {
    pub(super) fn read(&self, file: &str) -> io::Result<String> {
        std::fs::read_to_string(self.folder.join(file))
    }

    /// The files are there as long as the group is: none is ever made.
    pub(super) fn write(&self, file: &str, text: &str) -> io::Result<()> {
        use std::io::Write;
        std::fs::File::options().write(true).open(self.folder.join(file))?.write_all(text.as_bytes())
    }
}

fn version_of(group: &ProcessCGroup, wanted: &Wanted) -> Option<Version> {
    if group.controllers.iter().any(|controller| controller == wanted.controller) {
        return Some(Version::One);
    }
    (group.hierarchy == 0).then_some(Version::Two)
}

/// `/a/docker-ID.scope/init.scope` is of the container `/a/docker-ID.scope`.
fn up_to_id<'a>(path: &'a str, id: &EngineId) -> Option<&'a str> {
    if id.as_str().len() != ID_DIGITS {
        return None;
    }
    let at = path.find(id.as_str())?;
    let end = path[at..].find('/').map_or(path.len(), |slash| at + slash);
    Some(&path[..end])
}

fn collect(folder: &Path, depth: usize, found: &mut impl FnMut(EngineId, PathBuf)) {
    let below = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in below.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        match id_in(&entry.file_name()) {
            Some(id) => found(id, entry.path()),
            None if depth > 1 => collect(&entry.path(), depth - 1, found),
            None => {}
        }
    }
}

/// `ID`, `docker-ID.scope`, `libpod-ID`.
fn id_in(name: &OsStr) -> Option<EngineId> {
    let mut parts = name.to_str()?.split(|letter: char| !letter.is_ascii_hexdigit());
    parts.find(|part| part.len() == ID_DIGITS).map(EngineId::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Wanted = Wanted { controller: "freezer", in_one: "freezer.state", in_two: "cgroup.freeze" };

    fn id() -> EngineId {
        EngineId::new("0123456789abcdef".repeat(4))
    }

    fn groups(lines: &str) -> Vec<ProcessCGroup> {
        ProcessCGroups::from_read(lines.as_bytes()).unwrap().0
    }

    /// A hierarchy of plain folders: mounts of these options at these folders.
    fn view(folder: &Path, mounts: &[(&str, &str)], own: &str) -> View {
        let mount = |(at, options): &(&str, &str)| {
            let at = folder.join(at);
            let line = format!("35 25 0:27 / {} rw - {options}", at.display());
            Mount::of_line(&line)
        };
        View { mounts: mounts.iter().map(mount).collect(), own: groups(own) }
    }

    fn make(folder: &Path, group: &str, file: &str) -> PathBuf {
        let group = folder.join(group);
        std::fs::create_dir_all(&group).unwrap();
        std::fs::write(group.join(file), "").unwrap();
        group
    }

    const V1: (&str, &str) = ("freezer", "cgroup cgroup rw,freezer");
    const V2: (&str, &str) = ("unified", "cgroup2 cgroup2 rw");

    #[test]
    fn both_versions_and_both_drivers_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let id = id();
        let cgroupfs = make(folder.path(), &format!("freezer/docker/{id}"), "freezer.state");
        let systemd =
            make(folder.path(), &format!("unified/system.slice/docker-{id}.scope"), "cgroup.freeze");
        let found = |mounts: &[_], lines: &str| {
            view(folder.path(), mounts, "0::/").find(&id, &groups(lines), &WANTED)
        };
        let one = Some(Place { version: Version::One, folder: cgroupfs });
        let two = Some(Place { version: Version::Two, folder: systemd });
        let both = format!("6:freezer:/docker/{id}\n0::/system.slice/docker-{id}.scope\n");
        assert_eq!(found(&[V1, V2], &both), one);
        assert_eq!(found(&[V2], &both), two, "one that is not mounted is passed over");
        assert_eq!(found(&[V1, V2], &format!("6:freezer:/\n0::/system.slice/docker-{id}.scope\n")), two);
        let below = format!("0::/system.slice/docker-{id}.scope/init.scope\n");
        assert_eq!(found(&[V2], &below), two, "systemd within it makes groups of its own");
    }

    #[test]
    fn nothing_without_the_id_and_never_our_own() {
        let folder = tempfile::tempdir().unwrap();
        let id = id();
        make(folder.path(), &format!("unified/docker/{id}"), "cgroup.freeze");
        make(folder.path(), "unified/docker/other", "cgroup.freeze");
        let found = |own: &str, lines: &str, id: &EngineId| {
            view(folder.path(), &[V2], own).find(id, &groups(lines), &WANTED)
        };
        let line = format!("0::/docker/{id}\n");
        assert!(found("0::/", &line, &id).is_some());
        assert!(found("0::/docker", &line, &id).is_some(), "beside us");
        assert_eq!(found(&line, &line, &id), None, "we run in it");
        assert_eq!(found(&format!("0::/docker/{id}/below"), &line, &id), None);
        assert_eq!(found("0::/", "0::/docker/other\n", &id), None);
        assert_eq!(found("0::/", "0::/\n", &EngineId::new("")), None);
        assert_eq!(found("0::/", "0::/docker/other\n", &EngineId::new("other")), None, "an id is 64 digits");
        assert_eq!(found("0::/", &format!("0::/gone/{id}\n"), &id), None);
    }

    #[test]
    fn a_walk_finds_every_container_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let (id, other) = (id(), EngineId::new("f".repeat(64)));
        make(folder.path(), &format!("unified/system.slice/docker-{id}.scope"), "cgroup.freeze");
        make(folder.path(), &format!("unified/a/b/{other}"), "cgroup.freeze");
        make(folder.path(), "unified/user.slice", "cgroup.freeze");
        make(folder.path(), &format!("unified/abc{id}"), "cgroup.freeze");
        let mut found = view(folder.path(), &[V2, V1], "").walk(&WANTED);
        found.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(found.into_iter().map(|(id, _)| id).collect::<Vec<_>>(), [id, other]);
    }
}
