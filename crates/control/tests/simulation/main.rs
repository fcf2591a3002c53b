//! The simulation: the real rules, control and store over an engine in memory, on one runtime whose clock stands still, with
//! one seed for everything. Clients, visitors whose bytes wake what sleeps, people with the docker CLI, faults of every call, full
//! disks, jumping clocks, policies that change and crashes between any two awaits; after each step, what must never happen is looked for.
//!
//! Read `life.rs` first (a seed's life), then `acts.rs` (what may happen), `oracle.rs`, `clients.rs`, `leases.rs`, `looks.rs`,
//! `sleeps.rs` and `expiries.rs` (what must hold at any moment), `rest.rs` (what must hold once the faults cease). `unsteady.rs`, `freezers.rs`,
//! `disk.rs` and `sockets.rs` are the world as the control meets it, `programs.rs` and `visitors.rs` who lives in it, `policies.rs`
//! what its owners want, `purging.rs` the end of it all; `weather.rs` says how bad a day it is.
//!
//! A seed that fails is printed with the end of its trace. To see all of it:
//!
//! ```console
//! $ SEED=42 cargo nextest run -p control --test simulation --no-capture one_seed
//! ```
//!
//! A longer soak: `SIM_SEEDS=5000 SIM_FROM=2000000 cargo nextest run -p control --test simulation steps`. A seed that once
//! found a bug goes into `ONCE_FOUND`, and is run for good.

#![allow(unreachable_pub, reason = "one program")]

mod acts;
mod clients;
mod disk;
mod expiries;
mod freezers;
mod leases;
mod life;
mod looks;
mod oracle;
mod policies;
mod programs;
mod purging;
mod rest;
mod sabotage;
mod sleeps;
mod sockets;
mod unsteady;
mod visitors;
mod weather;
mod world;

use life::{Failure, STEPS, live};
use sabotage::Sabotage;
use world::UNREST;

/// Seeds that found a bug of the product, or find it when its remedy is taken out, with what it was.
const ONCE_FOUND: &[(&str, &[u64])] = &[
    // Found in a world without nights.
    ("looks that were owed and not made", &[30, 43, 54, 105]),
    ("a create acknowledged on a full disk", &[340, 375]),
    ("a port that was there again and still said to be missing", &[500_831]),
    // In the world as it is.
    ("left frozen by an orderly end", &[65]),
    ("a command, or work, overlooked", &[105, 169]),
    ("never considered again", &[602]),
    ("frozen and thought awake", &[886, 1221, 1911]),
    ("running on although stopped during its start", &[2035]),
    ("stopped under pressure although awake by then", &[2205]),
    ("frozen although it had just reported, again", &[402, 800_053, 801_608]),
    ("frozen by what a look inside had seen long before", &[911_573, 911_977]),
    ("started without room on a network that came back", &[4_000_470]),
    // In unrest.
    ("a port that wakes as the settings of before had it", &[1_000_011, 1_000_104, 1_000_145]),
    ("check-ins left behind by a network that was made again", &[1_000_026]),
    ("another spin-docker unnoticed, after one list that failed", &[1_000_046]),
    ("a use right before a stop forgotten, and deleted for disuse", &[1_000_243]),
    ("frozen for good under a policy that says never", &[1_002_440]),
    ("deleted as expired before that was on disk", &[1_023_644]),
    ("frozen although its report counts by another policy", &[5_001_348]),
];
/// Each of the eight shards lives through so many seeds, of 200 steps each: 100,800 in all, half of them in [unrest](UNREST).
const SEEDS: u64 = 63;
/// Where a failure's trace begins to be of interest.
const LINES: usize = 120;

impl Failure {
    fn report(&self) -> String {
        let Self { seed, step, what, trace } = self;
        let end = trace[trace.len().saturating_sub(LINES)..].join("\n");
        format!(
            "seed {seed}, step {step}: {what}\n{end}\nseed {seed}, step {step}: {what}\nreplay it: SEED={seed} cargo \
             nextest run -p control --test simulation --no-capture one_seed"
        )
    }
}

