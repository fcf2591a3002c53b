//! The idle policy as requests say it: at a create and at a change, in JSON and in forms, and every mistake.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod bench;

use bench::{Answer, Bench, says};
use model::{Image, PortSpec, Term};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const JSON: &str = "application/json";

async fn post(bench: &Bench, policy: Value) -> Answer {
    let body = json!({"image": "image", "policy": policy}).to_string();
    bench.send_as("POST", "/v1/containers", JSON, body).await
}

async fn patch(bench: &Bench, uri: &str, policy: Value) -> Answer {
    bench.send_as("PATCH", uri, JSON, json!({ "policy": policy }).to_string()).await
}

async fn with_one() -> (Bench, Value) {
    let bench = Bench::new().await;
    let made = bench.create().await;
    assert_eq!(made.status, 201, "{}", made.body);
    (bench, made.body)
}

fn uri(container: &Value) -> &str {
    container["uri"].as_str().unwrap()
}

fn seconds_between(earlier: &Value, later: &Value) -> f64 {
    let time = |text: &Value| text.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    time(later).duration_since(time(earlier)).as_secs_f64()
}

#[tokio::test]
async fn every_term_is_shown_as_it_holds() {
    let (_bench, made) = with_one().await;
    let shown = made["policy"].as_object().unwrap();
    let names: Vec<_> = shown.keys().map(String::as_str).collect();
    let mut terms: Vec<_> = Term::ALL.iter().map(|term| term.name()).collect();
    terms.sort_unstable();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, terms);
    assert_eq!((&shown["timeout_interval"], &shown["expires_after"]), (&60.into(), &"off".into()));
    assert_eq!((&made["expires_at"], &made["warnings"]), (&Value::Null, &json!([])));
}

#[tokio::test]
async fn a_create_says_a_policy_as_json_and_as_a_form() {
    let bench = Bench::new().await;
    let policy = json!({"initial_timeout_interval": "1h", "activity": "traffic", "ignore_from": ["10.0.0.0/8"], "wake": null});
    let by_json = post(&bench, policy).await;
    let form = "image=image&policy.initial_timeout_interval=1h&policy.activity=traffic&policy.ignore_from=10.0.0.0/8&policy.wake=";
    let by_form = bench.send("POST", "/v1/containers", form).await;
    for made in [by_json, by_form] {
        assert_eq!(made.status, 201, "{}", made.body);
        let shown = &made.body["policy"];
        assert_eq!(
            (&shown["initial_timeout_interval"], &shown["activity"]),
            (&3600.into(), &"traffic".into())
        );
        assert_eq!((&shown["ignore_from"], &shown["wake"]), (&json!(["10.0.0.0/8"]), &"connect".into()));
        let due = seconds_between(&made.body["created_at"], &made.body["next_look"]);
        assert!((3600.0..3610.0).contains(&due), "{due}");
        assert_eq!(bench.send("GET", uri(&made.body), "").await.body, made.body);
    }
}

#[tokio::test]
async fn a_change_is_in_force_when_it_is_answered_and_is_taken_back_by_null() {
    let (bench, made) = with_one().await;
    let changed =
        patch(&bench, uri(&made), json!({"timeout_interval": 5, "initial_timeout_interval": "2h"})).await;
    assert_eq!(changed.status, 200, "{}", changed.body);
    assert_eq!(changed.body["policy"]["initial_timeout_interval"], 7200);
    let due = seconds_between(&made["created_at"], &changed.body["next_look"]);
    assert!((7200.0..7210.0).contains(&due), "its look moved: {due}");
    let one = patch(&bench, uri(&made), json!({"initial_timeout_interval": null})).await;
    assert_eq!(one.body["policy"]["initial_timeout_interval"], 60);
    assert_eq!(one.body["policy"]["timeout_interval"], 5, "the other is still said");
    let form = bench.send("PATCH", uri(&made), "policy.timeout_interval=").await;
    assert_eq!((form.status, &form.body["policy"]), (200, &made["policy"]), "{}", form.body);
    assert_eq!(patch(&bench, uri(&made), json!({})).await.body, form.body, "nothing said is nothing changed");
}

