//! The whole product over an engine that fails, hangs or answers nonsense at each kind of call: whoever asked is told by the problem
//! that the API documents, nothing stays on the engine, the ports are given back, and once the engine behaves all works as before.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tests::{Act, Daemon, Misbehaving, Postgres, ask, docker, hide_control_groups, test_image, text, until};

/// It has files put into it, and is asked whether it can serve.
const POSTGRES: &str = "atbaker/sd-postgres";
const SOON: Duration = Duration::from_secs(30);

fn over(engine: &Misbehaving) -> Daemon {
    Daemon::start(&[("@DOCKER_HOST", &engine.host())])
}

/// A create while the engine does this, until it is answered: with this status and this kind of problem.
fn refused(engine: &Misbehaving, daemon: &Daemon, (step, act): (&'static str, Act), told: (u16, &str)) {
    engine.on(step, act);
    let answer = daemon.client.post("/v1/containers", &format!("image={POSTGRES}"));
    assert!(engine.met() > 0, "{step} {act:?}: it was never asked for");
    assert_eq!(answer.status, told.0, "{step} {act:?}: {}", answer.text);
    let kind = format!("urn:spin-docker:problem:{}", told.1);
    assert_eq!(answer.json()["type"], kind, "{step} {act:?}: {}", answer.text);
    let message = text(&answer.json(), "message").to_lowercase();
    assert!(message.contains("the engine"), "{step} {act:?}: {message}");
    assert_eq!(answer.header("retry-after").is_empty(), told.0 != 503, "{step} {act:?}");
    assert_eq!(daemon.client.get("/v1/containers").text, "[]", "{step} {act:?}");
}

fn nothing_is_left(daemon: &Daemon, what: &str) {
    until(&format!("{what}: no body is left"), SOON, || daemon.bodies().is_empty().then_some(()));
    until(&format!("{what}: the ports are given back"), SOON, || {
        daemon.listens_at().is_empty().then_some(())
    });
}

/// A PostgreSQL is made, answers, and is deleted.
fn all_is_well(daemon: &Daemon) {
    let made = daemon.client.create(POSTGRES);
    let mut open = Postgres::connect(text(&made, "app_port")).unwrap();
    open.query("SELECT 1 + 1").unwrap();
    assert_eq!(daemon.client.delete(text(&made, "uri")).status, 204);
    nothing_is_left(daemon, "after a delete");
}

#[test]
fn a_create_over_an_engine_that_fails_or_talks_nonsense_is_told_and_leaves_nothing() {
    let engine = Misbehaving::start();
    let daemon = over(&engine);
    for act in [Act::Fail, Act::Nonsense] {
        refused(&engine, &daemon, ("image", act), (500, "engine"));
    }
    for step in ["create", "look", "files", "inspect", "start"] {
        for act in [Act::Fail, Act::FailAfterwards, Act::Nonsense] {
            // An answer that says nothing that we need is none the worse for it.
            if matches!((step, act), ("files" | "start", Act::Nonsense)) {
                continue;
            }
            refused(&engine, &daemon, (step, act), (500, "not-started"));
            nothing_is_left(&daemon, &format!("{step} {act:?}"));
        }
    }
    engine.behave();
    all_is_well(&daemon);
}

/// Each has a daemon of its own, and all wait at once: a deadline may be two minutes.
#[test]
fn a_create_over_an_engine_that_hangs_is_given_up_in_time_and_leaves_nothing() {
    let hangs = |step: &'static str, act: Act, told: (u16, &'static str)| {
        let engine = Misbehaving::start();
        let daemon = over(&engine);
        // Longer than a client of the other tests waits.
        let client = daemon.client.patient();
        engine.on(step, act);
        let begun = Instant::now();
        let answer = client.post("/v1/containers", &format!("image={POSTGRES}"));
        assert!((20..=130).contains(&begun.elapsed().as_secs()), "{step}: {:?}", begun.elapsed());
        assert_eq!(answer.status, told.0, "{step} {act:?}: {}", answer.text);
        assert_eq!(answer.json()["type"], format!("urn:spin-docker:problem:{}", told.1), "{step} {act:?}");
        let message = text(&answer.json(), "message").to_lowercase();
        assert!(message.contains("the engine took longer than"), "{step} {act:?}: {message}");
        assert_eq!(daemon.client.get("/v1/containers").text, "[]", "{step} {act:?}");
        nothing_is_left(&daemon, &format!("{step} {act:?}"));
        engine.behave();
        all_is_well(&daemon);
    };
    test_image();
    std::thread::scope(|scope| {
        scope.spawn(|| hangs("image", Act::Hang, (503, "engine-away")));
        // The engine makes the body and does not say so.
        scope.spawn(|| hangs("create", Act::Mute, (500, "not-started")));
        scope.spawn(|| hangs("look", Act::Hang, (500, "not-started")));
        scope.spawn(|| hangs("files", Act::Hang, (500, "not-started")));
        scope.spawn(|| hangs("inspect", Act::Hang, (500, "not-started")));
        scope.spawn(|| hangs("start", Act::Hang, (500, "not-started")));
        scope.spawn(|| hangs("start", Act::Mute, (500, "not-started")));
    });
}

