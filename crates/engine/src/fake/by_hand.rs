//! What others do to containers behind our back, and what their own programs do.

use super::Fake;
use crate::{ContainerSpec, EventKind, Socket};
use model::{EngineId, Freezer};
use std::time::Duration;

impl Fake {
    /// A container that is not ours, with these labels.
    pub fn add_stranger(&self, instance: &str, owner: &str, key: &str) -> EngineId {
        let spec = ContainerSpec {
            key: key.into(),
            owner: owner.into(),
            instance: instance.into(),
            ..ContainerSpec::default()
        };
        self.state().add(spec).engine_id
    }

    /// As `docker stop` by hand. What our write froze ends when it is thawed.
    pub fn stop_by_hand(&self, id: &EngineId) {
        self.state().halt_by_hand(id, 143);
    }

    /// Whether it runs on only because it is frozen: it was told to end.
    pub fn is_told_to_end(&self, id: &EngineId) -> bool {
        self.state().body(id).is_ok_and(|body| body.told_to_end.is_some())
    }

    /// As `docker start` by hand.
    pub fn start_by_hand(&self, id: &EngineId) {
        self.state().run(id);
    }

    /// It ends by itself.
    pub fn exit(&self, id: &EngineId, code: i64) {
        self.state().halt(id, code, false);
    }

    /// As `docker rm -f` by hand.
    pub fn remove_by_hand(&self, id: &EngineId) {
        self.state().drop_body(id);
    }

    /// As `docker rename` by hand.
    pub fn rename(&self, id: &EngineId, name: &str) {
        self.state().rename(id, name);
    }

    /// As `docker pause` by hand.
    pub fn pause_by_hand(&self, id: &EngineId) {
        self.state().pause(id, Some(Freezer::Engine));
    }

    /// As `docker unpause` by hand.
    pub fn unpause_by_hand(&self, id: &EngineId) {
        self.state().pause(id, None);
    }

    /// As `spin-docker thaw` beside us: nothing tells of it.
    pub fn thaw_by_hand(&self, id: &EngineId) {
        self.state().thaw(id, Freezer::Cgroup);
    }

    /// As `docker kill -s HUP` by hand.
    pub fn signal_by_hand(&self, id: &EngineId) {
        self.state().tell(id, EventKind::Signalled);
    }

    /// As `docker network create` by hand, of a network that is nobody's concern.
    pub fn change_networks(&self) {
        self.state().tell_all(EventKind::Networks);
    }

    /// Somebody is about to run a command in it, and takes his time.
    pub fn announce_exec(&self, id: &EngineId) {
        self.state().tell(id, EventKind::Exec);
    }

    /// As `docker exec` by hand: one more command runs in it.
    pub fn exec_by_hand(&self, id: &EngineId) {
        self.state().add_exec(id);
    }

    /// One of those ends.
    pub fn end_exec(&self, id: &EngineId) {
        self.state().alter(id, |body| body.execs = body.execs.saturating_sub(1));
    }

    /// Its programs used so much more CPU time.
    pub fn use_cpu(&self, id: &EngineId, by: Duration) {
        self.state().alter(id, |body| body.cpu += by);
    }

    /// These are its sockets from now on; none cannot be told. It has an empty list of them at first.
    pub fn set_sockets(&self, id: &EngineId, sockets: Option<Vec<Socket>>) {
        self.state().alter(id, |body| body.sockets = sockets);
    }

    /// What freezes containers from now on. At first the cgroup does.
    pub fn freeze_by(&self, freezer: Freezer) {
        self.state().by_engine = freezer == Freezer::Engine;
    }
}