#[tokio::test]
async fn a_policy_goes_with_a_status_and_with_one_that_is_stopped() {
    let (bench, made) = with_one().await;
    let both = json!({"status": "stopped", "policy": {"expires_after": "1d"}}).to_string();
    let stopping = bench.send_as("PATCH", uri(&made), JSON, both).await;
    assert_eq!((stopping.status, &stopping.body["status"]), (200, &"stopping".into()), "{}", stopping.body);
    assert_eq!(stopping.body["policy"]["expires_after"], 86_400);
    assert!(
        (86_399.0..86_401.0).contains(&seconds_between(&made["created_at"], &stopping.body["expires_at"]))
    );
    bench.until_status(uri(&made), "stopped").await;
    let shown = patch(&bench, uri(&made), json!({"expires_after": null})).await;
    assert_eq!((&shown.body["status"], &shown.body["expires_at"]), (&"stopped".into(), &Value::Null));
    let start = bench.send("PATCH", uri(&made), "status=running&policy.initial_timeout_interval=3h").await;
    assert_eq!((start.status, &start.body["status"]), (200, &"running".into()), "{}", start.body);
    assert!(
        seconds_between(&made["created_at"], &start.body["next_look"]) > 10_799.0,
        "in force at the start"
    );
}

#[tokio::test]
async fn a_mistake_is_told_and_nothing_of_the_request_is_done() {
    let (bench, made) = with_one().await;
    let table = [
        (
            json!({"freeze_afer": "60s"}),
            "policy: \"freeze_afer\" is no term of the idle policy; the nearest is freeze_after",
        ),
        (
            json!({"freeze_after": "soon"}),
            "policy: freeze_after is \"soon\"; it takes seconds, a duration such as 2h or 30m (w, d, h, m and s), or off",
        ),
        (json!({"busy_cpu": 0}), "policy: busy_cpu is \"0\"; it takes a share of one core"),
        (
            json!({"wake_from": ["10.0.0.0/33"]}),
            "policy: wake_from is \"10.0.0.0/33\"; it takes addresses or networks",
        ),
        (json!({"wake_from": [10]}), "policy: wake_from is \"[10]\"; it takes addresses or networks"),
        (json!({"owed_for": {}}), "policy: owed_for is \"{}\"; it takes seconds"),
        (
            json!({"timeout_interval": 5, "wake": "never"}),
            "policy: wake is \"never\"; it takes connect, first-byte or api",
        ),
        (json!(null), "policy: invalid type: null, expected a map"),
        (json!("off"), "policy: invalid type: string \"off\", expected a map"),
    ];
    for (policy, words) in table {
        let both = json!({"status": "stopped", "policy": policy.clone()}).to_string();
        says(&bench.send_as("PATCH", uri(&made), JSON, both).await, 422, "invalid-field", words);
        says(&post(&bench, policy).await, 422, "invalid-field", words);
    }
    for (form, words) in [
        ("policy.freeze_afer=1", "the nearest is freeze_after"),
        ("policy.wake=never", "policy: wake is \"never\"; it takes"),
        ("policy.wake=api&policy.wake=connect", "policy.wake: it is there twice"),
        ("policy=off", "policy: invalid type: string \"off\", expected a map"),
        ("status=dancing&policy.timeout_interval=5", "status must be running or stopped, not \"dancing\""),
    ] {
        says(&bench.send("PATCH", uri(&made), form).await, 422, "invalid-field", words);
    }
    assert_eq!(bench.send("GET", uri(&made), "").await.body, made);
    assert_eq!(bench.listed().await, 1);
}

#[tokio::test]
async fn an_images_labels_hold_below_a_request_and_those_that_say_nothing_are_shown() {
    let bench = Bench::new().await;
    let labels = [
        ("activity", "traffic"),
        ("app_port", "9999"),
        ("owed_for", "10m"),
        ("busy_cpu", "a lot"),
        ("freeze_afer", "5m"),
    ];
    let labels: BTreeMap<_, _> =
        labels.map(|(term, text)| (format!("spin-docker.{term}"), text.to_owned())).into();
    let image = Image { exposed: vec![PortSpec::tcp(80)], labels, ..Image::default() };
    bench.fake.add_image("image", image);
    let made = post(&bench, json!({"owed_for": "20m"})).await;
    assert_eq!(made.status, 201, "any image runs: {}", made.body);
    let shown = &made.body["policy"];
    assert_eq!((&shown["activity"], &shown["owed_for"]), (&"traffic".into(), &1200.into()));
    assert_eq!(shown["busy_cpu"], 0.02);
    let warnings = made.body["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert!(
        warnings[1]
            .as_str()
            .unwrap()
            .starts_with("the image's label spin-docker.busy_cpu is \"a lot\"; it takes")
    );
    assert!(warnings[0].as_str().unwrap().contains("app_port is \"9999\""), "{warnings:?}");
    assert!(warnings[2].as_str().unwrap().ends_with("says nothing; spin-docker.freeze_after would"));
    let back = patch(&bench, uri(&made.body), json!({"owed_for": null})).await;
    assert_eq!(back.body["policy"]["owed_for"], 600, "what the image says");
}
