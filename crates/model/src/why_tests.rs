use super::*;
use crate::cause::Method;
use crate::freezer::Freezer;
use crate::idle::Looks;
use crate::specimen::specimen;
use std::time::Duration;

const NOW: u64 = 10_000_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(NOW).shifted(seconds * 1000)
}

fn container(phase: Phase) -> Container {
    Container { created_at: at(-500), ..specimen(phase, at(-12)) }
}

fn running(stage: Stage, sleep: Sleep) -> Container {
    container(Phase::Running { looks: Some(Looks { stage, since: at(-100), next: at(100) }), sleep })
}

fn kept(by: Keeper, until: Option<i64>) -> Known {
    Known { kept: Some((Awake { by, until: until.map(at) }, at(-1))), ..Known::default() }
}

fn link(owed: bool) -> Link {
    let peer = ([127, 0, 0, 1], 5123).into();
    Link { peer, port: 5432, moved_at: at(-7), owed, ignored: false }
}

/// One that a client beside the gateway has waited for, since `since`.
fn kept_beside(since: i64) -> Known {
    let beside = Some(Beside { peer: ([172, 18, 0, 1], 40_000).into(), since: at(since) });
    Known { beside, ..kept(Keeper::OwedBeside, Some(since + 3600)) }
}

fn told(container: &Container, known: &Known) -> String {
    why(container, &IdlePolicy::DEFAULT, known, at(0)).sentence
}

#[test]
fn what_keeps_it_awake_is_told_in_a_sentence() {
    let awake = running(Stage::Initial, Sleep::Awake);
    let owed = Known { links: vec![link(true)], ..kept(Keeper::Owed, Some(3593)) };
    let given_up = Link { moved_at: at(-3700), ..link(true) };
    let beside = Known { links: vec![given_up], ..kept_beside(-3420) };
    let table = [
        (
            kept(Keeper::Use, Some(48)),
            "It is awake: it was used 12 s ago; it freezes in 48 s if nothing happens",
        ),
        (
            owed,
            "It is awake: 127.0.0.1:5123 has waited 7 s for an answer from port 5432; it freezes in 59 min if nothing happens",
        ),
        (
            beside,
            "It is awake: 172.18.0.1:40000, a client beside the gateway, has waited 57 min for an answer; it freezes in 3 min if nothing happens",
        ),
        (kept(Keeper::Exec, None), "It is awake: somebody runs a command in it"),
        (kept(Keeper::Busy(512), None), "It is awake: it uses 51.2 % of a core, more than busy_cpu"),
        (
            kept(Keeper::Policy, None),
            "It is awake: its policy never freezes it (freeze_after, disable_timeouts)",
        ),
        (
            kept(Keeper::Unvisited, Some(100)),
            "It is awake: nobody has connected since its start, and its first look is still to come; it freezes in 100 s if nothing happens",
        ),
    ];
    for (known, words) in table {
        assert_eq!(told(&awake, &known), words);
    }
}

fn last(kind: EventKind, cause: Cause) -> Known {
    let event = Event::of(&container(Phase::Creating), at(-300), kind, Some(cause));
    Known { last: Some(event), ..Known::default() }
}

#[test]
fn why_it_sleeps_is_told_in_a_sentence() {
    let frozen = running(Stage::First, Sleep::Frozen { by: Freezer::Cgroup });
    let stopped = |reason| container(Phase::Stopped { reason });
    let table = [
        (
            frozen.clone(),
            last(EventKind::Froze, Cause::NoBytes { seconds: 60 }),
            "5 min ago it froze: no bytes for 60 s; a connection or a byte wakes it",
        ),
        (
            running(Stage::First, Sleep::Breathing { by: Freezer::Cgroup }),
            last(EventKind::Froze, Cause::NoBytes { seconds: 60 }),
            "5 min ago it froze: no bytes for 60 s; a connection or a byte wakes it",
        ),
        (frozen, last(EventKind::Started, Cause::Found), "It is frozen; a connection or a byte wakes it"),
        (
            stopped(StopReason::Idle),
            last(EventKind::Stopped, Cause::Looks),
            "5 min ago it stopped: idle twice; a connection starts it",
        ),
        (
            stopped(StopReason::Asked),
            last(EventKind::Stopped, Cause::Request { method: Method::Patch }),
            "5 min ago it stopped: asked by PATCH; only a PATCH with status=running, or `docker start`, starts it",
        ),
        (
            stopped(StopReason::Pressure),
            Known::default(),
            "It is stopped: the host was short of memory; a connection starts it",
        ),
        (
            stopped(StopReason::Exited),
            Known { restarts_at: Some((at(16), 5)), ..Known::default() },
            "It is stopped: it ended by itself; a connection starts it, in 16 s at the earliest: it ended by itself 5 times in a row",
        ),
        (
            stopped(StopReason::Exited),
            Known { restarts_at: Some((at(-1), 1)), ..Known::default() },
            "It is stopped: it ended by itself; a connection starts it",
        ),
    ];
    for (container, known, words) in table {
        assert_eq!(told(&container, &known), words);
    }
    let mut policy = IdlePolicy::DEFAULT;
    policy.set(crate::Term::WakeFrom, "10.0.0.0/8").unwrap();
    let idle = stopped(StopReason::Idle);
    let told = why(&idle, &policy, &Known::default(), at(0)).sentence;
    assert_eq!(told, "It is stopped: idle twice; a connection from 10.0.0.0/8 starts it");
}

