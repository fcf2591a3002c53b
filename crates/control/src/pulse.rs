//! Once a second: the two clocks are compared, and who was used is told so, so that a restart forgets no use.

use crate::clock::COMPARE_EVERY;
use crate::control::Shared;
use crate::handle::{Command, Handle};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// How old the last use on record may grow while a container is in use.
pub(crate) const USE_RECORDED_EVERY: Duration = Duration::from_secs(10);

/// Beats until the program ends.
pub(crate) fn begin(shared: &Arc<Shared>) {
    let beating = Arc::clone(shared);
    shared.run_to_the_end(async move { beat(&beating).await });
}

async fn beat(shared: &Shared) {
    let mut ticks = tokio::time::interval(COMPARE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Some(by) = shared.clock.compare() {
            tracing::warn!(
                milliseconds = by,
                "the clock jumped, or the host slept; each next look counts as a first one"
            );
            shared.ledger.clock_shifted(by);
            if let Err(error) = shared.journal.commit_as_of_now(|| vec![shared.ledger.trails()]).await {
                tracing::warn!(error = %crate::chain(error.as_ref()), "cannot save until when ports rest");
            }
            for handle in shared.registry.all() {
                handle.send_waiting(Command::ClockJumped).await;
            }
        }
        shared.events.tell_together();
        let in_use = shared.in_use.take();
        for handle in in_use.iter().filter_map(|key| shared.registry.by_key(key)) {
            handle.traffic().visit(|| record_use(shared, &handle));
        }
    }
}

/// Records a use. What is not recorded now, since the last record is young or the queue is full, is by a later beat.
fn record_use(shared: &Shared, handle: &Handle) -> bool {
    let age = shared.clock.now().since(handle.view().container.last_activity);
    age >= USE_RECORDED_EVERY && handle.send(Command::Used).is_ok()
}
