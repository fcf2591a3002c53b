//! One container's move: what it has written becomes an image, of which it gets a new body on our network, with its identity, its
//! name and its volumes. The old body stays, stopped, as `NAME-2014`, until somebody removes it.

use super::record::Record;
use crate::config::Settings;
use crate::serve::{reserves, room};
use anyhow::Context;
use control::{Adopted, Adopter, Reserves, chain};
use engine::docker::{Docker, Foreign};
use engine::{ContainerSpec, Created, Engine};
use model::{Container, EngineId};
use std::fmt;
use std::time::Duration;

/// What the 2014 program gave a container to end.
const GRACE: Duration = Duration::from_secs(10);
/// What the old body's name ends with.
const OLD: &str = "-2014";

/// What an old body is called once there is a new one.
fn aside(name: &str) -> String {
    format!("{name}{OLD}")
}

/// What became of one.
pub(super) enum Outcome {
    /// It is ours, and sleeps.
    Moved {
        /// Of its application, if it has one.
        app_port: Option<u16>,
    },
    /// It was ours already.
    Known,
    /// It was moved once, and deleted here since.
    Before,
    /// It runs, and nobody said that it may be stopped.
    Running,
    /// The engine does not know it any more.
    Gone,
    /// It is as it was.
    Failed(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Moved { app_port: Some(port) } => write!(f, "moved, app_port {port}"),
            Self::Moved { app_port: None } => f.write_str("moved"),
            Self::Known => f.write_str("here already"),
            Self::Before => write!(
                f,
                "moved before, and deleted here since: rename the old body, without {OLD}, to move it again"
            ),
            Self::Running => {
                f.write_str("runs, and is left so: import again once it is stopped, or with --stop")
            }
            Self::Gone => f.write_str("gone from the engine: nothing is left to move"),
            Self::Failed(why) => write!(f, "failed, and is as it was ({why})"),
        }
    }
}

/// What moves them.
pub(super) struct Mover {
    docker: Docker,
    adopter: Adopter,
    room: room::Host,
    reserves: Reserves,
    stop: bool,
}

impl Mover {
    pub(super) async fn new(
        docker: Docker,
        adopter: Adopter,
        settings: &Settings,
        stop: bool,
    ) -> anyhow::Result<Self> {
        let root = docker.describe().await?.root;
        let room = room::Host::new(&settings.data_dir, root);
        let reserves = Reserves { memory: 0, ..reserves(settings) };
        Ok(Self { docker, adopter, room, reserves, stop })
    }

    /// What an import that was cut off left: the new body by its labels, the old one's name, and the intent.
    pub(super) async fn undo_halves(&mut self, instance: &str) -> anyhow::Result<()> {
        let halves = self.adopter.halves();
        if halves.is_empty() {
            return Ok(());
        }
        let listed = self.docker.list(instance).await?;
        for half in halves {
            let is_its = |entry: &&engine::Listed| {
                entry.key == half.key.as_str() && entry.owner == self.adopter.owner()
            };
            for body in listed.iter().filter(is_its) {
                self.docker.remove(&body.engine_id).await?;
            }
            self.rename_back(&half).await?;
            self.adopter.give_up(&half)?;
        }
        Ok(())
    }

    async fn rename_back(&self, half: &Container) -> anyhow::Result<()> {
        let Some(old) = half.container_id.as_ref().map(|id| EngineId::new(id.as_str())) else {
            return Ok(());
        };
        let (foreign, name) = (self.docker.foreign(&old).await?, half.name.trim_start_matches('/'));
        if foreign.is_some_and(|foreign| foreign.name == aside(name)) {
            self.docker.rename(&old, name).await?;
        }
        Ok(())
    }

    pub(super) async fn take_over(&mut self, record: &Record) -> Outcome {
        self.try_to(record).await.unwrap_or_else(|error| Outcome::Failed(chain(error.as_ref())))
    }

    async fn try_to(&mut self, record: &Record) -> anyhow::Result<Outcome> {
        if self.adopter.knows(&record.id) {
            return Ok(Outcome::Known);
        }
        let old = EngineId::new(record.id.as_str());
        let Some(foreign) = self.docker.foreign(&old).await? else { return Ok(Outcome::Gone) };
        // One may have been called so all its life.
        if foreign.name.ends_with(OLD) && record.name.as_ref() != Some(&foreign.name) {
            return Ok(Outcome::Before);
        }
        if foreign.running && !self.stop {
            return Ok(Outcome::Running);
        }
        self.reserves.check(&self.room, 0)?;
        if !foreign.running {
            return self.copy(record, &old, &foreign).await;
        }
        self.docker.stop(&old, GRACE).await?;
        let moved = self.copy(record, &old, &foreign).await;
        if moved.is_err() {
            self.docker.start(&old).await.context("it was stopped, and does not start again")?;
        }
        moved
    }

    async fn copy(&mut self, record: &Record, old: &EngineId, foreign: &Foreign) -> anyhow::Result<Outcome> {
        let saved = self.docker.commit(old).await?;
        let moved = self.make(record, old, foreign, &saved).await;
        if moved.is_err()
            && let Err(error) = self.docker.remove_image(&saved).await
        {
            tracing::debug!(%error, image = saved, "an image that is not needed is left to the next prune");
        }
        moved
    }

    async fn make(
        &mut self,
        record: &Record,
        old: &EngineId,
        foreign: &Foreign,
        saved: &str,
    ) -> anyhow::Result<Outcome> {
        let adopted = Adopted {
            container_id: record.id.clone(),
            name: foreign.name.clone(),
            image: record.image.clone(),
            saved: saved.to_owned(),
        };
        let (container, spec) = self.adopter.intend(&self.docker, &adopted).await?;
        let app_port = container.app_host_port();
        match self.body(old, &foreign.name, spec).await {
            Ok(made) => self.adopter.settle(container, made)?,
            Err(error) => return Err(self.undo(container, error)),
        }
        Ok(Outcome::Moved { app_port })
    }

    /// The old body makes way for the name first. Where there is no new one, it gets it back.
    async fn body(&self, old: &EngineId, name: &str, spec: ContainerSpec) -> anyhow::Result<Created> {
        self.docker.rename(old, &aside(name)).await?;
        let spec = ContainerSpec { volumes_from: Some(old.clone()), ..spec };
        let made = self.docker.create(&spec).await;
        if made.is_err() {
            self.docker.rename(old, name).await.context("it keeps its new name")?;
        }
        Ok(made?)
    }

    fn undo(&mut self, container: Container, error: anyhow::Error) -> anyhow::Error {
        match self.adopter.give_up(&container) {
            Ok(()) => error,
            Err(also) => error
                .context(format!("and the store still has its intent, which the next import undoes: {also}")),
        }
    }
}
