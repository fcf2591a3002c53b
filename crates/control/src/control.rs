//! The control as its callers see it: launched once over a store and an engine, asked for containers, and shut down.

use crate::admission::Admission;
use crate::check_in::CheckInDoor;
use crate::events::Events;
use crate::footing::Footing;
use crate::handle::{Handle, View};
use crate::ledger::Ledger;
use crate::measured::Measured;
use crate::neighbours::Neighbours;
use crate::network::Ground;
use crate::reconcile::{self, Reconciler};
use crate::registry::{FindError, Registry};
use crate::room::{NoRoom, Room};
use crate::starts::{Priority, Starts};
use crate::store::{Journal, Store, StoreError, Writing};
use crate::supervisor::{Beginning, Supervisor};
use crate::traffic::InUse;
use crate::{Clock, Endpoints, Settings, heartbeat, measures, policy, pressure, pulse};
use engine::{Engine, EngineError, Network};
use ipnet::Ipv4Net;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;
use tokio::runtime;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What a control stands on.
pub struct Parts {
    /// What runs the containers.
    pub engine: Arc<dyn Engine>,
    /// What owns the host ports.
    pub endpoints: Arc<dyn Endpoints>,
    /// What is free on the host.
    pub room: Arc<dyn Room>,
    /// What remembers.
    pub store: Box<dyn Store>,
    /// How it is written to.
    pub writing: Writing,
    /// What time it is.
    pub clock: Clock,
    /// What was said.
    pub settings: Settings,
    /// What makes ids that nobody guesses or meets twice: [`mint`], but for a simulation.
    pub mint: Box<dyn Fn() -> String + Send + Sync>,
}

/// Everything that the supervisors share.
pub(crate) struct Shared {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) endpoints: Arc<dyn Endpoints>,
    pub(crate) room: Arc<dyn Room>,
    pub(crate) journal: Journal,
    pub(crate) events: Events,
    pub(crate) clock: Clock,
    pub(crate) settings: Settings,
    pub(crate) policy: policy::Current,
    pub(crate) owner: String,
    pub(crate) mint: Box<dyn Fn() -> String + Send + Sync>,
    pub(crate) ground: Ground,
    pub(crate) neighbours: Neighbours,
    pub(crate) registry: Registry,
    pub(crate) in_use: Arc<InUse>,
    pub(crate) ledger: Ledger,
    pub(crate) admission: Admission,
    pub(crate) starts: Starts,
    pub(crate) door: CheckInDoor,
    pub(crate) reconciler: Reconciler,
    pub(crate) tasks: TaskTracker,
    /// Whoever asks may run elsewhere, and be gone before what was asked for is.
    pub(crate) runtime: runtime::Handle,
    pub(crate) ending: CancellationToken,
    /// When it came up.
    pub(crate) launched: tokio::time::Instant,
}

/// Every container that we own.
pub struct Control {
    pub(crate) shared: Arc<Shared>,
}

/// Why the control cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The store cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The engine is not there, or will not give us our network.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Containers keep their addresses for life.
    #[error(
        "`subnet` is {wanted}, and {containers} containers have addresses in {had}; set it back, or delete them first"
    )]
    SubnetChanged {
        /// The setting.
        wanted: Ipv4Net,
        /// What the store says.
        had: Ipv4Net,
        /// How many would be cut off.
        containers: usize,
    },
    /// Containers were told that only this host's users reach them, and may trust whoever connects.
    #[error(
        "`endpoint_address` is beyond loopback now, and {containers} containers were made while it was not: their images may \
         trust whoever connects; set it back, or delete them first"
    )]
    Opened {
        /// How many would be opened.
        containers: usize,
    },
}

