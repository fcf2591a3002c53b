//! The task that owns one container: it takes commands, results of engine calls and its own clock, and makes transitions of
//! them.
//!
//! No lock, no race: a stop and a start are two messages in one queue. The task ends when the container is gone, or when
//! the program ends; what is under way then is taken up again at the next start.

mod breath;
mod calls;
mod compare;
mod crashes;
mod expiry;
mod freezing;
mod inside;
mod ports;
mod readiness;
mod sleep;
mod tell;
mod transition;
mod turn;
mod used;
mod waking;

use crate::control::Shared;
use crate::doorbell::Peephole;
use crate::handle::{Answer, Command, CommandError, Handle, Need, Rendered, View};
use crate::mailbox::{self, Mailbox};
use crate::{Traffic, Wake};
use calls::{Calls, Hindrance};
use engine::ContainerSpec;
use expiry::Expiring;
use model::{Cause, Container, Ending, Evidence, IdlePolicy, Input, Phase, Timestamp, step};
use ports::Ports;
use sleep::Sleeper;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use transition::reply;
pub(crate) use waking::WakeAnswer;

/// How its life with us begins.
pub(crate) enum Beginning {
    /// The intent is on disk: make it and start it. Answered once it runs.
    Create(Box<ContainerSpec>, Answer),
    /// It was in the store; the engine is asked what became of it.
    Restore,
}

pub(crate) struct Supervisor {
    shared: Arc<Shared>,
    container: Arc<Container>,
    handle: Handle,
    commands: mailbox::Receiver,
    ports: Ports,
    calls: Calls,
    waiting: Vec<Answer>,
    moved_at_look: u64,
    /// How far the clock had jumped when its times were last made to follow.
    jumped: i64,
    /// What the last engine call of ours met.
    hindrance: Option<Hindrance>,
    /// What its next end counts as, as far as the events tell.
    ending: Ending,
    resumed: bool,
    /// A look at the engine's side is owed: the last one failed or told old news, or came during a call of ours.
    owes_look: bool,
    /// When to look again after one that failed.
    look_again: Option<tokio::time::Instant>,
    sleeper: Sleeper,
    /// What began what is under way.
    because: Option<Box<Cause>>,
    expiring: Option<Box<Expiring>>,
    /// Its application can serve, as far as its image lets us ask.
    ready: bool,
}

impl Supervisor {
    /// Enters the container into the registry and starts its task.
    pub(crate) fn spawn(shared: Arc<Shared>, container: Arc<Container>, beginning: Beginning) -> Handle {
        let traffic = Arc::new(Traffic::of(&container.key, &shared.in_use));
        let (mailbox, commands) = Mailbox::new();
        let wake: Arc<dyn Wake> = match container.is_published() {
            true => Arc::new(Peephole::new(&mailbox, &container.key, &shared)),
            false => Arc::clone(&mailbox) as _,
        };
        let ports = Ports::new(&container, &shared.endpoints, &traffic, &wake);
        let view = View {
            container: Arc::clone(&container),
            policy: shared.policy.of(&container),
            kept: None,
            kept_at: Timestamp::default(),
            restarts_at: None,
            frozen_at: None,
            ports_missing: ports.missing(),
            moved_at_look: 0,
            traffic,
            rendered: Rendered::default(),
        };
        let handle = Handle::new(view, mailbox);
        shared.registry.enter(&handle);
        let calls = Calls::new(Arc::clone(&shared));
        let resumed = matches!(beginning, Beginning::Create(..));
        let supervisor = Box::new(Self {
            container,
            handle: handle.clone(),
            commands,
            ports,
            calls,
            waiting: Vec::new(),
            moved_at_look: 0,
            jumped: shared.clock.read().jumped,
            hindrance: None,
            ending: Ending::ByItself,
            resumed,
            owes_look: false,
            look_again: None,
            sleeper: Sleeper::default(),
            because: None,
            expiring: None,
            ready: true,
            shared: Arc::clone(&shared),
        });
        shared.tasks.spawn(supervisor.run(beginning));
        handle
    }

    /// What is seldom under way is boxed: nearly all containers do nothing nearly always, and there may be very many.
    async fn run(mut self: Box<Self>, beginning: Beginning) {
        let ending = self.shared.ending.clone();
        if let Beginning::Create(spec, answer) = beginning {
            self.waiting.push(answer);
            self.calls.create(*spec);
        }
        while self.container.phase != Phase::Gone {
            let due =
                self.next_look().into_iter().chain(self.sleeper.check_at).chain(self.next_expiry()).min();
            tokio::select! {
                biased;
                () = ending.cancelled() => return Box::pin(self.pause()).await,
                result = self.calls.result() => Box::pin(self.take_result(result)).await,
                command = self.commands.recv() => Box::pin(self.take(command)).await,
                () = at(due) => Box::pin(self.come_due()).await,
                () = at(self.look_again) => self.make_up(),
                () = self.ports.retry() => self.publish(),
            }
        }
        self.leave();
    }

    fn next_look(&self) -> Option<tokio::time::Instant> {
        match &self.container.phase {
            Phase::Running { looks: Some(looks), .. } if self.resumed => {
                Some(self.shared.clock.instant_of(looks.next))
            }
            _ => None,
        }
    }

