//! One transition: decided by `model`, written down, published, and only then acted on.

use super::Supervisor;
use super::calls::Hindrance;
use crate::clock::Reading;
use crate::handle::{Answer, CommandError, Rendered, View};
use crate::starts::Priority;
use crate::store::Change;
use crate::{check_in, measures};
use model::{
    Cause, Container, Effect, Ending, Input, Observation, Phase, Reach, StopReason, Timestamp, step,
};
use std::sync::Arc;

impl Supervisor {
    /// Something that has happened already: it is acted on even where it cannot be written down.
    pub(super) async fn fact(&mut self, input: Input) {
        let because = Cause::of(&input);
        self.fact_because(input, because).await;
    }

    /// The same, where whoever asks says why.
    pub(super) async fn fact_because(&mut self, input: Input, because: Option<Cause>) {
        if let Err(error) = self.advance_because(input, because).await {
            tracing::error!(container = %self.name(), error = %crate::chain(&error), "cannot save what happened");
            self.shared.journal.note(&self.container);
        }
    }

    /// One transition: decided, written down, published, acted on. On an error nothing has changed, except by a fact.
    pub(super) async fn advance(&mut self, input: Input) -> Result<(), CommandError> {
        let because = Cause::of(&input);
        self.advance_because(input, because).await
    }

    pub(super) async fn advance_because(
        &mut self,
        input: Input,
        because: Option<Cause>,
    ) -> Result<(), CommandError> {
        let now = self.catch_up();
        let must_be_saved = matches!(
            input,
            Input::Start | Input::Stop | Input::Delete | Input::PolicySaid(_) | Input::Expired
        ) || self.is_first_start(&input);
        let is_minor = is_minor(&input);
        let is_made_again = matches!(input, Input::Look(_) | Input::Observed(_) | Input::Wake(_));
        let (next, effect) = step(&self.container, input, now, &self.shared.policy.of(&self.container));
        if next == *self.container && effect.is_none() {
            return Ok(());
        }
        let next = Arc::new(next);
        let is_minor = is_minor || (is_made_again && !moves_on(&self.container, &next));
        let saved = if is_minor { self.note(&next) } else { self.save(&next).await };
        if must_be_saved {
            saved.clone()?;
        }
        self.is_because(because, &next, effect);
        self.move_to(next);
        if let Some(effect) = effect {
            self.act(effect);
        }
        saved
    }

    /// What time it is, on the clock that the container's times are of: after a jump they follow before anything is decided.
    pub(super) fn catch_up(&mut self) -> Timestamp {
        let Reading { now, jumped } = self.shared.clock.read();
        let by = jumped - std::mem::replace(&mut self.jumped, jumped);
        if by != 0 {
            let policy = self.shared.policy.of(&self.container);
            let (next, _) = step(&self.container, Input::ClockShifted(by), now, &policy);
            let next = Arc::new(next);
            self.shared.journal.note(&next);
            self.move_to(next);
        }
        now
    }

    /// Its create is about to be acknowledged: only what is on disk may be.
    pub(super) fn is_first_start(&self, input: &Input) -> bool {
        let runs = matches!(input, Input::Started | Input::Resumed(Observation::Running { .. }));
        runs && matches!(self.container.phase, Phase::Starting { first: true, .. })
    }

    /// A first start that cannot be saved is undone: after a crash nothing would know what its owner was told.
    pub(super) async fn first_started(&mut self, input: Input) {
        if let Err(error) = self.advance(input).await {
            let why = crate::chain(&error);
            self.waiting.drain(..).for_each(|answer| reply(answer, Err(error.clone())));
            self.fact(Input::StartFailed(why)).await;
        }
    }

    fn note(&self, next: &Arc<Container>) -> Result<(), CommandError> {
        self.shared.journal.note(next);
        Ok(())
    }

    async fn save(&self, next: &Arc<Container>) -> Result<(), CommandError> {
        let (journal, ledger) = (&self.shared.journal, &self.shared.ledger);
        let saved = if next.phase == Phase::Gone {
            // In one write: a crash between the two would hand out at once what must rest.
            ledger.give_back(next, self.shared.clock.now());
            journal.commit_as_of_now(|| vec![Change::of(next), ledger.trails()]).await
        } else {
            journal.commit(vec![Change::of(next)]).await
        };
        saved.map_err(CommandError::Store)
    }

