//! The daemon's own log, to stderr. A reader who went away is no reason to stop.

use crate::config::{Environment, LogFormat, Settings};
use anyhow::Context;
use std::io::{IsTerminal, stderr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tracing_subscriber::filter::dynamic_filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

/// Our parts of the program: what `development` logs at `debug`.
const OURS: [&str; 7] = ["spin_docker", "server", "gateway", "control", "engine", "api", "model"];

/// At `debug`, the engine's client logs whole bodies, and with them the passwords in containers' environments.
const SILENCED: &str = ",bollard=warn";

/// What of the log may be changed while it is written.
pub(crate) struct Log {
    filter: reload::Handle<EnvFilter, Registry>,
    is_json: Arc<AtomicBool>,
}

/// Sets it up, once, for the whole process.
pub(crate) fn begin(settings: &Settings) -> anyhow::Result<Log> {
    let (filter, handle) = reload::Layer::new(filter(settings)?);
    let is_json = Arc::new(AtomicBool::new(is_json(settings)));
    // Both formats stand ready: a span that was begun in one cannot be told in the other.
    let when = |json: bool| {
        let is_json = Arc::clone(&is_json);
        dynamic_filter_fn(move |_, _| is_json.load(Ordering::Relaxed) == json)
    };
    let text = fmt::layer().with_writer(stderr).log_internal_errors(false).with_ansi(stderr().is_terminal());
    let json = fmt::layer().json().flatten_event(true).with_writer(stderr).log_internal_errors(false);
    let lines = text.with_filter(when(false)).and_then(json.with_filter(when(true)));
    tracing_subscriber::registry().with(filter).with(lines).try_init().context("the log cannot be set up")?;
    Ok(Log { filter: handle, is_json })
}

impl Log {
    /// Goes on as these settings say.
    pub(crate) fn set(&self, settings: &Settings) -> anyhow::Result<()> {
        self.filter.reload(filter(settings)?).context("the log cannot be changed")?;
        self.is_json.store(is_json(settings), Ordering::Relaxed);
        Ok(())
    }
}

fn is_json(settings: &Settings) -> bool {
    settings.log_format == LogFormat::Json
}

fn filter(settings: &Settings) -> anyhow::Result<EnvFilter> {
    EnvFilter::builder().parse(directives(settings) + SILENCED).context("the setting log")
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
