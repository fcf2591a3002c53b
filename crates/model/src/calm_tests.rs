//! What keeps a container awake, as tables.

use super::*;
use crate::container::Sleep;
use crate::idle::Looks;
use crate::policy::Counts;
use crate::specimen::specimen;

const START: u64 = 1_000_000;
const POLICY: IdlePolicy = IdlePolicy::DEFAULT;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(START + seconds * 1000)
}

/// One that started at 0, was last used then, and is looked at first after two hours.
fn running() -> Container {
    let looks = Some(Looks { stage: Stage::Initial, since: at(0), next: at(7200) });
    specimen(Phase::Running { looks, sleep: Sleep::Awake }, at(0))
}

fn used(at: Timestamp) -> Container {
    Container { last_activity: at, ..running() }
}

fn checked_in(value: &str, at: Timestamp) -> Container {
    Container { check_in: value.into(), checked_in_at: Some(at), ..running() }
}

const VISITED: Seen = Seen { connected: true, owed_since: None };

#[test]
fn what_keeps_a_container_awake() {
    let after = |seconds| FreezeAfter::After(Duration::from_secs(seconds));
    let said = IdlePolicy { freeze_after: after(10), ..POLICY };
    let ttl = IdlePolicy { check_in_ttl: Some(Duration::from_secs(30)), ..said.clone() };
    let traffic = IdlePolicy { activity: Counts::Traffic, ..POLICY };
    let never = IdlePolicy { disable_timeouts: true, ..POLICY };
    let off = IdlePolicy { freeze_after: FreezeAfter::Off, ..POLICY };
    let owed = |since| Seen { connected: true, owed_since: Some(at(since)) };
    let table = [
        // By default: not before somebody has connected, or the first look; then after a minute.
        ("nobody came", running(), Seen::default(), 100, &POLICY, Some((Keeper::Unvisited, Some(7200)))),
        ("the first look has passed", running(), Seen::default(), 7200, &POLICY, None),
        ("just used", used(at(100)), VISITED, 100, &POLICY, Some((Keeper::Use, Some(160)))),
        ("used a minute ago", used(at(100)), VISITED, 160, &POLICY, None),
        (
            "it reports for itself",
            checked_in("0", at(1)),
            VISITED,
            999,
            &POLICY,
            Some((Keeper::Reports, None)),
        ),
        ("which does not count", checked_in("0", at(1)), VISITED, 999, &traffic, None),
        ("no timeouts", used(at(0)), VISITED, 999, &never, Some((Keeper::Policy, None))),
        ("off", used(at(0)), VISITED, 999, &off, Some((Keeper::Policy, None))),
        // Where somebody says when, it holds from the start, and for those that report 0.
        ("said, nobody came", running(), Seen::default(), 10, &said, None),
        ("said, it reports 0", checked_in("0", at(1)), VISITED, 11, &said, None),
        ("said, it reports 2", checked_in("2", at(1)), VISITED, 999, &said, Some((Keeper::CheckIn, None))),
        ("its report is young", checked_in("2", at(1)), VISITED, 30, &ttl, Some((Keeper::CheckIn, Some(31)))),
        ("its report is old", checked_in("2", at(1)), VISITED, 31, &ttl, None),
        // An owed answer, for an hour.
        ("a long query", used(at(0)), owed(5), 600, &POLICY, Some((Keeper::Owed, Some(3605)))),
        ("a lost one", used(at(0)), owed(5), 3605, &POLICY, None),
    ];
    for (what, container, seen, now, policy, expected) in table {
        let kept = container.kept_awake(&seen, at(now), policy);
        let expected = expected.map(|(by, until)| Awake { by, until: until.map(at) });
        assert_eq!(kept, expected, "{what}");
    }
}

#[test]
fn what_only_the_kernel_knows_keeps_it_awake_too() {
    let owed = |since| Some(Beside { peer: ([172, 18, 0, 1], 40_000).into(), since: at(since) });
    let table = [
        (Inside::default(), None),
        (Inside { execs: 1, mail: true, ..Inside::default() }, Some((Keeper::Exec, None))),
        (Inside { mail: true, ..Inside::default() }, Some((Keeper::Mail, None))),
        (Inside { owed: owed(3940), ..Inside::default() }, Some((Keeper::OwedBeside, Some(7540)))),
        (Inside { owed: owed(400), ..Inside::default() }, None),
        (Inside { cpu: Some(20), ..Inside::default() }, None),
        (Inside { cpu: Some(21), ..Inside::default() }, Some((Keeper::Busy(21), None))),
    ];
    for (inside, expected) in table {
        let expected = expected.map(|(by, until)| Awake { by, until: until.map(at) });
        assert_eq!(inside.keeps_awake(at(4000), &POLICY), expected, "{inside:?}");
    }
    let any_cpu = IdlePolicy { busy_cpu: None, ..POLICY };
    assert_eq!(Inside { cpu: Some(900), ..Inside::default() }.keeps_awake(at(4000), &any_cpu), None);
}

#[test]
fn what_does_not_run_is_kept_awake_by_nothing() {
    let stopped = Container { phase: Phase::Removing, ..running() };
    assert_eq!(stopped.kept_awake(&VISITED, at(1), &POLICY), None);
}

#[test]
fn breaths_are_a_tenth_apart_and_no_sooner_than_five_seconds() {
    for (rested, after) in [(0, 5), (49, 5), (60, 6), (3_600, 360), (864_000, 86_400)] {
        let after = Some(Duration::from_secs(after));
        assert_eq!(POLICY.breathes_after(Duration::from_secs(rested)), after, "after {rested} s");
    }
    let none = IdlePolicy { breathe: false, ..POLICY };
    assert_eq!(none.breathes_after(Duration::from_secs(60)), None);
}
