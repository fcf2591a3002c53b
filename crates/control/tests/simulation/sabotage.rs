//! Bugs, put in on purpose at the edges of the control: what stands between it and the world does what a control with that
//! bug would do.

use control::store::{Change, Contents};
use control::{Endpoints, Parts, Store, StoreError, Target};
use model::Reach;
use std::io;
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
            // The engine's own double does it: see `unsteady.rs`.
            Self::LostEvent => parts,
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
