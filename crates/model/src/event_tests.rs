use super::*;
use crate::cause::{Method, Refusal};
use crate::container::After;
use crate::freezer::Freezer;
use crate::policy::Term;
use crate::specimen::specimen;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::fmt::Debug;

fn container(phase: Phase) -> Container {
    specimen(phase, Timestamp::from_millis(0))
}

fn told(before: Phase, after: Phase, because: Option<Cause>) -> Option<String> {
    let at = Timestamp::from_millis(1);
    let event = Event::of_transition(&container(before), &container(after), at, because.as_ref());
    event.map(|event| event.to_string())
}

fn running(sleep: Sleep) -> Phase {
    Phase::Running { looks: None, sleep }
}

fn connection() -> Cause {
    Cause::Connection { peer: ([127, 0, 0, 1], 5123).into(), port: 5432 }
}

const FROZEN: Sleep = Sleep::Frozen { by: Freezer::Cgroup };
const BREATHING: Sleep = Sleep::Breathing { by: Freezer::Cgroup };
const THAWING: Sleep = Sleep::Thawing { by: Some(Freezer::Cgroup) };

#[test]
fn sleep_and_wake_are_told_with_their_cause() {
    let table = [
        (Sleep::Freezing, FROZEN, Cause::NoBytes { seconds: 60 }, "froze: no bytes for 60 s"),
        (
            Sleep::Freezing,
            FROZEN,
            Cause::KeepAlives { seconds: 75 },
            "froze: no more than keep-alives for 75 s",
        ),
        (Sleep::Freezing, FROZEN, Cause::Request { method: Method::Patch }, "froze: asked by PATCH"),
        (Sleep::Awake, FROZEN, Cause::Engine, "froze: somebody did so through the engine"),
        (THAWING, Sleep::Awake, connection(), "woke: connection from 127.0.0.1:5123 to port 5432"),
        (THAWING, Sleep::Awake, Cause::Exec, "thawed: the engine is about to run a command in it"),
        (
            BREATHING,
            Sleep::Awake,
            Cause::Breath,
            "thawed: it was let run for a moment (breathe), and went on",
        ),
        (THAWING, FROZEN, Cause::Error { text: "why".into() }, "failed: why"),
    ];
    for (before, after, because, words) in table {
        assert_eq!(told(running(before), running(after), Some(because)).as_deref(), Some(words));
    }
    for (before, after) in [
        (Sleep::Awake, Sleep::Freezing),
        (Sleep::Freezing, Sleep::Awake),
        (Sleep::Thawing { by: None }, Sleep::Awake),
        (FROZEN, THAWING),
        (FROZEN, BREATHING),
        (BREATHING, FROZEN),
        (BREATHING, THAWING),
        (FROZEN, FROZEN),
    ] {
        assert_eq!(told(running(before), running(after), None), None, "{before:?} {after:?}");
    }
}

