//! Containers of the engine in memory that are frozen, and what can be asked of them then.

use super::state::{Body, State};
use crate::{EngineError, EventKind, Result};
use model::{EngineId, Freezer};

impl State {
    pub(super) fn freeze(&mut self, id: &EngineId) -> Result<Freezer> {
        let freezer = if self.by_engine { Freezer::Engine } else { Freezer::Cgroup };
        let frozen = *self.running(id)?.frozen.get_or_insert(freezer);
        if frozen == Freezer::Engine {
            self.tell(id, EventKind::Changed);
        }
        Ok(frozen)
    }

    /// Nothing tells of our own write. What was told to end meanwhile ends now.
    pub(super) fn thaw(&mut self, id: &EngineId, by: Freezer) {
        let Some(body) = self.bodies.get_mut(id).filter(|body| body.frozen == Some(by)) else { return };
        body.frozen = None;
        let ends = body.told_to_end.take();
        if by == Freezer::Engine {
            self.tell(id, EventKind::Changed);
        }
        if let Some(code) = ends {
            self.halt(id, code, false);
        }
    }

    /// Whatever froze it.
    pub(super) fn thaw_first(&mut self, id: &EngineId) {
        if let Some(by) = self.bodies.get(id).and_then(|body| body.frozen) {
            self.thaw(id, by);
        }
    }

    pub(super) fn pause(&mut self, id: &EngineId, frozen: Option<Freezer>) {
        self.alter(id, |body| body.frozen = frozen);
        self.tell(id, EventKind::Changed);
    }

    /// A signal does not reach what our write froze; the engine's own pause it takes back itself.
    pub(super) fn halt_by_hand(&mut self, id: &EngineId, code: i64) {
        let frozen = self.bodies.get(id).filter(|body| body.running).and_then(|body| body.frozen);
        if frozen == Some(Freezer::Cgroup) {
            self.alter(id, |body| body.told_to_end = Some(code));
            self.tell(id, EventKind::Killed);
        } else {
            self.halt(id, code, true);
        }
    }

    pub(super) fn add_exec(&mut self, id: &EngineId) {
        self.alter(id, |body| body.execs += 1);
        self.tell(id, EventKind::Exec);
    }

    pub(super) fn alter(&mut self, id: &EngineId, alter: impl FnOnce(&mut Body)) {
        if let Some(body) = self.bodies.get_mut(id).filter(|body| body.running) {
            alter(body);
        }
    }

    /// One that runs, to be asked or changed.
    pub(super) fn running(&mut self, id: &EngineId) -> Result<&mut Body> {
        let running = self.bodies.get_mut(id).filter(|body| body.running);
        running.ok_or_else(|| EngineError::NotFound { what: format!("running container: {id}") })
    }
}
