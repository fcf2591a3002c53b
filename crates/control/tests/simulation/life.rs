//! The life of one seed: runs of the control, each on a runtime of its own that a crash drops where it stands, over a world
//! that goes on.

use crate::acts::Act;
use crate::clients::Ask;
use crate::disk::Disk;
use crate::purging::purge;
use crate::sabotage::Sabotage;
use crate::sockets::Sockets;
use crate::unsteady::Unsteady;
use crate::world::{INSTANCE, World};
use control::{Clock, CommandError, Control, Door, LaunchError, Parts, Reserves, Room, Settings, Writing};
use model::IdlePolicy;
use std::cell::Cell;
use std::path::PathBuf;
use std::sync::{Arc, Once};
use std::time::Duration;

/// How many acts a seed lives through.
pub const STEPS: u64 = 200;
/// How many acts lie between two rests.
const REST_EVERY: u64 = 40;
/// Where check-ins arrive.
const DOOR: Door = Door { inside: 80, listening: 48_080 };
const PORTS: std::ops::RangeInclusive<u16> = 50_000..=50_029;

pub fn first_port() -> u16 {
    *PORTS.start()
}

/// A seed that failed.
pub struct Failure {
    pub seed: u64,
    pub step: u64,
    pub what: String,
    pub trace: Vec<String>,
}

/// One run of the control.
pub struct Session {
    pub world: Arc<World>,
    pub control: Arc<Control>,
}

/// Why a run ended.
enum End {
    Crashed,
    Done,
    /// Faults kept it from coming up.
    NotLaunched(String),
}

thread_local! {
    /// A task of ours that panicked, which the runtime keeps to itself.
    static PANICKED: Cell<bool> = const { Cell::new(false) };
}

fn notice_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANICKED.set(true);
            before(info);
        }));
    });
}

/// How often in a row a launch may fail before the faults cease.
const LAUNCHES_IN_VAIN: u32 = 20;

/// Lives it; the trace, or what did not hold.
pub fn live(seed: u64, steps: u64, sabotage: Option<Sabotage>) -> Result<Vec<String>, Failure> {
    notice_panics();
    let world = World::new(seed, sabotage);
    let (mut left, mut in_vain) = (steps, 0);
    loop {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .event_interval(1)
            .build()
            .expect("a runtime with a clock alone needs nothing from the system");
        let end = runtime.block_on(async {
            world.begins();
            let end = run(&world, &mut left, sabotage).await;
            world.ends();
            end
        });
        drop(runtime);
        if PANICKED.take() {
            world.oracle().violated("a task panicked");
        }
        if let Some(what) = world.oracle().violation() {
            return Err(Failure { seed, step: steps - left, what, trace: world.trace() });
        }
        match end {
            End::Done => return Ok(world.trace()),
            End::Crashed => in_vain = 0,
            End::NotLaunched(why) => {
                world.say(format_args!("not launched: {why}"));
                in_vain += 1;
                // However bad the day, it comes up once the faults cease.
                if in_vain > LAUNCHES_IN_VAIN && world.weather.is_calm() {
                    let what = format!("it comes up no more: {why}");
                    return Err(Failure { seed, step: steps - left, what, trace: world.trace() });
                } else if in_vain > LAUNCHES_IN_VAIN {
                    world.weather.cease();
                    world.set_short(false);
                }
            }
        }
        world.after_the_crash();
    }
}

async fn run(world: &Arc<World>, left: &mut u64, sabotage: Option<Sabotage>) -> End {
    let control = match launch(world, sabotage).await {
        Some(Ok(control)) => control,
        Some(Err(error)) => return End::NotLaunched(control::chain(&error)),
        None => return End::Crashed,
    };
    world.say("launched");
    world.oracle().sleeps.launched(world.now());
    world.weather.set_calm(false);
    let session = Session { world: Arc::clone(world), control };
    session.open_door();
    while *left > 0 {
        *left -= 1;
        match session.draw() {
            Act::Crash => {
                session.last_requests();
                session.some_turns(60).await;
                return End::Crashed;
            }
            Act::ShutDown => {
                session.last_requests();
                session.end_in_order().await;
                return End::Crashed;
            }
            act => session.perform(act),
        }
        session.let_time_pass().await;
        if left.is_multiple_of(REST_EVERY) && *left > 0 {
            session.rest().await;
        }
        if !session.holds() {
            return End::Done;
        }
    }
    session.rest().await;
    if world.weather.unrest && session.holds() {
        session.shut_down().await;
        drop(session);
        purge(world).await;
    }
    End::Done
}

/// Nothing where a crash came first.
async fn launch(world: &Arc<World>, sabotage: Option<Sabotage>) -> Option<Result<Arc<Control>, LaunchError>> {
    let launching = Control::launch(parts(world, sabotage));
    if !world.weather.crashes || !world.chance(100) {
        return Some(launching.await);
    }
    let turns = world.below(60);
    tokio::select! {
        biased;
        launched = launching => Some(launched),
        () = async { for _ in 0..turns { tokio::task::yield_now().await } } => None,
    }
}

