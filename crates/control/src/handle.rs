//! What everybody else holds of a container: its latest view, and the way to its supervisor.

use crate::Traffic;
use crate::endpoints::{Caller, GaveUp};
use crate::flow::Shown;
use crate::mailbox::{Mailbox, NotTaken};
use crate::pulse::USE_RECORDED_EVERY;
use crate::room::NoRoom;
use crate::store::StoreError;
use crate::supervisor::WakeAnswer;
use bytes::Bytes;
use engine::Listed;
use model::container::NO_CHECK_IN;
use model::{Amendment, Awake, Beside, Container, Depth, IdlePolicy, Key, Phase, Status, Timestamp};
use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use tokio::sync::oneshot;
use tokio::time::Instant;

/// A container, to look at and to command. Clones are cheap and stay valid when it is gone.
#[derive(Clone, Debug)]
pub struct Handle(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    key: Key,
    view: RwLock<Arc<View>>,
    mailbox: Arc<Mailbox>,
    traffic: Arc<Traffic>,
    /// The last report, until it shows in the view.
    report: Mutex<Option<Box<str>>>,
}

/// A container as its supervisor last published it.
#[derive(Debug)]
pub struct View {
    /// The container itself, which its supervisor shares.
    pub container: Arc<Container>,
    /// The policy that it lives under.
    pub policy: Arc<IdlePolicy>,
    /// What keeps it awake, as far as that was looked at.
    pub kept: Option<Awake>,
    /// When that was looked at last.
    pub kept_at: Timestamp,
    /// The client beside the gateway that was found to wait for an answer by then.
    pub beside: Option<Box<Beside>>,
    /// Since when it is frozen, if it is.
    pub frozen_at: Option<Timestamp>,
    /// Until when no connection starts it, since it ended by itself too often, and how often that was.
    pub restarts_at: Option<(Timestamp, u32)>,
    /// Its host ports that cannot be had at the moment.
    pub ports_missing: Vec<MissingPort>,
    /// Where [`Traffic::moved`] stood at the last look.
    pub(crate) moved_at_look: u64,
    pub(crate) traffic: Arc<Traffic>,
    pub(crate) rendered: Rendered,
}

/// A host port of a container's that cannot be had at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingPort {
    /// Which one.
    pub port: u16,
    /// What the system says; nothing where another program holds it.
    pub why: Option<String>,
    /// Since when.
    pub since: Instant,
}

impl std::fmt::Display for MissingPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let port = self.port;
        match &self.why {
            None => {
                write!(
                    f,
                    "another program, or a connection of one, holds port {port} of the host; it is taken as soon as it is free"
                )
            }
            Some(why) => {
                write!(f, "port {port} of the host cannot be had ({why}); it is tried again each second")
            }
        }
    }
}

/// What a reader wrote of a view, kept with it: views are read far more often than they change.
#[derive(Debug, Default)]
pub(crate) struct Rendered(Mutex<Option<Box<(String, Bytes)>>>);

/// Why a command did not do what it should.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CommandError {
    /// It was removed meanwhile.
    #[error("the container is gone{}", because(.0))]
    Gone(Option<String>),
    /// The program ends; what was asked for may be taken up at the next start.
    #[error("spin-docker is ending")]
    Ending,
    /// The engine could not start it.
    #[error("the container does not start{}", because(.0))]
    NotStarted(Option<String>),
    /// The engine is away, and has to be there for this.
    #[error("the engine does not answer; try again once it is back")]
    EngineAway,
    /// The engine's disk is full.
    #[error("the disk of the engine is full; free some space there, as `docker system df` shows")]
    EngineFull,
    /// Another start would leave too little memory or disk.
    #[error(transparent)]
    NoRoom(NoRoom),
    /// Only what runs freezes and thaws.
    #[error(
        "the container does not run, so it can neither freeze nor thaw; start it by PATCH with status=running"
    )]
    NotRunning,
    /// It did not freeze, or not thaw.
    #[error("the container is {}, not as asked{}", .0.as_str(), because(.1))]
    NotSo(Depth, Option<String>),
    /// Another command overtook this one.
    #[error("the container was stopped by another request meanwhile")]
    Overtaken,
    /// Nothing was changed, since it could not be written down.
    #[error("the state could not be saved")]
    Store(#[source] Arc<StoreError>),
    /// Too many commands wait for this container, or the program is ending.
    #[error("the container has too many requests waiting")]
    Busy,
}

fn because(why: &Option<String>) -> String {
    why.as_ref().map_or_else(String::new, |why| format!(": {why}"))
}

pub(crate) type Answer = oneshot::Sender<Result<Arc<View>, CommandError>>;

