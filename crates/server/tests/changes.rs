//! Changes and deletes that cannot be, that come twice, and that meet each other.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod bench;

use bench::{Bench, says};
use engine::fake::Call;
use std::time::Duration;

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

async fn with_one() -> (Bench, String) {
    let bench = Bench::new().await;
    let made = bench.create().await;
    assert_eq!(made.status, 201, "{}", made.body);
    let uri = made.body["uri"].as_str().unwrap().to_owned();
    (bench, uri)
}

#[tokio::test]
async fn a_status_other_than_the_two_is_422_and_names_them() {
    let (bench, uri) = with_one().await;
    for status in ["", "asleep", "Running", "stopping", "running ", "0"] {
        let words = format!("status must be running or stopped, not {status:?}");
        says(&bench.send("PATCH", &uri, &format!("status={status}")).await, 422, "invalid-field", &words);
    }
    let long = bench.send("PATCH", &uri, &format!("status={}", "a".repeat(10_000))).await;
    says(&long, 422, "invalid-field", "status must be running or stopped, not \"aaaa");
    assert!(long.message().len() < 100, "{}", long.message());
    assert_eq!(bench.send("GET", &uri, "").await.body["status"], "running");
}

#[tokio::test]
async fn a_change_of_nothing_that_we_know_is_422() {
    let (bench, uri) = with_one().await;
    let takes = "A change takes status, running or stopped; depth, frozen or awake; or policy";
    says(&bench.send("PATCH", &uri, "").await, 422, "invalid-field", takes);
    for body in ["", "{}"] {
        says(&bench.send_as("PATCH", &uri, JSON, body).await, 422, "invalid-field", takes);
    }
    for (kind, body) in [(FORM, "depths=frozen"), (FORM, "garbage"), (JSON, r#"{"depths": "frozen"}"#)] {
        let words = ": there is no such field; there are status, depth, policy";
        says(&bench.send_as("PATCH", &uri, kind, body).await, 422, "invalid-field", words);
    }
    let beside = bench.send("PATCH", &uri, "status=running&freeze_after=5m").await;
    says(
        &beside,
        422,
        "invalid-field",
        "freeze_after: it is a term of the idle policy; say policy.freeze_after",
    );
    let null = bench.send_as("PATCH", &uri, JSON, r#"{"status": null}"#).await;
    says(&null, 422, "invalid-field", "status: invalid type: null, expected a string");
    let typed = bench.send_as("PATCH", &uri, JSON, r#"{"status": true}"#).await;
    says(&typed, 422, "invalid-field", "status: invalid type: boolean `true`, expected a string");
    says(
        &bench.send_as("PATCH", &uri, JSON, "status=stopped").await,
        400,
        "body-unreadable",
        "The body is not JSON",
    );
    assert_eq!(bench.send("GET", &uri, "").await.body["status"], "running");
}

#[tokio::test]
async fn who_is_not_there_is_404_and_nothing_comes_into_being() {
    let bench = Bench::new().await;
    let long = "a".repeat(10_000);
    for id in ["1337", "ffffffffffff", "..%2f..%2fetc", "%00", &long] {
        for (method, body) in
            [("PATCH", "status=running"), ("PATCH", "status=stopped"), ("DELETE", ""), ("GET", "")]
        {
            let answer = bench.send(method, &format!("/v1/containers/{id}"), body).await;
            says(&answer, 404, "no-such-container", "doesn't exist");
            assert!(answer.message().len() < 250, "{}", answer.message());
        }
    }
    says(
        &bench.send("GET", "/v1/containers/1337", "").await,
        404,
        "no-such-container",
        "Container 1337 doesn't exist",
    );
    assert_eq!((bench.listed().await, bench.ports.count()), (0, 0));
    assert!(bench.fake.bodies().is_empty());
}

#[tokio::test]
async fn a_delete_that_comes_twice_is_204_and_then_404() {
    let (bench, uri) = with_one().await;
    bench.fake.slow(Call::Stop, Duration::from_millis(200));
    let first = bench.send("DELETE", &uri, "").await;
    assert_eq!((first.status, first.body), (204, serde_json::Value::Null));
    for (method, body) in [("DELETE", ""), ("GET", ""), ("PATCH", "status=running")] {
        says(&bench.send(method, &uri, body).await, 404, "no-such-container", "doesn't exist");
    }
    bench::until("all of it is gone", async || bench.fake.bodies().is_empty() && bench.ports.count() == 0)
        .await;
}

/// Both have found the container before either is answered, so that both are told what is so. A third one comes while the engine is
/// at its work, and finds nothing.
#[tokio::test]
async fn two_deletes_at_once_are_204_each_and_the_engine_stops_and_removes_once() {
    let (bench, uri) = with_one().await;
    for call in [Call::Stop, Call::Remove] {
        bench.fake.slow(call, Duration::from_millis(200));
    }
    let delete = || bench.send("DELETE", &uri, "");
    let (first, second) = tokio::join!(delete(), delete());
    for answer in [first, second] {
        assert_eq!((answer.status, answer.body), (204, serde_json::Value::Null));
    }
    let calls = |wanted: Call| bench.fake.calls().iter().filter(|(call, _)| *call == wanted).count();
    bench::until("the engine is at it", async || calls(Call::Remove) == 1).await;
    says(&delete().await, 404, "no-such-container", "doesn't exist");
    bench::until("all of it is gone", async || bench.fake.bodies().is_empty() && bench.ports.count() == 0)
        .await;
    assert_eq!((calls(Call::Stop), calls(Call::Remove), bench.listed().await), (1, 1, 0));
}

#[tokio::test]
async fn a_start_of_a_running_one_is_200_and_no_look_moves() {
    let (bench, uri) = with_one().await;
    let before = bench.send("GET", &uri, "").await.body;
    let again = bench.send("PATCH", &uri, "status=running").await;
    assert_eq!((again.status, &again.body), (200, &before));
    let starts = bench.fake.calls().iter().filter(|(call, _)| *call == Call::Start).count();
    assert_eq!(starts, 1, "the engine was not asked again");
}

#[tokio::test]
async fn a_start_while_it_stops_waits_for_the_stop_and_answers_running() {
    let (bench, uri) = with_one().await;
    bench.fake.slow(Call::Stop, Duration::from_millis(100));
    let stop = bench.send("PATCH", &uri, "status=stopped").await;
    assert_eq!((stop.status, &stop.body["status"]), (200, &"stopping".into()));
    let start = bench.send("PATCH", &uri, "status=running").await;
    assert_eq!((start.status, &start.body["status"]), (200, &"running".into()), "{}", start.body);
}

#[tokio::test]
async fn what_stops_does_not_run_so_that_it_neither_freezes_nor_thaws() {
    let (bench, uri) = with_one().await;
    bench.fake.slow(Call::Stop, Duration::from_millis(100));
    bench.send("PATCH", &uri, "status=stopped").await;
    let freeze = bench.send("PATCH", &uri, "depth=frozen").await;
    says(&freeze, 409, "not-running", "The container does not run, so it can neither freeze nor thaw");
}

#[tokio::test]
async fn a_stop_while_it_starts_wins_and_the_start_is_told_so() {
    let (bench, uri) = with_one().await;
    bench.send("PATCH", &uri, "status=stopped").await;
    bench.until_status(&uri, "stopped").await;
    bench.fake.slow(Call::Start, Duration::from_millis(200));
    let (start, stop) = tokio::join!(bench.send("PATCH", &uri, "status=running"), async {
        bench.until_status(&uri, "starting").await;
        bench.send("PATCH", &uri, "status=stopped").await
    });
    says(&start, 409, "overtaken", "The container was stopped by another request meanwhile");
    assert_eq!((stop.status, &stop.body["status"]), (200, &"stopping".into()), "{}", stop.body);
    bench.until_status(&uri, "stopped").await;
    let again = bench.send("PATCH", &uri, "status=stopped").await;
    assert_eq!((again.status, &again.body["status"]), (200, &"stopped".into()), "of a stopped one");
}

/// The ids of the engine in memory begin with zeros.
#[tokio::test]
async fn the_beginning_of_several_ids_names_none_of_them() {
    let (bench, uri) = with_one().await;
    let beginning = &uri[.."/v1/containers/".len() + 12];
    assert_eq!(bench.send("GET", beginning, "").await.body["uri"], uri.as_str());
    assert_eq!(bench.create().await.status, 201);
    for (method, body) in [("GET", ""), ("PATCH", "status=stopped"), ("DELETE", "")] {
        let answer = bench.send(method, beginning, body).await;
        says(&answer, 409, "ambiguous", "000000000000 is the beginning of 2 container ids; give more digits");
    }
    assert_eq!(bench.send("GET", "/v1/containers", "").await.body.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_running_one_freezes_and_thaws_by_hand() {
    let (bench, uri) = with_one().await;
    for depth in ["frozen", "frozen", "awake", "awake"] {
        let shown = bench.send("PATCH", &uri, &format!("depth={depth}")).await;
        let (status, is) = (&shown.body["status"], &shown.body["depth"]);
        assert_eq!((shown.status, status, is), (200, &"running".into(), &depth.into()), "{}", shown.body);
    }
    for depth in ["", "asleep", "stopped", "Frozen"] {
        let words = format!("depth must be frozen or awake, not {depth:?}");
        says(&bench.send("PATCH", &uri, &format!("depth={depth}")).await, 422, "invalid-field", &words);
    }
    let both = bench.send("PATCH", &uri, "status=stopped&depth=frozen").await;
    says(&both, 409, "not-running", "ask for one of them");
    assert_eq!(bench.send("GET", &uri, "").await.body["depth"], "awake", "nothing of it was done");
}

#[tokio::test]
async fn a_stopped_one_neither_freezes_nor_thaws_but_what_starts_may() {
    let (bench, uri) = with_one().await;
    bench.send("PATCH", &uri, "status=stopped").await;
    bench.until_status(&uri, "stopped").await;
    for depth in ["frozen", "awake"] {
        let answer = bench.send("PATCH", &uri, &format!("depth={depth}")).await;
        says(&answer, 409, "not-running", "The container does not run, so it can neither freeze nor thaw");
        assert_eq!(bench.send("GET", &uri, "").await.body["depth"], "stopped");
    }
    // Without a status the depth comes first, and where it cannot be, the policy stays as it was.
    let policy = &bench.send("GET", &uri, "").await.body["policy"];
    let with_policy = bench.send("PATCH", &uri, "policy.freeze_after=1h&depth=frozen").await;
    says(&with_policy, 409, "not-running", "The container does not run, so it can neither freeze nor thaw");
    assert_eq!(&bench.send("GET", &uri, "").await.body["policy"], policy);
    let started = bench.send("PATCH", &uri, "status=running&depth=frozen&policy.freeze_after=off").await;
    assert_eq!((started.status, &started.body["depth"]), (200, &"frozen".into()), "{}", started.body);
    assert_eq!(started.body["policy"]["freeze_after"], "off");
}

#[tokio::test]
async fn what_froze_by_itself_stays_frozen_under_a_policy_that_says_never_where_that_is_asked_for() {
    let (bench, uri) = with_one().await;
    bench.send("PATCH", &uri, "policy.freeze_after=1").await;
    bench.until_depth(&uri, "frozen").await;
    let answer = bench.send("PATCH", &uri, "policy.freeze_after=off&depth=frozen").await;
    assert_eq!((answer.status, &answer.body["depth"]), (200, &"frozen".into()), "{}", answer.body);
    assert_eq!(answer.body["policy"]["freeze_after"], "off");
    // And without that, it goes on.
    bench.send("PATCH", &uri, "depth=awake&policy.freeze_after=1").await;
    bench.until_depth(&uri, "frozen").await;
    bench.send("PATCH", &uri, "policy.freeze_after=off").await;
    bench.until_depth(&uri, "awake").await;
}

#[tokio::test]
async fn a_freeze_that_fails_is_told_and_leaves_it_awake() {
    let (bench, uri) = with_one().await;
    bench.fake.fail(Call::Freeze, 1, false);
    let answer = bench.send("PATCH", &uri, "depth=frozen").await;
    says(&answer, 409, "not-so", "The container is awake, not as asked: the engine could not freeze it: ");
    assert_eq!(bench.send("GET", &uri, "").await.body["depth"], "awake");
}
