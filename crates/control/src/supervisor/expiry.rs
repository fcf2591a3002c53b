//! Deletion where its policy asks for it: its owner is told before, whatever uses it puts it off, and nothing is taken away before
//! that is on disk.

use super::Supervisor;
use model::{Awake, Cause, EventKind, IdlePolicy, Input, Keeper, Timestamp};
use std::time::Duration;
use tokio::time::Instant;

/// How long after the program came up: the clock of a host that came up with it may be set right about then.
const NOTHING_EXPIRES: Duration = Duration::from_secs(60);
/// How soon it is tried again where it could not be written down.
const AGAIN: Duration = Duration::from_secs(10);

/// What is remembered of a deletion to come.
#[derive(Debug, Default)]
pub(super) struct Expiring {
    /// The time that its owner was told last.
    warned_of: Timestamp,
    /// After one that could not be written down.
    not_before: Option<Instant>,
}

impl Supervisor {
    /// When something is to be told or done.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        let may_expire = self.resumed && self.container.is_listed();
        let expiry = self.container.expiry(&self.handle.view().policy).filter(|_| may_expire)?;
        let at = if self.warned_of() == expiry.at { expiry.at } else { expiry.warned_from() };
        let not_before = self.expiring.as_ref().and_then(|expiring| expiring.not_before);
        let at = self.shared.clock.instant_of(at).max(self.shared.launched + NOTHING_EXPIRES);
        Some(not_before.map_or(at, |not_before| at.max(not_before)))
    }

    /// A use that is not on record yet postpones it, and whatever is going on: a client that is connected, an answer that is
    /// owed, work.
    pub(super) async fn expire(&mut self) {
        self.sample().await;
        let policy = self.policy();
        if self.is_occupied(&policy) {
            self.fact(Input::Used(self.shared.clock.now())).await;
        }
        self.warn_of_expiry(&policy);
        let term =
            self.container.expiry(&policy).map(|expiry| Cause::Expiry { term: expiry.term, seconds: 0 });
        match self.advance_because(Input::Expired, term).await {
            Ok(()) if self.container.phase.is_doomed() => {
                tracing::info!(container = %self.name(), image = %self.container.image, "it has expired, as its policy says: deleting");
            }
            Ok(()) => {}
            Err(error) => {
                tracing::error!(container = %self.name(), error = %crate::chain(&error), "it has expired, and cannot be deleted; trying again");
                self.expiring.get_or_insert_default().not_before = Some(Instant::now() + AGAIN);
            }
        }
    }

    fn is_occupied(&self, policy: &IdlePolicy) -> bool {
        use Keeper::{Busy, Exec, Mail, Owed, OwedBeside};
        let connected = self.handle.traffic().connections() > 0 && !policy.stop_with_connections;
        let busy = |kept: Awake| matches!(kept.by, Owed | OwedBeside | Exec | Busy(_) | Mail);
        connected || self.sleeper.kept.is_some_and(busy)
    }

    fn warned_of(&self) -> Timestamp {
        self.expiring.as_ref().map(|expiring| expiring.warned_of).unwrap_or_default()
    }

    fn warn_of_expiry(&mut self, policy: &IdlePolicy) {
        let now = self.shared.clock.now();
        let expiry = self.container.expiry(policy).filter(|expiry| expiry.warned_from() <= now);
        let Some(expiry) = expiry.filter(|expiry| expiry.at != self.warned_of()) else { return };
        self.expiring.get_or_insert_default().warned_of = expiry.at;
        let cause = Cause::Expiry { term: expiry.term, seconds: expiry.at.since(now).as_secs() };
        self.shared.events.record(self.event(EventKind::Expiring, cause));
    }
}
