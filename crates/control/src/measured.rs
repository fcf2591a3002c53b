//! Any engine, with each of its calls timed: the one place where that is done.

use crate::measures;
use async_trait::async_trait;
use engine::{
    ContainerSpec, Created, Description, Engine, Event, Inside, Listed, Network, NetworkSpec, Result, Socket,
};
use futures_util::stream::BoxStream;
use ipnet::Ipv4Net;
use model::{EngineId, Freezer, Image, Observation};
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The engine behind it does the work.
pub(crate) struct Measured(pub(crate) Arc<dyn Engine>);

async fn timed<T>(call: &'static str, asked: impl Future<Output = Result<T>> + Send) -> Result<T> {
    let begun = Instant::now();
    let result = asked.await;
    measures::engine_call(call, result.as_ref().err(), begun.elapsed());
    result
}

#[async_trait]
impl Engine for Measured {
    async fn describe(&self) -> Result<Description> {
        timed("describe", self.0.describe()).await
    }

    async fn ping(&self) -> Result<()> {
        timed("ping", self.0.ping()).await
    }

    async fn images(&self) -> Result<Vec<String>> {
        timed("images", self.0.images()).await
    }

    async fn image(&self, name: &str) -> Result<Image> {
        timed("image", self.0.image(name)).await
    }

    async fn network(&self, wanted: &NetworkSpec) -> Result<Network> {
        timed("network", self.0.network(wanted)).await
    }

    async fn find_network(&self, wanted: &NetworkSpec) -> Result<Option<Network>> {
        timed("find_network", self.0.find_network(wanted)).await
    }

    async fn remove_network(&self, name: &str) -> Result<()> {
        timed("remove_network", self.0.remove_network(name)).await
    }

    async fn our_subnets(&self) -> Result<Vec<Ipv4Net>> {
        timed("our_subnets", self.0.our_subnets()).await
    }

    async fn create(&self, spec: &ContainerSpec) -> Result<Created> {
        timed("create", self.0.create(spec)).await
    }

    async fn attach(&self, id: &EngineId, network: &str, address: Ipv4Addr) -> Result<()> {
        timed("attach", self.0.attach(id, network, address)).await
    }

    async fn start(&self, id: &EngineId) -> Result<()> {
        timed("start", self.0.start(id)).await
    }

    async fn stop(&self, id: &EngineId, grace: Duration) -> Result<()> {
        timed("stop", self.0.stop(id, grace)).await
    }

    async fn remove(&self, id: &EngineId) -> Result<()> {
        timed("remove", self.0.remove(id)).await
    }

    async fn freeze(&self, id: &EngineId) -> Result<Freezer> {
        timed("freeze", self.0.freeze(id)).await
    }

    async fn thaw(&self, id: &EngineId, by: Freezer) -> Result<()> {
        timed("thaw", self.0.thaw(id, by)).await
    }

    async fn cpu(&self, id: &EngineId) -> Result<Option<Duration>> {
        timed("cpu", self.0.cpu(id)).await
    }

    async fn sockets(&self, id: &EngineId) -> Result<Option<Vec<Socket>>> {
        timed("sockets", self.0.sockets(id)).await
    }

    async fn lines(&self, id: &EngineId, count: usize) -> Result<Vec<String>> {
        timed("lines", self.0.lines(id, count)).await
    }

    async fn execs(&self, id: &EngineId) -> Result<usize> {
        timed("execs", self.0.execs(id)).await
    }

    async fn reclaim(&self, id: &EngineId) -> Result<Option<u64>> {
        timed("reclaim", self.0.reclaim(id)).await
    }

    async fn inspect(&self, id: &EngineId) -> Result<Observation> {
        timed("inspect", self.0.inspect(id)).await
    }

    async fn list(&self, instance: &str) -> Result<Vec<Listed>> {
        timed("list", self.0.list(instance)).await
    }

    async fn events(&self, instance: &str) -> Result<BoxStream<'static, Result<Event>>> {
        timed("events", self.0.events(instance)).await
    }

    async fn exec(&self, id: &EngineId, command: &[String], within: Duration) -> Result<i64> {
        timed("exec", self.0.exec(id, command, within)).await
    }

    async fn listens(&self, id: &EngineId, port: u16) -> Result<bool> {
        timed("listens", self.0.listens(id, port)).await
    }

    async fn connect_from_inside(&self, id: &EngineId, to: SocketAddrV4, within: Duration) -> Result<Inside> {
        timed("connect_from_inside", self.0.connect_from_inside(id, to, within)).await
    }

    async fn redirect(&self, network: &Network, from: u16, to: u16) -> Result<()> {
        timed("redirect", self.0.redirect(network, from, to)).await
    }

    async fn undo_redirect(&self, network: &Network) -> Result<()> {
        timed("undo_redirect", self.0.undo_redirect(network)).await
    }
}