#[test]
fn starts_and_ends_are_told_with_their_cause() {
    let awake = || running(Sleep::Awake);
    let stopped = |reason| Phase::Stopped { reason };
    let stopping = |reason, after| Phase::Stopping { reason, after };
    let starting = |first| Phase::Starting { first, after: After::Stay };
    let post = Cause::Request { method: Method::Post };
    let exit = |code, unseen| Cause::Exit { code, out_of_memory: false, unseen };
    let error = Cause::Error { text: "no such file".into() };
    let table = [
        (Phase::Creating, starting(true), post.clone(), "was created: asked by POST"),
        (starting(true), awake(), post, "started: asked by POST"),
        (starting(false), awake(), connection(), "woke: connection from 127.0.0.1:5123 to port 5432"),
        (
            stopping(StopReason::Idle, After::Stay),
            stopped(StopReason::Idle),
            connection(),
            "stopped: idle twice",
        ),
        (stopping(StopReason::Idle, After::Start), starting(false), connection(), "stopped: idle twice"),
        (
            stopping(StopReason::Pressure, After::Stay),
            stopped(StopReason::Pressure),
            Cause::Pressure,
            "stopped: the host was short of memory",
        ),
        (
            stopping(StopReason::Asked, After::Stay),
            stopped(StopReason::Asked),
            Cause::Request { method: Method::Patch },
            "stopped: asked by PATCH",
        ),
        (awake(), stopped(StopReason::Asked), Cause::Engine, "stopped: somebody did so through the engine"),
        (
            awake(),
            stopped(StopReason::Exited),
            exit(1, false),
            "exited with code 1: it ended by itself; `docker logs` shows its last words",
        ),
        (
            awake(),
            stopped(StopReason::Exited),
            exit(0, true),
            "exited with code 0: it ended while spin-docker or the engine was away",
        ),
        (starting(false), stopped(StopReason::Failed), error.clone(), "failed: no such file"),
        (starting(true), Phase::Removing, error, "failed: no such file"),
        (
            awake(),
            stopping(StopReason::Asked, After::Remove),
            Cause::Expiry { term: Term::ExpiresAfter, seconds: 0 },
            "was deleted: expires_after of its policy",
        ),
    ];
    for (before, after, because, words) in table {
        assert_eq!(told(before, after, Some(because)).as_deref(), Some(words));
    }
    assert_eq!(told(awake(), stopping(StopReason::Idle, After::Stay), Some(Cause::Looks)), None);
    assert_eq!(told(Phase::Removing, Phase::Gone, None), None, "it is told once");
}

#[test]
fn whoever_did_not_wake_it_is_told_together() {
    let why = Refusal::TooSoon { times: 3, seconds: 4 };
    let cause = Cause::Refusal { peer: ([127, 0, 0, 1], 5123).into(), port: 5432, why };
    let event =
        Event::of(&container(Phase::Creating), Timestamp::from_millis(1), EventKind::Refused, Some(cause));
    let words = "refused 127.0.0.1:5123 to port 5432: woke again too soon: ended by itself 3 times in a row; next start in 4 s";
    assert_eq!(event.to_string(), words);
    let often = Event { times: 312, ..event };
    assert_eq!(often.to_string(), format!("{words} (312 times within a minute)"));
}

#[test]
fn what_is_kept_reads_as_it_was_written() {
    for cause in [connection(), Cause::Looks, Cause::Expiry { term: Term::ExpiresAfter, seconds: 9 }] {
        let event =
            Event::of(&container(Phase::Creating), Timestamp::from_millis(1), EventKind::GaveUp, Some(cause));
        let read: Event = serde_json::from_str(&serde_json::to_string(&event).unwrap()).unwrap();
        assert_eq!(read, event);
    }
    for kind in EventKind::ALL {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
    }
}

/// What the table under this heading names in its first column.
fn first_column(heading: &str) -> BTreeSet<String> {
    let page = include_str!("../../../docs/events.md");
    let (_, rest) = page.split_once(&format!("| `{heading}` |")).unwrap();
    let rows = rest.lines().skip(2).take_while(|line| line.starts_with('|'));
    let cells = rows.flat_map(|row| row.split('|').nth(1).unwrap().split(','));
    cells.map(|name| name.trim().trim_matches('`').to_owned()).collect()
}

/// The names that there are: serde says them to whoever writes another.
fn variants<T: DeserializeOwned + Debug>(tag: &str) -> BTreeSet<String> {
    let said = serde_json::from_value::<T>(serde_json::json!({ tag: "?" })).unwrap_err().to_string();
    let (_, names) = said.split_once("expected one of ").unwrap();
    names.split(", ").map(|name| name.trim_matches('`').to_owned()).collect()
}

#[test]
fn the_reference_page_names_every_cause_and_every_refusal() {
    assert_eq!(first_column("by"), variants::<Cause>("by"));
    assert_eq!(first_column("because"), variants::<Refusal>("because"));
    for why in [Refusal::TooSoon { times: 1, seconds: 1 }, Refusal::OutOfPorts, Refusal::NotAllowed] {
        assert_eq!(serde_json::to_value(&why).unwrap()["because"], why.because());
    }
}
