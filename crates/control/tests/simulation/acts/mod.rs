//! What may happen next: clients ask, people use the docker CLI, programs and the weather do what they do.

mod hands;

pub use hands::neighbours_subnet;

use crate::clients::Ask;
use crate::life::Session;
use control::{CommandError, CreateError, CreateRequest};
use model::container::NO_CHECK_IN;
use model::{EngineId, IdlePolicy, Reach, Said};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Create,
    Start,
    Stop,
    Delete,
    SayPolicy,
    ChangeSettings,
    Audit,
    CheckIn,
    MoveBytes,
    Connect,
    Disconnect,
    Freeze,
    Thaw,
    // What programs do.
    Work,
    Mail,
    // By hand, behind our back.
    HandStop,
    HandStart,
    HandRemove,
    HandRename,
    Exit,
    PruneNetwork,
    Neighbour,
    CopyLabels,
    Exec,
    ExecEnds,
    Signal,
    Pause,
    Unpause,
    ThawAll,
    // The weather.
    EngineAway,
    EngineBack,
    EngineRestarts,
    EventsBreak,
    DiskFull,
    DiskFree,
    ClockJumps,
    ClockDrifts,
    PortTaken,
    PortsFreed,
    PressureRises,
    PressureFalls,
    NoRoom,
    RoomAgain,
    // The end of a run.
    Crash,
    ShutDown,
}

/// How often each comes, beside the others.
const CLIENTS: &[(Act, u64)] = &[
    (Act::Create, 14),
    (Act::Start, 12),
    (Act::Stop, 12),
    (Act::Delete, 8),
    (Act::Audit, 3),
    (Act::CheckIn, 6),
    (Act::MoveBytes, 8),
    (Act::Connect, 4),
    (Act::Disconnect, 4),
    (Act::EventsBreak, 2),
    (Act::PortTaken, 3),
    (Act::PortsFreed, 2),
    (Act::CopyLabels, 1),
];
const NIGHTS: &[(Act, u64)] = &[
    (Act::Connect, 20),
    (Act::Disconnect, 4),
    (Act::Freeze, 2),
    (Act::Thaw, 2),
    (Act::Work, 2),
    (Act::Mail, 2),
    (Act::Exec, 3),
    (Act::ExecEnds, 4),
    (Act::PressureRises, 1),
    (Act::PressureFalls, 2),
];
const HANDS_AT_NIGHT: &[(Act, u64)] =
    &[(Act::Signal, 1), (Act::Pause, 1), (Act::Unpause, 1), (Act::ThawAll, 1)];
const HANDS: &[(Act, u64)] = &[
    (Act::HandStop, 4),
    (Act::HandStart, 4),
    (Act::HandRemove, 2),
    (Act::HandRename, 2),
    (Act::Exit, 3),
    (Act::PruneNetwork, 1),
];
const ABSENCES: &[(Act, u64)] = &[(Act::EngineAway, 2), (Act::EngineBack, 5), (Act::EngineRestarts, 1)];
const FULL_DISKS: &[(Act, u64)] = &[(Act::DiskFull, 2), (Act::DiskFree, 6)];
const CLOCKS: &[(Act, u64)] = &[(Act::ClockJumps, 2), (Act::ClockDrifts, 1)];
const UNREST: &[(Act, u64)] = &[
    (Act::SayPolicy, 14),
    (Act::ChangeSettings, 3),
    (Act::Neighbour, 2),
    (Act::NoRoom, 2),
    (Act::RoomAgain, 4),
];
const CRASHES: &[(Act, u64)] = &[(Act::Crash, 4), (Act::ShutDown, 1)];

impl Session {
    pub fn draw(&self) -> Act {
        let weather = &self.world.weather;
        let groups = [
            (true, CLIENTS),
            (weather.nights, NIGHTS),
            (weather.hands, HANDS),
            (weather.hands && weather.nights, HANDS_AT_NIGHT),
            (weather.absences, ABSENCES),
            (weather.full_disks, FULL_DISKS),
            (weather.clocks, CLOCKS),
            (weather.crashes, CRASHES),
            (weather.unrest, UNREST),
        ];
        let acts = groups.iter().filter(|(has, _)| *has).flat_map(|(_, acts)| acts.iter());
        let total: u64 = acts.clone().map(|(_, often)| often).sum();
        let mut at = self.world.below(total);
        for (act, often) in acts {
            if at < *often {
                return *act;
            }
            at -= often;
        }
        unreachable!("the draw is below the total")
    }

