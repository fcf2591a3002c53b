//! The task that owns one container: it takes commands, results of engine calls and its own clock, lets `model` decide,
//! writes the decision down, publishes it, and only then acts on it.
//!
//! No lock, no race: a stop and a start are two messages in one queue. The task ends when the container is gone, or when
//! the program ends; what is under way then is taken up again at the next start.

mod calls;
mod ports;

use crate::control::Shared;
use crate::handle::{Answer, Command, CommandError, Handle, View};
use crate::starts::Priority;
use crate::store::Change;
use crate::{Traffic, check_in, handle};
use calls::Calls;
use engine::ContainerSpec;
use model::{Container, Effect, Evidence, Input, Observation, Phase, Reach, step};
use ports::Ports;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

/// How its life with us begins.
pub(crate) enum Beginning {
    /// The intent is on disk: make it and start it. Answered once it runs.
    Create(Box<ContainerSpec>, Answer),
    /// It was in the store; the engine is asked what became of it.
    Restore,
}

pub(crate) struct Supervisor {
    shared: Arc<Shared>,
    container: Container,
    handle: Handle,
    commands: mpsc::Receiver<Command>,
    views: watch::Sender<Arc<View>>,
    ports: Ports,
    calls: Calls,
    waiting: Vec<Answer>,
    moved_at_look: u64,
    killed_by_hand: bool,
    resumed: bool,
    /// Its application can serve, as far as its image lets us ask.
    ready: bool,
}

impl Supervisor {
    /// Enters the container into the registry and starts its task.
    pub(crate) fn spawn(shared: Arc<Shared>, container: Container, beginning: Beginning) -> Handle {
        let traffic = Arc::new(Traffic::default());
        let ports = Ports::new(&container, &shared.endpoints, &traffic);
        let (views, latest) = watch::channel(Arc::new(View {
            container: container.clone(),
            policy: shared.settings.policy,
            ports_missing: ports.missing(),
            moved_at_look: 0,
            traffic: Arc::clone(&traffic),
        }));
        let (sender, commands) = mpsc::channel(handle::COMMANDS);
        let handle = Handle { key: container.key.clone(), views: latest, commands: sender, traffic };
        shared.registry.enter(&handle);
        let calls = Calls::new(Arc::clone(&shared));
        let resumed = matches!(beginning, Beginning::Create(..));
        let supervisor = Self {
            container,
            handle: handle.clone(),
            commands,
            views,
            ports,
            calls,
            waiting: Vec::new(),
            moved_at_look: 0,
            killed_by_hand: false,
            resumed,
            ready: true,
            shared: Arc::clone(&shared),
        };
        shared.tasks.spawn(supervisor.run(beginning));
        handle
    }

    async fn run(mut self, beginning: Beginning) {
        let ending = self.shared.ending.clone();
        if let Beginning::Create(spec, answer) = beginning {
            self.waiting.push(answer);
            self.calls.create(*spec);
        }
        while self.container.phase != Phase::Gone {
            let look = self.next_look();
            tokio::select! {
                biased;
                () = ending.cancelled() => return self.pause(),
                result = self.calls.result() => self.take_result(result).await,
                Some(command) = self.commands.recv() => self.take(command).await,
                () = at(look) => self.look().await,
                () = self.ports.retry() => self.publish(),
            }
        }
        self.leave();
    }

    fn next_look(&self) -> Option<tokio::time::Instant> {
        match &self.container.phase {
            Phase::Running { looks: Some(looks) } if self.resumed => {
                Some(self.shared.clock.instant_of(looks.next))
            }
            _ => None,
        }
    }

    async fn take(&mut self, command: Command) {
        match command {
            Command::Start(answer) => match self.advance(Input::Start).await {
                Ok(()) => self.answer_when_settled(answer),
                Err(error) => reply(answer, Err(error)),
            },
            Command::Stop(answer) => {
                let result = self.advance(Input::Stop).await;
                reply(answer, result.map(|()| self.handle.view()));
            }
            Command::Delete(answer) => {
                let result = self.advance(Input::Delete).await;
                reply(answer, result.map(|()| self.handle.view()));
            }
            Command::CheckIn(value) => self.fact(Input::CheckIn(value)).await,
            Command::Used => self.fact(Input::Used).await,
            Command::Compare(done) => match &self.container.engine_id {
                Some(body) => self.calls.inspect(body.clone(), done),
                None if !self.resumed => self.resume(Observation::Missing).await,
                None => {}
            },
            Command::Killed => self.killed_by_hand = true,
            Command::ClockShifted(by) => self.fact(Input::ClockShifted(by)).await,
        }
    }

