//! The task that owns one container: it takes commands, results of engine calls and its own clock, and makes transitions of
//! them.
//!
//! No lock, no race: a stop and a start are two messages in one queue. The task ends when the container is gone, or when
//! the program ends; what is under way then is taken up again at the next start.

mod breath;
mod calls;
mod commands;
mod compare;
mod crashes;
mod expiry;
mod freezing;
mod inside;
mod looks;
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
use crate::handle::{Answer, Handle, Rendered, View};
use crate::mailbox::{self, Mailbox};
use crate::{Traffic, Wake};
use calls::{Calls, Hindrance};
use engine::ContainerSpec;
use expiry::Expiring;
use model::{Cause, Container, Ending, IdlePolicy, Input, Phase, Timestamp, step};
use ports::Ports;
use sleep::Sleeper;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
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
            beside: None,
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

    async fn come_due(&mut self) {
        self.look().await;
        if is_due(self.sleeper.check_at) {
            self.consider().await;
        }
        if is_due(self.next_expiry()) {
            self.expire().await;
        }
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
    use crate::handle::Command;

    /// There may be a hundred thousand of them, and nearly all wait.
    #[test]
    fn what_waits_is_small() {
        fn waits<T>(_: fn(Box<Supervisor>, Beginning) -> T) -> usize {
            size_of::<T>()
        }
        assert!(waits(Supervisor::run) <= 512, "{}", waits(Supervisor::run));
        assert!(size_of::<Supervisor>() <= 616, "{}", size_of::<Supervisor>());
        assert_eq!(size_of::<Command>(), 16);
    }
}
