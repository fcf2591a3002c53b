//! The counters between the gateway, which counts, and the supervisor, which looks: one set per container.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// What goes through a container's endpoints. All counters are relaxed: a look is not a barrier.
#[derive(Debug, Default)]
pub struct Traffic {
    connections: AtomicU32,
    bytes: AtomicU64,
    opened: AtomicU64,
}

/// A connection, counted as open for as long as this lives.
#[derive(Debug)]
pub struct OpenConnection(std::sync::Arc<Traffic>);

impl Traffic {
    /// Counts a connection in, until the guard is dropped.
    pub fn open(self: &std::sync::Arc<Self>) -> OpenConnection {
        self.connections.fetch_add(1, Ordering::Relaxed);
        self.opened.fetch_add(1, Ordering::Relaxed);
        OpenConnection(std::sync::Arc::clone(self))
    }

    /// Counts bytes that are about to be forwarded, in either direction.
    pub fn count(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Connections open now.
    pub fn connections(&self) -> u32 {
        self.connections.load(Ordering::Relaxed)
    }

    /// A number that moves whenever something happened: connections opened plus bytes moved, so far.
    pub fn moved(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed).wrapping_add(self.opened.load(Ordering::Relaxed))
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}
