//! What a supervisor tells of its container: each transition with its cause, and what is none and worth knowing all the same.

use super::Supervisor;
use crate::endpoints::{Caller, GaveUp, WakeError};
use engine::{EngineError, Socket, SocketKind};
use model::{
    Awake, Beside, Cause, Container, Counts, Effect, Event, EventKind, Keeper, Observation, Phase, Refusal,
    Timestamp,
};
use std::sync::Arc;

impl Supervisor {
    /// What is about to begin has this cause. A step on the way keeps the one that it began with.
    pub(super) fn is_because(&mut self, cause: Option<Cause>, next: &Container, effect: Option<Effect>) {
        let moves = standing(&self.container.phase) != standing(&next.phase);
        // What is only taken up again was begun by somebody else.
        let begins = moves || (effect.is_some() && cause != Some(Cause::Found));
        if begins && cause.is_some() {
            self.because = cause.map(Box::new);
        }
    }

    /// A transition was made.
    pub(super) fn tell(&mut self, before: &Container) {
        let (now, because) = (self.shared.clock.now(), self.because.as_deref());
        if let Some(event) = Event::of_transition(before, &self.container, now, because) {
            self.shared.events.record(event);
        }
        if self.container.phase.is_settled() {
            self.because = None;
        }
    }

    pub(super) fn event(&self, kind: EventKind, cause: Cause) -> Event {
        Event::of(&self.container, self.shared.clock.now(), kind, Some(cause))
    }

    pub(super) fn policy_said(&self, cause: Option<Cause>) {
        cause
            .into_iter()
            .for_each(|cause| self.shared.events.record(self.event(EventKind::PolicyChanged, cause)));
    }

    /// Why nothing keeps it awake.
    pub(super) fn what_is_quiet(&self) -> Cause {
        let (now, policy) = (self.shared.clock.now(), self.policy());
        let seconds = now.since(self.container.last_activity).as_secs();
        let moved = self.handle.traffic().moved_at().map(|at| at.elapsed().as_secs());
        match policy.activity {
            Counts::CheckIn => Cause::NoReports { seconds },
            _ if moved.is_some_and(|ago| ago + 1 < seconds) => Cause::KeepAlives { seconds },
            _ => Cause::NoBytes { seconds },
        }
    }

    /// This is what keeps it awake from now on. A client that has waited for too long does so no more.
    pub(super) fn gives_up(&mut self, kept: Option<Awake>) {
        let is_owed = |kept: Option<Awake>| kept.is_some_and(|kept| kept.by == Keeper::Owed);
        if !is_owed(self.sleeper.kept) || is_owed(kept) {
            return;
        }
        let waiting = self.handle.traffic().owed().map(|flow| (flow.peer, flow.moved_at.elapsed()));
        if let Some((peer, waited)) = waiting.filter(|(_, waited)| *waited >= self.policy().owed_for) {
            self.sleeper.kept = None;
            let cause = Cause::Owed { peer, seconds: waited.as_secs() };
            self.shared.events.record(self.event(EventKind::GaveUp, cause));
        }
    }

    /// The same of those beside the gateway, of whom only the kernel tells, whatever else keeps it awake.
    pub(super) fn gives_up_beside(&mut self, waits: Option<Beside>, now: Timestamp) {
        let policy = self.policy();
        let counts = waits.filter(|beside| beside.counts(now, &policy)).map(Box::new);
        let gives_up = self.sleeper.beside.is_some() && counts.is_none();
        self.sleeper.beside = counts;
        if let Some(Beside { peer, since }) = waits.filter(|_| gives_up) {
            let cause = Cause::OwedBeside { peer, seconds: now.since(since).as_secs() };
            self.shared.events.record(self.event(EventKind::GaveUp, cause));
        }
    }

    /// A connection does not wake it.
    pub(super) fn refused(&self, caller: Caller, error: &WakeError) {
        self.refuse(
            caller,
            match *error {
                WakeError::NotByYou => Refusal::NotAllowed,
                WakeError::Asleep => Refusal::Asleep,
                WakeError::EngineAway => Refusal::EngineAway,
                WakeError::TooSoon { times, seconds } => Refusal::TooSoon { times, seconds },
                // What failed has been told, and whoever comes to one that is gone is nobody's.
                WakeError::NotStarted(_) | WakeError::NotThawed(_) | WakeError::Gone | WakeError::Busy => {
                    return;
                }
            },
        );
    }

    fn refuse(&self, caller: Caller, why: Refusal) {
        self.shared.events.record_sparingly(self.refusal(caller, why));
    }

    fn refusal(&self, Caller { peer, port }: Caller, why: Refusal) -> Event {
        self.event(EventKind::Refused, Cause::Refusal { peer, port, why })
    }

    /// The gateway closed a connection unserved.
    pub(super) fn gave_up(&self, caller: Caller, why: GaveUp) {
        let event = self.refusal(
            caller,
            match why {
                GaveUp::NotAllowed => Refusal::NotAllowed,
                GaveUp::NotAwake(waited) => Refusal::Late { seconds: waited.as_secs() },
                GaveUp::OutOfPorts => Refusal::OutOfPorts,
                GaveUp::NotAccepted(waited) => Refusal::NotAccepted { seconds: waited.as_secs() },
                GaveUp::Closed => Refusal::Closed,
            },
        );
        // However many find nobody, the engine is asked once for all that are told together.
        let is_news = !self.shared.events.was_just_told(&event);
        match why {
            // Or it has just ended, which is told by itself.
            GaveUp::Closed if is_news => self.ask_where_it_listens(caller.port, Some(event)),
            GaveUp::NotAccepted(_) if is_news => {
                self.shared.events.record_sparingly(event);
                self.ask_where_it_listens(caller.port, None);
            }
            _ => self.shared.events.record_sparingly(event),
        }
    }

    /// The commonest reason: its application is bound to its own loopback, where nobody outside reaches it. What is `refused` is told
    /// if it runs.
    fn ask_where_it_listens(&self, port: u16, refused: Option<Event>) {
        let Some(body) = self.container.engine_id.clone() else { return };
        let event = self.event(EventKind::Unreachable, Cause::OnlyInside { port });
        let shared = Arc::clone(&self.shared);
        self.shared.tasks.spawn(async move {
            let asked = async {
                let runs = matches!(shared.engine.inspect(&body).await?, Observation::Running { .. });
                Ok::<_, EngineError>(if runs {
                    shared.engine.sockets(&body).await?.or(Some(vec![]))
                } else {
                    None
                })
            };
            match asked.await {
                Ok(Some(sockets)) => {
                    refused.into_iter().for_each(|event| shared.events.record_sparingly(event));
                    if listens_only_inside(&sockets, port) {
                        shared.events.record_sparingly(event);
                    }
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::debug!(%body, error = %crate::chain(&error), "cannot tell where it listens")
                }
            }
        });
    }
}

/// Where a container stands, its looks apart.
pub(super) fn standing(phase: &Phase) -> Phase {
    match phase {
        Phase::Running { sleep, .. } => Phase::Running { looks: None, sleep: *sleep },
        other => other.clone(),
    }
}

fn listens_only_inside(sockets: &[Socket], port: u16) -> bool {
    let mut at_port = sockets
        .iter()
        .filter(|socket| socket.kind == SocketKind::Listening && socket.local.port() == port)
        .peekable();
    at_port.peek().is_some() && at_port.all(|socket| socket.local.ip().to_canonical().is_loopback())
}
