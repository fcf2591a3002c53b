//! Engine events at a steady rate, each of which changes something: a container is renamed behind our back.

use crate::known;
use control::Control;
use engine::fake::Fake;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior};

const TICKS_PER_SECOND: u32 = 100;
/// How long after the last event everything must be seen.
const SEEN_WITHIN: Duration = Duration::from_secs(5);

/// Renames one container after the other, `rate` a second for `seconds`, and gives how many events there were.
pub(crate) async fn send(fake: &Fake, known: u32, rate: u32, seconds: u32) -> u32 {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / TICKS_PER_SECOND);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut sent = 0;
    for tick in 1..=TICKS_PER_SECOND * seconds {
        ticks.tick().await;
        for event in sent..rate * tick / TICKS_PER_SECOND {
            fake.rename(&known::body(event % known), &name(event));
        }
        sent = rate * tick / TICKS_PER_SECOND;
    }
    sent
}

/// How many containers do not show their last name.
pub(crate) async fn missed(control: &Arc<Control>, known: u32, sent: u32) -> usize {
    let begun = Instant::now();
    loop {
        let missed =
            (sent.saturating_sub(known)..sent).filter(|event| !shows(control, known, *event)).count();
        if missed == 0 || begun.elapsed() > SEEN_WITHIN {
            return missed;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn shows(control: &Control, known: u32, event: u32) -> bool {
    let found = control.find(known::body(event % known).as_str());
    found.is_ok_and(|handle| handle.view().container.name == name(event))
}

fn name(event: u32) -> String {
    format!("/renamed_{event}")
}
