//! Freezing and thawing a container.

mod pause;

use super::Docker;
use crate::Result;
use model::{EngineId, Freezer, Observation};

impl Docker {
    pub(super) async fn freeze_container(&self, id: &EngineId) -> Result<Freezer> {
        self.pause(id).await?;
        Ok(Freezer::Engine)
    }

    pub(super) async fn thaw_container(&self, id: &EngineId, by: Freezer) -> Result<()> {
        match by {
            Freezer::Engine => self.unpause(id).await,
            Freezer::Cgroup => Ok(()),
        }
    }

    /// Whatever froze it: for what the engine is about to do to it. What comes next tells better what is wrong with it.
    pub(super) async fn thaw_first(&self, id: &EngineId) {
        let thawed = match self.inspect_container(id).await {
            Ok(Observation::Running { frozen: Some(by), .. }) => self.thaw_container(id, by).await,
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = thawed {
            tracing::warn!(body = %id, %error, "cannot make sure that it is not frozen");
        }
    }
}
