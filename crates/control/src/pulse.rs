//! Once a second: the two clocks are compared, and who was used is told so, so that a restart forgets no use.

use crate::clock::COMPARE_EVERY;
use crate::control::Shared;
use crate::handle::{Command, Handle};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// How old the last use on record may grow while a container is in use.
const USE_RECORDED_EVERY: Duration = Duration::from_secs(10);

/// Beats until the program ends.
pub(crate) fn begin(shared: &Arc<Shared>) {
    let beating = Arc::clone(shared);
    shared.tasks.spawn(async move {
        let ending = beating.ending.clone();
        ending.run_until_cancelled(beat(&beating)).await;
    });
}

async fn beat(shared: &Shared) {
    let mut ticks = tokio::time::interval(COMPARE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut recorded = BTreeMap::new();
    loop {
        ticks.tick().await;
        let handles = shared.registry.all();
        if let Some(by) = shared.clock.compare() {
            tracing::warn!(
                milliseconds = by,
                "the clock jumped, or the host slept; each next look counts as a first one"
            );
            shared.ledger.clock_shifted(by);
            if let Err(error) = shared.journal.commit(vec![shared.ledger.trails()]).await {
                tracing::warn!(error = %crate::chain(error.as_ref()), "cannot save until when ports rest");
            }
            for handle in &handles {
                handle.send_waiting(Command::ClockJumped).await;
            }
        }
        let record = |handle: &Handle| {
            let before = recorded.get(&handle.key).copied().unwrap_or_default();
            (handle.key.clone(), record_use(shared, handle, before))
        };
        recorded = handles.iter().map(record).collect();
    }
}

/// Records a use since the traffic stood at `before`, and gives where it stood as of the record. What is not recorded now,
/// since the last record is young or the queue is full, is by a later beat.
fn record_use(shared: &Shared, handle: &Handle, before: u64) -> u64 {
    let moved = handle.traffic.moved();
    let used = moved != before || handle.traffic.connections() > 0;
    let age = shared.clock.now().since(handle.view().container.last_activity);
    let record = used && age >= USE_RECORDED_EVERY && handle.send(Command::Used).is_ok();
    if record { moved } else { before }
}
