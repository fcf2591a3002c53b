//! Takes containers that somebody else made into the store, each with a new body, while no daemon runs. Whoever calls makes the
//! bodies; here are the two writings around that: the intent before, and the container after.
//!
//! An intent that was left by a crash carries the identity that it was for. [`Adopter::halves`] are undone before anything else.

use crate::control::LaunchError;
use crate::create::{conceive, spec, usable_image};
use crate::footing::Footing;
use crate::ledger::Ledger;
use crate::store::{Change, Store};
use crate::{Clock, CreateError, CreateRequest, Endpoints, Settings, StoreError, mint};
use engine::{ContainerSpec, Created, Engine};
use model::{Container, ContainerId, Key, Phase, StopReason};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The store, held.
pub struct Adopter {
    store: Box<dyn Store>,
    settings: Settings,
    ledger: Ledger,
    network: String,
    owner: String,
    clock: Clock,
    known: BTreeSet<ContainerId>,
    halves: Vec<Container>,
}

/// What is to be adopted.
#[derive(Clone, Debug)]
pub struct Adopted {
    /// What the world calls it, and goes on to.
    pub container_id: ContainerId,
    /// What the engine calls it, without a slash. Its new body gets this name.
    pub name: String,
    /// Its image, as it was asked for once.
    pub image: String,
    /// The image that its new body is made of.
    pub saved: String,
}

impl Adopter {
    /// Takes the store, finds or makes the network, and refuses what a daemon would refuse.
    pub async fn begin(
        engine: &dyn Engine,
        mut store: Box<dyn Store>,
        endpoints: Arc<dyn Endpoints>,
        settings: Settings,
    ) -> Result<Self, LaunchError> {
        let Footing { contents, ground, ledger } =
            Footing::take(engine, &mut *store, &endpoints, &settings, &mint).await?;
        // A daemon that found one may have begun to remove it.
        let is_half = |one: &Container| {
            matches!(one.phase, Phase::Creating | Phase::Removing)
                && one.engine_id.is_none()
                && one.container_id.is_some()
        };
        let (halves, whole): (Vec<_>, Vec<_>) = contents.containers.into_iter().partition(is_half);
        let known = whole.into_iter().filter_map(|container| container.container_id).collect();
        let (network, owner, clock) = (ground.now().name, contents.owner, Clock::system());
        Ok(Self { store, settings, ledger, network, owner, clock, known, halves })
    }

    /// Whether the store has it.
    pub fn knows(&self, id: &ContainerId) -> bool {
        self.known.contains(id)
    }

    /// What a crash left half done. Their bodies, if there are any, go first.
    pub fn halves(&mut self) -> Vec<Container> {
        std::mem::take(&mut self.halves)
    }

    /// The owner id, which our bodies carry.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// Allots what it needs, and has the intent on disk. Gives the body that is to be made.
    pub async fn intend(
        &mut self,
        engine: &dyn Engine,
        adopted: &Adopted,
    ) -> Result<(Container, ContainerSpec), CreateError> {
        let image = usable_image(engine, &adopted.saved).await?;
        let now = self.clock.now();
        let allotment = self.ledger.allot(image.tcp_ports().len(), self.settings.publish, now)?;
        let request = CreateRequest { image: adopted.image.clone(), ..CreateRequest::default() };
        let mut container = conceive(Key::new(mint()), &request, &image, &allotment, now);
        container.container_id = Some(adopted.container_id.clone());
        container.name = format!("/{}", adopted.name);
        let written = self.store.commit(&[Change::Put(Arc::new(container.clone())), self.ledger.trails()]);
        written.map_err(|error| CreateError::Store(Arc::new(error)))?;
        let spec = spec(&self.settings, &self.owner, self.network.clone(), &container, &image, Vec::new());
        Ok((
            container,
            ContainerSpec { name: Some(adopted.name.clone()), image: adopted.saved.clone(), ..spec },
        ))
    }

    /// It has its body: from now on it is one that was stopped for idleness, which a connection wakes.
    pub fn settle(&mut self, container: Container, made: Created) -> Result<(), StoreError> {
        self.known.extend(container.container_id.clone());
        let phase = Phase::Stopped { reason: StopReason::Idle };
        let settled = Container { engine_id: Some(made.engine_id), name: made.name, phase, ..container };
        self.store.commit(&[Change::Put(Arc::new(settled))])
    }

    /// It has none, and gets none.
    pub fn give_up(&mut self, container: &Container) -> Result<(), StoreError> {
        self.ledger.let_go(container);
        self.ledger.give_back(container, self.clock.now());
        self.store.commit(&[Change::Forget(container.key.clone()), self.ledger.trails()])
    }
}
