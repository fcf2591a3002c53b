//! Containers that somebody else made, without our labels and on a network that is not ours: looked at, stopped, saved as an image,
//! renamed. Nothing here removes one.

use super::{Docker, QUICK, SLOW};
use crate::Result;
use bollard::models::ContainerConfig;
use bollard::query_parameters::{CommitContainerOptions, RenameContainerOptions};
use model::EngineId;
use std::time::Duration;

/// What somebody has written is copied.
const COMMIT: Duration = Duration::from_secs(1800);

/// The label of such an image, and so of what is made of it: the id of the container that it was.
const MOVED_FROM: &str = "spin-docker.moved_from";

/// A container, as far as that matters to whoever takes it over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// Without a slash.
    pub name: String,
    /// Whether its processes are there, paused or not.
    pub running: bool,
}

impl Docker {
    /// Looks at it; none where the engine does not know it.
    pub async fn foreign(&self, id: &EngineId) -> Result<Option<Foreign>> {
        let seen = match self.look_at(id).await {
            Err(error) if error.is_not_found() => return Ok(None),
            other => other?,
        };
        let name = seen.name.unwrap_or_default().trim_start_matches('/').to_owned();
        let running = seen.state.and_then(|state| state.running).unwrap_or_default();
        Ok(Some(Foreign { name, running }))
    }

    /// Makes an image of what it has written, without a name, and gives its id. Its volumes are not in it. As long as a container is
    /// made of it, no prune takes it; afterwards every one does.
    pub async fn commit(&self, id: &EngineId) -> Result<String> {
        let options = CommitContainerOptions {
            container: Some(id.as_str().to_owned()),
            changes: Some(format!("LABEL {MOVED_FROM}={id}")),
            ..Default::default()
        };
        let made = self.client.commit_container(options, ContainerConfig::default());
        Ok(self.call("save the container as an image", COMMIT, made).await?.id)
    }

    /// Gives it another name.
    pub async fn rename(&self, id: &EngineId, name: &str) -> Result<()> {
        let renamed =
            self.client.rename_container(id.as_str(), RenameContainerOptions { name: name.to_owned() });
        self.call("rename the container", QUICK, renamed).await
    }

    /// Removes an image that no container is made of.
    pub async fn remove_image(&self, id: &str) -> Result<()> {
        let none = None::<bollard::query_parameters::RemoveImageOptions>;
        self.call("remove the image", SLOW, self.client.remove_image(id, none, None)).await.map(drop)
    }
}
