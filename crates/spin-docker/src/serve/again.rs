//! SIGHUP: the settings are read again. What applies at once is put in force, the rest is named, and settings with a mistake
//! change nothing.

use super::{Daemon, shows_causes};
use crate::config::{Config, Flags, Settings, Variables};
use crate::telemetry::Log;
use std::sync::atomic::Ordering;

/// Reads them, and says what came of it. `config` is what is in force.
pub(super) async fn read(config: &mut Config, flags: Flags, daemon: &Daemon, log: &Log) {
    let (anew, changes) = match config.again(flags, &Variables::of_this_process()) {
        Ok(read) => read,
        Err(mistakes) => {
            mistakes.each().for_each(|mistake| tracing::error!("settings: {mistake}"));
            return tracing::error!("the settings were not taken; the old ones stay in force");
        }
    };
    *config = anew;
    apply(&config.settings, daemon, log).await;
    config.notes.iter().for_each(|note| tracing::warn!("{note}"));
    for change in &changes {
        if change.setting.applies_at_once() {
            tracing::info!("settings: {change}");
        } else {
            tracing::warn!("settings: {change}: this takes a restart");
        }
    }
    tracing::info!("the settings were read again");
}

async fn apply(settings: &Settings, daemon: &Daemon, log: &Log) {
    if let Err(error) = log.set(settings) {
        tracing::error!("the log stays as it is: {error:#}");
    }
    daemon.app.password.set(settings.password.expose());
    daemon.app.show_causes.store(shows_causes(settings), Ordering::Relaxed);
    daemon.control.set_policy(settings.policy.clone()).await;
}
