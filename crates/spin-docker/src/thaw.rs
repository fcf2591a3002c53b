//! `spin-docker thaw`: lets frozen containers go on when there may be nobody else left to do it. The engine is asked where it
//! answers, since it must know of the end of its own pauses; the rest is done by control groups.

use crate::config::Settings;
use anyhow::bail;
use control::chain;
use engine::docker::{Docker, residents};
use engine::{Engine, Listed};
use model::EngineId;
use std::collections::BTreeSet;
use std::io::{Write, stderr};
use std::time::Duration;

/// How long the engine may take to answer at all.
const ENGINE_WITHIN: Duration = Duration::from_secs(5);

/// Which containers.
pub(crate) enum Chosen {
    /// All of ours.
    All,
    /// These, by the beginnings of their ids.
    These(Vec<String>),
}

impl Chosen {
    pub(crate) fn of(all: bool, ids: Vec<String>) -> Self {
        if all { Self::All } else { Self::These(ids) }
    }
}

/// Thaws them, and says so.
pub(crate) fn run(settings: &Settings, chosen: Chosen) -> anyhow::Result<()> {
    let mut thawing =
        Thawing { chosen, asked: 0, ours: BTreeSet::new(), found: BTreeSet::new(), failures: 0 };
    if matches!(thawing.chosen, Chosen::All) {
        match control::store::bodies(&settings.data_dir) {
            Ok(bodies) => {
                thawing.asked += 1;
                thawing.ours.extend(bodies);
            }
            Err(error) => note(&format!("only what the engine has is known: {}", chain(&error))),
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(thawing.by_engine(settings));
    thawing.by_control_groups();
    thawing.judge(settings)
}

struct Thawing {
    chosen: Chosen,
    /// How many of the two that know which containers are ours have answered: the store and the engine.
    asked: u8,
    ours: BTreeSet<EngineId>,
    found: BTreeSet<EngineId>,
    failures: usize,
}

impl Thawing {
    async fn by_engine(&mut self, settings: &Settings) {
        let asked = async {
            let engine = Docker::connect(settings.engine_host.as_deref()).await?;
            let listed = engine.list(&settings.instance).await?;
            Ok::<_, engine::EngineError>((engine, listed))
        };
        let (engine, listed) = match tokio::time::timeout(ENGINE_WITHIN, asked).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return note(&format!("without the engine: {}", chain(&error))),
            Err(_) => return note(&format!("without the engine: no answer within {ENGINE_WITHIN:?}")),
        };
        self.asked += 1;
        self.ours.extend(listed.iter().map(|entry| entry.engine_id.clone()));
        for Listed { engine_id, frozen, running, .. } in listed {
            if !running || !self.is_wanted(&engine_id) {
                continue;
            }
            if let Some(by) = frozen {
                let thawed = engine.thaw(&engine_id, by).await.map(|()| true);
                self.say(&engine_id, thawed.map_err(|error| chain(&error)));
            }
            self.found.insert(engine_id);
        }
    }

    fn by_control_groups(&mut self) {
        for resident in residents() {
            if self.is_wanted(&resident.id) {
                self.say(&resident.id, resident.thaw().map_err(|error| error.to_string()));
                self.found.insert(resident.id);
            }
        }
    }

    fn is_wanted(&self, id: &EngineId) -> bool {
        match &self.chosen {
            Chosen::All => self.ours.contains(id),
            Chosen::These(beginnings) => beginnings.iter().any(|it| id.as_str().starts_with(it.as_str())),
        }
    }

    fn say(&mut self, id: &EngineId, thawed: Result<bool, String>) {
        match thawed {
            Ok(true) => {
                if let Err(error) = crate::print(&format!("thawed {id}\n")) {
                    note(&format!("thawed {id}, which cannot be printed: {error}"));
                }
            }
            Ok(false) => {}
            Err(why) => {
                self.failures += 1;
                note(&format!("cannot thaw {id}: {why}"));
            }
        }
    }

    fn judge(&self, settings: &Settings) -> anyhow::Result<()> {
        if matches!(self.chosen, Chosen::All) && self.ours.is_empty() {
            let (instance, folder) = (&settings.instance, settings.data_dir.display());
            let advice = "give --data-dir, --instance or --config as `serve` has them";
            if self.asked == 0 {
                bail!(
                    "neither a store in {folder} nor the engine says which containers are ours; is this root? Else {advice}"
                );
            }
            note(&format!(
                "no container of the instance {instance:?}, and none in a store in {folder}; if there should be, {advice}"
            ));
        }
        if let Chosen::These(beginnings) = &self.chosen {
            let is_missing = |it: &&String| !self.found.iter().any(|id| id.as_str().starts_with(it.as_str()));
            if let Some(missing) = beginnings.iter().find(is_missing) {
                bail!("no container whose id begins with {missing} runs here; `docker ps` shows ids");
            }
        }
        if self.failures > 0 {
            bail!("{} could not be thawed; is this root, and on the engine's host?", self.failures);
        }
        Ok(())
    }
}

/// Where stderr is gone, the exit code is all that is left.
fn note(text: &str) {
    drop(writeln!(stderr(), "{text}"));
}
