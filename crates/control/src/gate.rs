//! The gate between a client's bytes and a container that may be frozen. Whoever forwards counts first and looks at the gate
//! then; whoever freezes closes the gate first and looks at the count then. So at least one of the two sees the other, and no byte
//! is forwarded to a container that goes on sleeping: `tests/gate.rs` has loom try every order.
//!
//! The fences make it so; loom knows no other sequential consistency.

// `tests/gate.rs` includes this file beside loom's atomics.
use super::atomic::{AtomicBool, AtomicU64, Ordering, fence};

/// Open while the container is awake.
#[derive(Debug)]
pub(crate) struct Gate {
    closed: AtomicBool,
    passed: AtomicU64,
}

impl Default for Gate {
    fn default() -> Self {
        Self { closed: AtomicBool::new(false), passed: AtomicU64::new(0) }
    }
}

impl Gate {
    /// Counts what is about to be forwarded. Where it is closed, the container has to be awake before that is done.
    pub(crate) fn pass(&self, count: u64) -> bool {
        self.passed.fetch_add(count, Ordering::AcqRel);
        fence(Ordering::SeqCst);
        self.is_open()
    }

    /// How much was counted so far.
    pub(crate) fn passed(&self) -> u64 {
        self.passed.load(Ordering::Acquire)
    }

    /// Whether it is open.
    pub(crate) fn is_open(&self) -> bool {
        !self.closed.load(Ordering::Acquire)
    }

    /// Before the freeze. What was counted since somebody looked shows in [`Gate::passed`] from now on.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        fence(Ordering::SeqCst);
    }

    /// After the thaw.
    pub(crate) fn open(&self) {
        self.closed.store(false, Ordering::Release);
    }
}
