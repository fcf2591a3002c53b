//! A breath: what froze by itself with connections open runs for a moment now and then. A timer that ran out meanwhile fires, and
//! whoever waits for what comes of it is served: an answer that has begun does not say that there is more of it.
//!
//! The gate stays closed, and it counts as frozen, unless it says something then, or goes to work: that is looked at as ever.

use super::Supervisor;
use super::calls::{Calls, Outcome};
use super::freezing::{Careful, NEEDED, freeze, thaw};
use crate::Traffic;
use crate::control::Shared;
use model::{Cause, EngineId, Freezer, IdlePolicy, Input, Phase, Sleep, Waker};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What ran out while it was frozen is done with by then; what goes on after it has begun something.
const CATCHES_UP: Duration = Duration::from_millis(200);
const GOES_ON: Duration = Duration::from_millis(100);
/// Why it is not frozen, for whoever asked.
const ALIVE: &str = "it goes on by itself; try again in a moment";

/// The CPU time that it had used, and when.
pub(super) type CpuMark = (Instant, Duration);

/// What is to be done, and for whom.
struct Breath {
    shared: Arc<Shared>,
    body: EngineId,
    by: Freezer,
    traffic: Arc<Traffic>,
    policy: Arc<IdlePolicy>,
    /// Nobody has come meanwhile.
    wanted: CancellationToken,
}

impl Supervisor {
    /// When it takes its next one; none where it takes none.
    pub(super) fn next_breath(&self) -> Option<Instant> {
        let frozen = matches!(self.container.phase, Phase::Running { sleep: Sleep::Frozen { .. }, .. });
        let traffic = self.handle.traffic();
        if !frozen || !self.sleeper.by_itself || traffic.connections() == 0 {
            return None;
        }
        let rested = traffic.moved_at()?.elapsed();
        Some(Instant::now() + self.policy().breathes_after(rested)?)
    }

    /// It is time for one, unless something has changed since that was said: where something keeps it awake by now, it is thawed.
    pub(super) async fn breathe(&mut self) {
        if self.next_breath().is_none() {
            return;
        }
        let (now, policy) = (self.catch_up(), self.policy());
        let kept = self.container.kept_awake(&self.seen_of_it(now), now, &policy);
        let input = if kept.is_some() { Input::Wake(Waker::Need) } else { Input::Breathe };
        self.fact_because(input, Some(Cause::Breath)).await;
    }

    /// One is over. Where it goes on, what it uses is measured from near the end of the breath: on the average of all the time that it was
    /// frozen, work that has just begun would be lost. Where it does not, what the breath used is nobody's work.
    pub(super) async fn breathed(&mut self, input: Input, cpu: Option<CpuMark>) {
        self.sleep_turned(input).await;
        self.sleeper.cpu = cpu.or(self.sleeper.cpu);
    }
}

impl Calls {
    pub(super) fn breathe(
        &mut self,
        body: EngineId,
        by: Freezer,
        traffic: &Arc<Traffic>,
        policy: Arc<IdlePolicy>,
    ) {
        let wanted = self.give_way();
        let (shared, traffic) = (Arc::clone(&self.shared), Arc::clone(traffic));
        let breath = Breath { shared, body, by, traffic, policy, wanted };
        let epoch = self.epoch();
        self.spawn(async move {
            let (input, cpu) = breath.take().await;
            Outcome::Breathed { epoch, input, cpu }
        });
    }
}

impl Breath {
    async fn take(self) -> (Input, Option<CpuMark>) {
        let bytes = self.traffic.bytes();
        // One that cannot be thawed now stays as it is, and its next breath is another try.
        let failed @ Input::ThawFailed(_) = thaw(&*self.shared.engine, &self.body, self.by).await else {
            return self.run(bytes).await;
        };
        tracing::debug!(body = %self.body, ?failed, "no breath");
        (failed, None)
    }

    async fn run(self, bytes: u64) -> (Input, Option<CpuMark>) {
        let Some((before, after)) = self.wanted.run_until_cancelled(self.run_for_a_moment()).await else {
            return (Input::NotFrozen(NEEDED.to_owned()), None);
        };
        if self.works(before, after) || self.traffic.bytes() != bytes {
            return (Input::NotFrozen(ALIVE.to_owned()), before);
        }
        let careful = Careful { owed_for: self.policy.owed_for };
        (freeze(&self.shared, &self.body, &self.wanted, Some(careful)).await, after)
    }

    /// What it had used once whatever ran out was done with, and at the end.
    async fn run_for_a_moment(&self) -> (Option<CpuMark>, Option<CpuMark>) {
        tokio::time::sleep(CATCHES_UP).await;
        let before = self.cpu().await;
        tokio::time::sleep(GOES_ON).await;
        (before, self.cpu().await)
    }

    /// Whether it has begun something that uses CPU, as its policy has it.
    fn works(&self, before: Option<CpuMark>, after: Option<CpuMark>) -> bool {
        before.zip(after).zip(self.policy.busy_cpu).is_some_and(|((before, after), most)| {
            let elapsed = after.0.duration_since(before.0);
            after.1.saturating_sub(before.1) * 1000 > elapsed * most
        })
    }

    async fn cpu(&self) -> Option<CpuMark> {
        let at = Instant::now();
        let used = self.shared.engine.cpu(&self.body).await.unwrap_or_default()?;
        Some((at, used))
    }
}
