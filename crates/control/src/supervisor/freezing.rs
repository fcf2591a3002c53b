//! The engine calls of sleep and wake. A freeze gives way: told to end, it undoes itself, and says so like any other result.

use super::calls::{Calls, Outcome};
use super::inside::has_mail;
use crate::control::Shared;
use backon::{ExponentialBuilder, Retryable};
use engine::{Engine, EngineError, Socket};
use model::{EngineId, Freezer, Input};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const FIRST_RETRY: Duration = Duration::from_millis(10);
const RETRIES: usize = 8;
/// Why it is not frozen, for whoever asked.
const UNREAD: &str = "it has not yet read what it was sent; try again in a moment";
pub(super) const NEEDED: &str =
    "a connection, or something that the engine does to it, needed it meanwhile; try again in a moment";

/// A freeze that is undone where something waits in the container's sockets by then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Careful {
    /// What it left lying for longer is no mail.
    pub(super) owed_for: Duration,
}

impl Calls {
    pub(super) fn freeze(&mut self, body: EngineId, careful: Option<Careful>) {
        let wanted = self.give_way();
        let shared = Arc::clone(&self.shared);
        self.spawn_of_sleep(async move { freeze(&shared, &body, &wanted, careful).await });
    }

    /// What is about to begin is wanted until somebody comes.
    pub(super) fn give_way(&mut self) -> CancellationToken {
        self.freezing.insert(CancellationToken::new()).clone()
    }

    /// Has the freeze or the breath that is under way undone; what came of it is its result.
    pub(super) fn end_freeze(&mut self) {
        if let Some(wanted) = self.freezing.take() {
            wanted.cancel();
        }
    }

    pub(super) fn thaw(&mut self, body: EngineId, by: Freezer) {
        let engine = Arc::clone(&self.shared.engine);
        self.spawn_of_sleep(async move { thaw(&*engine, &body, by).await });
    }

    fn spawn_of_sleep(&mut self, call: impl Future<Output = Input> + Send + 'static) {
        let epoch = self.epoch();
        self.spawn(async move { Outcome::Slept { epoch, input: call.await } });
    }

    /// Offers the kernel what it can take back of the memory of a container that has frozen.
    pub(super) fn reclaim(&mut self, body: EngineId) {
        let shared = Arc::clone(&self.shared);
        self.shared.tasks.spawn(async move {
            match shared.engine.reclaim(&body).await {
                Ok(bytes) => tracing::debug!(%body, bytes, "memory was offered to the kernel"),
                Err(error) => tracing::debug!(%body, error = %crate::chain(&error), "memory cannot be offered to the kernel"),
            }
        });
    }
}

impl Careful {
    /// What could not be told may be mail.
    fn minds(self, sockets: Result<Option<Vec<Socket>>, EngineError>) -> bool {
        sockets.map_or(true, |sockets| has_mail(&sockets.unwrap_or_default(), self.owed_for))
    }
}

pub(super) async fn freeze(
    shared: &Shared,
    body: &EngineId,
    wanted: &CancellationToken,
    careful: Option<Careful>,
) -> Input {
    let engine = &*shared.engine;
    match wanted.run_until_cancelled(engine.freeze(body)).await {
        Some(Ok(by)) => {
            let sockets = engine.sockets(body).await;
            tracing::trace!(%body, ?sockets, "froze");
            if careful.is_some_and(|careful| careful.minds(sockets)) {
                undo(engine, body, by, UNREAD).await
            } else {
                Input::Froze(by)
            }
        }
        Some(Err(error)) => {
            tracing::debug!(%body, error = %crate::chain(&error), "it did not freeze");
            Input::NotFrozen(format!("the engine could not freeze it: {}", crate::chain(&error)))
        }
        // Either may have got hold of it.
        None => match undo(engine, body, Freezer::Cgroup, NEEDED).await {
            Input::NotFrozen(why) => undo(engine, body, Freezer::Engine, &why).await,
            failed => failed,
        },
    }
}

async fn undo(engine: &dyn Engine, body: &EngineId, by: Freezer, why: &str) -> Input {
    match thaw(engine, body, by).await {
        Input::Thawed => Input::NotFrozen(why.to_owned()),
        // It stays as it is, and is thawed as a frozen one.
        _ => Input::Froze(by),
    }
}

pub(super) async fn thaw(engine: &dyn Engine, body: &EngineId, by: Freezer) -> Input {
    let pause = ExponentialBuilder::default().with_min_delay(FIRST_RETRY).with_max_times(RETRIES);
    let thaw = || engine.thaw(body, by);
    match thaw.retry(pause).when(EngineError::is_retryable).await {
        Ok(()) => Input::Thawed,
        Err(error) => Input::ThawFailed(format!("it could not be thawed: {}", crate::chain(&error))),
    }
}
