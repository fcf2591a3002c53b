//! The open connections of a port, so that they can be cut off without each of them watching for it. Those that wait for their
//! container are known one by one; those that are forwarded know to whom they belong.

use futures_util::FutureExt;
use slab::Slab;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio_util::task::TaskTracker;

pub(crate) struct Connections(Mutex<Option<Slab<AbortHandle>>>);

impl Connections {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Some(Slab::new())))
    }

    /// Serves one that waits, and knows it until it ends; none any more once they were cut off.
    pub(crate) fn serve<F>(self: &Arc<Self>, serving: F, tasks: &TaskTracker, runtime: &Handle)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        // Locked until it is known: it may end at once, on another thread.
        let mut open = self.open();
        let Some(open) = &mut *open else { return };
        let entry = open.vacant_entry();
        let known = Known { connections: Arc::clone(self), key: entry.key() };
        // An async block around it would hold it twice.
        let serving = serving.map(move |()| drop(known));
        entry.insert(tasks.spawn_on(serving, runtime).abort_handle());
    }

    /// Whether they were ended.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.open().is_none()
    }

    /// Ends them all, for good: those that wait at once, those that are forwarded when their lanes are swept.
    pub(crate) fn cut_off(&self) {
        let open = self.open().take();
        for (_, connection) in open.unwrap_or_default() {
            connection.abort();
        }
    }

    fn open(&self) -> MutexGuard<'_, Option<Slab<AbortHandle>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Known {
    connections: Arc<Connections>,
    key: usize,
}

impl Drop for Known {
    fn drop(&mut self) {
        if let Some(open) = &mut *self.connections.open() {
            open.remove(self.key);
        }
    }
}
