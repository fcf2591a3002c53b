//! Containers: make, start, stop, remove, inspect, list.

use super::{Docker, QUICK, SLOW, archive};
use crate::{
    ContainerSpec, Created, EngineError, INSTANCE_LABEL, KEY_LABEL, Limits, Listed, OWNER_LABEL, Result,
};
use bollard::models::{
    ContainerCreateBody, ContainerInspectResponse, ContainerSummary, ContainerSummaryNetworkSettings,
    ContainerSummaryStateEnum, EndpointIpamConfig, EndpointSettings, HealthConfig, HostConfig,
    HostConfigLogConfig, NetworkingConfig, PortBinding, PortMap, RestartPolicy, RestartPolicyNameEnum,
};
use bollard::query_parameters::{
    CreateContainerOptions, InspectContainerOptions, ListContainersOptions, RemoveContainerOptions,
    StartContainerOptions, StopContainerOptions,
};
use model::{Ending, EngineId, Freezer, Observation};
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::Duration;

/// What a stop may take beyond its grace.
const STOP_MARGIN: Duration = Duration::from_secs(20);
/// How long another's removal of the same container is waited for.
const REMOVAL_CHECK: Duration = Duration::from_millis(100);

impl Docker {
    pub(super) async fn create_container(&self, spec: &ContainerSpec) -> Result<Created> {
        let named = |name: &String| CreateContainerOptions { name: Some(name.clone()), ..Default::default() };
        let create = self.client.create_container(spec.name.as_ref().map(named), body(spec));
        let made = self.call("create the container", SLOW, create).await?;
        let engine_id = EngineId::new(made.id);
        match self.furnish(&engine_id, spec).await {
            Ok(name) => Ok(Created { engine_id, name }),
            Err(error) => match self.remove_container(&engine_id).await {
                Ok(()) => Err(EngineError::Unmade(Box::new(error))),
                // It is known by its labels.
                Err(also) => {
                    tracing::warn!(body = %engine_id, error = %also, "a body that cannot be furnished is not removed yet");
                    Err(error)
                }
            },
        }
    }

    /// Puts the files in, and reads the name that the engine made up.
    async fn furnish(&self, id: &EngineId, spec: &ContainerSpec) -> Result<String> {
        if !spec.files.is_empty() {
            self.put_files(id, &spec.files).await?;
        }
        let seen = self.look_at(id).await?;
        Ok(seen.name.unwrap_or_default())
    }

    async fn put_files(&self, id: &EngineId, files: &[crate::File]) -> Result<()> {
        for file in files {
            let missing = self.missing_folders(id, &file.path).await?;
            let tar = archive::pack(file, &missing).map_err(|source| EngineError::Host {
                doing: format!("pack {}", file.path),
                source: source.into(),
            })?;
            let options = bollard::query_parameters::UploadToContainerOptions {
                path: "/".into(),
                ..Default::default()
            };
            let put =
                self.client.upload_to_container(id.as_str(), Some(options), bollard::body_full(tar.into()));
            self.call("put a file into the container", SLOW, put).await?;
        }
        Ok(())
    }

    /// An archive sets the mode of every folder in it: those that are there already must not be.
    async fn missing_folders(&self, id: &EngineId, path: &str) -> Result<Vec<String>> {
        let mut missing = Vec::new();
        for folder in archive::parents(path) {
            let options = bollard::query_parameters::ContainerArchiveInfoOptions { path: folder.clone() };
            let asked = self.client.get_container_archive_info(id.as_str(), Some(options));
            match self.call("look into the container", QUICK, asked).await {
                Ok(_) => break,
                Err(error) if error.is_not_found() => missing.insert(0, folder),
                Err(error) => return Err(error),
            }
        }
        Ok(missing)
    }

    pub(super) async fn start_container(&self, id: &EngineId) -> Result<()> {
        let start = self.client.start_container(id.as_str(), None::<StartContainerOptions>);
        self.call("start the container", SLOW, start).await
    }

    pub(super) async fn stop_container(&self, id: &EngineId, grace: Duration) -> Result<()> {
        self.thaw_first(id).await;
        self.bodies.of(id).end_run();
        let options = StopContainerOptions { signal: None, t: i32::try_from(grace.as_secs()).ok() };
        let stop = self.client.stop_container(id.as_str(), Some(options));
        match self.call("stop the container", grace + STOP_MARGIN, stop).await {
            Err(error) if error.is_not_found() => Ok(()),
            other => other,
        }
    }

