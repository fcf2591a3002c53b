//! What a client sees when the engine fails, is away, or is full: over the fake engine, through the real routes.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod bench;

use bench::{Bench, is};
use engine::fake::Call;
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn an_engine_that_is_away_is_503_with_a_time_to_come_back_and_reads_go_on() {
    let bench = Bench::new().await;
    let made = bench.create().await;
    assert_eq!(made.status, 201, "{}", made.body);
    let uri = made.body["uri"].as_str().unwrap().to_owned();
    bench.fake.set_away(true);
    bench.until_missed().await;
    for answer in [
        bench.create().await,
        bench.send("GET", "/v1/images", "").await,
        bench.send("GET", "/v1/containers?audit=true", "").await,
    ] {
        is(&answer, 503, "engine-away");
        assert!(answer.header("retry-after").is_some());
    }
    assert_eq!(bench.send("GET", "/v1/containers", "").await.body.as_array().unwrap().len(), 1);
    assert_eq!(bench.send("GET", &uri, "").await.status, 200);
    assert_eq!(bench.send("GET", "/readyz", "").await.status, 503);
    assert_eq!(bench.send("GET", "/healthz", "").await.status, 200);
}

#[tokio::test]
async fn a_start_that_fails_says_why_and_a_production_server_says_less() {
    for show_causes in [true, false] {
        let bench = Bench::with(show_causes, |_| ()).await;
        bench.fake.fail(Call::Start, 1, false);
        let failed = bench.create().await;
        is(&failed, 500, "not-started");
        let message = failed.body["message"].as_str().unwrap();
        assert!(message.starts_with("The container does not start"), "{message}");
        assert_eq!(bench.send("GET", "/v1/containers", "").await.body, json!([]));

        let made = bench.create().await.body;
        let uri = made["uri"].as_str().unwrap();
        bench.fake.set_away(true);
        bench.until_missed().await;
        let images = bench.send("GET", "/v1/images", "").await;
        let shows_cause = images.body["message"].as_str().unwrap().contains("told to be away");
        assert_eq!(shows_cause, show_causes, "{}", images.body);
        assert_eq!(bench.send("GET", uri, "").await.body["status"], "running");
    }
}

#[tokio::test]
async fn commands_that_overtake_each_other_are_told_apart() {
    let bench = Bench::new().await;
    let made = bench.create().await.body;
    let uri = made["uri"].as_str().unwrap();
    bench.send("PATCH", uri, "status=stopped").await;
    bench.until_status(uri, "stopped").await;
    bench.fake.slow(Call::Start, Duration::from_millis(300));
    let (started, stop) = tokio::join!(bench.send("PATCH", uri, "status=running"), async {
        bench.until_status(uri, "starting").await;
        bench.send("PATCH", uri, "status=stopped").await
    });
    is(&started, 409, "overtaken");
    assert_eq!((stop.status, &stop.body["status"]), (200, &json!("stopping")));
    bench.until_status(uri, "stopped").await;
    let (started, deleted) = tokio::join!(bench.send("PATCH", uri, "status=running"), async {
        bench.until_status(uri, "starting").await;
        bench.send("DELETE", uri, "").await
    });
    assert_eq!((started.status, deleted.status), (404, 204), "{}", started.body);
}

#[tokio::test]
async fn a_used_up_range_is_503_with_the_arithmetic_and_more_ports_than_allowed_422() {
    let bench = Bench::new().await;
    assert_eq!((bench.create().await.status, bench.create().await.status), (201, 201));
    let answer = bench.create().await;
    is(&answer, 503, "used-up");
    assert!(
        answer.body["message"].as_str().unwrap().contains("50000-50003 holds 4: 4 in use"),
        "{}",
        answer.body
    );
    assert!(answer.header("retry-after").is_some());
    let exposed = (1..=33).map(model::PortSpec::tcp).collect();
    bench.fake.add_image("wide", model::Image { exposed, ..Default::default() });
    is(&bench.send("POST", "/v1/containers", "image=wide").await, 422, "too-many-ports");
}

/// The clock is paused: an engine that hangs is given up at once by it.
#[tokio::test(start_paused = true)]
async fn trouble_at_each_step_of_a_create_has_its_status_and_leaves_nothing() {
    let hang = Duration::from_secs(1_000_000);
    let table = [
        (Call::Image, None, 500, "engine", "The engine cannot image: told to fail"),
        (Call::Image, Some(hang), 503, "engine-away", "The engine took longer than 120 s to image"),
        (Call::Create, None, 500, "not-started", "The engine cannot create: told to fail"),
        (Call::Create, Some(hang), 500, "not-started", "The engine took longer than 120 s to create"),
        (Call::Start, None, 500, "not-started", "The engine cannot start: told to fail"),
        (Call::Start, Some(hang), 500, "not-started", "The engine took longer than 120 s to start"),
    ];
    for (call, hangs, status, slug, words) in table {
        let bench = Bench::new().await;
        match hangs {
            Some(time) => bench.fake.slow(call, time),
            None => bench.fake.fail(call, 1, false),
        }
        let answer = bench.create().await;
        is(&answer, status, slug);
        assert!(
            answer.message().to_lowercase().contains(&words.to_lowercase()),
            "{call:?}: {}",
            answer.message()
        );
        assert_eq!(answer.header("retry-after").is_some(), status == 503);
        bench.fake.slow(call, Duration::ZERO);
        bench::until("nothing is left", async || bench.ports.count() == 0 && bench.fake.bodies().is_empty())
            .await;
        assert_eq!(bench.create().await.status, 201, "{call:?}: and then it works again");
    }
}
