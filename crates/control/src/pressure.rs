//! While the host is short of memory, as the kernel's pressure stall information says, the container that has been frozen longest is
//! stopped, one at a time: it is missed least, and nothing of it is lost but memory. A connection wakes it as after any sleep.

use crate::control::Shared;
use crate::handle::{Command, Handle};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// The kernel's shortest average is over ten seconds: what a stop gave back shows in the next but one.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Watches until the program ends.
pub(crate) fn begin(shared: &Arc<Shared>) {
    let watching = Arc::clone(shared);
    shared.run_to_the_end(async move { watch(&watching).await });
}

async fn watch(shared: &Shared) {
    let Some(limit) = shared.settings.pressure_limit else { return };
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(pressure) = shared.room.pressure().filter(|pressure| *pressure >= limit) else { continue };
        if let Some(longest) = longest_frozen(shared) {
            tracing::warn!(
                container = longest.view().container.name,
                pressure,
                limit,
                "the host is short of memory; the container that has been frozen longest is stopped"
            );
            longest.send_waiting(Command::Pressure).await;
        }
    }
}

fn longest_frozen(shared: &Shared) -> Option<Handle> {
    let since = |handle: &Handle| handle.view().frozen_at;
    let frozen = shared.registry.all().into_iter().filter_map(|handle| Some((since(&handle)?, handle)));
    frozen.min_by_key(|(since, _)| *since).map(|(_, handle)| handle)
}
