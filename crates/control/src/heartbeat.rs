//! Whether the engine answers: its stream of events may stand while it answers nothing else.

use crate::control::Shared;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::MissedTickBehavior;

const EVERY: Duration = Duration::from_secs(5);
/// It has nothing to do for it.
const WITHIN: Duration = Duration::from_secs(2);

/// Asks until the program ends.
pub(crate) fn begin(shared: &Arc<Shared>) {
    let asking = Arc::clone(shared);
    shared.run_to_the_end(async move { ask(&asking).await });
}

async fn ask(shared: &Shared) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let answers = matches!(tokio::time::timeout(WITHIN, shared.engine.ping()).await, Ok(Ok(())));
        match (shared.reconciler.hears(answers), answers) {
            (false, _) => {}
            (true, true) => tracing::info!("the engine answers again"),
            (true, false) => {
                tracing::warn!(within = ?WITHIN, "the engine does not answer; its log may say why")
            }
        }
    }
}
