//! What a supervisor is told: commands of persons, of connections and of the engine's events, one at a time.

use super::Supervisor;
use super::transition::reply;
use crate::handle::{Answer, Command, CommandError, Need};
use model::{Amendment, Cause, Ending, Input, Phase};

impl Supervisor {
    pub(super) async fn take(&mut self, command: Command) {
        match command {
            Command::Start(answer) => match self.start().await {
                Ok(()) => self.answer_when_settled(answer),
                Err(error) => reply(answer, Err(error)),
            },
            Command::Stop(answer) => {
                self.remember_last_use().await;
                self.obey(Input::Stop, answer).await;
            }
            Command::Delete(answer) => self.obey(Input::Delete, answer).await,
            Command::SayPolicy(said) => self.say_policy(said.0, said.1).await,
            Command::CheckIn => self.take_report().await,
            Command::Used => self.used().await,
            Command::Wake(asked) => self.wake(asked.0, asked.1).await,
            Command::GaveUp(told) => self.gave_up(told.0, told.1),
            Command::Freeze(answer) => self.freeze_by_hand(answer).await,
            Command::Thaw(answer) => self.thaw_by_hand(answer).await,
            Command::Pressure => self.fact(Input::Pressure).await,
            Command::Compare(done) => self.compare(done).await,
            Command::Listed(told) => self.listed(told.0, told.1).await,
            Command::Killed => self.killed().await,
            Command::Needed(Need::Signal) => self.thaw_because(Cause::Signal).await,
            Command::Needed(Need::Exec) => self.thaw_because(Cause::Exec).await,
            Command::StoppedByHand => self.stopped_by_hand().await,
            Command::Started => {
                self.ending = Ending::ByItself;
                self.compare(None).await;
            }
            Command::Unfollowed => {
                self.ending = Ending::Unseen;
                self.thaw_because(Cause::EventsLost).await;
            }
            Command::ClockJumped => {
                self.catch_up();
            }
            Command::PolicyChanged => self.policy_changed().await,
        }
    }

    /// While the engine is away nothing is begun that it is needed for, and nothing is changed.
    async fn start(&mut self) -> Result<(), CommandError> {
        let stopped = matches!(self.container.phase, Phase::Stopped { .. });
        if stopped && self.shared.reconciler.is_away() {
            return Err(CommandError::EngineAway);
        }
        self.hindrance = None;
        self.advance(Input::Start).await
    }

    /// Whoever commands is told what it came to.
    async fn obey(&mut self, input: Input, answer: Answer) {
        let result = self.advance(input).await;
        reply(answer, result.map(|()| self.handle.view()));
    }

    async fn say_policy(&mut self, amendment: Amendment, answer: Answer) {
        let said = Input::PolicySaid(amendment);
        let what = Cause::of(&said);
        let result = self.advance(said).await;
        if result.is_ok() {
            self.policy_said(what);
            self.policy_changed().await;
        }
        reply(answer, result.map(|()| self.handle.view()));
    }

    async fn policy_changed(&mut self) {
        self.fact(Input::PolicyChanged).await;
        // What wakes it may be another thing.
        self.ports.reach(self.reach());
        self.publish();
        self.consider_anew().await;
    }

    async fn take_report(&mut self) {
        while let Some(value) = self.handle.reported() {
            self.fact(Input::CheckIn(value.clone())).await;
            self.handle.shows(&value);
        }
        self.reported().await;
    }

    async fn killed(&mut self) {
        self.ending = Ending::ByHand;
        self.thaw_because(Cause::Signal).await;
    }

    /// An inspect of its end may still be under way.
    async fn stopped_by_hand(&mut self) {
        self.ending = Ending::ByHand;
        self.remember_last_use().await;
        self.fact(Input::StoppedByHand).await;
    }

    /// Nobody takes commands any more.
    pub(super) fn turn_away(&mut self) {
        self.commands.close();
        while let Some(command) = self.commands.try_recv() {
            match command {
                Command::Start(answer)
                | Command::Stop(answer)
                | Command::Delete(answer)
                | Command::Freeze(answer)
                | Command::Thaw(answer) => reply(answer, Err(CommandError::Gone(None))),
                Command::SayPolicy(said) => reply(said.1, Err(CommandError::Gone(None))),
                // Who wants it awake sees that the answer is dropped.
                _ => {}
            }
        }
    }
}