    /// Does it. What ends the run is the caller's.
    pub fn perform(&self, act: Act) {
        self.world.say(format_args!("-- {act:?}"));
        match act {
            Act::Create => self.create(),
            Act::Start | Act::Stop | Act::Delete | Act::Freeze | Act::Thaw | Act::SayPolicy => {
                self.command(act)
            }
            Act::ChangeSettings => self.change_settings(),
            Act::Audit => self.audit(),
            Act::CheckIn => self.check_in(),
            Act::MoveBytes | Act::Connect => self.traffic(act),
            Act::Disconnect => self.world.close_one_visit(),
            Act::Work | Act::Mail | Act::Exec | Act::ExecEnds | Act::Signal => self.inside(act),
            Act::Pause | Act::Unpause | Act::ThawAll => self.of_sleep_by_hand(act),
            Act::HandStop | Act::HandStart | Act::HandRemove | Act::HandRename | Act::Exit => {
                self.by_hand(act)
            }
            Act::PruneNetwork => self.prune_network(),
            Act::Neighbour => self.neighbour(),
            Act::CopyLabels => self.copy_labels(),
            Act::ClockJumps | Act::ClockDrifts => self.move_clock(act),
            _ => self.change_weather(act),
        }
    }

    fn create(&self) {
        let image = self.world.pick(&["image", "image", "image", "slow-to-serve", "silent", "nowhere"]);
        let says = self.world.weather.unrest && self.world.chance(300);
        let policy = if says { self.world.amendment().alone() } else { Said::default() };
        let request =
            CreateRequest { image: image.unwrap_or("image").to_owned(), policy, ..Default::default() };
        let control = Arc::clone(&self.control);
        self.client(Ask::Create(request.policy.clone()), async move {
            control.create(request).await.map_err(|error| match error {
                CreateError::Failed(error) => error,
                other => CommandError::NotStarted(Some(control::chain(&other))),
            })
        });
    }

    fn command(&self, act: Act) {
        let ids = self.world.oracle().clients.ids();
        let Some(id) = self.world.pick(&ids) else { return };
        let Ok(handle) = self.control.find(&id) else { return };
        match act {
            Act::Start => self.client(Ask::Start(id), async move { handle.start().await }),
            Act::Stop => self.client(Ask::Stop(id), async move { handle.stop().await }),
            Act::Freeze => {
                let body = handle.view().container.engine_id.clone();
                body.iter().for_each(|body| self.world.oracle().sleeps.asked(body));
                self.client(Ask::Freeze(id), async move { handle.freeze().await });
            }
            Act::Thaw => self.client(Ask::Thaw(id), async move { handle.thaw().await }),
            Act::SayPolicy => {
                let said = self.world.amendment();
                self.client(Ask::SayPolicy(id, said.clone()), async move { handle.say_policy(said).await });
            }
            _ => self.client(Ask::Delete(id), async move { handle.delete().await }),
        }
    }

    fn audit(&self) {
        let (control, world) = (Arc::clone(&self.control), Arc::clone(&self.world));
        let number = world.oracle().clients.ask(Ask::Audit, world.now());
        let images = self.world.weather.unrest;
        tokio::spawn(async move {
            if images && let Err(error) = control.images().await {
                world.say(format_args!("client {number}: {}", control::chain(&error)));
            }
            let error = control.audit().await.err().map(|error| control::chain(&error));
            world.say(format_args!("client {number}: audited: {error:?}"));
            let gone = Err(&CommandError::Ending);
            world.oracle().clients.told(number, gone, |_| false);
        });
    }

    fn check_in(&self) {
        let ids = self.world.oracle().clients.ids();
        let Some(handle) = self.world.pick(&ids).and_then(|id| self.control.find(&id).ok()) else { return };
        let view = handle.view();
        // A program that is frozen says nothing.
        if view.container.engine_id.as_ref().is_none_or(|body| self.world.is_frozen(body)) {
            return;
        }
        let value = self.world.pick(&["0", "0", "1", "7"]).unwrap_or("0");
        if view.container.is_published() {
            self.control.check_in_by(view.container.key.as_str(), value);
        } else {
            self.control.check_in(IpAddr::V4(view.container.address), value);
        }
        let (now, key) = (self.world.now(), &view.container.key);
        let mut oracle = self.world.oracle();
        oracle.looks.checked_in(key, value, now);
        let counts = value != NO_CHECK_IN && self.world.policies.of(key).activity.check_ins();
        if counts && oracle.looks.runs(key) {
            oracle.expiries.used(key, now);
        }
        oracle.sleeps.checked_in(key, value, now);
    }