/// What a supervisor takes. Small: its mailbox may hold dozens of them, for each container.
#[derive(Debug)]
pub(crate) enum Command {
    /// Answered once it runs.
    Start(Answer),
    /// Answered once the intent is on disk.
    Stop(Answer),
    /// Answered once the intent is on disk.
    Delete(Answer),
    /// Answered once it is frozen, or did not freeze.
    Freeze(Answer),
    /// Answered once it is awake, or did not thaw.
    Thaw(Answer),
    /// A connection wants it awake; answered once it is, or with why it will not be.
    Wake(Box<(Caller, WakeAnswer)>),
    /// A connection was not served.
    GaveUp(Box<(Caller, GaveUp)>),
    /// The host is short of memory: it stops.
    Pressure,
    /// The engine is about to do something to it that a frozen one would not take.
    Needed(Need),
    /// Answered once it is on disk and in force.
    SayPolicy(Box<(Amendment, Answer)>),
    /// It has reported: [`Handle::reported`] says what.
    CheckIn,
    /// Bytes moved, or a connection is open.
    Used,
    /// Compare with the engine; answered when done.
    Compare(Option<oneshot::Sender<()>>),
    /// Compare with a list of the engine's, made since it is followed; answered when done.
    Listed(Box<(Listed, oneshot::Sender<()>)>),
    /// Somebody ends it through the engine.
    Killed,
    /// Somebody has ended it through the engine, or we have.
    StoppedByHand,
    /// The engine started it, by hand or by us: a wish to end it is over.
    Started,
    /// The engine's events broke off: who ends it now is not seen.
    Unfollowed,
    /// Its times are of another clock.
    ClockJumped,
    PolicyChanged,
}

/// What the engine is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    Exec,
    Signal,
}

impl Handle {
    /// To a container that looks like this at first, and whose supervisor takes the commands.
    pub(crate) fn new(view: View, mailbox: Arc<Mailbox>) -> Self {
        let (key, traffic) = (view.container.key.clone(), Arc::clone(&view.traffic));
        Self(Arc::new(Inner {
            key,
            view: RwLock::new(Arc::new(view)),
            mailbox,
            traffic,
            report: Mutex::default(),
        }))
    }

    /// The container's key, for life.
    pub(crate) fn key(&self) -> &Key {
        &self.0.key
    }

    /// What goes through its endpoints.
    pub(crate) fn traffic(&self) -> &Arc<Traffic> {
        &self.0.traffic
    }

