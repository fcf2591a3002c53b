//! The daemon's own log, to stderr. A reader who went away is no reason to stop.

use crate::config::{Environment, LogFormat, Settings};
use anyhow::Context;
use std::io::{IsTerminal, stderr};
use tracing_subscriber::{EnvFilter, fmt};

/// Our parts of the program: what `development` logs at `debug`.
const OURS: [&str; 7] = ["spin_docker", "server", "gateway", "control", "engine", "api", "model"];

/// At `debug`, the engine's client logs whole bodies, and with them the passwords in containers' environments.
const SILENCED: &str = ",bollard=warn";

/// Sets it up, once, for the whole process.
pub(crate) fn begin(settings: &Settings) -> anyhow::Result<()> {
    let filter = EnvFilter::builder().parse(directives(settings) + SILENCED).context("the setting log")?;
    let lines = fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .log_internal_errors(false)
        .with_ansi(stderr().is_terminal());
    let begun = match settings.log_format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    begun.map_err(anyhow::Error::from_boxed).context("the log cannot be set up")
}

fn directives(settings: &Settings) -> String {
    match (&settings.log, settings.environment) {
        (Some(directives), _) => directives.clone(),
        (None, Environment::Production) => "info".to_owned(),
        (None, Environment::Development) => {
            OURS.iter().fold("info".to_owned(), |all, part| format!("{all},{part}=debug"))
        }
    }
}