fn parts(world: &Arc<World>, sabotage: Option<Sabotage>) -> Parts {
    let wall = Arc::clone(world);
    let mint = Arc::clone(world);
    let parts = Parts {
        engine: Arc::new(Unsteady { world: Arc::clone(world) }),
        endpoints: Arc::new(Sockets(Arc::clone(world))),
        room: Arc::new(Memory(Arc::clone(world))),
        store: Box::new(Disk::open(world)),
        writing: Writing::Inline,
        clock: Clock::over(move || wall.wall()),
        settings: Settings {
            instance: INSTANCE.into(),
            subnet: Some("10.77.0.0/27".parse().expect("it is one")),
            policy: IdlePolicy::clone(&world.policies.of_all()),
            endpoint_ports: PORTS,
            limits: engine::Limits::default(),
            env: vec![],
            authorized_keys: String::new(),
            on_loopback: true,
            publish: world.publishes,
            check_in_url: None,
            start_limit: 2,
            reserves: Reserves { memory: 1, disk: 0 },
            pressure_limit: Some(10.0),
        },
        mint: Box::new(move || mint.mint()),
    };
    match sabotage {
        Some(sabotage) => sabotage.of(parts, Arc::clone(world)),
        None => parts,
    }
}

/// The host's, which may be short.
struct Memory(Arc<World>);

impl Room for Memory {
    fn memory(&self) -> Option<u64> {
        Some(if self.0.weather.is_short() { 0 } else { 1 << 40 })
    }

    fn disks(&self) -> Vec<(PathBuf, u64)> {
        Vec::new()
    }

    fn pressure(&self) -> Option<f64> {
        Some(if self.0.weather.is_pressed() { 20.0 } else { 0.0 })
    }
}

impl World {
    /// A port of ours, counted from the first.
    pub fn port(&self) -> u16 {
        u16::try_from(self.below(PORTS.len() as u64)).expect("it is one")
    }

    pub fn end_every_body(&self) {
        for (body, running) in self.bodies() {
            if running {
                self.oracle().clients.behind_our_back(&body);
                self.fake.exit(&body, 137);
            }
        }
    }

    /// What a crash does to the world, and what happens before somebody starts the program again.
    fn after_the_crash(&self) {
        let crashed = self.now();
        self.say("-- the program ended");
        self.host.close_ours();
        self.settle_what_was_left();
        self.rest(if self.chance(700) { self.millis(500) } else { self.millis(60_000) });
        if self.chance(100) {
            self.host.take_by_another(first_port() + self.port());
        }
        if self.weather.hands && self.chance(300) {
            self.somebody_acts_meanwhile();
        }
        if self.weather.unrest && self.chance(200) {
            self.change_settings();
        }
        if self.chance(300) {
            self.set_short(false);
            self.weather.set_full(false);
            self.weather.set_away(false);
        }
        let now = self.now();
        self.oracle().restarted(crashed, now);
    }

    fn somebody_acts_meanwhile(&self) {
        let Some((body, running)) = self.pick(&self.bodies()) else { return };
        self.oracle().clients.behind_our_back(&body);
        match self.below(3) {
            0 => self.fake.remove_by_hand(&body),
            _ if running => self.fake.stop_by_hand(&body),
            _ => self.fake.start_by_hand(&body),
        }
        // Frozen, it is to end from now on.
        self.program(&body);
    }
}

impl Session {
    /// Whether everything holds.
    pub fn holds(&self) -> bool {
        let mut oracle = self.world.oracle();
        oracle.check(&self.world, Some(&self.control));
        oracle.violation().is_none()
    }

    /// As the binary does: where there is no redirect, there is no door.
    fn open_door(&self) {
        if !self.world.weather.unrest {
            return;
        }
        let (control, world) = (Arc::clone(&self.control), Arc::clone(&self.world));
        tokio::spawn(async move {
            let Door { inside, listening } = DOOR;
            if control.redirect_check_ins(inside, listening).await.is_ok() {
                world.say("the door is open");
                control.open_door(DOOR);
                world.oracle().opened_door();
            }
        });
    }

    /// Unless somebody loses patience.
    async fn end_in_order(&self) {
        if !self.world.weather.unrest || !self.world.chance(400) {
            return self.shut_down().await;
        }
        tokio::select! {
            biased;
            () = self.shut_down() => {}
            () = self.some_turns(80) => self.world.say("-- cut off"),
        }
    }

    async fn shut_down(&self) {
        let number = self.world.oracle().clients.ask(Ask::ShutDown, self.world.now());
        let within = Duration::from_secs(60);
        if tokio::time::timeout(within, self.control.shut_down()).await.is_err() {
            self.world.oracle().violated("the program does not end");
        }
        self.world.oracle().clients.told(number, Err(&CommandError::Ending), |_| false);
        self.world.pass(Duration::ZERO).await;
        self.world.oracle().ended(&self.world);
    }
}