/// Two looks that find nobody have stopped it.
fn asleep(daemon: &Daemon) -> Value {
    let policy = json!({"initial_timeout_interval": "1s", "timeout_interval": "1s", "freeze_after": "off", "wake_timeout": "5s"});
    let made = daemon.client.create_as(&json!({"image": test_image(), "policy": policy}));
    daemon.client.until(&made, "status", "stopped");
    made
}

#[test]
fn a_wake_over_an_engine_that_fails_or_hangs_closes_the_client_and_the_next_one_is_served() {
    let engine = Misbehaving::start();
    let daemon = over(&engine);
    let made = asleep(&daemon);
    let port = text(&made, "app_port").to_owned();
    for act in [Act::Fail, Act::FailAfterwards, Act::Hang, Act::Mute] {
        daemon.client.until(&made, "status", "stopped");
        engine.on("start", act);
        let begun = Instant::now();
        let answer = ask(&port, "hello").unwrap_or_default();
        assert_eq!(answer, "", "{act:?}: nobody answers");
        assert!(begun.elapsed() < Duration::from_secs(15), "{act:?}: {:?}", begun.elapsed());
        assert!(engine.met() > 0, "{act:?}: it was never asked for");
        let kinds = daemon.client.kinds(&made);
        assert!(kinds.iter().any(|kind| kind == "failed" || kind == "refused"), "{act:?}: {kinds:?}");
        engine.behave();
        until("it is woken", SOON, || ask(&port, "hello").ok().filter(|answer| answer.ends_with("hello")));
        assert_eq!(daemon.bodies().len(), 1, "{act:?}");
    }
    assert_eq!(daemon.client.delete(text(&made, "uri")).status, 204);
    nothing_is_left(&daemon, "after wakes");
}

/// With the control groups out of reach, a freeze is the engine's pause.
#[test]
fn a_freeze_over_an_engine_that_fails_or_hangs_is_told_and_the_container_is_reached() {
    hide_control_groups();
    let engine = Misbehaving::start();
    let daemon = over(&engine);
    let made = daemon.client.create_as(&json!({"image": test_image(), "policy": {"freeze_after": "off"}}));
    let port = text(&made, "app_port").to_owned();
    ask(&port, "hello").unwrap();
    for (step, act) in [
        ("pause", Act::Fail),
        ("pause", Act::FailAfterwards),
        ("pause", Act::Hang),
        ("pause", Act::Mute),
        ("inspect", Act::Fail),
        ("inspect", Act::Nonsense),
        ("inspect", Act::Hang),
    ] {
        engine.on(step, act);
        let answer = daemon.client.patch(text(&made, "uri"), "depth=frozen");
        assert!(engine.met() > 0, "{step} {act:?}: it was never asked for");
        // Where the engine did it after all, that is seen.
        match (act, answer.status) {
            (Act::FailAfterwards, 200) => assert_eq!(answer.json()["depth"], "frozen"),
            (_, 409) => assert_eq!(answer.json()["type"], "urn:spin-docker:problem:not-so"),
            _ => panic!("{step} {act:?}: {}", answer.text),
        }
        engine.behave();
        assert!(ask(&port, "hello").unwrap().ends_with("hello"), "{step} {act:?}: it goes on");
        let id = text(&made, "container_id");
        until("the engine has not paused it", SOON, || {
            (docker(&["inspect", "-f", "{{.State.Paused}}", id]) == "false").then_some(())
        });
        daemon.client.freeze(&made);
        assert!(ask(&port, "hello").unwrap().ends_with("hello"), "{step} {act:?}: it wakes");
    }
}

#[test]
fn a_delete_over_an_engine_that_fails_or_hangs_is_done_once_it_behaves() {
    let engine = Misbehaving::start();
    let daemon = over(&engine);
    for act in [Act::Fail, Act::FailAfterwards, Act::Hang, Act::Mute] {
        let made = daemon.client.create(test_image());
        engine.on("remove", act);
        assert_eq!(daemon.client.delete(text(&made, "uri")).status, 204, "{act:?}");
        assert_eq!(daemon.client.get(text(&made, "uri")).status, 404, "{act:?}");
        assert_eq!(daemon.client.get("/v1/containers").text, "[]", "{act:?}");
        until("it is asked for", SOON, || (engine.met() > 0).then_some(()));
        engine.behave();
        nothing_is_left(&daemon, &format!("{act:?}"));
    }
    all_is_well(&daemon);
}
