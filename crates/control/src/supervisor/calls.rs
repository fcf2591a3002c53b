//! The engine calls of one container: at most one that changes it, and at most one inspect, each in a task of its own, so
//! that the supervisor goes on listening and no container waits for another's.

pub(crate) use super::inside::Found;

use super::breath::CpuMark;
use super::{Done, readiness};
use crate::control::Shared;
use crate::handle::CommandError;
use crate::network;
use crate::room::NoRoom;
use crate::starts::Priority;
use backon::{ExponentialBuilder, Retryable};
use engine::{ContainerSpec, Created, EngineError};
use model::{Container, EngineId, IdlePolicy, Input, Key, Observation, Ready};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What a container has to end itself after SIGTERM.
const GRACE: Duration = Duration::from_secs(10);
/// How often a failed stop is tried again, as in 2014.
const STOP_RETRIES: usize = 3;
const FIRST_RETRY: Duration = Duration::from_millis(500);
const LONGEST_RETRY: Duration = Duration::from_secs(30);
/// While the engine is away.
const AWAY_RETRY: Duration = Duration::from_secs(1);
/// How long the engine may go on with a create whose caller is gone, and how often we look whether it did.
const LATE_BODY: Duration = Duration::from_secs(150);
const LATE_BODY_CHECK: Duration = Duration::from_secs(2);

pub(crate) struct Calls {
    pub(super) shared: Arc<Shared>,
    /// None while nothing is: a set takes space when it is empty, too.
    running: Option<JoinSet<Outcome>>,
    inspecting: bool,
    /// The inspect that is under way may have seen it before it froze, or thawed.
    inspect_is_old: bool,
    /// Raised whenever an inspect that is under way would tell old news.
    epoch: u64,
    /// Those who wait for the inspect after the one under way.
    again: Option<(EngineId, Vec<Done>)>,
    inspected_epoch: u64,
    /// Until when a body that nobody told us of may still be made.
    unborn_until: Option<Instant>,
    /// Ends the freeze or the breath that is under way.
    pub(super) freezing: Option<CancellationToken>,
}

/// What came of a call.
pub(crate) enum Outcome {
    /// A call that changes it returned.
    Called {
        input: Input,
        /// What stood in its way, where that is no fault of the container's.
        hindrance: Option<Hindrance>,
    },
    /// The engine fell silent over a create: it may make the body all the same, later.
    CreateUnanswered { why: String, hindrance: Option<Hindrance> },
    /// The application can serve, or was asked for long enough.
    Ready { epoch: u64 },
    /// A freeze or a thaw returned.
    Slept { epoch: u64, input: Input },
    /// A breath is over; with the CPU time that it had used, where that was read.
    Breathed { epoch: u64, input: Input, cpu: Option<CpuMark> },
    /// What it does was asked.
    LookedInside { epoch: u64, found: Result<Found, EngineError> },
    /// An inspect returned, with nothing where it failed; stale if the container changed under it.
    Inspected { seen: Option<Observation>, fresh: bool, done: Vec<Done> },
}

/// Why the engine could not, whatever was asked of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hindrance {
    /// There was nobody to ask.
    Away,
    /// Its disk is full.
    DiskFull,
    /// The host has too little memory or disk left to start another.
    NoRoom(NoRoom),
}

impl Hindrance {
    /// As whoever asked is told it.
    pub(crate) fn as_error(&self) -> CommandError {
        match self {
            Self::Away => CommandError::EngineAway,
            Self::DiskFull => CommandError::EngineFull,
            Self::NoRoom(none) => CommandError::NoRoom(none.clone()),
        }
    }

    fn of(error: &EngineError) -> Option<Self> {
        match error {
            error if error.is_away() => Some(Self::Away),
            error if error.is_disk_full() => Some(Self::DiskFull),
            _ => None,
        }
    }
}

