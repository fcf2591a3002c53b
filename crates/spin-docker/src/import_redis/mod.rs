//! `spin-docker import-redis`: the containers of the spin-docker of 2014, out of its Redis and onto our network. It reads Redis and
//! never writes to it; it may be run again, and goes on where it stopped.

mod keys;
mod moving;
mod record;

use crate::config::Settings;
use crate::serve::control_settings;
use anyhow::{Context, bail};
use control::{Adopter, Sqlite};
use engine::Engine as _;
use engine::docker::Docker;
use gateway::{Gateway, Options};
use keys::Keys;
use moving::{Mover, Outcome};
use std::sync::Arc;
use std::time::Duration;

/// Nobody connects meanwhile.
const NO_WAIT: Duration = Duration::from_secs(1);

/// Prints a line for each key that there is something to say of, and a sum. An error where one is damaged or could not be moved.
pub(crate) fn run(settings: &Settings, url: &str, stop: bool) -> anyhow::Result<()> {
    let keys = Keys::read(url)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let mut sum = Sum { damaged: keys.damaged.len(), addresses: keys.addresses, ..Sum::default() };
    for (key, what) in &keys.damaged {
        crate::print(&format!("skipped  {key}: {what}\n"))?;
    }
    runtime.block_on(async {
        let mut mover = mover(settings, stop).await?;
        for record in &keys.containers {
            let outcome = mover.take_over(record).await;
            sum.add(&outcome);
            crate::print(&format!("{outcome}  {} ({})\n", record.id, record.image))?;
        }
        anyhow::Ok(())
    })?;
    crate::print(&sum.text())?;
    match sum.damaged + sum.failed {
        0 => Ok(()),
        wrong => bail!(
            "{wrong} of them could not be moved; what is said of them above tells why. Run it again once that is put right"
        ),
    }
}

async fn mover(settings: &Settings, stop: bool) -> anyhow::Result<Mover> {
    let store = Box::new(Sqlite::open(&settings.data_dir)?);
    let docker = Docker::connect(settings.engine_host.as_deref()).await?;
    let told = control_settings(settings, &docker.describe().await?)?;
    let options = Options { address: settings.endpoint_address, wake_timeout: NO_WAIT };
    let gateway = Gateway::new(options).context("cannot start the gateway's threads")?;
    let adopter = Adopter::begin(&docker, store, Arc::new(gateway), told).await?;
    let mut mover = Mover::new(docker, adopter, settings, stop).await?;
    mover.undo_halves(&settings.instance).await?;
    Ok(mover)
}

/// What became of all of them.
#[derive(Default)]
struct Sum {
    moved: usize,
    known: usize,
    running: usize,
    gone: usize,
    failed: usize,
    damaged: usize,
    addresses: usize,
}

impl Sum {
    fn add(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Moved { .. } => self.moved += 1,
            Outcome::Known | Outcome::Before => self.known += 1,
            Outcome::Running => self.running += 1,
            Outcome::Gone => self.gone += 1,
            Outcome::Failed(_) => self.failed += 1,
        }
    }

    fn text(&self) -> String {
        let Self { moved, known, running, gone, failed, damaged, addresses } = self;
        format!(
            "{moved} moved, {known} here already or before, {running} left running, {gone} gone from the engine, {failed} failed, {damaged} \
             damaged keys skipped; {addresses} addresses for check-ins not needed any more\n"
        )
    }
}
