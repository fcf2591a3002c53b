//! How connections reach a supervisor: they ring, and wait until the container is awake or will not be.

use crate::endpoints::{Caller, GaveUp, Wake, WakeError};
use crate::handle::Command;
use crate::mailbox::Mailbox;
use async_trait::async_trait;
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