    async fn take_result(&mut self, result: calls::Outcome) {
        match result {
            calls::Outcome::Called(input) => self.fact(input).await,
            calls::Outcome::Ready { .. } => {
                self.ready = true;
                self.ports.reach(self.reach());
            }
            calls::Outcome::Inspected { seen, fresh, done } => {
                match seen {
                    Some(seen) if !self.resumed => self.resume(seen).await,
                    Some(seen) if fresh => self.fact(Input::Observed(self.with_hand(seen))).await,
                    _ => {}
                }
                drop(done);
            }
        }
    }

    /// The first thing that is known of it since the daemon came up.
    async fn resume(&mut self, seen: Observation) {
        self.resumed = true;
        self.fact(Input::Resumed(seen)).await;
        self.ports.reach(self.reach());
        self.publish();
    }

    /// An inspect cannot tell who ended it; the events before it could.
    fn with_hand(&self, seen: Observation) -> Observation {
        match seen {
            Observation::Exited { name, code, out_of_memory, .. } => {
                Observation::Exited { name, code, out_of_memory, by_hand: self.killed_by_hand }
            }
            other => other,
        }
    }

    /// The clock may have been set back a little since the timer was: a look before its time would forget what moved.
    async fn look(&mut self) {
        let due = matches!(&self.container.phase, Phase::Running { looks: Some(looks) } if looks.next <= self.shared.clock.now());
        if !due {
            return;
        }
        let moved = self.handle.traffic.moved();
        let evidence = Evidence {
            checked_in: self.container.check_in != model::container::NO_CHECK_IN,
            used: moved != self.moved_at_look,
            connections: self.handle.traffic.connections(),
        };
        self.moved_at_look = moved;
        self.fact(Input::Look(evidence)).await;
    }

    /// Something that has happened already: it is acted on even where it cannot be written down.
    async fn fact(&mut self, input: Input) {
        if let Err(error) = self.advance(input).await {
            tracing::error!(container = %self.name(), error = %crate::chain(&error), "cannot save what happened");
            self.shared.journal.note(self.container.clone());
        }
    }

    /// One transition: decided, written down, published, acted on. On an error nothing has changed, except by a fact.
    async fn advance(&mut self, input: Input) -> Result<(), CommandError> {
        let now = self.shared.clock.now();
        let is_command = matches!(input, Input::Start | Input::Stop | Input::Delete);
        let is_minor = is_minor(&input);
        let (next, effect) = step(&self.container, input, now, &self.shared.settings.policy);
        if next == self.container && effect.is_none() {
            return Ok(());
        }
        let saved = if is_minor { self.note(&next) } else { self.save(&next).await };
        if is_command {
            saved.clone()?;
        }
        self.become_(next);
        if let Some(effect) = effect {
            self.act(effect);
        }
        saved
    }

    fn note(&self, next: &Container) -> Result<(), CommandError> {
        self.shared.journal.note(next.clone());
        Ok(())
    }

    async fn save(&self, next: &Container) -> Result<(), CommandError> {
        let changes = if next.phase == Phase::Gone {
            vec![Change::Forget(next.key.clone())]
        } else {
            vec![Change::Put(Box::new(next.clone()))]
        };
        self.shared.journal.commit(changes).await.map_err(CommandError::Store)
    }

    fn become_(&mut self, next: Container) {
        let before = std::mem::replace(&mut self.container, next);
        let (was, is) = (before.phase.status(), self.container.phase.status());
        if was != is || before.container_id != self.container.container_id {
            self.killed_by_hand = false;
            self.calls.outdate();
            let failure = self.container.failure.as_deref();
            tracing::info!(container = %self.name(), image = %self.container.image, from = was.as_str(),
                to = is.as_str(), failure, "transition");
        }
        if matches!(self.container.phase, Phase::Running { .. })
            && !matches!(before.phase, Phase::Running { .. })
        {
            self.moved_at_look = self.handle.traffic.moved();
            self.ask_whether_ready();
            check_in::try_once(&self.shared, &self.container);
        }
        self.ports.reach(self.reach());
        self.publish();
        self.answer_waiting();
    }

