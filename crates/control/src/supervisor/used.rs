//! Use: what the counters of its connections say, and when it was last used. Keep-alives are none.

use super::Supervisor;
use super::sleep::SOONEST;
use model::{Input, Keeper, Phase, Seen, Timestamp};
use tokio::time::Instant;

impl Supervisor {
    /// The counters are looked at. Use is recorded with its time; keep-alives are none.
    pub(super) async fn sample(&mut self) {
        let (now, policy) = (self.catch_up(), self.policy());
        let traffic = self.handle.traffic();
        let (opened, bytes) = (traffic.opened(), traffic.bytes());
        let is_use = self.sleeper.meter.sample(opened, bytes, policy.quiet_below, now);
        if is_use && policy.activity.traffic() {
            self.sleeper.used_since_look = true;
            let at = traffic.moved_at().map_or(now, |at| self.time_of(at, now));
            self.fact(Input::Used(at)).await;
        }
    }

    /// It ends: what it was used for until then counts for when it is deleted, though no look has seen it.
    pub(super) async fn remember_last_use(&mut self) {
        if matches!(self.container.phase, Phase::Running { .. }) {
            self.sample().await;
        }
    }

    /// Something moves, or is open. The first visitor ends the wait for the first look.
    pub(super) async fn used(&mut self) {
        self.sample().await;
        if self.sleeper.kept.is_some_and(|kept| kept.by == Keeper::Unvisited) {
            self.check_in(SOONEST);
        }
    }

    /// The counters ended with the daemon that counted; what is on record was use since the last look, if it came after.
    pub(super) fn take_up_use(&mut self) {
        let Phase::Running { looks: Some(looks), .. } = self.container.phase else { return };
        if self.container.last_activity > looks.since && self.policy().activity.traffic() {
            self.sleeper.used_since_look = true;
            self.moved_at_look = self.handle.traffic().moved().wrapping_sub(1);
        }
    }

    /// Whether it was used since this was last asked.
    pub(super) fn take_use(&mut self) -> bool {
        std::mem::take(&mut self.sleeper.used_since_look)
    }

    pub(super) fn seen_of_it(&self, now: Timestamp) -> Seen {
        let traffic = self.handle.traffic();
        let owed_since = traffic.owed().map(|flow| self.time_of(flow.moved_at, now));
        Seen { connected: traffic.opened() != self.sleeper.opened_before, owed_since }
    }

    fn time_of(&self, instant: Instant, now: Timestamp) -> Timestamp {
        now.minus(instant.elapsed())
    }
}
