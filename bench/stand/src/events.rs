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

/// How many events were sent, and of how many that was not to be seen.
pub(crate) struct Tally {
    pub(crate) sent: u32,
    pub(crate) missed: usize,
}

/// Renames one container after the other, `rate` a second for `seconds`. Of each event it is looked whether its container shows it
/// before that container's next one, or in the end.
pub(crate) async fn send(fake: &Fake, control: &Arc<Control>, known: u32, rate: u32, seconds: u32) -> Tally {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / TICKS_PER_SECOND);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (mut sent, mut missed) = (0, 0);
    for tick in 1..=TICKS_PER_SECOND * seconds {
        ticks.tick().await;
        for event in sent..rate * tick / TICKS_PER_SECOND {
            let is_missed = |earlier| !shows(control, known, earlier);
            missed += usize::from(event.checked_sub(known).is_some_and(is_missed));
            fake.rename(&known::body(event % known), &name(event));
        }
        sent = rate * tick / TICKS_PER_SECOND;
    }
    Tally { sent, missed: missed + missed_last(control, known, sent).await }
}

/// How many containers do not show their last name, however long they are waited for.
async fn missed_last(control: &Arc<Control>, known: u32, sent: u32) -> usize {
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