    fn move_to(&mut self, next: Arc<Container>) {
        let before = std::mem::replace(&mut self.container, next);
        let (was, is) = (before.phase.status(), self.container.phase.status());
        self.tell(&before);
        if was != is || before.container_id != self.container.container_id {
            self.ending = Ending::ByItself;
            self.calls.outdate();
            let (cause, failure) =
                (self.container.phase.cause().map(StopReason::as_str), self.container.failure.as_deref());
            tracing::info!(container = %self.name(), image = %self.container.image, from = was.as_str(),
                to = is.as_str(), cause, failure, "transition");
            measures::transition(was, &self.container.phase);
        }
        if matches!(self.container.phase, Phase::Running { .. })
            && !matches!(before.phase, Phase::Running { .. })
        {
            self.moved_at_look = self.handle.traffic().moved();
            self.ask_whether_ready();
            check_in::try_once(&self.shared, &self.container);
        }
        self.sleep_moved(&before.phase);
        self.ports.reach(self.reach());
        self.publish();
        self.answer_sleepers();
        self.shared.registry.reenter(&self.handle, &before, &self.container);
        self.answer_waiting();
    }

    /// Some applications accept connections before they can serve: their policy or their image says how to ask.
    fn ask_whether_ready(&mut self) {
        let policy = self.policy();
        if let (Some(ready), Some(body)) = (self.container.readiness(&policy), &self.container.engine_id) {
            self.ready = false;
            let at = (Arc::clone(&self.container), policy);
            self.calls.ask_whether_ready(body.clone(), at, ready);
        }
    }

    /// What a connection meets now.
    pub(super) fn reach(&self) -> Reach {
        match self.container.phase.reach(self.policy().wake) {
            Reach::Forward if !self.ready => Reach::Hold,
            other => other,
        }
    }

    pub(super) fn publish(&mut self) {
        let policy = self.policy();
        self.handle.traffic().follow(&policy);
        self.handle.publish(View {
            container: Arc::clone(&self.container),
            policy,
            kept: self.sleeper.kept,
            kept_at: self.sleeper.kept_at,
            beside: self.sleeper.beside.clone(),
            frozen_at: self.sleeper.frozen_at,
            restarts_at: self.restarts_at(),
            ports_missing: self.ports.missing(),
            moved_at_look: self.moved_at_look,
            traffic: Arc::clone(self.handle.traffic()),
            rendered: Rendered::default(),
        });
    }

    fn act(&mut self, effect: Effect) {
        let body = self.container.engine_id.clone();
        // Whoever commands does not wait until the engine was asked what became of it: from here on, this call tells.
        self.resumed = true;
        match effect {
            Effect::Start => self.calls.start(body, self.container.address, self.priority()),
            Effect::Stop => self.calls.stop(body),
            Effect::Freeze | Effect::Breathe(_) | Effect::EndFreeze | Effect::Thaw(_) => {
                self.act_on_sleep(effect, body)
            }
            Effect::Remove => self.calls.remove(body, self.container.key.clone()),
        }
    }

    fn priority(&self) -> Priority {
        match self.container.phase {
            _ if self.waiting.is_empty() && !self.is_awaited() => Priority::Background,
            Phase::Starting { first: true, .. } => Priority::Create,
            _ => Priority::Start,
        }
    }

    pub(super) fn answer_when_settled(&mut self, answer: Answer) {
        self.waiting.push(answer);
        self.answer_waiting();
    }

    fn answer_waiting(&mut self) {
        let runs = matches!(self.container.phase, Phase::Running { .. });
        if !runs && !self.container.phase.is_settled() && !self.container.phase.is_doomed() {
            return;
        }
        let why = self.container.failure.clone();
        let hindered = self.hindrance.as_ref().map(Hindrance::as_error);
        let result = match &self.container.phase {
            Phase::Running { .. } => Ok(self.handle.view()),
            _ if let Some(error) = hindered => Err(error),
            Phase::Stopped { .. } if why.is_none() => Err(CommandError::Overtaken),
            Phase::Stopped { .. } => Err(CommandError::NotStarted(why)),
            _ if why.is_some() => Err(CommandError::NotStarted(why)),
            _ => Err(CommandError::Gone(None)),
        };
        self.waiting.drain(..).for_each(|answer| reply(answer, result.clone()));
    }
}

/// Whether losing it to a crash costs nothing. Of a body just made, the intent on disk says enough: until its owner was
/// told that it runs, a restart takes it away by its labels.
fn is_minor(input: &Input) -> bool {
    matches!(input, Input::Created { .. } | Input::CheckIn(_) | Input::Used(_) | Input::PolicyChanged)
        || is_of_sleep(input)
}

/// How deep it sleeps, a restart sees.
fn is_of_sleep(input: &Input) -> bool {
    matches!(
        input,
        Input::Freeze
            | Input::Froze(_)
            | Input::Breathe
            | Input::NotFrozen(_)
            | Input::Thawed
            | Input::ThawFailed(_)
    )
}

/// Whether it is more than a next look or another name, which a restart finds again.
fn moves_on(before: &Container, after: &Container) -> bool {
    before.phase.status() != after.phase.status() || before.failure != after.failure
}

/// Whoever asked may have gone away meanwhile; the command is done all the same.
pub(super) fn reply(answer: Answer, result: Result<Arc<View>, CommandError>) {
    drop(answer.send(result));
}
