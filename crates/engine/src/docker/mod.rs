//! Docker Engine, and Podman that speaks as it does, through bollard. One file per concern; this one connects, and gives every call its deadline.

mod archive;
mod bodies;
mod cgroups;
mod containers;
mod cpu;
mod describe;
mod errors;
mod events;
mod exec;
mod foreign;
mod freezer;
mod hosts;
mod images;
mod inside;
mod iptables;
mod listens;
mod logs;
mod networks;
mod podman;
mod process;
mod reclaim;
mod redirect;
mod sockets;
mod version;

pub use foreign::Foreign;
pub use freezer::{Resident, residents};

use crate::{
    ContainerSpec, Created, Description, Engine, EngineError, Event, Inside, Listed, Network, NetworkSpec,
    Result, Socket,
};
use async_trait::async_trait;
use bodies::Bodies;
use bollard::errors::Error as BollardError;
use futures_util::stream::BoxStream;
use ipnet::Ipv4Net;
use model::{EngineId, Freezer, Image, Observation};
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

/// How long the engine may take for what it should know or do at once.
const QUICK: Duration = Duration::from_secs(20);
/// How long it may take to make, start or remove a container.
const SLOW: Duration = Duration::from_secs(120);

/// A Docker Engine on this host. Clones share one client.
#[derive(Clone, Debug)]
pub struct Docker {
    client: bollard::Docker,
    at: String,
    is_podman: bool,
    bodies: Arc<Bodies>,
}

impl Docker {
    /// Finds the engine as the docker CLI does, unless `host` names it, and agrees on an API version with it.
    pub async fn connect(host: Option<&str>) -> Result<Self> {
        let at = hosts::find(host, &hosts::Surroundings::of_this_process())?;
        let client = hosts::open(&at, bollard::API_DEFAULT_VERSION)?;
        Self { client, at, is_podman: false, bodies: Arc::default() }.agree().await
    }

    /// Where it was found, such as `unix:///var/run/docker.sock`.
    pub fn host(&self) -> &str {
        &self.at
    }

    async fn call<T>(
        &self,
        doing: &str,
        within: Duration,
        call: impl Future<Output = std::result::Result<T, BollardError>>,
    ) -> Result<T> {
        match tokio::time::timeout(within, call).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(errors::translate(doing, &self.at, error)),
            Err(_) => Err(EngineError::TimedOut { doing: doing.to_owned(), seconds: within.as_secs() }),
        }
    }
}

#[async_trait]
impl Engine for Docker {
    async fn describe(&self) -> Result<Description> {
        self.describe_engine().await
    }

    async fn ping(&self) -> Result<()> {
        self.call("answer", QUICK, self.client.ping()).await.map(drop)
    }

    async fn images(&self) -> Result<Vec<String>> {
        self.list_tags().await
    }

    async fn image(&self, name: &str) -> Result<Image> {
        self.inspect_image(name).await
    }

    async fn network(&self, wanted: &NetworkSpec) -> Result<Network> {
        self.find_or_make_network(wanted).await
    }

    async fn find_network(&self, wanted: &NetworkSpec) -> Result<Option<Network>> {
        self.find_ours(wanted).await
    }

    async fn remove_network(&self, name: &str) -> Result<()> {
        self.drop_network(name).await
    }

    async fn our_subnets(&self) -> Result<Vec<Ipv4Net>> {
        self.labelled_subnets().await
    }

    async fn create(&self, spec: &ContainerSpec) -> Result<Created> {
        self.create_container(spec).await
    }

    async fn attach(&self, id: &EngineId, network: &str, address: Ipv4Addr) -> Result<()> {
        self.attach_container(id, network, address).await
    }

    async fn start(&self, id: &EngineId) -> Result<()> {
        self.start_container(id).await
    }

    async fn stop(&self, id: &EngineId, grace: Duration) -> Result<()> {
        self.stop_container(id, grace).await
    }

    async fn remove(&self, id: &EngineId) -> Result<()> {
        self.remove_container(id).await
    }

    async fn freeze(&self, id: &EngineId) -> Result<Freezer> {
        self.freeze_container(id).await
    }

    async fn thaw(&self, id: &EngineId, by: Freezer) -> Result<()> {
        self.thaw_container(id, by).await
    }

    async fn cpu(&self, id: &EngineId) -> Result<Option<Duration>> {
        self.cpu_of(id).await
    }

    async fn sockets(&self, id: &EngineId) -> Result<Option<Vec<Socket>>> {
        self.sockets_of(id).await
    }

    async fn lines(&self, id: &EngineId, count: usize) -> Result<Vec<String>> {
        self.last_lines(id, count).await
    }

    async fn execs(&self, id: &EngineId) -> Result<usize> {
        self.count_running_execs(id).await
    }

    async fn reclaim(&self, id: &EngineId) -> Result<Option<u64>> {
        self.reclaim_from(id).await
    }

    async fn inspect(&self, id: &EngineId) -> Result<Observation> {
        self.inspect_container(id).await
    }

    async fn list(&self, instance: &str) -> Result<Vec<Listed>> {
        self.list_containers(instance).await
    }

    async fn events(&self, instance: &str) -> Result<BoxStream<'static, Result<Event>>> {
        self.subscribe(instance).await
    }

    async fn exec(&self, id: &EngineId, command: &[String], within: Duration) -> Result<i64> {
        self.run_inside(id, command, within).await
    }

    async fn listens(&self, id: &EngineId, port: u16) -> Result<bool> {
        self.listens_inside(id, port).await
    }

    async fn connect_from_inside(&self, id: &EngineId, to: SocketAddrV4, within: Duration) -> Result<Inside> {
        self.connect_inside(id, to, within).await
    }

    async fn redirect(&self, network: &Network, from: u16, to: u16) -> Result<()> {
        redirect::put(network, from, to).await
    }

    async fn undo_redirect(&self, network: &Network) -> Result<()> {
        redirect::take_back(network).await
    }
}
