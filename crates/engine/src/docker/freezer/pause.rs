//! The engine's own freezer: its pause. A pause whose caller goes away is waited for by whoever comes next.

use crate::docker::{Docker, QUICK};
use crate::{EngineError, Result};
use model::{EngineId, Freezer, Observation};
use std::future::Future;
use std::time::Duration;

/// What Docker says of a pause of what is paused or does not run, and of an unpause of what is not paused.
const NO_SUCH_STATE: [u16; 2] = [409, 500];
/// As long as our own freeze may take. An engine that is slower is asked to undo it.
const PAUSED_WITHIN: Duration = Duration::from_secs(1);

impl Docker {
    /// One that is paused already is no error.
    pub(super) async fn pause(&self, id: &EngineId) -> Result<()> {
        let (docker, of) = (self.clone(), id.clone());
        self.in_turn(id, async move {
            let pause = docker.client.pause_container(of.as_str());
            let paused = docker.call("pause the container", PAUSED_WITHIN, pause).await;
            if let Err(EngineError::TimedOut { .. }) = &paused {
                docker.ask_to_unpause(&of).await?;
            }
            docker.unless_so(paused, &of, true).await
        })
        .await
    }

    /// One that is not paused, does not run, or is gone is no error.
    pub(super) async fn unpause(&self, id: &EngineId) -> Result<()> {
        let (docker, of) = (self.clone(), id.clone());
        self.in_turn(id, async move { docker.ask_to_unpause(&of).await }).await
    }

    async fn ask_to_unpause(&self, id: &EngineId) -> Result<()> {
        let unpaused =
            self.call("unpause the container", QUICK, self.client.unpause_container(id.as_str())).await;
        match self.unless_so(unpaused, id, false).await {
            Err(error) if error.is_not_found() => Ok(()),
            other => other,
        }
    }

    /// A refusal is none, where it is as it was to be.
    async fn unless_so(&self, done: Result<()>, id: &EngineId, paused: bool) -> Result<()> {
        match &done {
            Err(EngineError::Refused { status, .. }) if NO_SUCH_STATE.contains(status) => {}
            _ => return done,
        }
        match self.inspect_container(id).await? {
            Observation::Running { frozen, .. } if (frozen == Some(Freezer::Engine)) == paused => Ok(()),
            Observation::Running { .. } => done,
            _ => Err(EngineError::NotFound { what: format!("running container: {id}") }),
        }
    }

    /// To its end, after whatever of the kind was begun before.
    async fn in_turn(
        &self,
        id: &EngineId,
        act: impl Future<Output = Result<()>> + Send + 'static,
    ) -> Result<()> {
        let pausing = self.bodies.of(id).pausing.clone();
        let acting = tokio::spawn(async move {
            let _pausing = pausing.lock().await;
            act.await
        });
        acting.await.unwrap_or_else(|error| {
            Err(EngineError::Host { doing: "pause or unpause the container".into(), source: error.into() })
        })
    }
}
