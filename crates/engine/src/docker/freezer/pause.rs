//! The engine's own freezer: its pause.

use crate::docker::{Docker, QUICK};
use crate::{EngineError, Result};
use model::{EngineId, Observation};

/// What Docker says of a pause of what is paused or does not run, and of an unpause of what is not paused.
const NO_SUCH_STATE: [u16; 2] = [409, 500];

impl Docker {
    /// One that is paused already is no error.
    pub(super) async fn pause(&self, id: &EngineId) -> Result<()> {
        let paused = self.call("pause the container", QUICK, self.client.pause_container(id.as_str())).await;
        match paused {
            Err(EngineError::Refused { status, .. }) if NO_SUCH_STATE.contains(&status) => {
                match self.inspect_container(id).await? {
                    Observation::Running { frozen: Some(_), .. } => Ok(()),
                    Observation::Running { .. } => paused,
                    _ => Err(EngineError::NotFound { what: format!("running container: {id}") }),
                }
            }
            other => other,
        }
    }

    /// One that is not paused, does not run, or is gone is no error.
    pub(super) async fn unpause(&self, id: &EngineId) -> Result<()> {
        let unpaused =
            self.call("unpause the container", QUICK, self.client.unpause_container(id.as_str())).await;
        match unpaused {
            Err(EngineError::NotFound { .. }) => Ok(()),
            Err(EngineError::Refused { status, .. }) if NO_SUCH_STATE.contains(&status) => {
                match self.inspect_container(id).await? {
                    Observation::Running { frozen: Some(_), .. } => unpaused,
                    _ => Ok(()),
                }
            }
            other => other,
        }
    }
}