fn said(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

fn steps() -> u64 {
    said("SIM_STEPS").unwrap_or(STEPS)
}

fn shard(n: u64) {
    let seeds = said("SIM_SEEDS").unwrap_or(SEEDS);
    let first = match said("SIM_FROM") {
        Some(from) => from + n * seeds,
        None if n < 4 => 1 + n * seeds,
        None => UNREST + (n - 4) * seeds,
    };
    let failures: Vec<_> =
        (first..first + seeds).filter_map(|seed| live(seed, steps(), None).err()).collect();
    let Some(failure) = failures.first() else { return };
    let failed: Vec<_> = failures.iter().map(|failure| (failure.seed, failure.what.as_str())).collect();
    panic!("{} of {seeds} seeds fail: {failed:#?}\n{}", failed.len(), failure.report());
}

/// A test each, so that they run beside each other.
macro_rules! shards {
    ($($name:ident: $n:literal),*) => {
        $(#[test]
        fn $name() {
            shard($n);
        })*
    };
}

shards! {
    a_hundred_thousand_steps_1_of_8: 0,
    a_hundred_thousand_steps_2_of_8: 1,
    a_hundred_thousand_steps_3_of_8: 2,
    a_hundred_thousand_steps_4_of_8: 3,
    a_hundred_thousand_steps_5_of_8: 4,
    a_hundred_thousand_steps_6_of_8: 5,
    a_hundred_thousand_steps_7_of_8: 6,
    a_hundred_thousand_steps_8_of_8: 7
}

#[test]
fn seeds_once_found() {
    for (what, seeds) in ONCE_FOUND {
        for seed in *seeds {
            if let Err(failure) = live(*seed, STEPS, None) {
                panic!("once found: {what}\n{}", failure.report());
            }
        }
    }
}

/// The one that `SEED` names, with its whole trace.
#[test]
fn one_seed() {
    let Some(seed) = said("SEED") else { return };
    match live(seed, steps(), None) {
        Ok(trace) => println!("{}\nseed {seed} holds", trace.join("\n")),
        Err(failure) => panic!("{}\n{}", failure.trace.join("\n"), failure.report()),
    }
}

#[test]
fn a_seed_replays_to_the_letter() {
    for seed in (1..5).chain(UNREST..UNREST + 3) {
        let trace = |_| live(seed, STEPS, None).unwrap_or_else(|failure| failure.trace);
        let (one, two) = (trace(1), trace(2));
        let differs = one.iter().zip(&two).position(|(a, b)| a != b);
        assert_eq!(differs.map(|at| (&one[at], &two[at])), None, "seed {seed}");
        assert_eq!(one.len(), two.len());
    }
}

/// A test of the test: how many steps it takes to find this bug.
fn found(sabotage: Sabotage, telling: &str) {
    found_from(1, sabotage, telling);
}

fn found_from(first: u64, sabotage: Sabotage, telling: &str) {
    // Those that the shards live through in this world.
    let budget = 4 * SEEDS;
    let failure = (first..first + budget).find_map(|seed| live(seed, STEPS, Some(sabotage)).err());
    let failure = failure.unwrap_or_else(|| panic!("{sabotage:?} is not found by {budget} seeds"));
    println!("{sabotage:?}: seed {}, step {}: {}", failure.seed, failure.step, failure.what);
    assert!(failure.what.contains(telling), "{}", failure.report());
}

#[test]
fn an_effect_before_its_intent_is_found() {
    found(Sabotage::EffectBeforeIntent, "no intent of it is on disk");
}

#[test]
fn a_lost_event_is_found() {
    found(Sabotage::LostEvent, ", and its body Some(");
}

#[test]
fn a_gate_left_open_is_found() {
    found(Sabotage::GateLeftOpen, "a byte that was forwarded");
}

#[test]
fn a_wake_that_comes_during_a_freeze_and_is_forgotten_is_found() {
    found(Sabotage::WakeForgotten, "to wake since");
}

#[test]
fn a_lost_exec_is_found() {
    found(Sabotage::LostExec, "somebody runs a command in it");
}

#[test]
fn a_port_freed_early_is_found() {
    found(Sabotage::PortFreedEarly, "is given up");
}

#[test]
fn a_rest_forgotten_by_a_crash_is_found() {
    found(Sabotage::RestForgotten, "of rest");
}

#[test]
fn a_breath_that_is_not_taken_is_found() {
    found(Sabotage::NoBreath, "did not breathe");
}

#[test]
fn a_policy_that_is_not_written_down_is_found() {
    found_from(UNREST, Sabotage::PolicyForgotten, "lives under");
}

#[test]
fn a_deletion_that_nobody_was_told_of_is_found() {
    found_from(UNREST, Sabotage::DeletionUntold, "before it was told to expire");
}

#[test]
fn a_copy_taken_for_ours_is_found() {
    found(Sabotage::LabelsTrusted, "which is not ours");
}

#[test]
fn a_start_without_room_is_found() {
    found_from(UNREST, Sabotage::RoomUnasked, "there is no room for it");
}
