//! The idle monitor as the seed tells it, row by row, and as properties over random lives.

use super::*;
use proptest::prelude::*;
use std::time::Duration;

const POLICY: IdlePolicy = IdlePolicy::DEFAULT;
const IDLE: Evidence = Evidence { checked_in: false, used: false, connections: 0 };

/// The seed, 2.3.2, row by row.
#[test]
fn the_seeds_workflow() {
    let now = Timestamp::from_millis(1_000_000);
    let later = now.plus(Duration::from_secs(1800));
    let again = |stage| Verdict::LookAgain(Looks { stage, since: now, next: later });
    let checked_in = Evidence { checked_in: true, ..IDLE };
    let used = Evidence { used: true, ..IDLE };
    let connected = Evidence { connections: 1, ..IDLE };
    let table = [
        ("idle at the first look since its start: one last look", Stage::Initial, IDLE, again(Stage::Last)),
        ("idle at any other first look: the same", Stage::First, IDLE, again(Stage::Last)),
        ("idle at the last look: stop", Stage::Last, IDLE, Verdict::Stop),
        ("checked in at the first look", Stage::Initial, checked_in, again(Stage::First)),
        ("checked in at the last look: counts as a first one", Stage::Last, checked_in, again(Stage::First)),
        ("used since the look before", Stage::Last, used, again(Stage::First)),
        ("a connection is open", Stage::Last, connected, again(Stage::First)),
    ];
    for (row, stage, evidence, expected) in table {
        assert_eq!(POLICY.look(stage, evidence, now), expected, "{row}");
    }
}

#[test]
fn the_first_look_is_one_initial_interval_after_the_start() {
    let start = Timestamp::from_millis(5);
    let looks = POLICY.first_look(start).expect("timeouts are on");
    let next = start.plus(Duration::from_secs(7200));
    assert_eq!(looks, Looks { stage: Stage::Initial, since: start, next });
}

#[test]
fn disable_timeouts_never_looks() {
    let policy = IdlePolicy { disable_timeouts: true, ..POLICY };
    assert_eq!(policy.first_look(Timestamp::from_millis(5)), None);
    assert_eq!(policy.another_look(Timestamp::from_millis(5)), None);
}

/// Looks of a container that started, or was last looked at, at second 10,000.
#[test]
fn a_changed_policy_moves_the_pending_look_and_never_into_the_past() {
    use Stage::{First, Initial, Last};
    let at = |second: u64| Timestamp::from_millis(second * 1000);
    let policy = |initial, interval| IdlePolicy {
        initial_timeout_interval: Duration::from_secs(initial),
        timeout_interval: Duration::from_secs(interval),
        disable_timeouts: false,
        ..IdlePolicy::DEFAULT
    };
    // (pending under the seed's intervals, the new intervals, now: what is pending then, and when)
    let table = [
        ("later", Initial, (9000, 60), 10_100, Initial, 19_000),
        ("sooner", Initial, (3600, 60), 10_100, Initial, 13_600),
        ("the initial interval is over: at once", Initial, (60, 60), 10_100, Initial, 10_100),
        ("exactly now", Initial, (100, 60), 10_100, Initial, 10_100),
        ("the other interval moves it not", Initial, (7200, 1), 10_100, Initial, 17_200),
        ("between looks, the other interval counts", First, (1, 3600), 10_100, First, 13_600),
        ("sooner", First, (7200, 600), 10_100, First, 10_600),
        ("a last look stays one where it is to come", Last, (7200, 600), 10_100, Last, 10_600),
        ("and is a first one where it would be past", Last, (7200, 60), 10_100, First, 10_100),
        (
            "unchanged, and overdue since the program was down: as it was",
            Last,
            (7200, 1800),
            99_999,
            Last,
            11_800,
        ),
        ("longer, and overdue all the same", Last, (7200, 1801), 99_999, Last, 11_801),
    ];
    for (row, stage, (initial, interval), now, expected, next) in table {
        let had = POLICY.looks(stage, at(10_000));
        let moved = policy(initial, interval).moved(had, at(now));
        assert_eq!(moved, Some(Looks { stage: expected, since: at(10_000), next: at(next) }), "{row}");
    }
}

