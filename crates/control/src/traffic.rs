//! What goes through a container's endpoints, between the gateway, which counts, and the supervisor, which looks: one set of
//! counters per container, and one [`Flow`] per connection.

use crate::flow::{Flow, Shown, State};
use crate::gate::Gate;
use model::{IdlePolicy, Key};
use slab::Slab;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use tokio::time::Instant;

/// The containers that may have been used, each once, for the pulse: of very many hardly any is.
#[derive(Debug, Default)]
pub(crate) struct InUse(Mutex<Vec<Key>>);

impl InUse {
    /// Those that were listed since this was last asked.
    pub(crate) fn take(&self) -> Vec<Key> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn list(&self, key: Key) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(key);
    }
}

/// What goes through a container's endpoints.
#[derive(Debug, Default)]
pub struct Traffic {
    gate: Gate,
    connections: AtomicU32,
    opened: AtomicU64,
    outward: AtomicU64,
    hung_up: AtomicU64,
    flows: Mutex<Flows>,
    policy: RwLock<Option<Arc<IdlePolicy>>>,
    /// Where it had moved to when a use was last recorded: the pulse's own.
    recorded: AtomicU64,
    is_listed: AtomicBool,
    list: Option<(Key, Arc<InUse>)>,
}

#[derive(Debug, Default)]
struct Flows {
    open: Slab<Arc<State>>,
    /// When something last moved on one that has ended.
    ended: Option<Instant>,
}

impl Traffic {
    /// Of this container, and listed when it moves.
    pub(crate) fn of(key: &Key, in_use: &Arc<InUse>) -> Self {
        Self { list: Some((key.clone(), Arc::clone(in_use))), ..Self::default() }
    }

    /// A connection from `peer` to the container's port, counted in until it is dropped; one that the policy ignores is not.
    pub fn open(self: &Arc<Self>, peer: SocketAddr, port: u16) -> Flow {
        let ignored = self.policy().is_some_and(|policy| policy.ignores(peer.ip()));
        self.flow(peer, port, ignored)
    }

    /// The same, for whoever knows more of it than where it comes from.
    pub fn flow(self: &Arc<Self>, peer: SocketAddr, port: u16, ignored: bool) -> Flow {
        let state = Arc::new(State::new(peer, port, ignored));
        if !ignored {
            self.connections.fetch_add(1, Ordering::SeqCst);
            self.opened.fetch_add(1, Ordering::SeqCst);
            // Whoever asks next whether it sleeps is ordered after this.
            self.gate.pass(0);
            self.list();
        }
        let at = self.flows().open.insert(Arc::clone(&state));
        Flow::new(Arc::clone(self), state, at)
    }

    pub(crate) fn close(&self, at: usize, state: &State) {
        if !state.is_ignored() {
            self.connections.fetch_sub(1, Ordering::SeqCst);
        }
        let mut flows = self.flows();
        flows.open.remove(at);
        flows.ended = flows.ended.max(Some(state.moved_at()).filter(|_| !state.is_ignored()));
    }

    /// Counts bytes that are about to be forwarded to the container. Where it sleeps they must wait until it is awake.
    pub(crate) fn inward(&self, bytes: u64) -> bool {
        let open = self.gate.pass(bytes);
        self.list();
        open
    }

    /// Counts bytes that are about to be forwarded to a client.
    pub(crate) fn outward(&self, bytes: u64) {
        self.outward.fetch_add(bytes, Ordering::SeqCst);
        self.list();
    }

    /// Counts a client that has ended its side, before that is passed on. Where this says no the container sleeps, and would not hear of it.
    pub(crate) fn hangs_up(&self) -> bool {
        self.hung_up.fetch_add(1, Ordering::SeqCst);
        self.gate.pass(0)
    }

    /// It is about to sleep: clients' bytes wait from now on, until it is awake.
    pub fn shut(&self) {
        self.gate.close();
    }

    /// It is awake.
    pub fn reopen(&self) {
        self.gate.open();
    }

    /// What stands between its clients and it.
    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Open connections that count.
    pub fn connections(&self) -> u32 {
        self.connections.load(Ordering::SeqCst)
    }

    /// Connections opened so far that count.
    pub(crate) fn opened(&self) -> u64 {
        self.opened.load(Ordering::SeqCst)
    }

    /// Bytes moved so far, both ways.
    pub(crate) fn bytes(&self) -> u64 {
        self.gate.passed().wrapping_add(self.outward.load(Ordering::SeqCst))
    }

    /// A number that moves whenever something happened: connections opened plus bytes moved, so far.
    pub fn moved(&self) -> u64 {
        self.bytes().wrapping_add(self.opened())
    }

    /// The same, and clients that hung up: no use, but nothing to sleep over.
    pub(crate) fn stirred(&self) -> u64 {
        self.moved().wrapping_add(self.hung_up.load(Ordering::SeqCst))
    }

    /// When a byte moved last, or a connection was opened; none where none ever was since the daemon came up.
    pub(crate) fn moved_at(&self) -> Option<Instant> {
        let flows = self.flows();
        let open = flows.open.iter().filter(|(_, flow)| !flow.is_ignored());
        open.map(|(_, flow)| flow.moved_at()).max().max(flows.ended)
    }