    async fn take(&mut self, command: Command) {
        match command {
            Command::Start(answer) => match self.start().await {
                Ok(()) => self.answer_when_settled(answer),
                Err(error) => reply(answer, Err(error)),
            },
            Command::Stop(answer) => {
                self.remember_last_use().await;
                let result = self.advance(Input::Stop).await;
                reply(answer, result.map(|()| self.handle.view()));
            }
            Command::Delete(answer) => {
                let result = self.advance(Input::Delete).await;
                reply(answer, result.map(|()| self.handle.view()));
            }
            Command::SayPolicy(said) => {
                let (amendment, answer) = *said;
                let said = Input::PolicySaid(amendment);
                let what = Cause::of(&said);
                let result = self.advance(said).await;
                if result.is_ok() {
                    self.policy_said(what);
                    self.policy_changed().await;
                }
                reply(answer, result.map(|()| self.handle.view()));
            }
            Command::CheckIn => self.take_report().await,
            Command::Used => self.used().await,
            Command::Wake(asked) => self.wake(asked.0, asked.1).await,
            Command::GaveUp(told) => self.gave_up(told.0, told.1),
            Command::Freeze(answer) => self.freeze_by_hand(answer).await,
            Command::Thaw(answer) => self.thaw_by_hand(answer).await,
            Command::Pressure => self.fact(Input::Pressure).await,
            Command::Compare(done) => self.compare(done).await,
            Command::Listed(told) => {
                let (listed, done) = *told;
                self.listed(listed, done).await;
            }
            Command::Killed => {
                self.ending = Ending::ByHand;
                self.thaw_because(Cause::Signal).await;
            }
            Command::Needed(Need::Signal) => self.thaw_because(Cause::Signal).await,
            Command::Needed(Need::Exec) => self.thaw_because(Cause::Exec).await,
            Command::StoppedByHand => {
                // An inspect of its end may still be under way.
                self.ending = Ending::ByHand;
                self.remember_last_use().await;
                self.fact(Input::StoppedByHand).await;
            }
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

    async fn take_result(&mut self, result: calls::Outcome) {
        match result {
            calls::Outcome::Called { input, hindrance } => {
                self.hindrance = hindrance;
                self.called(input).await;
            }
            calls::Outcome::CreateUnanswered { why, hindrance } => {
                self.hindrance = hindrance;
                self.calls.expect_late_body();
                self.fact(Input::CreateFailed(why)).await;
            }
            calls::Outcome::Ready { .. } => {
                self.ready = true;
                self.ports.reach(self.reach());
                // A port that was missing may be there now.
                self.publish();
                self.answer_sleepers();
                self.check_in(Duration::ZERO);
            }
            calls::Outcome::Slept { input, .. } => self.slept(input).await,
            calls::Outcome::Breathed { input, cpu, .. } => self.breathed(input, cpu).await,
            calls::Outcome::LookedInside { found, .. } => self.looked_inside(found).await,
            calls::Outcome::Inspected { seen, fresh, done } => {
                self.compared(seen, fresh).await;
                drop(done);
            }
        }
        self.pay_look();
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

    async fn come_due(&mut self) {
        self.look().await;
        if is_due(self.sleeper.check_at) {
            self.consider().await;
        }
        if is_due(self.next_expiry()) {
            self.expire().await;
        }
    }

    /// The clock may have been set back a little since the timer was: a look before its time would forget what moved.
    async fn look(&mut self) {
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

    /// The program ends: a use that no look has seen yet is not forgotten.
    async fn pause(mut self: Box<Self>) {
        if self.handle.view().used() {
            let now = self.shared.clock.now();
            let (next, _) = step(&self.container, Input::Used(now), now, &self.policy());
            self.shared.journal.note(&Arc::new(next));
        }
        // A freeze that is under way ends here, done or not.
        self.calls.end().await;
        self.leave_awake().await;
    }

    /// The container is no more: its ports and its address rest already, and nobody finds it.
    fn leave(&mut self) {
        self.turn_away();
        self.shared.registry.forget(&self.handle);
        self.shared.ledger.let_go(&self.container);
    }

    fn turn_away(&mut self) {
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

    /// What it lives under.
    fn policy(&self) -> Arc<IdlePolicy> {
        self.shared.policy.of(&self.container)
    }

    fn name(&self) -> &str {
        match self.container.name.as_str() {
            "" => self.container.key.as_str(),
            name => name,
        }
    }
}

fn is_due(instant: Option<tokio::time::Instant>) -> bool {
    instant.is_some_and(|instant| instant <= tokio::time::Instant::now())
}

async fn at(instant: Option<tokio::time::Instant>) {
    match instant {
        Some(instant) => Box::pin(tokio::time::sleep_until(instant)).await,
        None => std::future::pending().await,
    }
}

pub(crate) type Done = Option<oneshot::Sender<()>>;
#[cfg(test)]
mod tests {
    use super::*;

    /// There may be a hundred thousand of them, and nearly all wait.
    #[test]
    fn what_waits_is_small() {
        fn waits<T>(_: fn(Box<Supervisor>, Beginning) -> T) -> usize {
            size_of::<T>()
        }
        assert!(waits(Supervisor::run) <= 512, "{}", waits(Supervisor::run));
        assert!(size_of::<Supervisor>() <= 608, "{}", size_of::<Supervisor>());
        assert_eq!(size_of::<Command>(), 16);
    }
}