impl Calls {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            running: None,
            inspecting: false,
            inspect_is_old: false,
            epoch: 0,
            again: None,
            inspected_epoch: 0,
            unborn_until: None,
            freezing: None,
        }
    }

    /// The next result; never while nothing is under way. Cancel safe.
    pub(crate) async fn result(&mut self) -> Outcome {
        loop {
            let Some(running) = &mut self.running else { return std::future::pending().await };
            match running.join_next().await {
                None => self.running = None,
                Some(Ok(Outcome::Inspected { seen, done, fresh })) => {
                    self.inspecting = false;
                    let fresh = fresh && self.inspected_epoch == self.epoch && !self.inspect_is_old;
                    if let Some((body, waiting)) = self.again.take() {
                        self.begin_inspect(body, waiting);
                    }
                    return Outcome::Inspected { seen, fresh, done };
                }
                // Another start came in between: its own asking counts.
                Some(Ok(
                    Outcome::Ready { epoch }
                    | Outcome::Slept { epoch, .. }
                    | Outcome::Breathed { epoch, .. }
                    | Outcome::LookedInside { epoch, .. },
                )) if epoch != self.epoch => {}
                Some(Ok(outcome)) => return outcome,
                Some(Err(error)) => tracing::error!(%error, "an engine call of ours panicked"),
            }
        }
    }

    /// What is under way would tell old news.
    pub(crate) fn outdate(&mut self) {
        self.epoch += 1;
        self.end_freeze();
    }

    /// Gives up whatever is under way.
    pub(crate) async fn end(&mut self) {
        if let Some(running) = &mut self.running {
            running.shutdown().await;
        }
    }

    /// An inspect that is under way would tell old news of its sleep. Whatever else is under way goes on.
    pub(super) fn outdate_inspect(&mut self) {
        self.inspect_is_old = true;
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(super) fn spawn(&mut self, call: impl Future<Output = Outcome> + Send + 'static) {
        self.running.get_or_insert_default().spawn(call);
    }

    /// Looks at the engine's side. Asked for again meanwhile, it looks again: an event may be newer than the answer.
    pub(crate) fn inspect(&mut self, body: EngineId, done: Done) {
        if self.inspecting {
            self.again.get_or_insert_with(|| (body, Vec::new())).1.push(done);
        } else {
            self.begin_inspect(body, vec![done]);
        }
    }

    /// Until the application can serve, as far as its image lets us ask.
    pub(crate) fn ask_whether_ready(
        &mut self,
        body: EngineId,
        (container, policy): (Arc<Container>, Arc<IdlePolicy>),
        ready: Ready,
    ) {
        let shared = Arc::clone(&self.shared);
        let epoch = self.epoch;
        self.spawn(async move {
            readiness::wait(&shared, &body, (&container, &policy), &ready).await;
            Outcome::Ready { epoch }
        });
    }

    fn begin_inspect(&mut self, body: EngineId, done: Vec<Done>) {
        (self.inspecting, self.inspect_is_old) = (true, false);
        self.inspected_epoch = self.epoch;
        let engine = Arc::clone(&self.shared.engine);
        self.spawn(async move {
            match engine.inspect(&body).await {
                Ok(seen) => Outcome::Inspected { seen: Some(seen), fresh: true, done },
                Err(error) => {
                    tracing::warn!(body = %body, error = %crate::chain(&error), "cannot inspect");
                    Outcome::Inspected { seen: None, fresh: false, done }
                }
            }
        });
    }

    pub(crate) fn create(&mut self, spec: ContainerSpec) {
        let engine = Arc::clone(&self.shared.engine);
        self.spawn(async move {
            match engine.create(&spec).await {
                Err(error) if error.is_unreachable() && !error.is_unmade() => {
                    Outcome::CreateUnanswered { why: crate::chain(&error), hindrance: Hindrance::of(&error) }
                }
                other => {
                    let born = |Created { engine_id, name }| Input::Created { engine_id, name };
                    called(other.map(born), Input::CreateFailed)
                }
            }
        });
    }

    pub(crate) fn start(&mut self, body: Option<EngineId>, address: Ipv4Addr, priority: Priority) {
        let Some(body) = body else { return };
        let shared = Arc::clone(&self.shared);
        self.spawn(async move {
            let _permit = shared.starts.permit(priority).await;
            match start_on_a_network(&shared, &body, address, priority).await {
                Ok(()) => Outcome::Called { input: Input::Started, hindrance: None },
                Err(error) => Outcome::Called {
                    input: Input::StartFailed(crate::chain(&error)),
                    hindrance: error.hindrance(),
                },
            }
        });
    }

    pub(crate) fn stop(&mut self, body: Option<EngineId>) {
        let Some(body) = body else { return };
        let engine = Arc::clone(&self.shared.engine);
        self.spawn(async move {
            let stop = || engine.stop(&body, GRACE);
            let pause =
                ExponentialBuilder::default().with_min_delay(FIRST_RETRY).with_max_times(STOP_RETRIES);
            let stop = stop.retry(pause).adjust(until_it_is_back);
            let stopped = stop.notify(|error, after| complain("stop", error, after)).await;
            called(stopped.map(|()| Input::Stopped), |why| {
                Input::StopFailed(format!("it could not be stopped: {why}"))
            })
        });
    }

    /// A create was cut off: its body may come into being for as long as a create may take.
    pub(crate) fn expect_late_body(&mut self) {
        self.unborn_until = Some(Instant::now() + LATE_BODY);
    }

    /// Tried until it is done: a deleted container is never left behind.
    pub(crate) fn remove(&mut self, body: Option<EngineId>, key: Key) {
        let shared = Arc::clone(&self.shared);
        let unborn_until = self.unborn_until;
        self.spawn(async move {
            let pause = ExponentialBuilder::default()
                .with_min_delay(FIRST_RETRY)
                .with_max_delay(LONGEST_RETRY)
                .without_max_times();
            let remove = || remove_body(&shared, body.as_ref(), &key, unborn_until);
            let remove = remove.retry(pause).adjust(until_it_is_back);
            match remove.notify(|error, after| complain("remove", error, after)).await {
                Ok(()) => Outcome::Called { input: Input::Removed, hindrance: None },
                Err(_) => unreachable!("it is tried without end"),
            }
        });
    }
}