    fn traffic(&self, act: Act) {
        let Some((port, reach, target)) = self.world.pick(&self.world.host.open()) else { return };
        let listed = self.control.list();
        let of = listed.iter().find(|view| view.container.way_to(target.port) == target.address);
        let Some(key) = of.map(|view| &view.container.key) else { return };
        if act == Act::Connect {
            return self.world.visit(port, key, &target, reach);
        }
        // A program that is frozen says nothing.
        let body = of.and_then(|view| view.container.engine_id.clone());
        if reach != Reach::Forward || body.is_none_or(|body| self.world.is_frozen(&body)) {
            return;
        }
        let policy = self.world.policies.of(key);
        self.world.oracle().sleeps.visited(key, self.world.now(), policy.activity.traffic());
        self.world.moved(key, 10_000);
        target.traffic.open(([127, 0, 0, 1], port).into(), target.port).outward(10_000);
    }

    /// As SIGHUP.
    fn change_settings(&self) {
        let (control, world) = (Arc::clone(&self.control), Arc::clone(&self.world));
        tokio::spawn(async move {
            world.change_settings();
            control.set_policy(IdlePolicy::clone(&world.policies.of_all())).await;
            world.say("the settings were read again");
        });
    }

    fn move_clock(&self, act: Act) {
        let far = if act == Act::ClockJumps { 7_200_000 } else { 900 };
        let by =
            i64::try_from(self.world.below(2 * far)).expect("it is small") - i64::try_from(far).unwrap_or(0);
        self.world.say(format_args!("clock: {by} ms"));
        self.world.set_wall(by);
        let now = self.world.now();
        self.world.oracle().clock_moved(now);
    }

    fn change_weather(&self, act: Act) {
        let (world, weather) = (&self.world, &self.world.weather);
        match act {
            Act::EngineAway => self.engine_goes(),
            Act::EngineBack => weather.set_away(false),
            Act::EngineRestarts => {
                self.engine_goes();
                world.end_every_body();
            }
            Act::EventsBreak => world.fake.break_events(),
            Act::DiskFull => weather.set_full(true),
            Act::DiskFree => weather.set_full(false),
            Act::PortTaken => drop(world.host.take_by_another(crate::life::first_port() + world.port())),
            Act::PortsFreed => world.host.free_others(),
            Act::PressureRises => weather.set_pressed(true),
            Act::PressureFalls => weather.set_pressed(false),
            Act::NoRoom => world.set_short(true),
            Act::RoomAgain => world.set_short(false),
            _ => {}
        }
    }

    fn engine_goes(&self) {
        self.world.weather.set_away(true);
        self.world.fake.break_events();
    }

    /// What clients have just asked for when the program ends.
    pub fn last_requests(&self) {
        for _ in 0..self.world.below(4) {
            let act = self.world.pick(&[Act::Create, Act::Start, Act::Stop, Act::Delete, Act::CheckIn]);
            act.into_iter().for_each(|act| self.perform(act));
        }
    }

    /// A client asks, and waits for the answer.
    fn client(
        &self,
        what: Ask,
        answer: impl Future<Output = Result<Arc<control::View>, CommandError>> + Send + 'static,
    ) {
        let world = Arc::clone(&self.world);
        let number = world.oracle().clients.ask(what.clone(), world.now());
        world.say(format_args!("client {number}: {what:?}"));
        tokio::spawn(async move {
            let answer = answer.await;
            let text = answer.as_ref().map(|view| view.container.phase.clone()).map_err(ToString::to_string);
            world.say(format_args!("client {number}: told {text:?}"));
            let bodies = world.fake.bodies();
            let runs = |body: &EngineId| bodies.iter().any(|(id, running)| id == body && *running);
            // Frozen, it ends by hand as soon as it is thawed.
            let runs = |body: &EngineId| runs(body) && !world.fake.is_told_to_end(body);
            let mut oracle = world.oracle();
            if let Some(complaint) = oracle.clients.told(number, answer.as_deref(), runs) {
                oracle.violated(complaint);
            }
        });
    }

    /// Some time passes: often none but a few turns of the tasks, seldom minutes.
    pub async fn let_time_pass(&self) {
        let world = &self.world;
        match world.below(100) {
            0..40 => self.some_turns(12).await,
            40..75 => world.pass(world.millis(50)).await,
            75..90 => world.pass(world.millis(2_000)).await,
            90..99 => world.pass(world.millis(20_000)).await,
            _ => world.pass(Duration::from_secs(60) + world.millis(120_000)).await,
        }
    }

    /// The runtime polls one task a turn: a crash after so many may come between any two awaits.
    pub async fn some_turns(&self, most: u64) {
        for _ in 0..self.world.below(most) {
            tokio::task::yield_now().await;
        }
    }
}