    pub(super) async fn remove_container(&self, id: &EngineId) -> Result<()> {
        self.thaw_first(id).await;
        self.bodies.of(id).end_run();
        let options = RemoveContainerOptions { v: true, force: true, link: false };
        let removed = self.client.remove_container(id.as_str(), Some(options));
        match self.call("remove the container", SLOW, removed).await {
            Err(error) if error.is_not_found() => {}
            Err(EngineError::Refused { status: 409, .. }) => self.wait_until_gone(id).await?,
            other => other?,
        }
        self.bodies.forget(id);
        Ok(())
    }

    /// Docker answers 409 while another request removes the same container.
    async fn wait_until_gone(&self, id: &EngineId) -> Result<()> {
        let gone = async {
            while self.inspect_container(id).await? != Observation::Missing {
                tokio::time::sleep(REMOVAL_CHECK).await;
            }
            Ok(())
        };
        let late =
            |_| EngineError::TimedOut { doing: "remove the container".into(), seconds: QUICK.as_secs() };
        tokio::time::timeout(QUICK, gone).await.map_err(late)?
    }

    pub(super) async fn inspect_container(&self, id: &EngineId) -> Result<Observation> {
        let seen = match self.look_at(id).await {
            Ok(seen) => seen,
            Err(error) if error.is_not_found() => {
                self.bodies.forget(id);
                return Ok(Observation::Missing);
            }
            Err(error) => return Err(error),
        };
        let pid = first_process(&seen);
        let mut observed = observation(seen);
        match (&mut observed, pid) {
            (Observation::Running { frozen: frozen @ None, .. }, Some(pid)) => {
                *frozen = self.is_frozen_by_cgroup(id, pid).await.then_some(Freezer::Cgroup);
            }
            (Observation::Running { .. }, _) => {}
            _ => self.bodies.of(id).end_run(),
        }
        Ok(observed)
    }

    /// The process id of its first process, as the host sees it; none where it does not run.
    pub(super) async fn pid(&self, id: &EngineId) -> Result<Option<i64>> {
        Ok(first_process(&self.look_at(id).await?))
    }

    pub(super) async fn look_at(&self, id: &EngineId) -> Result<ContainerInspectResponse> {
        let inspect = self.client.inspect_container(id.as_str(), None::<InspectContainerOptions>);
        self.call("inspect the container", QUICK, inspect).await
    }

    pub(super) async fn list_containers(&self, instance: &str) -> Result<Vec<Listed>> {
        let filters = HashMap::from([("label".to_owned(), vec![format!("{INSTANCE_LABEL}={instance}")])]);
        let options = ListContainersOptions { all: true, filters: Some(filters), ..Default::default() };
        let listed =
            self.call("list its containers", QUICK, self.client.list_containers(Some(options))).await?;
        let frozen = self.all_frozen_by_cgroup().await;
        let with_freezer = |entry: Listed| {
            let by_cgroup = entry.running && frozen.contains(&entry.engine_id);
            Listed { frozen: entry.frozen.or(by_cgroup.then_some(Freezer::Cgroup)), ..entry }
        };
        Ok(listed.into_iter().map(entry).map(with_freezer).collect())
    }
}

fn body(spec: &ContainerSpec) -> ContainerCreateBody {
    let labels = [(INSTANCE_LABEL, &spec.instance), (OWNER_LABEL, &spec.owner), (KEY_LABEL, &spec.key)];
    ContainerCreateBody {
        image: Some(spec.image.clone()),
        env: Some(spec.env.clone()),
        labels: Some(labels.map(|(name, value)| (name.to_owned(), value.clone())).into()),
        // Our own look at it is what counts, and the engine's would hang in a frozen container.
        healthcheck: Some(HealthConfig { test: Some(vec!["NONE".into()]), ..Default::default() }),
        host_config: Some(host_config(spec)),
        networking_config: Some(networking(spec)),
        ..Default::default()
    }
}

/// As the engine writes it.
fn tcp(port: u16) -> String {
    format!("{port}/tcp")
}