    /// Some applications accept connections before they can serve: their image says how to ask.
    fn ask_whether_ready(&mut self) {
        if let (Some(command), Some(body)) = (&self.container.ready, &self.container.engine_id) {
            self.ready = false;
            self.calls.ask_whether_ready(body.clone(), command.clone());
        }
    }

    /// What a connection meets now.
    fn reach(&self) -> Reach {
        match self.container.phase.reach() {
            Reach::Forward if !self.ready => Reach::Hold,
            other => other,
        }
    }

    fn publish(&mut self) {
        let newborn = self.handle.view().container.container_id != self.container.container_id;
        self.views.send_replace(Arc::new(View {
            container: self.container.clone(),
            policy: self.shared.settings.policy,
            ports_missing: self.ports.missing(),
            moved_at_look: self.moved_at_look,
            traffic: Arc::clone(&self.handle.traffic),
        }));
        if newborn {
            self.shared.registry.enter(&self.handle);
        }
    }

    fn act(&mut self, effect: Effect) {
        let body = self.container.engine_id.clone();
        match effect {
            Effect::Start => self.calls.start(body, self.priority()),
            Effect::Stop => self.calls.stop(body),
            Effect::Remove => self.calls.remove(body, self.container.key.clone()),
        }
    }

    fn priority(&self) -> Priority {
        match self.container.phase {
            _ if self.waiting.is_empty() => Priority::Background,
            Phase::Starting { first: true, .. } => Priority::Create,
            _ => Priority::Start,
        }
    }

    fn answer_when_settled(&mut self, answer: Answer) {
        self.waiting.push(answer);
        self.answer_waiting();
    }

    fn answer_waiting(&mut self) {
        if !self.container.phase.is_settled() && !self.container.phase.is_doomed() {
            return;
        }
        let why = self.container.failure.clone();
        let result = match &self.container.phase {
            Phase::Running { .. } => Ok(self.handle.view()),
            Phase::Stopped { .. } if why.is_none() => Err(CommandError::Overtaken),
            Phase::Stopped { .. } => Err(CommandError::NotStarted(why)),
            _ if why.is_some() => Err(CommandError::NotStarted(why)),
            _ => Err(CommandError::Gone(None)),
        };
        self.waiting.drain(..).for_each(|answer| reply(answer, result.clone()));
    }

    /// The program ends: a use that no look has seen yet is not forgotten.
    fn pause(&self) {
        if self.handle.view().used() {
            let (next, _) =
                step(&self.container, Input::Used, self.shared.clock.now(), &self.shared.settings.policy);
            self.shared.journal.note(next);
        }
    }

    /// The container is no more: its ports and its address rest, and nobody finds it.
    fn leave(&mut self) {
        self.turn_away();
        self.shared.registry.forget(&self.container.key);
        let ports: Vec<u16> = self.container.host_ports().collect();
        self.shared.ledger.give_back(&ports, self.container.address, self.shared.clock.now());
        let shared = Arc::clone(&self.shared);
        self.shared.tasks.spawn(async move {
            if let Err(error) = shared.journal.commit(vec![shared.ledger.trails()]).await {
                tracing::warn!(error = %crate::chain(error.as_ref()), "cannot save which ports rest");
            }
        });
    }

    fn turn_away(&mut self) {
        self.commands.close();
        while let Ok(command) = self.commands.try_recv() {
            if let Command::Start(answer) | Command::Stop(answer) | Command::Delete(answer) = command {
                reply(answer, Err(CommandError::Gone(None)));
            }
        }
    }

    fn name(&self) -> &str {
        match self.container.name.as_str() {
            "" => self.container.key.as_str(),
            name => name,
        }
    }
}

/// Whether losing it to a crash costs nothing. Of a body just made, the intent on disk says enough: until its owner was
/// told that it runs, a restart takes it away by its labels.
fn is_minor(input: &Input) -> bool {
    matches!(input, Input::Created { .. } | Input::CheckIn(_) | Input::Used | Input::ClockShifted(_))
}

/// Whoever asked may have gone away meanwhile; the command is done all the same.
fn reply(answer: Answer, result: Result<Arc<View>, CommandError>) {
    drop(answer.send(result));
}

async fn at(instant: Option<tokio::time::Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

pub(crate) type Done = Option<oneshot::Sender<()>>;