    /// The latest view.
    pub fn view(&self) -> Arc<View> {
        Arc::clone(&self.0.view.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Shows this from now on. The supervisor's alone.
    pub(crate) fn publish(&self, view: View) {
        *self.0.view.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(view);
    }

    /// Wants it to run; answers with it running. Dropping the future does not take the wish back.
    pub async fn start(&self) -> Result<Arc<View>, CommandError> {
        self.ask(Command::Start).await
    }

    /// Wants it to rest; answers as soon as that is on disk.
    pub async fn stop(&self) -> Result<Arc<View>, CommandError> {
        self.ask(Command::Stop).await
    }

    /// Has it frozen; answers with it frozen.
    pub async fn freeze(&self) -> Result<Arc<View>, CommandError> {
        self.ask(Command::Freeze).await
    }

    /// Has it thawed; answers with it awake.
    pub async fn thaw(&self) -> Result<Arc<View>, CommandError> {
        self.ask(Command::Thaw).await
    }

    /// Deletes it; answers as soon as that is on disk. It is on no list from then on.
    pub async fn delete(&self) -> Result<Arc<View>, CommandError> {
        self.ask(Command::Delete).await
    }

    /// Says this of its policy; answers once that is on disk and in force. Its looks move as [`IdlePolicy::moved`] says.
    pub async fn say_policy(&self, amendment: Amendment) -> Result<Arc<View>, CommandError> {
        self.ask(|answer| Command::SayPolicy(Box::new((amendment, answer)))).await
    }

    async fn ask(&self, command: impl FnOnce(Answer) -> Command) -> Result<Arc<View>, CommandError> {
        let (answer, result) = oneshot::channel();
        self.send(command(answer))?;
        result.await.unwrap_or(Err(CommandError::Ending))
    }

    /// Takes a check-in. One that says what shows already is a use, and recorded as bytes are: once in a while.
    pub(crate) fn report(&self, value: &str, now: Timestamp) -> Result<(), CommandError> {
        let mut report = self.lock_report();
        if report.is_none() {
            let shown = self.view();
            // Where a report counts for a time, it counts from the last one.
            let lasts = shown.policy.check_in_ttl.is_none();
            let fresh = lasts && now.since(shown.container.last_activity) < USE_RECORDED_EVERY;
            let is_first = shown.container.checked_in_at.is_none();
            if !is_first && shown.container.check_in == value && (fresh || value == NO_CHECK_IN) {
                return Ok(());
            }
            self.send(Command::CheckIn)?;
        }
        *report = Some(value.into());
        Ok(())
    }

    /// What was reported and does not show yet.
    pub(crate) fn reported(&self) -> Option<String> {
        self.lock_report().as_deref().map(str::to_owned)
    }

    /// This report shows now, unless another came meanwhile.
    pub(crate) fn shows(&self, value: &str) {
        self.lock_report().take_if(|report| **report == *value);
    }

    fn lock_report(&self) -> MutexGuard<'_, Option<Box<str>>> {
        self.0.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn send(&self, command: Command) -> Result<(), CommandError> {
        self.0.mailbox.try_send(command).map_err(|error| match error {
            NotTaken::Full => CommandError::Busy,
            // A supervisor ends with its container, or with the program.
            NotTaken::Closed if self.view().container.phase == Phase::Gone => CommandError::Gone(None),
            NotTaken::Closed => CommandError::Ending,
        })
    }

    /// Waits for a place in the queue. A container that is gone meanwhile needs no telling.
    pub(crate) async fn send_waiting(&self, command: Command) {
        self.0.mailbox.send(command).await.unwrap_or_default();
    }

    /// Compares with the engine, or with what a list says of it, and waits until that is done.
    pub(crate) async fn compare(&self, listed: Option<Listed>) {
        let (done, wait) = oneshot::channel();
        let command = match listed {
            Some(listed) => Command::Listed(Box::new((listed, done))),
            None => Command::Compare(Some(done)),
        };
        if self.0.mailbox.send(command).await.is_ok() {
            // An error means that the supervisor ended: then there is nothing left to compare.
            wait.await.unwrap_or_default();
        }
    }
}

impl View {
    /// The seed's `active`: the last check-in; without one, open connections; never "0" while a look would say active.
    pub fn active(&self) -> Cow<'_, str> {
        if self.container.phase.status() != Status::Running {
            return NO_CHECK_IN.into();
        }
        match (self.container.check_in.as_str(), self.traffic.connections()) {
            (NO_CHECK_IN, 0) if self.used() => "1".into(),
            (NO_CHECK_IN, 0) => NO_CHECK_IN.into(),
            (NO_CHECK_IN, connections) => connections.to_string().into(),
            (value, _) => value.into(),
        }
    }

    /// Hands over what `render` writes of this view, and its `active`, which alone changes under it: written anew only then. There is
    /// one rendering: always ask for the same.
    pub fn rendered<T>(
        &self,
        render: impl FnOnce(&Self, &str) -> Vec<u8>,
        take: impl FnOnce(&str, &Bytes) -> T,
    ) -> T {
        let active = self.active();
        let mut rendered = self.rendered.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, text)) = rendered.as_deref().filter(|(of, _)| *of == active) {
            return take(&active, text);
        }
        // Kept for as long as the view is: without the room that it grew by.
        let text = Bytes::from(render(self, &active).into_boxed_slice());
        let taken = take(&active, &text);
        *rendered = Some(Box::new((active.into_owned(), text)));
        taken
    }

    /// Every open connection, those that do not count too.
    pub fn flows(&self) -> Vec<Shown> {
        self.traffic.shown()
    }

    /// Open connections to its endpoints.
    pub fn connections(&self) -> u32 {
        self.traffic.connections()
    }

    /// Whether something that counts happened since the last look.
    pub fn used(&self) -> bool {
        self.policy.activity.traffic() && self.traffic.moved() != self.moved_at_look
    }

    /// Why it does not run, or is not reachable, although it should be.
    pub fn failure(&self) -> Option<String> {
        let words: Vec<_> = self.ports_missing.iter().map(MissingPort::to_string).collect();
        if words.is_empty() { self.container.failure.clone() } else { Some(words.join("; ")) }
    }

    /// When something that counts last happened, as far as looks and check-ins tell.
    pub fn last_activity(&self) -> Timestamp {
        self.container.last_activity
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_cannot_be_had_says_why() {
        let held = MissingPort { port: 49_153, why: None, since: Instant::now() };
        assert!(held.to_string().starts_with("another program, or a connection of one, holds port 49153"));
        let other = MissingPort { why: Some("Too many open files".into()), ..held };
        assert!(other.to_string().starts_with("port 49153 of the host cannot be had (Too many open files)"));
    }
}
