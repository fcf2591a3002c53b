//! What a client sees when the engine fails, is away, or is full: over the fake engine, through the real routes.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use axum::body::{Body, to_bytes};
use axum::http::Request;
use control::{Clock, Control, Endpoints, Parts, Settings, Store, Target, Writing};
use engine::fake::{Call, Fake};
use model::{IdlePolicy, Reach};
use serde_json::{Value, json};
use server::{App, Password};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tower::ServiceExt;

struct NoPorts;

impl Endpoints for NoPorts {
    fn claim(&self, _: u16) -> io::Result<()> {
        Ok(())
    }

    fn set(&self, _: u16, _: Reach, _: &Target) -> io::Result<()> {
        Ok(())
    }

    fn release(&self, _: u16) {}
}

struct Bench {
    fake: Fake,
    app: Arc<App>,
    _folder: tempfile::TempDir,
}

struct Answer {
    status: u16,
    retry_after: Option<String>,
    body: Value,
}

impl Bench {
    async fn new(show_causes: bool) -> Self {
        let (fake, folder) = (Fake::new(), tempfile::tempdir().unwrap());
        let policy = IdlePolicy {
            initial_timeout_interval: Duration::from_secs(60),
            timeout_interval: Duration::from_secs(60),
            disable_timeouts: false,
        };
        let settings = Settings {
            instance: "test".into(),
            subnet: None,
            policy,
            endpoint_ports: 50_000..=50_003,
            limits: engine::Limits::default(),
            env: vec![],
            authorized_keys: String::new(),
            start_limit: 1,
        };
        let parts = Parts {
            engine: Arc::new(fake.clone()),
            endpoints: Arc::new(NoPorts),
            store: Store::open(folder.path()).unwrap(),
            writing: Writing::Inline,
            clock: Clock::system(),
            settings,
        };
        let control = Control::launch(parts).await.unwrap();
        let password = Password::new("p");
        let app = Arc::new(App { control, password, public_host: "host".into(), show_causes });
        Self { fake, app, _folder: folder }
    }

    async fn send(&self, method: &str, path: &str, body: &str) -> Answer {
        // admin:p
        let request =
            Request::builder().method(method).uri(path).header("authorization", "Basic YWRtaW46cA==");
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let response = server::api(&self.app).oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let retry_after =
            response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
        let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        Answer { status, retry_after, body: serde_json::from_slice(&bytes).unwrap_or_default() }
    }

    async fn create(&self) -> Answer {
        self.send("POST", "/v1/containers", "image=image").await
    }

    async fn until_missed(&self) {
        let begun = Instant::now();
        while self.app.control.is_ready() {
            assert!(begun.elapsed() < Duration::from_secs(10), "waited in vain until the engine is missed");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn is(answer: &Answer, status: u16, slug: &str) {
    let kind = format!("urn:spin-docker:problem:{slug}");
    assert_eq!((answer.status, &answer.body["type"]), (status, &json!(kind)), "{}", answer.body);
}

#[tokio::test]
async fn an_engine_that_is_away_is_503_with_a_time_to_come_back_and_reads_go_on() {
    let bench = Bench::new(true).await;
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
        assert!(answer.retry_after.is_some());
    }
    assert_eq!(bench.send("GET", "/v1/containers", "").await.body.as_array().unwrap().len(), 1);
    assert_eq!(bench.send("GET", &uri, "").await.status, 200);
    assert_eq!(bench.send("GET", "/readyz", "").await.status, 503);
    assert_eq!(bench.send("GET", "/healthz", "").await.status, 200);
}

#[tokio::test]
async fn a_start_that_fails_says_why_and_a_production_server_says_less() {
    for show_causes in [true, false] {
        let bench = Bench::new(show_causes).await;
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
    let bench = Bench::new(true).await;
    let made = bench.create().await.body;
    let uri = made["uri"].as_str().unwrap();
    let stopped = async || {
        let begun = Instant::now();
        while bench.send("GET", uri, "").await.body["status"] != "stopped" {
            assert!(begun.elapsed() < Duration::from_secs(10), "waited in vain until it is stopped");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    bench.send("PATCH", uri, "status=stopped").await;
    stopped().await;
    bench.fake.slow(Call::Start, Duration::from_millis(300));
    let (started, stop) = tokio::join!(bench.send("PATCH", uri, "status=running"), async {
        while bench.send("GET", uri, "").await.body["status"] != "starting" {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        bench.send("PATCH", uri, "status=stopped").await
    });
    is(&started, 409, "overtaken");
    assert_eq!((stop.status, &stop.body["status"]), (200, &json!("stopping")));
    stopped().await;
    let (started, deleted) = tokio::join!(bench.send("PATCH", uri, "status=running"), async {
        while bench.send("GET", uri, "").await.body["status"] != "starting" {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        bench.send("DELETE", uri, "").await
    });
    assert_eq!((started.status, deleted.status), (404, 204), "{}", started.body);
}

#[tokio::test]
async fn a_used_up_range_is_503_with_the_arithmetic_and_more_ports_than_allowed_422() {
    let bench = Bench::new(true).await;
    assert_eq!((bench.create().await.status, bench.create().await.status), (201, 201));
    let answer = bench.create().await;
    is(&answer, 503, "used-up");
    assert!(
        answer.body["message"].as_str().unwrap().contains("50000-50003 holds 4: 4 in use"),
        "{}",
        answer.body
    );
    assert!(answer.retry_after.is_some());
    let exposed = (1..=33).map(model::PortSpec::tcp).collect();
    bench.fake.add_image("wide", model::Image { exposed, ..Default::default() });
    is(&bench.send("POST", "/v1/containers", "image=wide").await, 422, "too-many-ports");
}