#[test]
fn what_comes_next_is_foretold() {
    let next = |container: &Container, known: &Known| {
        let policy = IdlePolicy { timeout_interval: Duration::from_secs(1800), ..IdlePolicy::DEFAULT };
        what_next(container, &policy, known, at(0))
    };
    let awake = running(Stage::Initial, Sleep::Awake);
    let used = kept(Keeper::Use, Some(48));
    let (freeze, look) = ((Next::Freeze, at(48)), (Next::Look, at(100)));
    assert_eq!(next(&awake, &used), [freeze, look, (Next::Stop, at(1900))]);
    let connected = Known { links: vec![link(false)], ..used.clone() };
    assert_eq!(next(&awake, &connected), [freeze, look], "no look stops it while a connection is open");
    let moved = Known { used: true, ..used.clone() };
    assert_eq!(next(&awake, &moved), [freeze, look, (Next::Stop, at(3700))]);
    let frozen = running(Stage::Last, Sleep::Frozen { by: Freezer::Cgroup });
    assert_eq!(next(&frozen, &Known::default()), [look, (Next::Stop, at(100))]);
    let busy = kept(Keeper::Busy(100), None);
    assert_eq!(next(&awake, &busy), [look, (Next::Stop, at(1900))], "nobody knows when it will be done");
    let owed = kept(Keeper::Owed, Some(20));
    assert_eq!(next(&awake, &owed)[0], freeze, "what was used keeps it longer");
    assert_eq!(next(&awake, &kept_beside(-3550))[0], (Next::Freeze, at(50)), "it is given up then");
    let mut mortal = container(Phase::Stopped { reason: StopReason::Idle });
    mortal.owner_says.say(crate::Term::ExpiresAfter, "10m").unwrap();
    let policy = mortal.own_policy(&IdlePolicy::DEFAULT).unwrap();
    assert_eq!(what_next(&mortal, &policy, &Known::default(), at(0)), [(Next::Expire, at(100))]);
}

#[test]
fn each_fact_has_its_time_and_its_source() {
    let mut known = kept(Keeper::Busy(100), None);
    let ignored = |moved| Link { ignored: true, moved_at: at(moved), ..link(true) };
    (known.links, known.used) = (vec![link(true), ignored(-9), ignored(-5), ignored(-6)], true);
    known.failure = Some(("a port is held".into(), Some(at(-30)), Source::Gateway));
    let mut awake = running(Stage::Initial, Sleep::Awake);
    (awake.check_in, awake.checked_in_at) = ("5".into(), Some(at(-3)));
    let facts = why(&awake, &IdlePolicy::DEFAULT, &known, at(0)).facts;
    let of = |name| facts.iter().find(|fact| fact.fact == name).map(|f| (f.value.as_str(), f.at, f.source));
    assert_eq!(of("CPU use"), Some(("10 %", Some(at(-1)), Source::Kernel)));
    assert_eq!(of("open connections"), Some(("1", Some(at(-7)), Source::Gateway)));
    assert_eq!(of("ignored connections"), Some(("3", Some(at(-5)), Source::Gateway)));
    assert_eq!(of("failure"), Some(("a port is held", Some(at(-30)), Source::Gateway)));
    assert_eq!(of("last use"), Some(("of what the policy counts", Some(at(-12)), Source::Gateway)));
    assert_eq!(of("owed an answer"), Some(("127.0.0.1:5123 by port 5432", Some(at(-7)), Source::Gateway)));
    assert_eq!(of("last check-in"), Some(("5", Some(at(-3)), Source::CheckIn)));
    assert_eq!(of("freeze_after"), Some(("off", None, Source::Policy)), "it reports for itself");
}

/// A wait that was given up keeps nothing awake, and is none of what the sentence was made of.
#[test]
fn of_the_answers_that_are_owed_those_that_count_are_facts() {
    let awake = running(Stage::Initial, Sleep::Awake);
    let owed = |known: &Known| -> Vec<_> {
        let facts = why(&awake, &IdlePolicy::DEFAULT, known, at(0)).facts.into_iter();
        let owed = facts.filter(|fact| fact.fact == "owed an answer");
        owed.map(|fact| (fact.value, fact.at.unwrap(), fact.source)).collect()
    };
    let since = |moved| Link { moved_at: at(moved), ..link(true) };
    let beside = ("172.18.0.1:40000, beside the gateway".to_owned(), at(-3420), Source::Kernel);
    let ours = ("127.0.0.1:5123 by port 5432".to_owned(), at(-3599), Source::Gateway);
    let mut known = Known { links: vec![since(-3600)], ..kept_beside(-3420) };
    assert_eq!(owed(&known), std::slice::from_ref(&beside));
    known.links.push(since(-3599));
    assert_eq!(owed(&known), [beside, ours]);
    known.kept = kept(Keeper::Use, Some(48)).kept;
    known.links.clear();
    assert_eq!(owed(&known), [], "whether it still waits is not known");
}

#[test]
fn the_last_use_is_told_by_whoever_saw_it() {
    use crate::policy::Counts::{Any, CheckIn, Traffic};
    // Its looks are counted from its start, 100 s ago.
    let table = [
        (-12, Some(-3), Any, Source::Gateway),
        (-12, Some(-12), Any, Source::CheckIn),
        (-12, Some(-12), CheckIn, Source::CheckIn),
        (-12, None, Traffic, Source::Gateway),
        (-100, None, Any, Source::Engine),
        (-12, None, CheckIn, Source::Engine),
    ];
    for (used, reported, activity, source) in table {
        let (last_activity, checked_in_at) = (at(used), reported.map(at));
        let awake = Container { last_activity, checked_in_at, ..running(Stage::Initial, Sleep::Awake) };
        let policy = IdlePolicy { activity, ..IdlePolicy::DEFAULT };
        let facts = why(&awake, &policy, &Known::default(), at(0)).facts;
        let told = facts.iter().find(|fact| fact.fact == "last use").map(|fact| (fact.at, fact.source));
        assert_eq!(told, Some((Some(last_activity), source)), "{used} {reported:?} {activity:?}");
    }
}
