//! Bugs, put in on purpose at the edges of the control: what stands between it and the world does what a control with that
//! bug would do.

use async_trait::async_trait;
use control::store::{Change, Contents};
use control::{Endpoints, Parts, Store, StoreError, Target};
use engine::{ContainerSpec, Created, Description, Engine, Event, Inside, Listed, Network, NetworkSpec};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use ipnet::Ipv4Net;
use model::{EngineId, Image, Observation, Reach};
use std::io;
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone, Copy, Debug)]
pub enum Sabotage {
    /// A transition is acted on before it is on disk: each write is acknowledged, and written with the next.
    EffectBeforeIntent,
    /// Of what the engine says, every seventh is not heard.
    LostEvent,
    /// A port is given up as soon as its container sleeps.
    PortFreedEarly,
    /// What rests is not written down, so that a crash ends its rest.
    RestForgotten,
}

impl Sabotage {
    pub fn of(self, parts: Parts) -> Parts {
        match self {
            Self::EffectBeforeIntent => {
                Parts { store: Box::new(WriteBehind { store: parts.store, waiting: Vec::new() }), ..parts }
            }
            Self::RestForgotten => Parts { store: Box::new(Forgetful(parts.store)), ..parts },
            Self::LostEvent => Parts { engine: Arc::new(HardOfHearing(parts.engine)), ..parts },
            Self::PortFreedEarly => Parts { endpoints: Arc::new(LetsGo(parts.endpoints)), ..parts },
        }
    }
}

struct WriteBehind {
    store: Box<dyn Store>,
    waiting: Vec<Change>,
}

impl Store for WriteBehind {
    fn read(&mut self, mint: &dyn Fn() -> String) -> Result<Contents, StoreError> {
        self.store.read(mint)
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        let due = std::mem::replace(&mut self.waiting, changes.to_vec());
        self.store.commit(&due)
    }
}

struct Forgetful(Box<dyn Store>);

impl Store for Forgetful {
    fn read(&mut self, mint: &dyn Fn() -> String) -> Result<Contents, StoreError> {
        self.0.read(mint)
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        let kept = changes.iter().filter(|change| !matches!(change, Change::Trails { .. }));
        self.0.commit(&kept.cloned().collect::<Vec<_>>())
    }
}

struct LetsGo(Arc<dyn Endpoints>);

impl Endpoints for LetsGo {
    fn claim(&self, port: u16) -> io::Result<()> {
        self.0.claim(port)
    }

    fn set(&self, port: u16, reach: Reach, target: &Target) -> io::Result<()> {
        if reach == Reach::Refuse {
            self.0.release(port);
            return Ok(());
        }
        self.0.set(port, reach, target)
    }

    fn release(&self, port: u16) {
        self.0.release(port);
    }
}

struct HardOfHearing(Arc<dyn Engine>);

#[async_trait]
impl Engine for HardOfHearing {
    async fn events(&self, instance: &str) -> engine::Result<BoxStream<'static, engine::Result<Event>>> {
        let events = self.0.events(instance).await?.enumerate();
        let heard = events.filter_map(|(n, event)| async move { (n % 7 != 6).then_some(event) });
        Ok(heard.boxed())
    }

    async fn describe(&self) -> engine::Result<Description> {
        self.0.describe().await
    }

    async fn images(&self) -> engine::Result<Vec<String>> {
        self.0.images().await
    }

    async fn image(&self, name: &str) -> engine::Result<Image> {
        self.0.image(name).await
    }

    async fn network(&self, wanted: &NetworkSpec) -> engine::Result<Network> {
        self.0.network(wanted).await
    }

    async fn remove_network(&self, name: &str) -> engine::Result<()> {
        self.0.remove_network(name).await
    }

    async fn our_subnets(&self) -> engine::Result<Vec<Ipv4Net>> {
        self.0.our_subnets().await
    }

    async fn create(&self, spec: &ContainerSpec) -> engine::Result<Created> {
        self.0.create(spec).await
    }

    async fn start(&self, id: &EngineId) -> engine::Result<()> {
        self.0.start(id).await
    }

    async fn stop(&self, id: &EngineId, grace: Duration) -> engine::Result<()> {
        self.0.stop(id, grace).await
    }

    async fn remove(&self, id: &EngineId) -> engine::Result<()> {
        self.0.remove(id).await
    }

    async fn inspect(&self, id: &EngineId) -> engine::Result<Observation> {
        self.0.inspect(id).await
    }

    async fn list(&self, instance: &str) -> engine::Result<Vec<Listed>> {
        self.0.list(instance).await
    }

    async fn exec(&self, id: &EngineId, command: &str, within: Duration) -> engine::Result<i64> {
        self.0.exec(id, command, within).await
    }

    async fn connect_from_inside(
        &self,
        id: &EngineId,
        to: SocketAddrV4,
        within: Duration,
    ) -> engine::Result<Inside> {
        self.0.connect_from_inside(id, to, within).await
    }

    async fn redirect(&self, network: &Network, from: u16, to: u16) -> engine::Result<()> {
        self.0.redirect(network, from, to).await
    }

    async fn undo_redirect(&self, network: &Network) -> engine::Result<()> {
        self.0.undo_redirect(network).await
    }
}