/// How a start came to nothing.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl StartError {
    fn hindrance(self) -> Option<Hindrance> {
        match self {
            Self::NoRoom(none) => Some(Hindrance::NoRoom(none)),
            Self::Engine(error) => Hindrance::of(&error),
        }
    }
}

/// Where the network that the body names is gone, on the one that is there instead. That takes a while, so room is asked for again.
async fn start_on_a_network(
    shared: &Shared,
    body: &EngineId,
    address: Ipv4Addr,
    priority: Priority,
) -> Result<(), StartError> {
    match start_with_room(shared, body, priority).await {
        Err(StartError::Engine(error)) if error.is_network_missing() => {
            network::attach(shared, body, address).await?;
            start_with_room(shared, body, priority).await
        }
        other => other,
    }
}

async fn start_with_room(shared: &Shared, body: &EngineId, priority: Priority) -> Result<(), StartError> {
    shared.check_room_for(priority)?;
    Ok(shared.engine.start(body).await?)
}

/// The body is known by its id; that of a half-made container by its labels alone, and perhaps not at once.
async fn remove_body(
    shared: &Shared,
    body: Option<&EngineId>,
    key: &Key,
    unborn_until: Option<Instant>,
) -> Result<(), EngineError> {
    if let Some(body) = body {
        return shared.engine.remove(body).await;
    }
    loop {
        let listed = shared.engine.list(&shared.settings.instance).await?;
        let half_made =
            listed.iter().filter(|entry| entry.key == key.as_str() && entry.owner == shared.owner);
        for entry in half_made.clone() {
            shared.engine.remove(&entry.engine_id).await?;
        }
        if half_made.count() > 0 {
            return Ok(());
        }
        if unborn_until.is_none_or(|until| until <= Instant::now()) {
            return Ok(());
        }
        tokio::time::sleep(LATE_BODY_CHECK).await;
    }
}

fn called(result: Result<Input, EngineError>, failed: impl FnOnce(String) -> Input) -> Outcome {
    let hindrance = result.as_ref().err().and_then(Hindrance::of);
    Outcome::Called { input: result.unwrap_or_else(|error| failed(crate::chain(&error))), hindrance }
}

/// What an engine that is away could not do is no failure of its: it is asked again, and soon after it is back.
fn until_it_is_back(error: &EngineError, pause: Option<Duration>) -> Option<Duration> {
    if error.is_away() { Some(AWAY_RETRY) } else { pause }
}

fn complain(doing: &str, error: &EngineError, after: Duration) {
    let (error, after) = (crate::chain(error), after.as_secs_f32());
    tracing::warn!(doing, error, after, "the engine failed; trying again");
}
