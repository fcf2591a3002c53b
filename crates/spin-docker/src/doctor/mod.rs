//! `spin-docker doctor`: looks at the machine as the daemon would, changes nothing, and says what is right, what is degraded, and
//! what to do.

mod check;
mod check_in;
mod daemon;
mod engine;
mod kernel;
mod listen;
mod network;
mod ports;
mod rights;
mod room;

use crate::config::{Config, Mistakes};
use anyhow::bail;
use check::{Check, Report, State};
use daemon::Daemon;

/// Prints the report. An error where something is wrong.
pub(crate) fn run(loaded: Result<Config, Mistakes>, json: bool) -> anyhow::Result<()> {
    let report = Report { checks: checks(loaded)? };
    crate::print(&if json { report.json()? } else { report.text() })?;
    match report.count(State::Wrong) {
        0 => Ok(()),
        1 => bail!("one thing is wrong"),
        several => bail!("{several} things are wrong"),
    }
}

/// Without settings nothing else can be judged.
fn checks(loaded: Result<Config, Mistakes>) -> anyhow::Result<Vec<Check>> {
    let config = match loaded {
        Ok(config) => config,
        Err(mistakes) => return Ok(mistaken(&mistakes)),
    };
    let settings = &config.settings;
    let mut checks = vec![settings_check(&config)];
    let daemon = Daemon::find(settings, &mut checks);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let engine = runtime.block_on(engine::check(settings, &mut checks));
    let apart = engine.as_ref().filter(|engine| settings.publish.by(engine));
    checks.push(apart.map_or_else(|| check_in::check(settings), |engine| check_in::aside(settings, engine)));
    checks.extend(ports::check(settings, &daemon));
    checks.extend(kernel::check());
    checks.extend(room::check(settings, engine.and_then(|engine| engine.root)));
    checks.extend(rights::check(settings));
    Ok(checks)
}

fn settings_check(config: &Config) -> Check {
    match config.notes.as_slice() {
        [] => Check::right("settings", "no mistake"),
        notes => Check::degraded(
            "settings",
            notes.join("; "),
            "`spin-docker config show` tells where each comes from",
        ),
    }
}

fn mistaken(mistakes: &Mistakes) -> Vec<Check> {
    let advice = "put it right; nothing else was looked at. docs/settings.md says what each takes";
    mistakes.each().map(|mistake| Check::wrong("settings", mistake, advice)).collect()
}