impl Control {
    /// Takes up what the store and the engine hold. Comes back once every container is known as it is.
    pub async fn launch(parts: Parts) -> Result<Arc<Self>, LaunchError> {
        measures::begin();
        let Parts { engine, endpoints, room, mut store, writing, clock, settings, mint } = parts;
        let engine: Arc<dyn Engine> = Arc::new(Measured(engine));
        let Footing { contents, ground, ledger } =
            Footing::take(&*engine, &mut *store, &endpoints, &settings, &mint).await?;
        let journal = Journal::start(store, writing, contents.last_event);
        let shared = Arc::new(Shared {
            runtime: runtime::Handle::current(),
            ledger,
            events: Events::new(&journal),
            journal,
            admission: Admission::default(),
            starts: Starts::new(settings.start_limit),
            registry: Registry::default(),
            in_use: Arc::default(),
            door: CheckInDoor::default(),
            reconciler: Reconciler::default(),
            tasks: TaskTracker::new(),
            ending: CancellationToken::new(),
            launched: tokio::time::Instant::now(),
            policy: policy::Current::new(settings.policy.clone()),
            owner: contents.owner,
            mint,
            engine,
            endpoints,
            room,
            clock,
            settings,
            ground,
            neighbours: Neighbours::default(),
        });
        for container in contents.containers {
            Supervisor::spawn(Arc::clone(&shared), Arc::new(container), Beginning::Restore);
        }
        reconcile::begin(&shared).await?;
        pulse::begin(&shared);
        heartbeat::begin(&shared);
        pressure::begin(&shared);
        Ok(Arc::new(Self { shared }))
    }

    /// Every container ever started and not deleted, oldest first.
    pub fn list(&self) -> Vec<Arc<View>> {
        self.shared.registry.listed()
    }

    /// The same, once each has been checked against the engine.
    pub async fn audit(&self) -> Result<Vec<Arc<View>>, EngineError> {
        reconcile::audit(&self.shared).await?;
        Ok(self.list())
    }

    /// By the whole id, by an unambiguous beginning of at least 12 digits, or by name with or without its slash.
    pub fn find(&self, reference: &str) -> Result<Handle, FindError> {
        self.shared.registry.find(reference)
    }

    /// By one label of a host name, in lower case: its name with `-` for whatever a host's label may not hold, or the first 12
    /// digits of its id. Where several names come to one label, the oldest container has it.
    pub fn find_by_label(&self, label: &str) -> Option<Handle> {
        self.shared.registry.by_label(label)
    }

    /// The last lines that a container wrote, oldest first; none before it has a body.
    pub async fn lines(&self, view: &View, count: usize) -> Result<Vec<String>, EngineError> {
        match &view.container.engine_id {
            Some(body) => self.shared.engine.lines(body, count).await,
            None => Ok(Vec::new()),
        }
    }

    /// Every tag of every image of the engine.
    pub async fn images(&self) -> Result<Vec<String>, EngineError> {
        self.shared.engine.images().await
    }

    /// Whether the engine answers: its stream of events stands, and it answered within 2 s when it was last asked, each 5 s.
    pub fn is_ready(&self) -> bool {
        self.shared.reconciler.is_following() && self.shared.reconciler.answers()
    }

    /// The network that our containers stand on.
    pub fn network(&self) -> Network {
        self.shared.ground.now()
    }

    /// The ports and addresses that nobody else is given: once nothing is under way, those of the list and the gateway's.
    pub fn handed_out(&self) -> (BTreeSet<u16>, BTreeSet<Ipv4Addr>) {
        self.shared.ledger.out()
    }

    /// Who is to reach neither the API nor an endpoint. It follows the engine's networks.
    pub fn neighbours(&self) -> Neighbours {
        self.shared.neighbours.clone()
    }

    /// Ends every task and writes what is left. Containers run on; what was under way is taken up at the next launch.
    pub async fn shut_down(&self) {
        self.shared.ending.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
        self.shared.events.close();
        self.shared.journal.close().await;
    }
}

impl Shared {
    /// Runs a task until it is over or the program ends.
    pub(crate) fn run_to_the_end(&self, task: impl Future<Output = ()> + Send + 'static) {
        let ending = self.ending.clone();
        self.tasks.spawn(async move {
            ending.run_until_cancelled(task).await;
        });
    }

    /// Whether the reserves would still be there beside one more container that is started. A create has asked before.
    pub(crate) fn check_room_for(&self, priority: Priority) -> Result<(), NoRoom> {
        if priority == Priority::Create {
            return Ok(());
        }
        let takes = u64::try_from(self.settings.limits.memory).unwrap_or_default();
        self.settings.reserves.check_memory(self.room.as_ref(), takes)
    }
}

/// 128 random bits, as 32 hex digits.
pub fn mint() -> String {
    format!("{:032x}", rand::random::<u128>())
}
