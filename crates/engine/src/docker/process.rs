//! The first process of a container, held: its id may be another's once it has ended, its folder in `/proc` may not.

use model::EngineId;
use procfs_core::{FromRead, ProcessCGroup, ProcessCGroups};
use rustix::fs::{Access, AtFlags, CWD, Mode, OFlags, accessat, openat};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

/// A process of a container, running or not.
#[derive(Debug)]
pub(super) struct Process(OwnedFd);

impl Process {
    /// The one of this id, if it is that container's: its control groups say so.
    pub(super) fn hold(pid: i64, id: &EngineId) -> io::Result<Option<Self>> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let process = Self(openat(CWD, format!("/proc/{pid}"), flags, Mode::empty())?);
        let is_its = process.groups()?.iter().any(|group| group.pathname.contains(id.as_str()));
        Ok(is_its.then_some(process))
    }

    /// Whether it has not ended.
    pub(super) fn is_there(&self) -> bool {
        accessat(&self.0, "stat", Access::EXISTS, AtFlags::empty()).is_ok()
    }

    pub(super) fn groups(&self) -> io::Result<Vec<ProcessCGroup>> {
        let groups = ProcessCGroups::from_read(self.open("cgroup")?).map_err(io::Error::other)?;
        Ok(groups.0)
    }

    /// The network that it is in.
    pub(super) fn network(&self) -> io::Result<File> {
        self.open("ns/net")
    }

    fn open(&self, file: &str) -> io::Result<File> {
        Ok(openat(&self.0, file, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_of_no_container_is_not_held() {
        let held = Process::hold(std::process::id().into(), &EngineId::new("f".repeat(64))).unwrap();
        assert!(held.is_none());
    }

    #[test]
    fn one_that_ended_is_not_there() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let process =
            Process::hold(child.id().into(), &EngineId::new("/")).unwrap().expect("it is in a group");
        assert!(process.is_there());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!process.is_there() && process.groups().is_err() && process.network().is_err());
    }
}