    /// The flow whose answer has been owed for the shortest time: the last to be given up.
    pub fn owed(&self) -> Option<Shown> {
        let flows = self.flows();
        let owing = flows.open.iter().filter(|(_, flow)| flow.is_owed() && !flow.is_ignored());
        owing.max_by_key(|(_, flow)| flow.moved_at()).map(|(_, flow)| flow.shown())
    }

    /// Whether bytes of some client wait for the container to take them. To be asked after the gate was closed.
    pub fn is_held(&self) -> bool {
        self.flows().open.iter().any(|(_, flow)| flow.is_held())
    }

    /// The ports from which the gateway's connections reach the container.
    pub(crate) fn upstream(&self) -> BTreeSet<u16> {
        self.flows().open.iter().map(|(_, flow)| flow.upstream()).collect()
    }

    /// Every open connection, as it is.
    pub(crate) fn shown(&self) -> Vec<Shown> {
        self.flows().open.iter().map(|(_, flow)| flow.shown()).collect()
    }

    /// What it says of who is ignored holds for the connections that come.
    pub fn follow(&self, policy: &Arc<IdlePolicy>) {
        *self.policy.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(policy));
    }

    /// The policy that its container lives under, once there is one.
    pub fn policy(&self) -> Option<Arc<IdlePolicy>> {
        self.policy.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How long a connection may wait for a start, where nobody says otherwise.
    pub fn wake_timeout(&self) -> Duration {
        self.policy().map_or(IdlePolicy::DEFAULT.wake_timeout, |policy| policy.wake_timeout)
    }

    /// Once taken from the list: whatever it has come to is recorded if `record` says so, and it is listed again while there is
    /// something to record. What moves meanwhile lists it too: hence one order of all accesses.
    pub(crate) fn visit(&self, record: impl FnOnce() -> bool) {
        self.is_listed.store(false, Ordering::SeqCst);
        let moved = self.moved();
        if self.is_unrecorded() && record() {
            self.recorded.store(moved, Ordering::SeqCst);
        }
        if self.is_unrecorded() {
            self.list();
        }
    }

    fn is_unrecorded(&self) -> bool {
        self.connections() > 0 || self.moved() != self.recorded.load(Ordering::SeqCst)
    }

    /// Nearly always it is listed already, which costs one read.
    fn list(&self) {
        if !self.is_listed.load(Ordering::SeqCst)
            && !self.is_listed.swap(true, Ordering::SeqCst)
            && let Some((key, in_use)) = &self.list
        {
            in_use.list(key.clone());
        }
    }

    fn flows(&self) -> MutexGuard<'_, Flows> {
        self.flows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed() -> (Arc<Traffic>, Arc<InUse>) {
        let in_use = Arc::default();
        (Arc::new(Traffic::of(&Key::new("a"), &in_use)), in_use)
    }

    fn open(traffic: &Arc<Traffic>) -> Flow {
        traffic.open(([127, 0, 0, 1], 5123).into(), 5432)
    }

    #[test]
    fn what_moves_is_listed_once_until_it_is_recorded() {
        let (traffic, in_use) = listed();
        assert_eq!(in_use.take(), []);
        traffic.inward(1);
        traffic.outward(1);
        assert_eq!(in_use.take(), [Key::new("a")]);
        traffic.visit(|| false);
        assert_eq!(in_use.take(), [Key::new("a")], "what could not be recorded is visited again");
        traffic.visit(|| true);
        assert_eq!(in_use.take(), []);
    }

    #[test]
    fn an_open_connection_stays_listed_and_a_closed_one_is_no_use() {
        let (traffic, in_use) = listed();
        let open = open(&traffic);
        assert_eq!(in_use.take(), [Key::new("a")]);
        traffic.visit(|| true);
        assert_eq!(in_use.take(), [Key::new("a")]);
        drop(open);
        traffic.visit(|| panic!("nothing moved since the last record"));
        assert_eq!(in_use.take(), []);
    }

    #[test]
    fn what_moves_while_it_is_recorded_is_visited_again() {
        let (traffic, in_use) = listed();
        traffic.inward(1);
        in_use.take();
        traffic.visit(|| {
            traffic.inward(1);
            true
        });
        assert_eq!(in_use.take(), [Key::new("a")]);
    }

    #[test]
    fn whoever_is_ignored_counts_for_nothing() {
        let (traffic, in_use) = listed();
        let mut policy = IdlePolicy::DEFAULT;
        policy.set(model::Term::IgnoreFrom, "127.0.0.0/8").expect("good");
        traffic.follow(&Arc::new(policy));
        let flow = open(&traffic);
        assert!(flow.inward(10), "an awake container is reached");
        flow.outward(10);
        assert_eq!((traffic.connections(), traffic.moved(), traffic.moved_at()), (0, 0, None));
        assert_eq!((in_use.take(), traffic.owed().is_none()), (vec![], true));
        traffic.gate().close();
        assert!(!flow.inward(1), "and a sleeping one is not");
    }
}
