//! How connections reach a supervisor: they ring, and wait until the container is awake or will not be.

use crate::control::Shared;
use crate::endpoints::{Caller, GaveUp, Wake, WakeError};
use crate::handle::Command;
use crate::mailbox::Mailbox;
use async_trait::async_trait;
use model::Key;
use std::sync::{Arc, Weak};
use tokio::sync::oneshot;

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

/// The same before a container whose ports the engine publishes: somebody looks inside.
#[derive(Debug)]
pub(crate) struct Peephole {
    mailbox: Arc<Mailbox>,
    key: Key,
    shared: Weak<Shared>,
}

impl Peephole {
    pub(crate) fn new(mailbox: &Arc<Mailbox>, key: &Key, shared: &Arc<Shared>) -> Self {
        Self { mailbox: Arc::clone(mailbox), key: key.clone(), shared: Arc::downgrade(shared) }
    }
}

#[async_trait]
impl Wake for Peephole {
    async fn wake(&self, caller: Caller) -> Result<(), WakeError> {
        self.mailbox.wake(caller).await
    }

    async fn listens(&self, port: u16) -> bool {
        let Some(shared) = self.shared.upgrade() else { return false };
        let handle = shared.registry.by_key(&self.key);
        let Some(body) = handle.and_then(|handle| handle.view().container.engine_id.clone()) else {
            return false;
        };
        shared.engine.listens(&body, port).await.unwrap_or_else(|error| {
            tracing::debug!(%body, port, error = %crate::chain(&error), "cannot look whether it listens");
            false
        })
    }

    fn gave_up(&self, caller: Caller, why: GaveUp) {
        self.mailbox.gave_up(caller, why);
    }
}
