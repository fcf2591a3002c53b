//! Bugs, put in on purpose at the edges of the control: what stands between it and the world does what a control with that
//! bug would do.

use crate::world::World;
use async_trait::async_trait;
use control::store::{Change, Contents, Wanted};
use control::{Caller, Wake, WakeError};
use control::{Endpoints, Parts, Settings, Store, StoreError, Target, Unmeasured};
use model::{Container, Event, EventKind, IdlePolicy, Reach, Said};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// A transition is acted on before it is on disk: each write is acknowledged, and written with the next.
    EffectBeforeIntent,
    /// Of what the engine says, every seventh is not heard.
    LostEvent,
    /// A port is given up as soon as its container sleeps.
    PortFreedEarly,
    /// The gate is open while its container is frozen.
    GateLeftOpen,
    /// Whoever comes while a freeze is under way is forgotten.
    WakeForgotten,
    /// That somebody runs a command is not heard.
    LostExec,
    /// What rests is not written down, so that a crash ends its rest.
    RestForgotten,
    /// What is frozen takes no breath.
    NoBreath,
    /// What an owner says of a policy is not written down.
    PolicyForgotten,
    /// Nobody is told of a deletion before it.
    DeletionUntold,
    /// Whether the host has room is not asked.
    RoomUnasked,
    /// Whatever carries our labels is taken for ours, as a copy of one of ours does.
    LabelsTrusted,
}

impl Sabotage {
    pub fn of(self, parts: Parts, world: Arc<World>) -> Parts {
        match self {
            Self::EffectBeforeIntent => {
                Parts { store: Box::new(WriteBehind { store: parts.store, waiting: Vec::new() }), ..parts }
            }
            Self::RestForgotten | Self::PolicyForgotten | Self::DeletionUntold => {
                Parts { store: Box::new(Forgetful(parts.store, self)), ..parts }
            }
            Self::RoomUnasked => Parts { room: Arc::new(Unmeasured), ..parts },
            Self::NoBreath => {
                let policy = IdlePolicy { breathe: false, ..parts.settings.policy };
                Parts { settings: Settings { policy, ..parts.settings }, ..parts }
            }
            // The engine's own double does it, and visitors do: see `unsteady.rs` and `visitors.rs`.
            Self::LostEvent | Self::LostExec | Self::GateLeftOpen | Self::LabelsTrusted => parts,
            Self::WakeForgotten => Parts { endpoints: Arc::new(Forgets(parts.endpoints, world)), ..parts },
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

    fn events(&mut self, wanted: &Wanted) -> Result<Vec<Event>, StoreError> {
        self.store.events(wanted)
    }
}

struct Forgetful(Box<dyn Store>, Sabotage);

impl Forgetful {
    /// What of a change is written, if anything is.
    fn keeps(&self, change: &Change) -> Option<Change> {
        match (self.1, change) {
            (Sabotage::RestForgotten, Change::Trails { .. }) => None,
            (Sabotage::DeletionUntold, Change::Event(event)) if event.kind == EventKind::Expiring => None,
            (Sabotage::PolicyForgotten, Change::Put(container)) => {
                let owner_says = Said::default();
                Some(Change::Put(Arc::new(Container { owner_says, ..Container::clone(container) })))
            }
            _ => Some(change.clone()),
        }
    }
}

impl Store for Forgetful {
    fn read(&mut self, mint: &dyn Fn() -> String) -> Result<Contents, StoreError> {
        self.0.read(mint)
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        let kept: Vec<Change> = changes.iter().filter_map(|change| self.keeps(change)).collect();
        self.0.commit(&kept)
    }

    fn events(&mut self, wanted: &Wanted) -> Result<Vec<Event>, StoreError> {
        self.0.events(wanted)
    }
}

struct LetsGo(Arc<dyn Endpoints>);

impl Endpoints for LetsGo {
    fn claim(&self, port: u16) -> io::Result<()> {
        self.0.claim(port)
    }

    fn set(&self, port: u16, reach: Reach, target: &Target) -> io::Result<()> {
        if matches!(reach, Reach::Refuse | Reach::Wake) {
            self.0.release(port);
            return Ok(());
        }
        self.0.set(port, reach, target)
    }

    fn release(&self, port: u16) {
        self.0.release(port);
    }
}

struct Forgets(Arc<dyn Endpoints>, Arc<World>);

impl Endpoints for Forgets {
    fn claim(&self, port: u16) -> io::Result<()> {
        self.0.claim(port)
    }

    fn set(&self, port: u16, reach: Reach, target: &Target) -> io::Result<()> {
        let forgets = Forgetting(Arc::clone(&target.wake), Arc::clone(&self.1));
        self.0.set(port, reach, &Target { wake: Arc::new(forgets), ..target.clone() })
    }

    fn release(&self, port: u16) {
        self.0.release(port);
    }
}

struct Forgetting(Arc<dyn Wake>, Arc<World>);

impl std::fmt::Debug for Forgetting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[async_trait]
impl Wake for Forgetting {
    async fn wake(&self, caller: Caller) -> Result<(), WakeError> {
        if self.1.freezes_under_way().load(Ordering::Relaxed) > 0 {
            return std::future::pending().await;
        }
        self.0.wake(caller).await
    }
}
