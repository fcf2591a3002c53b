//! What engine this is, and what of it limits us.

use super::cgroups::Version;
use super::{Docker, QUICK};
use crate::{Description, Limit, Result};
use bollard::models::{SystemInfo, SystemInfoCgroupDriverEnum, SystemInfoCgroupVersionEnum};
use std::path::{Path, PathBuf};

const BRIDGE_FILTER: &str = "/proc/sys/net/bridge/bridge-nf-call-iptables";

impl Docker {
    pub(super) async fn describe_engine(&self) -> Result<Description> {
        let info = self.call("describe itself", QUICK, self.client.info()).await?;
        let rootless = is_rootless(&info) || self.is_podman && self.is_a_users().await;
        let rootless_as =
            rootless.then_some(if self.is_podman { Limit::RootlessPodman } else { Limit::Rootless });
        let mut limits = limits(&info, rootless_as, std::fs::read_to_string(BRIDGE_FILTER).ok().as_deref());
        limits.extend(match info.cgroup_driver {
            Some(SystemInfoCgroupDriverEnum::NONE) => Some(Limit::NoFreezer),
            _ => self.why_slow(&info, rootless).await.map(Limit::SlowFreezer),
        });
        let what = if self.is_podman { "Podman" } else { "Docker" };
        Ok(Description {
            name: format!("{what} {}", info.server_version.as_deref().unwrap_or("of no version")),
            api_version: self.client.client_version().to_string(),
            root: root(&info),
            cgroup_version: cgroup_version(&info),
            limits,
        })
    }

    /// Why containers are frozen by the engine's pause, if that is known to be so.
    async fn why_slow(&self, info: &SystemInfo, rootless: bool) -> Option<String> {
        if is_desktop(info) {
            return Some("they are in Docker Desktop's virtual machine".to_owned());
        }
        let version = if cgroup_version(info) == Some(1) { Version::One } else { Version::Two };
        // A rootless engine's are its user's own, which shows at the first freeze.
        let known = if rootless { None } else { self.why_not_by_cgroup(version).await };
        known.or_else(|| self.why_by_engine())
    }

    /// Whether somebody else than root listens at its socket. Podman does not say that it is rootless where Docker does.
    async fn is_a_users(&self) -> bool {
        let path = self.at.trim_start_matches("unix://");
        let connected = tokio::time::timeout(QUICK, tokio::net::UnixStream::connect(path)).await;
        let listener = connected.ok().and_then(|stream| stream.ok()?.peer_cred().ok());
        listener.is_some_and(|listener| listener.uid() != 0)
    }
}

fn cgroup_version(info: &SystemInfo) -> Option<u8> {
    match info.cgroup_version {
        Some(SystemInfoCgroupVersionEnum::_1) => Some(1),
        Some(SystemInfoCgroupVersionEnum::_2) => Some(2),
        _ => None,
    }
}

/// Docker Desktop names a folder of its virtual machine.
fn root(info: &SystemInfo) -> Option<PathBuf> {
    let root = info.docker_root_dir.as_ref().filter(|_| !is_desktop(info))?;
    Path::new(root).is_dir().then(|| root.into())
}

fn is_desktop(info: &SystemInfo) -> bool {
    info.operating_system.as_deref().is_some_and(|system| system.contains("Docker Desktop"))
}

fn is_rootless(info: &SystemInfo) -> bool {
    info.security_options.iter().flatten().any(|option| option.contains("name=rootless"))
}

/// Whose host's filter it is, is known of an engine that is within reach.
fn limits(info: &SystemInfo, rootless: Option<Limit>, bridge_filter: Option<&str>) -> Vec<Limit> {
    let desktop = is_desktop(info).then_some(Limit::Desktop);
    let is_within_reach = rootless.is_none() && desktop.is_none();
    let is_unfiltered = is_within_reach && bridge_filter.is_none_or(|value| value.trim() != "1");
    [rootless, desktop, is_unfiltered.then_some(Limit::Unfiltered)].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_a_sentence() {
        let plain = SystemInfo::default();
        assert_eq!(limits(&plain, None, Some("1\n")), []);
        for without in [None, Some("0\n")] {
            assert!(limits(&plain, None, without)[0].to_string().contains("modprobe br_netfilter"));
        }
        let rootless =
            SystemInfo { security_options: Some(vec!["name=rootless".into()]), ..Default::default() };
        assert!(is_rootless(&rootless) && !is_rootless(&plain));
        assert!(limits(&plain, Some(Limit::Rootless), None)[0].to_string().contains("rootless"));
        let desktop = SystemInfo { operating_system: Some("Docker Desktop".into()), ..Default::default() };
        assert!(limits(&desktop, None, None)[0].to_string().contains("virtual machine"));
    }

    #[test]
    fn the_engines_folder_is_one_of_this_host() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &Path, system: &str| SystemInfo {
            docker_root_dir: Some(path.display().to_string()),
            operating_system: Some(system.into()),
            ..Default::default()
        };
        assert_eq!(root(&at(folder.path(), "Debian")).as_deref(), Some(folder.path()));
        assert_eq!(root(&at(folder.path(), "Docker Desktop")), None);
        assert_eq!(root(&at(Path::new("/no/such"), "Debian")), None);
        assert_eq!(root(&SystemInfo::default()), None);
    }
}
