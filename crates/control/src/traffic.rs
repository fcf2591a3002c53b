//! The counters between the gateway, which counts, and the supervisor, which looks: one set per container.

use model::Key;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

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
    connections: AtomicU32,
    bytes: AtomicU64,
    opened: AtomicU64,
    /// Where it had moved to when a use was last recorded: the pulse's own.
    recorded: AtomicU64,
    is_listed: AtomicBool,
    list: Option<(Key, Arc<InUse>)>,
}

/// A connection, counted as open for as long as this lives.
#[derive(Debug)]
pub struct OpenConnection(Arc<Traffic>);

impl Traffic {
    /// Of this container, and listed when it moves.
    pub(crate) fn of(key: &Key, in_use: &Arc<InUse>) -> Self {
        Self { list: Some((key.clone(), Arc::clone(in_use))), ..Self::default() }
    }

    /// Counts a connection in, until the guard is dropped.
    pub fn open(self: &Arc<Self>) -> OpenConnection {
        self.connections.fetch_add(1, Ordering::SeqCst);
        self.opened.fetch_add(1, Ordering::SeqCst);
        self.list();
        OpenConnection(Arc::clone(self))
    }

    /// Counts bytes that are about to be forwarded, in either direction.
    pub fn count(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::SeqCst);
        self.list();
    }

    /// Connections open now.
    pub fn connections(&self) -> u32 {
        self.connections.load(Ordering::SeqCst)
    }

    /// A number that moves whenever something happened: connections opened plus bytes moved, so far.
    pub fn moved(&self) -> u64 {
        self.bytes.load(Ordering::SeqCst).wrapping_add(self.opened.load(Ordering::SeqCst))
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
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed() -> (Arc<Traffic>, Arc<InUse>) {
        let in_use = Arc::default();
        (Arc::new(Traffic::of(&Key::new("a"), &in_use)), in_use)
    }

    #[test]
    fn what_moves_is_listed_once_until_it_is_recorded() {
        let (traffic, in_use) = listed();
        assert_eq!(in_use.take(), []);
        traffic.count(1);
        traffic.count(1);
        assert_eq!(in_use.take(), [Key::new("a")]);
        traffic.visit(|| false);
        assert_eq!(in_use.take(), [Key::new("a")], "what could not be recorded is visited again");
        traffic.visit(|| true);
        assert_eq!(in_use.take(), []);
    }

    #[test]
    fn an_open_connection_stays_listed_and_a_closed_one_is_no_use() {
        let (traffic, in_use) = listed();
        let open = traffic.open();
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
        traffic.count(1);
        in_use.take();
        traffic.visit(|| {
            traffic.count(1);
            true
        });
        assert_eq!(in_use.take(), [Key::new("a")]);
    }
}
