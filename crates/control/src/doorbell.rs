//! How connections reach a supervisor: they ring, and wait until the container is awake or will not be.

use crate::control::Shared;
use crate::endpoints::{Caller, GaveUp, Wake, WakeError};
use crate::handle::Command;
use crate::mailbox::Mailbox;
use async_trait::async_trait;
use model::Key;
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{Mutex, oneshot};
use tokio::time::Instant;

#[async_trait]
impl Wake for Mailbox {
    async fn wake(&self, caller: Caller) -> Result<(), WakeError> {
        let (answer, result) = oneshot::channel();
        // A crowd waits for a place in the queue; each has its own deadline.
        self.send(Command::Wake(Box::new((caller, answer)))).await.map_err(|_| WakeError::Gone)?;
        result.await.unwrap_or(Err(WakeError::Gone))
    }

    fn gave_up(&self, caller: Caller, why: GaveUp) {
        if self.try_send(Command::GaveUp(Box::new((caller, why)))).is_err() {
            tracing::debug!(peer = %caller.peer, "nobody has time to hear that a connection was closed");
        }
    }
}

/// The same before a container whose ports the engine publishes: somebody looks inside, one for a whole crowd.
#[derive(Debug)]
pub(crate) struct Peephole {
    mailbox: Arc<Mailbox>,
    key: Key,
    shared: Weak<Shared>,
    /// By port, what was seen last, and when.
    seen: Mutex<BTreeMap<u16, (Instant, Option<bool>)>>,
}

/// How long a look tells for others: it may take a command inside, and an application is met so much later at most.
const FRESH: Duration = Duration::from_millis(100);

impl Peephole {
    pub(crate) fn new(mailbox: &Arc<Mailbox>, key: &Key, shared: &Arc<Shared>) -> Self {
        let (mailbox, key, shared) = (Arc::clone(mailbox), key.clone(), Arc::downgrade(shared));
        Self { mailbox, key, shared, seen: Mutex::default() }
    }

    async fn look(&self, port: u16) -> Option<bool> {
        let shared = self.shared.upgrade()?;
        let body = shared.registry.by_key(&self.key)?.view().container.engine_id.clone()?;
        let looked = shared.engine.listens(&body, port).await;
        looked
            .inspect_err(|error| {
                tracing::debug!(%body, port, error = %crate::chain(error), "cannot look whether it listens");
            })
            .ok()
    }
}

#[async_trait]
impl Wake for Peephole {
    async fn wake(&self, caller: Caller) -> Result<(), WakeError> {
        self.mailbox.wake(caller).await
    }

    async fn listens(&self, port: u16) -> Option<bool> {
        let mut seen = self.seen.lock().await;
        if let Some((_, listens)) = seen.get(&port).filter(|(at, _)| at.elapsed() < FRESH) {
            return *listens;
        }
        let listens = self.look(port).await;
        seen.insert(port, (Instant::now(), listens));
        listens
    }

    fn gave_up(&self, caller: Caller, why: GaveUp) {
        self.mailbox.gave_up(caller, why);
    }
}
