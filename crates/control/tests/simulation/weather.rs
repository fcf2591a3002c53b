//! Which faults a seed knows, how often, and what is wrong at the moment. Not every seed has all of them: a bug that one
//! fault hides, another seed shows.

use model::policy::{Counts, FreezeAfter, WakeOn};
use model::{Freezer, IdlePolicy};
use rand::Rng;
use rand::rngs::StdRng;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The chances are in thousandths.
pub struct Weather {
    /// The settings' at first.
    pub policy: IdlePolicy,
    /// What freezes.
    pub freezer: Freezer,
    /// Of a call: it fails, before or after its deed.
    pub fail: u32,
    /// Of a call: it takes seconds.
    pub slow: u32,
    /// Of a call: it does not answer in time.
    pub hang: u32,
    /// Of an event.
    pub lose: u32,
    pub double: u32,
    pub delay: u32,
    /// Of an event: the stream breaks.
    pub broken: u32,
    /// Whether there are, at all:
    pub crashes: bool,
    pub absences: bool,
    pub full_disks: bool,
    pub clocks: bool,
    pub hands: bool,
    /// Containers work, report and are visited, so that they sleep and wake.
    pub nights: bool,
    /// Policies and settings change, containers expire, the host has no room, an orderly end is cut off, networks come and go, and what
    /// is asked of the engine beside containers fails, too.
    pub unrest: bool,
    now: Now,
}

/// What is wrong at the moment.
#[derive(Default)]
struct Now {
    calm: AtomicBool,
    full: AtomicBool,
    away: AtomicBool,
    /// The host is short of memory.
    pressed: AtomicBool,
    /// It has no room for another container.
    short: AtomicBool,
    /// An event was lost, and nothing has made it good yet.
    blind: AtomicBool,
}

impl Weather {
    pub fn draw(dice: &mut StdRng, unrest: bool) -> Self {
        let mut some = |most: u32| if dice.random_bool(0.5) { 0 } else { dice.random_range(0..=most) };
        let chances = [some(80), some(100), some(20), some(60), some(100), some(200), some(40)];
        let [fail, slow, hang, lose, double, delay, broken] = chances;
        let mut often = || dice.random_bool(0.7);
        let [crashes, absences, full_disks, clocks, hands] = [often(), often(), often(), often(), often()];
        let nights = dice.random_bool(0.8);
        let policy = policy(dice);
        let freezer = if dice.random_bool(0.7) { Freezer::Cgroup } else { Freezer::Engine };
        let now = Now::default();
        Self {
            policy,
            freezer,
            fail,
            slow,
            hang,
            lose,
            double,
            delay,
            broken,
            crashes,
            absences,
            full_disks,
            clocks,
            hands,
            nights,
            unrest,
            now,
        }
    }

    /// No fault from now on, and nothing is wrong any more.
    pub fn cease(&self) {
        self.set_calm(true);
        self.set_full(false);
        self.set_away(false);
        self.set_pressed(false);
    }

    /// No fault from now on, or as before.
    pub fn set_calm(&self, calm: bool) {
        self.now.calm.store(calm, Ordering::Relaxed);
    }

    pub fn is_calm(&self) -> bool {
        self.now.calm.load(Ordering::Relaxed)
    }

    pub fn set_full(&self, full: bool) {
        self.now.full.store(full, Ordering::Relaxed);
    }

    pub fn is_full(&self) -> bool {
        self.now.full.load(Ordering::Relaxed)
    }

    pub fn set_away(&self, away: bool) {
        self.now.away.store(away, Ordering::Relaxed);
    }

    pub fn is_away(&self) -> bool {
        self.now.away.load(Ordering::Relaxed)
    }

    pub fn set_pressed(&self, pressed: bool) {
        self.now.pressed.store(pressed, Ordering::Relaxed);
    }

    pub fn is_pressed(&self) -> bool {
        self.now.pressed.load(Ordering::Relaxed)
    }

    pub fn set_short(&self, short: bool) {
        self.now.short.store(short, Ordering::Relaxed);
    }

    pub fn is_short(&self) -> bool {
        self.now.short.load(Ordering::Relaxed)
    }

    pub fn set_blind(&self, blind: bool) {
        self.now.blind.store(blind, Ordering::Relaxed);
    }

    pub fn is_blind(&self) -> bool {
        self.now.blind.load(Ordering::Relaxed)
    }
}

pub fn policy(dice: &mut StdRng) -> IdlePolicy {
    let seconds =
        |dice: &mut StdRng, range: std::ops::Range<u64>| Duration::from_secs(dice.random_range(range));
    IdlePolicy {
        initial_timeout_interval: seconds(dice, 30..120),
        timeout_interval: seconds(dice, 20..50),
        disable_timeouts: dice.random_bool(0.1),
        freeze_after: match dice.random_range(0..10) {
            0 => FreezeAfter::Off,
            1..4 => FreezeAfter::Unsaid,
            _ => FreezeAfter::After(seconds(dice, 1..15)),
        },
        activity: match dice.random_range(0..6) {
            0 => Counts::Traffic,
            1 => Counts::CheckIn,
            _ => Counts::Any,
        },
        stop_with_connections: dice.random_bool(0.2),
        busy_cpu: [None, Some(20), Some(20), Some(200)][dice.random_range(0..4)],
        owed_for: seconds(dice, 5..60),
        quiet_below: [0, 1024, 4096][dice.random_range(0..3)],
        check_in_ttl: [None, Some(seconds(dice, 15..60))][dice.random_range(0..2)],
        wake: match dice.random_range(0..6) {
            0 => WakeOn::Api,
            1 => WakeOn::FirstByte,
            _ => WakeOn::Connect,
        },
        // Without throws of their own: seeds that found something go on as they did.
        breathe: !dice.clone().random_bool(0.2),
        restart: dice.clone().random_bool(0.1),
        reclaim: dice.random_bool(0.2),
        ..IdlePolicy::DEFAULT
    }
}