fn port_bindings(spec: &ContainerSpec) -> PortMap {
    let bound = spec.publish.iter().map(|(port, at)| {
        let binding =
            PortBinding { host_ip: Some(at.ip().to_string()), host_port: Some(at.port().to_string()) };
        (tcp(*port), Some(vec![binding]))
    });
    bound.collect()
}

fn host_config(spec: &ContainerSpec) -> HostConfig {
    let Limits { cap_drop, pids, memory, milli_cpus, no_new_privileges, .. } = &spec.limits;
    let some_unless_0 = |value: i64| (value != 0).then_some(value);
    HostConfig {
        network_mode: Some(spec.network.clone()),
        // Restarts are ours: the engine must not start what sleeps.
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::NO),
            maximum_retry_count: None,
        }),
        cap_drop: Some(cap_drop.clone()),
        pids_limit: some_unless_0(*pids),
        memory: some_unless_0(*memory),
        nano_cpus: some_unless_0(milli_cpus.saturating_mul(1_000_000)),
        security_opt: no_new_privileges.then(|| vec!["no-new-privileges".into()]),
        log_config: log_config(&spec.limits),
        port_bindings: Some(port_bindings(spec)),
        volumes_from: spec.volumes_from.as_ref().map(|id| vec![id.as_str().to_owned()]),
        ..Default::default()
    }
}

fn log_config(limits: &Limits) -> Option<HostConfigLogConfig> {
    let config = HashMap::from([
        ("max-size".to_owned(), limits.log_size.clone()),
        ("max-file".to_owned(), limits.log_files.max(1).to_string()),
    ]);
    let json_file = HostConfigLogConfig { typ: Some("json-file".into()), config: Some(config) };
    (!limits.log_size.is_empty()).then_some(json_file)
}

fn networking(spec: &ContainerSpec) -> NetworkingConfig {
    let endpoint = endpoint(spec.address);
    NetworkingConfig { endpoints_config: Some(HashMap::from([(spec.network.clone(), endpoint)])) }
}

/// Where it stands on a network.
pub(super) fn endpoint(address: Option<Ipv4Addr>) -> EndpointSettings {
    let ipam = address
        .map(|address| EndpointIpamConfig { ipv4_address: Some(address.to_string()), ..Default::default() });
    EndpointSettings { ipam_config: ipam, ..Default::default() }
}

fn first_process(seen: &ContainerInspectResponse) -> Option<i64> {
    seen.state.as_ref()?.pid.filter(|pid| *pid > 0)
}

fn observation(seen: ContainerInspectResponse) -> Observation {
    let name = seen.name.unwrap_or_default();
    let state = seen.state.unwrap_or_default();
    if state.running.unwrap_or_default() {
        let frozen = state.paused.unwrap_or_default().then_some(Freezer::Engine);
        return Observation::Running { name, frozen };
    }
    let (code, out_of_memory) = (state.exit_code.unwrap_or_default(), state.oom_killed.unwrap_or_default());
    Observation::Exited { name, code, out_of_memory, ending: Ending::Unseen }
}

/// The one that it was given for life, which it may come back to. Ours stand on one network.
fn address(networks: Option<ContainerSummaryNetworkSettings>) -> Option<Ipv4Addr> {
    let mut endpoints = networks?.networks?.into_values();
    endpoints.find_map(|endpoint| endpoint.ipam_config?.ipv4_address?.parse().ok())
}

/// Names that other containers' links gave it have a second slash.
fn own_name(names: Vec<String>) -> String {
    names.into_iter().find(|name| name.rfind('/') == Some(0)).unwrap_or_default()
}

fn entry(summary: ContainerSummary) -> Listed {
    let labels = summary.labels.unwrap_or_default();
    let label = |name: &str| labels.get(name).cloned().unwrap_or_default();
    let state = summary.state;
    Listed {
        engine_id: EngineId::new(summary.id.unwrap_or_default()),
        name: own_name(summary.names.unwrap_or_default()),
        key: label(KEY_LABEL),
        owner: label(OWNER_LABEL),
        address: address(summary.network_settings),
        running: matches!(
            state,
            Some(ContainerSummaryStateEnum::RUNNING | ContainerSummaryStateEnum::PAUSED)
        ),
        frozen: (state == Some(ContainerSummaryStateEnum::PAUSED)).then_some(Freezer::Engine),
    }
}
