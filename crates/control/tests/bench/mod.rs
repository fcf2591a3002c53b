//! A control over the engine in memory, a real store, a recorder of endpoints, and a clock that tests move.

#![allow(unreachable_pub, reason = "shared by the test files")]
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

pub mod told;

use control::store::{Change, Contents, Wanted};
use control::{
    Clock, Control, CreateRequest, Endpoints, Flow, Parts, Settings, Sqlite, Store, StoreError, Target,
    Unmeasured, View, Writing,
};
use engine::fake::{Call, Fake};
use model::policy::FreezeAfter;
use model::{Depth, Event, IdlePolicy, Reach, Status, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddrV4;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

pub const INSTANCE: &str = "test";

/// Everything that outlives a control.
pub struct Bench {
    pub fake: Fake,
    pub ports: Recorder,
    pub folder: TempDir,
    pub policy: IdlePolicy,
    pub writing: Writing,
    pub range: std::ops::RangeInclusive<u16>,
    pub wall: Arc<AtomicI64>,
    /// Restarts do not set the clock back.
    pub begun: std::sync::OnceLock<tokio::time::Instant>,
    /// Nothing more can be written.
    pub full: Arc<AtomicBool>,
    /// Whoever holds it holds every write up.
    pub disk: Arc<Mutex<()>>,
}

/// The real store, on a disk that may be full.
struct Disk {
    store: Sqlite,
    full: Arc<AtomicBool>,
    disk: Arc<Mutex<()>>,
}

impl Store for Disk {
    fn read(&mut self, mint: &dyn Fn() -> String) -> Result<Contents, StoreError> {
        self.store.read(mint)
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        let _turn = self.disk.lock().unwrap();
        if self.full.load(Ordering::Relaxed) {
            return Err(StoreError::Full { path: "the disk".into() });
        }
        self.store.commit(changes)
    }

    fn events(&mut self, wanted: &Wanted) -> Result<Vec<Event>, StoreError> {
        self.store.events(wanted)
    }
}

/// What each claimed port meets.
#[derive(Clone, Default)]
pub struct Recorder(Arc<Mutex<Recorded>>, Fake);

#[derive(Default)]
struct Recorded {
    ports: BTreeMap<u16, (Reach, Option<Target>)>,
    held_by_others: BTreeSet<u16>,
    quieted: Vec<(u16, usize)>,
    asked: Vec<(String, bool)>,
    at_the_next_freeze: Option<Box<dyn FnOnce() + Send>>,
}

#[async_trait::async_trait]
impl Endpoints for Recorder {
    fn claim(&self, port: u16) -> io::Result<()> {
        let mut recorded = self.0.lock().unwrap();
        if recorded.held_by_others.contains(&port) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        recorded.ports.entry(port).or_insert((Reach::Refuse, None));
        Ok(())
    }

    fn is_publishable(&self, at: SocketAddrV4) -> io::Result<()> {
        let is_held = self.0.lock().unwrap().held_by_others.contains(&at.port());
        if is_held { Err(io::ErrorKind::AddrInUse.into()) } else { Ok(()) }
    }

    fn set(&self, port: u16, reach: Reach, target: &Target) -> io::Result<()> {
        *self.0.lock().unwrap().ports.get_mut(&port).unwrap() = (reach, Some(target.clone()));
        Ok(())
    }

    fn quiet(&self, port: u16) {
        let freezes = self.1.calls().iter().filter(|(call, _)| *call == Call::Freeze).count();
        let mut recorded = self.0.lock().unwrap();
        recorded.quieted.push((port, freezes));
        let happens = recorded.at_the_next_freeze.take();
        drop(recorded);
        happens.into_iter().for_each(|happens| happens());
    }

    async fn answers(&self, _: SocketAddrV4, path: &str, policy: &IdlePolicy) -> bool {
        self.0.lock().unwrap().asked.push((path.to_owned(), policy.proxy_protocol));
        true
    }

    fn release(&self, port: u16) {
        self.0.lock().unwrap().ports.remove(&port);
    }
}

impl Recorder {
    pub fn all(&self) -> BTreeMap<u16, Reach> {
        self.0.lock().unwrap().ports.iter().map(|(port, (reach, _))| (*port, *reach)).collect()
    }

    pub fn target(&self, port: u16) -> Target {
        self.0.lock().unwrap().ports[&port].1.clone().unwrap()
    }

    /// Every port that was quieted so far, and how often the engine had been asked for a freeze by then.
    pub fn quieted(&self) -> Vec<(u16, usize)> {
        self.0.lock().unwrap().quieted.clone()
    }

    /// What happens when the next freeze begins: nobody looks once more, and the gate is still open.
    pub fn at_the_next_freeze(&self, happens: impl FnOnce() + Send + 'static) {
        self.0.lock().unwrap().at_the_next_freeze = Some(Box::new(happens));
    }

    /// The paths that were asked for whether an application can serve, and whether over a connection with a PROXY protocol header.
    pub fn asked(&self) -> Vec<(String, bool)> {
        self.0.lock().unwrap().asked.clone()
    }

    pub fn hold_by_another(&self, port: u16, held: bool) {
        let mut recorded = self.0.lock().unwrap();
        if held {
            recorded.held_by_others.insert(port)
        } else {
            recorded.held_by_others.remove(&port)
        };
    }
}

impl Bench {
    pub fn new() -> Self {
        let policy = IdlePolicy {
            initial_timeout_interval: Duration::from_secs(7200),
            timeout_interval: Duration::from_secs(1800),
            disable_timeouts: false,
            ..IdlePolicy::DEFAULT
        };
        let (fake, wall) = (Fake::new(), Arc::default());
        let ports = Recorder(Arc::default(), fake.clone());
        let writing = Writing::InGroups;
        Self {
            writing,
            fake,
            ports,
            folder: tempfile::tempdir().unwrap(),
            policy,
            range: 50_000..=50_099,
            wall,
            begun: Default::default(),
            full: Arc::default(),
            disk: Arc::default(),
        }
    }

    /// One whose paused clock stands still while the store is written to.
    pub fn inline() -> Self {
        Self { writing: Writing::Inline, ..Self::new() }
    }

    /// A control over what an earlier one left.
    pub async fn launch(&self) -> Arc<Control> {
        Control::launch(self.parts()).await.unwrap()
    }

    pub fn parts(&self) -> Parts {
        Parts {
            engine: Arc::new(self.fake.clone()),
            endpoints: Arc::new(self.ports.clone()),
            room: Arc::new(Unmeasured),
            store: Box::new(Disk {
                store: Sqlite::open(self.folder.path()).unwrap(),
                full: self.full.clone(),
                disk: self.disk.clone(),
            }),
            writing: self.writing,
            clock: self.clock(),
            settings: Settings {
                instance: INSTANCE.into(),
                subnet: None,
                policy: self.policy.clone(),
                endpoint_ports: self.range.clone(),
                limits: engine::Limits::default(),
                reserves: Default::default(),
                pressure_limit: None,
                env: vec![],
                authorized_keys: String::new(),
                on_loopback: true,
                publish: false,
                check_in_url: None,
                start_limit: 2,
            },
            mint: Box::new(control::mint),
        }
    }

    /// The wall clock, which runs with tokio's and jumps when told to.
    fn clock(&self) -> Clock {
        let begun = *self.begun.get_or_init(tokio::time::Instant::now);
        let wall = Arc::clone(&self.wall);
        let millis =
            move || i64::try_from(begun.elapsed().as_millis()).unwrap() + wall.load(Ordering::Relaxed);
        Clock::over(move || Timestamp::from_millis(1_000_000_000).shifted(millis()))
    }

    /// Nothing is written until this is dropped.
    pub fn hold_disk(&self) -> std::sync::MutexGuard<'_, ()> {
        self.disk.lock().unwrap()
    }

    pub fn jump(&self, by: Duration) {
        self.wall.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::Relaxed);
    }
}

