//! What outlives a crash: the engine, the disk, the sockets, true time, the dice, the trace, and what clients were told.

use crate::oracle::Oracle;
use crate::policies::Policies;
use crate::programs::Programs;
use crate::sabotage::Sabotage;
use crate::sockets::Host;
use crate::weather::{self, Weather};
use engine::fake::Fake;
use model::{EngineId, Freezer, IdlePolicy, Image, Key, PortSpec, Timestamp};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tempfile::TempDir;

pub const INSTANCE: &str = "sim";
/// Seeds from here on live in [unrest](Weather::unrest); those before go on as when they found something.
pub const UNREST: u64 = 1_000_000;
const EPOCH: Timestamp = Timestamp::from_millis(1_000_000_000_000);

/// How long it may take until something begun is seen.
const AT_A_TIME: Duration = Duration::from_secs(5);

/// What the engine has begun for a caller that waits no more; it may do it all the same, later.
pub type Deed = Arc<dyn Fn() + Send + Sync>;

pub struct World {
    pub fake: Fake,
    pub weather: Weather,
    /// The engine publishes containers' ports.
    pub publishes: bool,
    pub host: Host,
    pub programs: Programs,
    pub policies: Policies,
    pub sabotage: Option<Sabotage>,
    folder: TempDir,
    dice: Mutex<StdRng>,
    time: Mutex<Time>,
    trace: Mutex<Vec<String>>,
    oracle: Mutex<Oracle>,
    calls: Mutex<Calls>,
    freezes: AtomicU32,
    /// Streams of events that stand.
    streams: Arc<AtomicU32>,
}

#[derive(Default)]
struct Time {
    /// True time of earlier runs, and of what was between them.
    before: Duration,
    begun: Option<tokio::time::Instant>,
    sessions: u64,
    /// How far the wall clock was set from true time.
    set: i64,
}

#[derive(Default)]
struct Calls {
    begun: u64,
    /// Calls whose caller went away before the deed, by their number: the order of drops at a crash is not ours.
    left: Vec<(u64, Duration, Deed)>,
    late: Vec<(Duration, Deed)>,
    under_way: u64,
    turns: BTreeMap<EngineId, u64>,
}

/// A call, or an event, that is on its way.
pub struct UnderWay<'a>(&'a World);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        lock(&self.0.calls).under_way -= 1;
    }
}

/// A stream of events that stands.
pub struct Followed(Arc<AtomicU32>);

impl Drop for Followed {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl World {
    pub fn new(seed: u64, sabotage: Option<Sabotage>) -> Arc<Self> {
        let mut dice = StdRng::seed_from_u64(seed);
        let weather = Weather::draw(&mut dice, seed >= UNREST);
        // Without a throw of its own, as it came later.
        let publishes = weather.unrest && seed % 2 == 1;
        let policies = Policies::new(weather.policy.clone());
        let fake = Fake::new();
        fake.freeze_by(weather.freezer);
        let labels = [("spin-docker.ready".to_owned(), "can you?".to_owned())].into();
        fake.add_image(
            "slow-to-serve",
            Image { exposed: vec![PortSpec::tcp(5432)], labels, ..Image::default() },
        );
        fake.add_image("silent", Image::default());
        Arc::new(Self {
            fake,
            weather,
            publishes,
            host: Host::default(),
            programs: Programs::default(),
            policies,
            sabotage,
            folder: folder(),
            dice: Mutex::new(dice),
            time: Mutex::default(),
            trace: Mutex::default(),
            oracle: Mutex::default(),
            calls: Mutex::default(),
            freezes: AtomicU32::default(),
            streams: Arc::default(),
        })
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn oracle(&self) -> MutexGuard<'_, Oracle> {
        lock(&self.oracle)
    }

    /// Writes a line into the trace.
    pub fn say(&self, line: impl std::fmt::Display) {
        let at = self.now();
        lock(&self.trace).push(format!("{:>10.3} {line}", at.as_secs_f64()));
    }

    pub fn trace(&self) -> Vec<String> {
        lock(&self.trace).clone()
    }

    // The dice.

    /// One of `0..n`.
    pub fn below(&self, n: u64) -> u64 {
        lock(&self.dice).random_range(0..n.max(1))
    }

    pub fn chance(&self, per_mille: u32) -> bool {
        per_mille > 0 && self.below(1000) < u64::from(per_mille)
    }

    pub fn pick<T: Clone>(&self, from: &[T]) -> Option<T> {
        let at = usize::try_from(self.below(from.len() as u64)).expect("it is small");
        from.get(at).cloned()
    }

    pub fn millis(&self, below: u64) -> Duration {
        Duration::from_millis(self.below(below))
    }

    /// Whether the host has room for another container.
    pub fn set_short(&self, short: bool) {
        let now = self.now();
        self.weather.set_short(short);
        self.oracle().room_changed(short, now);
    }

    pub fn draw_policy(&self) -> IdlePolicy {
        weather::policy(&mut lock(&self.dice))
    }

    pub fn mint(&self) -> String {
        format!("{:032x}", lock(&self.dice).random::<u128>())
    }

    // Time.

    /// True time since the beginning.
    pub fn now(&self) -> Duration {
        let time = lock(&self.time);
        time.before + time.begun.map_or(Duration::ZERO, |begun| begun.elapsed())
    }

    /// What the wall clock shows.
    pub fn wall(&self) -> Timestamp {
        let set = lock(&self.time).set;
        EPOCH.plus(self.now()).shifted(set)
    }

