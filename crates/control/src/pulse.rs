//! Once a second: the two clocks are compared, and who was used is told so, so that a restart forgets no use.

use crate::clock::COMPARE_EVERY;
use crate::control::Shared;
use crate::handle::{Command, Handle};
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
    loop {
        ticks.tick().await;
        let shift = shared.clock.compare();
        if let Some(by) = shift {
            tracing::warn!(
                milliseconds = by,
                "the clock jumped, or the host slept; every next look counts as a first one"
            );
        }
        for handle in shared.registry.all() {
            if let Some(by) = shift {
                handle.send_waiting(Command::ClockShifted(by)).await;
            }
            record_use(shared, &handle);
        }
    }
}

/// A full queue may lose it: the next beat says it again.
fn record_use(shared: &Shared, handle: &Handle) {
    let view = handle.view();
    let old = shared.clock.now().since(view.container.last_activity) >= USE_RECORDED_EVERY;
    let used = view.used() || handle.traffic.connections() > 0;
    if old && used && handle.send(Command::Used).is_err() {
        tracing::debug!(container = %handle.key, "busy; its use is recorded later");
    }
}
