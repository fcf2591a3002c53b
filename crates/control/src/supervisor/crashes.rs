//! How often a container ended by itself, one time soon after the other: it is woken ever more seldom then.

use model::StopReason;
use std::time::Duration;
use tokio::time::Instant;

/// One that ended by itself so soon after its start is in a loop, as far as we know.
const SHORT_LIFE: Duration = Duration::from_secs(60);
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_secs(300);

#[derive(Debug, Default)]
pub(super) struct Crashes {
    started: Option<Instant>,
    /// In a row.
    pub(super) times: u32,
    /// When a connection may start it again.
    next: Option<Instant>,
}

impl Crashes {
    pub(super) fn started(&mut self) {
        self.started = Some(Instant::now());
    }

    pub(super) fn ended(&mut self, reason: StopReason) {
        let lived = self.started.take().map(|started| started.elapsed());
        if !matches!(reason, StopReason::Exited | StopReason::Failed) {
            return *self = Self::default();
        }
        self.times = if lived.is_some_and(|lived| lived >= SHORT_LIFE) { 1 } else { self.times + 1 };
        let backoff = FIRST_BACKOFF * 2_u32.saturating_pow((self.times - 1).min(16));
        self.next = Some(Instant::now() + backoff.min(LONGEST_BACKOFF));
    }

    /// How long no connection starts it.
    pub(super) fn wait(&self) -> Option<Duration> {
        let left = self.next?.checked_duration_since(Instant::now())?;
        (!left.is_zero()).then_some(left)
    }
}