pub async fn create(control: &Arc<Control>) -> Arc<View> {
    control.create(CreateRequest { image: "image".into(), ..Default::default() }).await.unwrap()
}

/// One that freezes a minute after its last use, whoever came.
pub async fn launched() -> (Bench, Arc<Control>, String, Target) {
    let mut bench = Bench::inline();
    bench.policy.freeze_after = FreezeAfter::After(Duration::from_secs(60));
    let control = bench.launch().await;
    let view = create(&control).await;
    let target = bench.ports.target(50_001);
    let of = id(&view);
    (bench, control, of, target)
}

pub fn connect(target: &Target) -> Flow {
    target.traffic.open(([127, 0, 0, 1], 5123).into(), target.address.port())
}

pub fn depth(control: &Control, of: &str) -> Depth {
    control.find(of).unwrap().view().container.phase.depth()
}

pub fn id(view: &View) -> String {
    view.container.container_id.as_ref().unwrap().to_string()
}

pub fn status(control: &Control, id: &str) -> Status {
    control.find(id).unwrap().view().container.phase.status()
}

/// Waits until it is so; a paused clock runs on meanwhile, and a minute of real time ends it.
pub async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let (begun, waits_since) = (std::time::Instant::now(), tokio::time::Instant::now());
    while !so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "waited in vain until {what}");
        // Hours of a paused clock in 5 ms each would take a minute of everybody's.
        let pause = waits_since.elapsed() / 1000;
        tokio::time::sleep(pause.clamp(Duration::from_millis(5), Duration::from_secs(1))).await;
    }
}
