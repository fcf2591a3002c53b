//! The look at a running container that comes due: whether anybody was there since the last one.

use super::Supervisor;
use model::{Evidence, Input, Phase};
use tokio::time::Instant;

impl Supervisor {
    pub(super) fn next_look(&self) -> Option<Instant> {
        match &self.container.phase {
            Phase::Running { looks: Some(looks), .. } if self.resumed => {
                Some(self.shared.clock.instant_of(looks.next))
            }
            _ => None,
        }
    }

    /// The clock may have been set back a little since the timer was: a look before its time would forget what moved.
    pub(super) async fn look(&mut self) {
        let now = self.catch_up();
        let due =
            matches!(&self.container.phase, Phase::Running { looks: Some(looks), .. } if looks.next <= now);
        if !due {
            return;
        }
        let moved = self.handle.traffic().moved();
        self.sample().await;
        let policy = self.policy();
        let connections = self.handle.traffic().connections();
        let evidence = Evidence {
            checked_in: self.container.is_checked_in(now, &policy),
            used: self.take_use(),
            connections: if policy.stop_with_connections { 0 } else { connections },
        };
        self.moved_at_look = moved;
        self.fact(Input::Look(evidence)).await;
    }
}
