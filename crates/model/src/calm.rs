//! What keeps a running container awake: a sleep that halts work is a defect. Nothing here asks anybody: what the gateway
//! counted comes in [`Seen`], what the kernel and the engine say of it in [`Inside`].

use crate::container::{Container, NO_CHECK_IN, Phase};
use crate::idle::Stage;
use crate::policy::{FreezeAfter, IdlePolicy};
use crate::time::Timestamp;
use std::net::SocketAddr;
use std::time::Duration;

/// What is known of a container's use without asking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Somebody has connected since its start.
    pub connected: bool,
    /// Since when a client waits for an answer.
    pub owed_since: Option<Timestamp>,
}

/// What only the engine and the kernel know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inside {
    /// Commands that somebody runs in it.
    pub execs: usize,
    /// The CPU that it used, in thousandths of one core, since it was last asked; none where it cannot be told.
    pub cpu: Option<u32>,
    /// Bytes, connections or datagrams wait in its sockets that it has not taken.
    pub mail: bool,
    /// The latest to wait of the clients beside the gateway.
    pub owed: Option<Beside>,
}

/// A client that waits for an answer, and did not come through the gateway: the kernel alone tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beside {
    /// From where, as the container sees it.
    pub peer: SocketAddr,
    /// Since when.
    pub since: Timestamp,
}

/// What keeps a container awake, and until when at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Awake {
    /// What.
    pub by: Keeper,
    /// When it ends if nothing happens; none if that is not known.
    pub until: Option<Timestamp>,
}

/// What keeps a container awake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeper {
    /// Its policy: `freeze_after` is off.
    Policy,
    /// It reports for itself, which it cannot do frozen.
    Reports,
    /// Nobody has connected yet, and its first look has not been.
    Unvisited,
    /// It was used.
    Use,
    /// Its last check-in is not 0.
    CheckIn,
    /// A client waits for an answer.
    Owed,
    /// The same of one that did not come through the gateway.
    OwedBeside,
    /// Somebody runs a command in it.
    Exec,
    /// It uses so much CPU, in thousandths of one core.
    Busy(u32),
    /// Something waits in its sockets.
    Mail,
}

impl Container {
    /// What keeps it awake, as far as that is known without asking; nothing if it does not run.
    pub fn kept_awake(&self, seen: &Seen, now: Timestamp, policy: &IdlePolicy) -> Option<Awake> {
        let Phase::Running { looks, .. } = &self.phase else { return None };
        let awake = |by, until| Some(Awake { by, until });
        let Some(after) = self.freezes_after(policy) else {
            return awake(if self.reports(policy) { Keeper::Reports } else { Keeper::Policy }, None);
        };
        if let Some(until) = self.checked_in_until(now, policy) {
            return awake(Keeper::CheckIn, until);
        }
        if let Some(since) = seen.owed_since
            && since.plus(policy.owed_for) > now
        {
            return awake(Keeper::Owed, Some(since.plus(policy.owed_for)));
        }
        if let (Some(looks), FreezeAfter::Unsaid) = (looks, policy.freeze_after)
            && looks.stage == Stage::Initial
            && !seen.connected
            && looks.next > now
        {
            return awake(Keeper::Unvisited, Some(looks.next));
        }
        let until = self.last_activity.plus(after);
        (until > now).then_some(Awake { by: Keeper::Use, until: Some(until) })
    }

    /// How long nothing that counts must have happened; none if it does not freeze by itself.
    pub fn freezes_after(&self, policy: &IdlePolicy) -> Option<Duration> {
        match policy.freeze_after {
            FreezeAfter::Off => None,
            FreezeAfter::After(after) => Some(after),
            FreezeAfter::Unsaid if policy.disable_timeouts || self.reports(policy) => None,
            FreezeAfter::Unsaid => Some(FreezeAfter::UNSAID),
        }
    }

    /// It has checked in since its start, where that counts.
    fn reports(&self, policy: &IdlePolicy) -> bool {
        self.checked_in_at.is_some() && policy.activity.check_ins()
    }

    /// Whether its last check-in counts now, and if so until when; none for ever.
    fn checked_in_until(&self, now: Timestamp, policy: &IdlePolicy) -> Option<Option<Timestamp>> {
        if self.check_in == NO_CHECK_IN || !policy.activity.check_ins() {
            return None;
        }
        let Some(ttl) = policy.check_in_ttl else { return Some(None) };
        let until = self.checked_in_at.unwrap_or_default().plus(ttl);
        (until > now).then_some(Some(until))
    }

    /// Whether its last check-in counts.
    pub fn is_checked_in(&self, now: Timestamp, policy: &IdlePolicy) -> bool {
        self.checked_in_until(now, policy).is_some()
    }
}

impl IdlePolicy {
    /// How long one that froze by itself with connections open rests until its next breath, where nothing has moved on them for so
    /// long; none where it takes none. A timer in it fires a tenth late at most, or five seconds, and ever fewer breaths
    /// are taken.
    pub fn breathes_after(&self, rested: Duration) -> Option<Duration> {
        const SHORTEST: Duration = Duration::from_secs(5);
        self.breathe.then(|| SHORTEST.max(rested / 10))
    }
}

impl Inside {
    /// What of it keeps a container awake. Only of a wait is it known when that ends.
    pub fn keeps_awake(&self, now: Timestamp, policy: &IdlePolicy) -> Option<Awake> {
        let busy = |cpu: &u32| policy.busy_cpu.is_some_and(|most| *cpu > most);
        let awake = |by| Awake { by, until: None };
        if self.execs > 0 {
            Some(awake(Keeper::Exec))
        } else if self.mail {
            Some(awake(Keeper::Mail))
        } else if let Some(beside) = self.owed.filter(|beside| beside.counts(now, policy)) {
            Some(Awake { until: Some(beside.until(policy)), ..awake(Keeper::OwedBeside) })
        } else {
            self.cpu.filter(busy).map(|cpu| awake(Keeper::Busy(cpu)))
        }
    }
}

impl Beside {
    /// Whether it has not yet waited for too long.
    pub fn counts(&self, now: Timestamp, policy: &IdlePolicy) -> bool {
        self.until(policy) > now
    }

    fn until(&self, policy: &IdlePolicy) -> Timestamp {
        self.since.plus(policy.owed_for)
    }
}

#[cfg(test)]
#[path = "calm_tests.rs"]
mod tests;