#[test]
fn switching_the_looks_off_and_on_again_begins_with_a_first_one() {
    let (now, later) = (Timestamp::from_millis(5), Timestamp::from_millis(6));
    let off = IdlePolicy { disable_timeouts: true, ..POLICY };
    assert_eq!(off.moved(POLICY.first_look(now), later), None);
    assert_eq!(off.moved(None, later), None);
    assert_eq!(POLICY.moved(None, later), POLICY.first_look(later));
}

/// Runs the monitor over a life in which look `n` finds `active[n]`; the time of the stop, if it came.
fn run(policy: &IdlePolicy, active: &[bool]) -> Option<Timestamp> {
    let mut looks = policy.first_look(Timestamp::default())?;
    for used in active {
        match policy.look(looks.stage, Evidence { used: *used, ..IDLE }, looks.next) {
            Verdict::LookAgain(next) => looks = next,
            Verdict::Stop => return Some(looks.next),
        }
    }
    None
}

proptest! {
    #[test]
    fn an_active_container_is_never_stopped(looks in 1_usize..500) {
        prop_assert_eq!(run(&POLICY, &vec![true; looks]), None);
    }

    #[test]
    fn one_that_is_active_at_every_other_look_is_never_stopped(looks in 1_usize..500, odd in 0_usize..2) {
        let active: Vec<bool> = (0..looks).map(|n| n % 2 == odd).collect();
        prop_assert_eq!(run(&POLICY, &active), None);
    }

    #[test]
    fn an_idle_one_is_stopped_within_initial_and_interval(initial in 1_u64..100_000, interval in 1_u64..100_000) {
        let policy = IdlePolicy {
            initial_timeout_interval: Duration::from_secs(initial),
            timeout_interval: Duration::from_secs(interval),
            disable_timeouts: false,
            ..IdlePolicy::DEFAULT
        };
        let stopped = run(&policy, &[false, false]);
        prop_assert_eq!(stopped, Some(Timestamp::from_millis((initial + interval) * 1000)));
    }

    /// Whatever becomes of the policy, and whenever: no stop but by two looks, the first of which found it idle.
    #[test]
    fn a_policy_that_changes_stops_nothing_that_no_look_found_idle(
        steps in prop::collection::vec((1_u64..5_000, 1_u64..5_000, 1_u64..5_000, any::<bool>()), 1..60),
    ) {
        let (mut now, mut policy) = (Timestamp::default(), POLICY);
        let (mut looks, mut found_idle) = (policy.first_look(now), false);
        for (wait, initial, interval, used) in steps {
            let until = now.plus(Duration::from_secs(wait));
            while let Some(pending) = looks.filter(|looks| looks.next <= until) {
                prop_assert!(pending.next >= now, "a look in the past");
                now = pending.next;
                match policy.look(pending.stage, Evidence { used, ..IDLE }, now) {
                    Verdict::LookAgain(next) => (looks, found_idle) = (Some(next), !used),
                    Verdict::Stop => {
                        prop_assert!(found_idle && !used);
                        return Ok(());
                    }
                }
            }
            now = until;
            policy.initial_timeout_interval = Duration::from_secs(initial);
            policy.timeout_interval = Duration::from_secs(interval);
            looks = policy.moved(looks, now);
        }
    }

    #[test]
    fn after_its_last_use_it_runs_at_least_one_interval(active in prop::collection::vec(any::<bool>(), 0..50)) {
        let mut life = active.clone();
        life.extend([false, false]);
        let stopped = run(&POLICY, &life).expect("two idle looks end it");
        let first_pair = life.windows(2).position(|pair| pair == [false, false]).expect("the life ends so");
        let expected = 7200 + 1800 * (first_pair as u64 + 1);
        prop_assert_eq!(stopped, Timestamp::from_millis(expected * 1000));
    }
}