    pub fn set_wall(&self, by_millis: i64) {
        lock(&self.time).set += by_millis;
    }

    /// A runtime begins.
    pub fn begins(&self) {
        let mut time = lock(&self.time);
        time.begun = Some(tokio::time::Instant::now());
        time.sessions += 1;
    }

    /// A runtime is about to end. True time stands until the next one begins.
    pub fn ends(&self) {
        let now = self.now();
        let mut time = lock(&self.time);
        (time.before, time.begun) = (now, None);
    }

    /// Time passes while nobody runs.
    pub fn rest(&self, how_long: Duration) {
        lock(&self.time).before += how_long;
        self.do_late_deeds();
    }

    /// Time passes while we run; what the engine does late, it does in its time.
    pub async fn pass(&self, how_long: Duration) {
        let until = tokio::time::Instant::now() + how_long;
        while tokio::time::Instant::now() < until {
            let due = self.next_late_deed().unwrap_or(until);
            // What is begun meanwhile may be due sooner.
            let soon = tokio::time::Instant::now() + AT_A_TIME;
            tokio::time::sleep_until(due.min(until).min(soon)).await;
            self.do_late_deeds();
        }
    }

    // What the engine does late.

    pub fn on_its_way(&self) -> UnderWay<'_> {
        lock(&self.calls).under_way += 1;
        UnderWay(self)
    }

    pub fn number_call(&self) -> u64 {
        let mut calls = lock(&self.calls);
        calls.begun += 1;
        calls.begun
    }

    /// A caller went away before the deed was done.
    pub fn leave(&self, number: u64, deed: Deed) {
        let now = self.now();
        lock(&self.calls).left.push((number, now, deed));
    }

    /// Says of what was left whether the engine does it, and when.
    pub fn settle_what_was_left(&self) {
        let mut left = std::mem::take(&mut lock(&self.calls).left);
        left.sort_by_key(|(number, ..)| *number);
        for (number, since, deed) in left {
            let course = self.below(3);
            let due = since + if course == 0 { Duration::ZERO } else { self.millis(20_000) };
            if course < 2 {
                self.say(format_args!("engine: goes on with call {number} until {}", due.as_secs_f64()));
                lock(&self.calls).late.push((due, deed));
            }
        }
        self.do_late_deeds();
    }

    pub fn do_late_deeds(&self) {
        let now = self.now();
        let mut calls = lock(&self.calls);
        calls.late.sort_by_key(|(due, _)| *due);
        let later = calls.late.partition_point(|(due, _)| *due <= now);
        let due: Vec<Deed> = calls.late.drain(..later).map(|(_, deed)| deed).collect();
        drop(calls);
        due.iter().for_each(|deed| deed());
    }

    fn next_late_deed(&self) -> Option<tokio::time::Instant> {
        self.settle_what_was_left();
        let due = lock(&self.calls).late.iter().map(|(due, _)| *due).min()?;
        Some(tokio::time::Instant::now() + due.saturating_sub(self.now()))
    }

    /// Nothing is under way, and nothing will come late.
    pub fn is_quiet(&self) -> bool {
        let calls = lock(&self.calls);
        calls.under_way == 0 && calls.left.is_empty() && calls.late.is_empty()
    }

    /// Bytes moved through a port of its.
    pub fn moved(&self, of: &Key, bytes: usize) {
        let (now, policy) = (self.now(), self.policies.of(of));
        self.oracle().moved(of, bytes as u64 > policy.quiet_below, now, &policy);
    }

    /// Whether a thaw of this is sure to succeed in the end: our own write is tried again, and asks nobody.
    pub fn thaws_are_sure(&self, body: &EngineId) -> bool {
        self.fake.look(body).freezer() == Some(Freezer::Cgroup)
    }

    /// What is asked of one body's sleep happens in the order in which it was asked.
    pub fn take_turn(&self, body: &EngineId) -> u64 {
        let mut calls = lock(&self.calls);
        let turn = calls.turns.entry(body.clone()).or_default();
        *turn += 1;
        *turn
    }

    pub fn has_turn(&self, body: &EngineId, turn: u64) -> bool {
        lock(&self.calls).turns.get(body) == Some(&turn)
    }

    /// How often the program was started.
    pub fn session(&self) -> u64 {
        lock(&self.time).sessions
    }

    pub fn freezes_under_way(&self) -> &AtomicU32 {
        &self.freezes
    }

    /// Somebody follows the engine's events, until this is dropped.
    pub fn follow(&self) -> Followed {
        self.streams.fetch_add(1, Ordering::Relaxed);
        Followed(Arc::clone(&self.streams))
    }

    pub fn is_followed(&self) -> bool {
        self.streams.load(Ordering::Relaxed) > 0
    }

    /// A bug put in on purpose: bytes are forwarded whatever the gate says.
    pub fn is_gate_broken(&self) -> bool {
        self.sabotage == Some(Sabotage::GateLeftOpen)
    }

    /// Every body that we made, and whether it runs.
    pub fn bodies(&self) -> Vec<(EngineId, bool)> {
        let oracle = self.oracle();
        self.fake.bodies().into_iter().filter(|(id, _)| !oracle.is_stranger(id)).collect()
    }
}

/// In memory, where there is a folder for that.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    tempfile::Builder::new()
        .prefix("spin-docker-simulation-")
        .tempdir_in(place)
        .expect("a folder can be made")
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
