//! The daemon. For now it waits to be told to end.

use crate::config::{Environment, Settings};
use tokio::signal::unix::{SignalKind, signal};

/// Runs until SIGTERM.
pub(crate) async fn run(settings: Settings, notes: Vec<String>) -> anyhow::Result<()> {
    for note in notes {
        tracing::warn!("{note}");
    }
    tracing::info!(?settings, "nothing is served yet");
    signal(SignalKind::terminate())?.recv().await;
    Ok(())
}
