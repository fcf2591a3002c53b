//! Wake: whoever needs a container awake has it thawed or started, and is answered once it is so, or will not be. By hand, a
//! person has it frozen and thawed.

use super::Supervisor;
use super::freezing::NEEDED;
use super::transition::reply;
use crate::endpoints::{Caller, WakeError};
use crate::handle::{Answer, CommandError};
use crate::measures;
use model::{Cause, Depth, Input, Method, Phase, Reach, Sleep, StopReason, Timestamp, Waker};
use tokio::sync::oneshot;
use tokio::time::Instant;

const BY_PATCH: Cause = Cause::Request { method: Method::Patch };

pub(crate) type WakeAnswer = oneshot::Sender<Result<(), WakeError>>;

/// A connection that waits for it.
#[derive(Debug)]
pub(super) struct Waiting {
    answer: WakeAnswer,
    since: Instant,
    from: Depth,
}

impl Supervisor {
    /// Somebody says so. What waits in its sockets does not keep it awake.
    pub(super) async fn freeze_by_hand(&mut self, answer: Answer) {
        if self.container.phase.depth() == Depth::Stopped || !self.resumed {
            return reply(answer, Err(CommandError::NotRunning));
        }
        self.sleeper.by_hand.push((Depth::Frozen, answer));
        self.sleeper.by_itself = false;
        self.ports.quiet();
        self.fact_because(Input::Freeze, Some(BY_PATCH)).await;
        // What wakes it is bytes that come; those of a client that wait for room already are what comes next.
        if self.handle.traffic().is_held() {
            self.fact(Input::Wake(Waker::Need)).await;
        }
        self.answer_sleepers();
    }

    /// Somebody says so.
    pub(super) async fn thaw_by_hand(&mut self, answer: Answer) {
        if self.container.phase.depth() == Depth::Stopped {
            return reply(answer, Err(CommandError::NotRunning));
        }
        self.sleeper.by_hand.push((Depth::Awake, answer));
        self.fact_because(Input::Wake(Waker::Request), Some(BY_PATCH)).await;
        self.answer_sleepers();
    }

    /// A connection wants it awake.
    pub(super) async fn wake(&mut self, caller: Caller, answer: WakeAnswer) {
        if let Err(error) = self.may_wake() {
            self.refused(caller, &error);
            return drop(answer.send(Err(error)));
        }
        tracing::debug!(container = %self.name(), peer = %caller.peer, port = caller.port, "wanted awake");
        let (since, from) = (Instant::now(), self.container.phase.depth());
        self.sleeper.wakers.push(Waiting { answer, since, from });
        self.hindrance = None;
        let because = Cause::Connection { peer: caller.peer, port: caller.port };
        self.fact_because(Input::Wake(Waker::Connection), Some(because)).await;
        self.answer_sleepers();
    }

    fn may_wake(&self) -> Result<(), WakeError> {
        let reason = match self.container.phase {
            Phase::Stopped { reason } => reason,
            Phase::Removing | Phase::Gone => return Err(WakeError::Gone),
            _ => return Ok(()),
        };
        if self.container.phase.reach(self.policy().wake) == Reach::Refuse || reason == StopReason::Asked {
            return Err(WakeError::Asleep);
        }
        if self.shared.reconciler.is_away() {
            return Err(WakeError::EngineAway);
        }
        match self.sleeper.crashes.wait() {
            Some(left) => {
                Err(WakeError::TooSoon { times: self.sleeper.crashes.times, seconds: left.as_secs() + 1 })
            }
            None => Ok(()),
        }
    }

    /// Until when no connection starts it, and how often in a row it ended by itself.
    pub(super) fn restarts_at(&self) -> Option<(Timestamp, u32)> {
        let wait = self.sleeper.crashes.wait()?;
        Some((self.shared.clock.now().plus(wait), self.sleeper.crashes.times))
    }

    /// Answers whoever waits for it to be awake, or frozen, as soon as that is so or will not be.
    pub(super) fn answer_sleepers(&mut self) {
        if !self.sleeper.by_hand.is_empty() && self.container.phase.is_settled() {
            let (view, depth, why) = (self.handle.view(), self.container.phase.depth(), self.why_awake());
            let not_so = match (depth, why) {
                (Depth::Stopped, None) => CommandError::NotRunning,
                (depth, why) => CommandError::NotSo(depth, why),
            };
            for (wanted, answer) in self.sleeper.by_hand.drain(..) {
                let so = (depth == wanted).then(|| view.clone());
                reply(answer, so.ok_or_else(|| not_so.clone()));
            }
        }
        if self.sleeper.wakers.is_empty() {
            return;
        }
        if let Some(result) = self.woken() {
            if let Some(first) = self.sleeper.wakers.first().filter(|_| result.is_ok()) {
                measures::woken(first.from, first.since.elapsed());
            }
            self.sleeper.wakers.drain(..).for_each(|waiting| drop(waiting.answer.send(result.clone())));
        }
    }

    /// Why it is not as deep as somebody has said.
    fn why_awake(&self) -> Option<String> {
        let is_awake = self.container.phase.depth() == Depth::Awake;
        let undone = || is_awake.then(|| self.sleeper.undone.as_deref().unwrap_or(NEEDED).to_owned());
        self.container.failure.clone().or_else(undone)
    }

    /// What came of it; nothing while it may still come.
    fn woken(&self) -> Option<Result<(), WakeError>> {
        let why = || self.container.failure.clone().unwrap_or_default();
        match &self.container.phase {
            Phase::Running { sleep: Sleep::Awake, .. } => (self.reach() == Reach::Forward).then_some(Ok(())),
            Phase::Running { sleep: Sleep::Frozen { .. }, .. } => Some(Err(WakeError::NotThawed(why()))),
            Phase::Stopped { reason: StopReason::Asked } => Some(Err(WakeError::Asleep)),
            Phase::Stopped { .. } if self.shared.reconciler.is_away() => Some(Err(WakeError::EngineAway)),
            Phase::Stopped { .. } => Some(Err(WakeError::NotStarted(why()))),
            Phase::Removing | Phase::Gone => Some(Err(WakeError::Gone)),
            phase if phase.reach(self.policy().wake) == Reach::Refuse => Some(Err(WakeError::Asleep)),
            _ => None,
        }
    }

    /// Whether somebody waits for it to come up.
    pub(super) fn is_awaited(&self) -> bool {
        !self.sleeper.wakers.is_empty()
    }
}
