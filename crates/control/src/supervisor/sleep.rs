//! Sleep: when nothing keeps a container awake it freezes. Who has it woken stands in `waking`.
//!
//! What is known here is judged first ([`Container::kept_awake`](model::Container::kept_awake)); only where that keeps nothing awake are
//! the engine and the kernel asked (`inside`). Then the gate is closed (`turn`), and if anything passed it since, the container is
//! thawed at once.

use super::Supervisor;
use super::breath::CpuMark;
use super::crashes::Crashes;
use super::turn::ANNOUNCED;
use super::waking::Waiting;
use crate::handle::Answer;
use model::{Awake, Beside, Cause, Depth, IdlePolicy, Input, Keeper, Meter, Phase, Sleep, Timestamp, Waker};
use std::time::Duration;
use tokio::time::Instant;

/// While something that may end at any time keeps it awake.
pub(super) const SOONEST: Duration = Duration::from_millis(100);
pub(super) const LATEST: Duration = Duration::from_secs(5);

/// What a supervisor knows of its container's sleep.
#[derive(Debug, Default)]
pub(super) struct Sleeper {
    /// When it is next considered whether it may freeze.
    pub(super) check_at: Option<Instant>,
    pub(super) meter: Meter,
    /// Connections opened before its start.
    pub(super) opened_before: u64,
    pub(super) used_since_look: bool,
    pub(super) cpu: Option<CpuMark>,
    /// What was found to keep it awake, and when.
    pub(super) kept: Option<Awake>,
    pub(super) kept_at: Timestamp,
    /// The client beside the gateway that was found to wait, and not yet for too long.
    pub(super) beside: Option<Box<Beside>>,
    /// The engine and the kernel are being asked.
    pub(super) looks_inside: bool,
    /// Since they are, the engine did something to it.
    pub(super) needed: bool,
    /// It was found frozen, and what waits in it could not be told.
    pub(super) owes_look_inside: bool,
    /// Why the last freeze came to nothing.
    pub(super) undone: Option<Box<str>>,
    /// It froze since nothing kept it awake, not because somebody said so.
    pub(super) by_itself: bool,
    /// What had happened on its connections when it was last looked at, before it freezes.
    pub(super) stirred: u64,
    /// Since when it is frozen.
    pub(super) frozen_at: Option<Timestamp>,
    /// Connections that wait for it to be awake.
    pub(super) wakers: Vec<Waiting>,
    /// Persons who wait for it to be as deep as they said.
    pub(super) by_hand: Vec<(Depth, Answer)>,
    pub(super) crashes: Crashes,
}

impl Supervisor {
    /// May it freeze? Where nothing that is known here keeps it awake, the engine and the kernel are asked.
    pub(super) async fn consider(&mut self) {
        self.sleeper.check_at = None;
        self.sample().await;
        if self.sleeper.owes_look_inside {
            self.look_inside();
        } else if self.container.phase.depth() == Depth::Frozen {
            self.breathe().await;
        } else if self.may_sleep() {
            self.judge();
        } else {
            self.consider_later();
        }
    }

    fn judge(&mut self) {
        let (now, policy) = (self.catch_up(), self.policy());
        self.sleeper.stirred = self.handle.traffic().stirred();
        let kept = self.container.kept_awake(&self.seen_of_it(now), now, &policy);
        self.gives_up(kept);
        if kept.is_none() || self.wants_reading(&policy) {
            self.look_inside();
        }
        if let Some(kept) = kept {
            self.keep_awake(kept);
        }
    }

    /// Until it can serve, or the engine is followed again.
    pub(super) fn consider_later(&mut self) {
        if self.is_awake() {
            self.check_in(LATEST);
        }
    }

    /// Awake, known as it is, and followed: a frozen container that nobody follows could not be thawed in time.
    pub(super) fn may_sleep(&self) -> bool {
        self.is_awake() && self.resumed && self.ready && self.shared.reconciler.is_following()
    }

    /// It reported just before it froze, or its policy lets an old report count again: one that counts keeps it awake, unless a
    /// person said otherwise.
    pub(super) async fn reported(&mut self) {
        let counts = self.container.is_checked_in(self.shared.clock.now(), &self.policy());
        if counts && self.sleeper.by_itself {
            self.thaw_because(Cause::CheckIn).await;
        }
    }

    pub(super) fn soon(&self, policy: &IdlePolicy) -> Duration {
        self.container.freezes_after(policy).map_or(LATEST, |after| (after / 4).clamp(SOONEST, LATEST))
    }

    /// Looked at again when that ends, or soon where nobody knows when it does.
    pub(super) fn keep_awake(&mut self, kept: Awake) {
        tracing::trace!(container = %self.name(), ?kept, "kept awake");
        let now = self.shared.clock.now();
        (self.sleeper.kept, self.sleeper.kept_at) = (Some(kept), now);
        let policy = self.policy();
        let soon = self.soon(&policy);
        let after = match (kept.by, kept.until) {
            // Only another policy, or another start, ends it.
            (Keeper::Policy | Keeper::Reports, _) => None,
            (Keeper::Use | Keeper::Unvisited, Some(until)) => Some(until.since(now)),
            _ => Some(soon),
        };
        self.sleeper.check_at = after.map(|after| Instant::now() + after);
        self.publish();
    }

    /// Another policy holds. Under one by which it does not freeze, what froze by itself goes on.
    pub(super) async fn consider_anew(&mut self) {
        let stays = self.container.freezes_after(&self.policy()).is_some();
        if self.sleeper.by_itself && !stays {
            self.thaw_because(Cause::NeverFreezes).await;
        } else {
            self.reported().await;
        }
        self.consider_now();
    }

    fn consider_now(&mut self) {
        let frozen = self.container.phase.depth() == Depth::Frozen && !self.sleeper.owes_look_inside;
        let breath = self.next_breath().map(|next| self.sleeper.check_at.unwrap_or(next).min(next));
        self.sleeper.check_at = if frozen { breath } else { Some(Instant::now()) };
    }

    /// Considers it again after so long.
    pub(super) fn check_in(&mut self, after: Duration) {
        self.sleeper.check_at = Some(Instant::now() + after);
    }

    /// It freezes, unless something passed the gate since it was looked at.
    pub(super) async fn freeze(&mut self) {
        self.sleeper.by_itself = true;
        self.ports.quiet();
        let because = self.what_is_quiet();
        self.fact_because(Input::Freeze, Some(because)).await;
        if self.handle.traffic().stirred() != self.sleeper.stirred {
            self.fact(Input::Wake(Waker::Need)).await;
        }
    }

    /// The engine is about to do something to it, or has gone.
    pub(super) async fn thaw_because(&mut self, why: Cause) {
        self.sleeper.needed = true;
        if self.is_awake() {
            self.check_in(ANNOUNCED);
        }
        self.fact_because(Input::Wake(Waker::Need), Some(why)).await;
    }

    pub(super) fn is_awake(&self) -> bool {
        matches!(self.container.phase, Phase::Running { sleep: Sleep::Awake, .. })
    }
}
