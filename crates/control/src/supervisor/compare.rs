//! Keeps what we know of a container true to what the engine has. While a call of ours is under way its result is what
//! counts; a look that fell into it, told old news or failed is made up for, so that nothing that happened is missed.

use super::crashes::Crashes;
use super::{Done, Supervisor};
use engine::Listed;
use model::{Cause, Container, Ending, Freezer, Input, Observation, Phase, StopReason};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// How long after an inspect that failed the next one comes.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

impl Supervisor {
    /// Somebody says that it may have changed. Who waits for an answer gets one at once.
    pub(super) async fn compare(&mut self, done: Done) {
        match &self.container.engine_id {
            Some(_) if done.is_none() && self.resumed && !self.container.phase.is_settled() => {
                self.owes_look = true;
            }
            Some(body) => self.calls.inspect(body.clone(), done),
            None if !self.resumed => {
                self.calls.expect_late_body();
                self.resume(Observation::Missing).await;
            }
            None => {}
        }
    }

    /// A list that was made since the engine is followed says this of it. Where it agrees with what is known, an inspect would
    /// say no more.
    pub(super) async fn listed(&mut self, listed: Listed, done: oneshot::Sender<()>) {
        if !agrees(&self.container, &listed, self.resumed) {
            return self.compare(Some(done)).await;
        }
        self.seen();
        if self.resumed {
            return;
        }
        match self.container.phase {
            Phase::Running { .. } => {
                let Listed { name, frozen, .. } = listed;
                self.resume(Observation::Running { name, frozen }).await;
            }
            _ => self.take_up(),
        }
    }

    /// An inspect returned, with nothing where it failed.
    pub(super) async fn compared(&mut self, seen: Option<Observation>, fresh: bool) {
        self.look_again = seen.is_none().then(|| Instant::now() + LOOK_AGAIN);
        match seen {
            Some(seen) if !self.resumed => self.resume(seen).await,
            Some(seen) if fresh => {
                self.owes_look |= !self.container.phase.is_settled();
                let seen = self.with_hand(seen);
                if !matches!(seen, Observation::Running { .. }) {
                    self.remember_last_use().await;
                }
                let (was, held) = (self.container.phase.depth(), self.freezer());
                let ended = self.unseen_end(&seen);
                self.fact(Input::Observed(seen)).await;
                self.after_unseen(ended).await;
                if held != self.freezer() {
                    // Somebody else holds it now, and lets it go.
                    self.sleeper.by_itself = false;
                }
                if was != self.container.phase.depth() {
                    self.sleep_known();
                }
            }
            Some(_) => self.owes_look = true,
            None => {}
        }
    }

    fn freezer(&self) -> Option<Freezer> {
        match self.container.phase {
            Phase::Running { sleep, .. } => sleep.freezer(),
            _ => None,
        }
    }

    /// A call of ours returned. What one that failed did all the same, only a look shows.
    pub(super) async fn called(&mut self, input: Input) {
        if self.is_first_start(&input) {
            return self.first_started(input).await;
        }
        self.owes_look |= matches!(input, Input::StartFailed(_) | Input::StopFailed(_));
        self.fact(input).await;
    }

    /// Looks, if one is owed and no call of ours is under way.
    pub(super) fn pay_look(&mut self) {
        if self.owes_look && self.container.phase.is_settled() {
            self.owes_look = false;
            self.look_now();
        }
    }

    /// After a look that failed. While the engine is away there is nothing to see.
    pub(super) fn make_up(&mut self) {
        let away = !self.shared.reconciler.is_following();
        self.look_again = away.then(|| Instant::now() + LOOK_AGAIN);
        if !away {
            self.look_now();
        }
    }

    fn look_now(&mut self) {
        if let Some(body) = &self.container.engine_id {
            self.calls.inspect(body.clone(), None);
        }
    }

    /// The first thing that is known of it since the daemon came up.
    async fn resume(&mut self, seen: Observation) {
        let ended = self.unseen_end(&seen);
        let input = Input::Resumed(seen);
        if self.is_first_start(&input) {
            self.first_started(input).await;
        } else {
            self.fact(input).await;
        }
        self.take_up();
        self.after_unseen(ended).await;
    }

    /// Where it ran and ended while nobody watched: whether it is started again.
    fn unseen_end(&self, seen: &Observation) -> Option<bool> {
        let ran = matches!(self.container.phase, Phase::Running { .. });
        (ran && seen.is_unseen_end()).then(|| self.container.restarts_after(seen, &self.policy()))
    }

    /// Its end may not have been its own doing: whoever needs it next need not wait.
    async fn after_unseen(&mut self, ended: Option<bool>) {
        let Some(again) = ended else { return };
        self.sleeper.crashes = Crashes::default();
        if again {
            self.fact_because(Input::Start, Some(Cause::Restart)).await;
        }
    }

    fn take_up(&mut self) {
        self.resumed = true;
        self.take_up_use();
        self.sleep_known();
        self.ports.reach(self.reach());
        self.publish();
    }

    /// An inspect cannot tell who ended it; the events before it could.
    fn with_hand(&mut self, seen: Observation) -> Observation {
        let ending = self.ending;
        self.seen();
        match seen {
            Observation::Exited { name, code, out_of_memory, .. } => {
                Observation::Exited { name, code, out_of_memory, ending }
            }
            other => other,
        }
    }
    /// Somebody looked: an end from now on is seen.
    fn seen(&mut self) {
        if self.ending == Ending::Unseen {
            self.ending = Ending::ByItself;
        }
    }
}

fn agrees(known: &Container, listed: &Listed, resumed: bool) -> bool {
    let as_known = match known.phase {
        Phase::Running { sleep, .. } => listed.running && (!resumed || sleep.freezer() == listed.frozen),
        Phase::Stopped { reason } => !listed.running && reason != StopReason::Lost,
        _ => false,
    };
    as_known && listed.name == known.name
}
