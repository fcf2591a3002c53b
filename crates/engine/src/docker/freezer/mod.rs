//! Freezing and thawing: through the container's control group, which takes a write, where we may write it; else by the
//! engine's pause. What is asked of one body happens in the order in which it was asked, whoever goes away meanwhile.

mod cgroup;
mod pause;
mod rescue;

pub(super) use cgroup::WANTED;
pub use rescue::{Resident, residents};

use super::Docker;
use super::bodies::{Body, Run, blocking, in_place, lock};
use super::cgroups::{Place, Version};
use crate::{EngineError, Result};
use model::{EngineId, Freezer, Observation};
use std::collections::HashSet;
use std::io;
use std::sync::Arc;

impl Docker {
    pub(super) async fn freeze_container(&self, id: &EngineId) -> Result<Freezer> {
        // Somebody's pause holds it as well as ours would.
        if self.frozen_by(id).await? == Some(Freezer::Engine) {
            return Ok(Freezer::Engine);
        }
        let body = self.bodies.of(id);
        let frozen = match self.run(id).await?.map(|run| run.freezer.clone()) {
            Some(Some(place)) => self.freeze_by_cgroup(id, &body, &place).await,
            Some(None) => {
                self.freeze_by_engine(
                    id,
                    &body,
                    "their control groups cannot be found from where spin-docker runs",
                )
                .await
            }
            None => {
                self.freeze_by_engine(id, &body, "their processes cannot be seen from where spin-docker runs")
                    .await
            }
        };
        body.begin(None);
        frozen
    }

    async fn freeze_by_cgroup(&self, id: &EngineId, body: &Arc<Body>, place: &Place) -> Result<Freezer> {
        let turn = body.take_turn();
        body.begin(Some(Freezer::Cgroup));
        match cgroup::freeze(place, &turn).await {
            Ok(()) => Ok(Freezer::Cgroup),
            Err(error) if cgroup::is_forbidden(&error) => {
                let why = format!("{} cannot be written: {error}", place.folder.display());
                self.freeze_by_engine(id, body, &why).await
            }
            Err(error) => Err(failed("freeze the container", error)),
        }
    }

    async fn freeze_by_engine(&self, id: &EngineId, body: &Body, why: &str) -> Result<Freezer> {
        self.note_slow(why);
        body.begin(Some(Freezer::Engine));
        self.pause(id).await.map(|()| Freezer::Engine)
    }

    pub(super) async fn thaw_container(&self, id: &EngineId, by: Freezer) -> Result<()> {
        let body = self.bodies.of(id);
        let begun = body.begin(None);
        body.thaws.notify_waiters();
        let thawed = async {
            self.thaw_by(id, by).await?;
            match begun {
                Some(other) if other != by => self.thaw_by(id, other).await,
                _ => Ok(()),
            }
        };
        let thawed = thawed.await;
        if thawed.is_err() {
            body.begin(begun);
        }
        thawed
    }

    async fn thaw_by(&self, id: &EngineId, by: Freezer) -> Result<()> {
        match by {
            Freezer::Engine => self.unpause(id).await,
            Freezer::Cgroup => self.thaw_by_cgroup(id).await,
        }
    }

    async fn thaw_by_cgroup(&self, id: &EngineId) -> Result<()> {
        let turn = self.bodies.of(id).take_turn();
        let run = match self.run(id).await {
            Err(error) if error.is_not_found() => return Ok(()),
            other => other?,
        };
        let Some(place) = run.and_then(|run| run.freezer.clone()) else { return Ok(()) };
        // Whoever has the turn by now has decided anew.
        let thawed = in_place(|| turn.act_now(|| cgroup::thaw(&place)));
        thawed.map(drop).map_err(|error| failed("thaw the container", error))
    }

    /// By its control group, as soon as the engine says that it is about to do something to it: the engine waits for nobody. Whoever is
    /// told of that makes sure of it.
    pub(super) fn thaw_at_once(&self, id: &EngineId) {
        let Some(body) = self.bodies.known(id) else { return };
        let Some(place) = body.run().and_then(|run| run.freezer.clone()) else { return };
        body.thaws.notify_waiters();
        if let Err(error) = body.take_turn().act_now(|| cgroup::thaw(&place)) {
            tracing::debug!(body = %id, %error, "it could not be thawed as soon as it was needed");
        }
    }

    /// Whatever froze it: for what the engine is about to do to it. What comes next tells better what is wrong with it.
    pub(super) async fn thaw_first(&self, id: &EngineId) {
        let thawed = match self.frozen_by(id).await {
            Ok(Some(by)) => self.thaw_container(id, by).await,
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = thawed {
            tracing::warn!(body = %id, %error, "cannot make sure that it is not frozen");
        }
    }

    async fn frozen_by(&self, id: &EngineId) -> Result<Option<Freezer>> {
        match self.inspect_container(id).await? {
            Observation::Running { frozen, .. } => Ok(frozen),
            _ => Ok(None),
        }
    }

    /// Whether our write froze one that runs, whose first process this is.
    pub(super) async fn is_frozen_by_cgroup(&self, id: &EngineId, pid: i64) -> bool {
        let Some(place) = self.run_of(id, pid).await.and_then(|run| run.freezer.clone()) else {
            return false;
        };
        match blocking(move || cgroup::is_frozen(&place)).await {
            Ok(frozen) => frozen,
            Err(error) => {
                tracing::debug!(body = %id, %error, "cannot see whether it is frozen");
                false
            }
        }
    }

    /// Comes back once it is thawed; at once where it is not frozen.
    pub(super) async fn until_thawed(&self, id: &EngineId, run: &Run) {
        let body = self.bodies.of(id);
        let mut thawed = std::pin::pin!(body.thaws.notified());
        // From here on none is missed.
        thawed.as_mut().enable();
        let place = run.freezer.clone();
        let frozen = blocking(move || place.as_ref().map_or(Ok(false), cgroup::is_frozen));
        if frozen.await.unwrap_or_default() {
            thawed.await;
        }
    }

    /// Every container on this host that is frozen by its control group, ours or not.
    pub(super) async fn all_frozen_by_cgroup(&self) -> HashSet<EngineId> {
        let bodies = Arc::clone(&self.bodies);
        let found = blocking(move || {
            let mut found = bodies.view().walk(&WANTED);
            found.retain(|(_, place)| cgroup::is_frozen(place).unwrap_or_default());
            Ok(found)
        });
        found.await.unwrap_or_default().into_iter().map(|(id, _)| id).collect()
    }

    /// Why control groups cannot be written here, as far as that can be told before the first freeze.
    pub(super) async fn why_not_by_cgroup(&self, version: Version) -> Option<String> {
        let bodies = Arc::clone(&self.bodies);
        blocking(move || Ok(bodies.view().may_write(version, &WANTED))).await.ok()?.err()
    }

    /// Why the last freeze was the engine's, if one had to be.
    pub(super) fn why_by_engine(&self) -> Option<String> {
        lock(&self.bodies.slow).clone()
    }

    /// Said once.
    fn note_slow(&self, why: &str) {
        let before = lock(&self.bodies.slow).replace(why.to_owned());
        if before.is_none() {
            tracing::warn!(%why, "containers are frozen by the engine's pause: waking one takes some 15 ms instead of 0.2 ms");
        }
    }
}

fn failed(doing: &str, source: io::Error) -> EngineError {
    EngineError::Host { doing: doing.to_owned(), source: source.into() }
}
