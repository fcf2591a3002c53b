//! When a container is deleted, where its policy asks for that: at some age, or after some time of disuse.

use super::{Container, NO_CHECK_IN, Phase};
use crate::policy::{IdlePolicy, Term};
use crate::time::Timestamp;
use std::time::Duration;

/// When a container is deleted if nothing happens until then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// When.
    pub at: Timestamp,
    /// Which term of its policy says so.
    pub term: Term,
    /// How long after its creation, or its last use.
    pub after: Duration,
}

/// The most that an owner is told before.
const WARNING: Duration = Duration::from_secs(600);

impl Expiry {
    /// From when on its owner may be told: ten minutes before, or half of what the term says.
    pub fn warned_from(&self) -> Timestamp {
        let before = u64::try_from(WARNING.min(self.after / 2).as_millis()).unwrap_or_default();
        Timestamp::from_millis(self.at.as_millis().saturating_sub(before))
    }
}

impl Container {
    /// When it is deleted if nothing happens until then; none where nobody asked for that. `policy` is what it lives under.
    pub fn expires_at(&self, policy: &IdlePolicy) -> Option<Timestamp> {
        self.expiry(policy).map(|expiry| expiry.at)
    }

    /// The same, with the term that says so.
    pub fn expiry(&self, policy: &IdlePolicy) -> Option<Expiry> {
        let expiry = |term, since: Timestamp, after| Expiry { at: since.plus(after), term, after };
        let lives_since = self.lives_since.unwrap_or(self.created_at);
        let of_age = policy.expires_after.map(|after| expiry(Term::ExpiresAfter, lives_since, after));
        let of_disuse = policy
            .delete_after_idle
            .and_then(|after| Some(expiry(Term::DeleteAfterIdle, self.used_until(policy)?, after)));
        of_age.into_iter().chain(of_disuse).min_by_key(|expiry| expiry.at)
    }

    /// When its last activity ends, as far as that is known: while its last check-in counts, it is in use. None if that is for
    /// ever.
    fn used_until(&self, policy: &IdlePolicy) -> Option<Timestamp> {
        if !self.reports_use(policy) {
            return Some(self.last_activity);
        }
        let reported = self.checked_in_at.unwrap_or_default().plus(policy.check_in_ttl?);
        Some(self.last_activity.max(reported))
    }

    /// Whether its last check-in says that it is in use, under a policy that counts check-ins.
    fn reports_use(&self, policy: &IdlePolicy) -> bool {
        let runs = matches!(self.phase, Phase::Running { .. });
        runs && self.check_in != NO_CHECK_IN && policy.activity.check_ins()
    }
}
