//! The real routes over a real control over the engine in memory.

#![allow(unreachable_pub, reason = "shared by the test files")]
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod contract;
mod listening;
mod schema;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request};
use control::{Clock, Control, Endpoints, Flow, Parts, Settings, Sqlite, Target, Unmeasured, Writing};
use engine::fake::Fake;
use model::{IdlePolicy, Reach};
use serde_json::{Value, json};
use server::{App, Password};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The API, and what stands under it.
pub struct Bench {
    pub fake: Fake,
    pub app: Arc<App>,
    pub routes: server::Routes,
    pub ports: Ports,
    _folder: tempfile::TempDir,
}

/// Which ports are claimed, and where each leads.
#[derive(Clone, Default)]
pub struct Ports(Arc<Mutex<BTreeMap<u16, Option<Target>>>>);

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Endpoints for Ports {
    fn claim(&self, port: u16) -> io::Result<()> {
        self.0.lock().unwrap().insert(port, None);
        Ok(())
    }

    fn set(&self, port: u16, _: Reach, target: &Target) -> io::Result<()> {
        self.0.lock().unwrap().insert(port, Some(target.clone()));
        Ok(())
    }

    fn release(&self, port: u16) {
        self.0.lock().unwrap().remove(&port);
    }
}

impl Ports {
    pub fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// Somebody connects to this one.
    pub fn connect(&self, port: u16) -> Flow {
        let target = self.0.lock().unwrap()[&port].clone().unwrap();
        target.traffic.open(([127, 0, 0, 1], 5123).into(), target.address.port())
    }
}

impl Bench {
    /// With four ports to give, and errors that show their causes.
    pub async fn new() -> Self {
        Self::with(true, |_| ()).await
    }

    pub async fn with(show_causes: bool, change: impl FnOnce(&mut Parts)) -> Self {
        let (fake, folder, ports) = (Fake::new(), tempfile::tempdir().unwrap(), Ports::default());
        let mut parts = Parts {
            engine: Arc::new(fake.clone()),
            endpoints: Arc::new(ports.clone()),
            room: Arc::new(Unmeasured),
            store: Box::new(Sqlite::open(folder.path()).unwrap()),
            mint: Box::new(control::mint),
            writing: Writing::Inline,
            clock: Clock::system(),
            settings: settings(),
        };
        change(&mut parts);
        let control = Control::launch(parts).await.unwrap();
        let password = Password::new("p");
        let app = Arc::new(App {
            control,
            password,
            public_host: "host".into(),
            show_causes: show_causes.into(),
            last_list: Default::default(),
            ending: Default::default(),
        });
        let routes = server::api(&app);
        Self { fake, app, routes, ports, _folder: folder }
    }

    /// As `admin`, in the way of `curl -d`.
    pub async fn send(&self, method: &str, path: &str, body: &str) -> Answer {
        self.send_as(method, path, "application/x-www-form-urlencoded", body.to_owned()).await
    }

    /// As `admin`, a body of this type.
    pub async fn send_as(&self, method: &str, path: &str, kind: &str, body: impl Into<Bytes>) -> Answer {
        // admin:p
        let headers = [("authorization", "Basic YWRtaW46cA=="), ("content-type", kind)];
        self.request(method, path, &headers, Body::from(body.into())).await
    }

    /// With these headers alone, from a process of this host.
    pub async fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Body) -> Answer {
        self.request_from([127, 0, 0, 1].into(), method, path, headers, body).await
    }

    /// The same, from anywhere.
    pub async fn request_from(
        &self,
        source: IpAddr,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Body,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.extension(ConnectInfo(SocketAddr::new(source, 40_000)));
        let response = self.routes.answer(request.body(body).unwrap()).await;
        let (head, body) = response.into_parts();
        let bytes = to_bytes(body, 1 << 20).await.unwrap();
        let body = serde_json::from_slice(&bytes).unwrap_or_default();
        let answer = Answer { status: head.status.as_u16(), headers: head.headers, body };
        contract::hold(method, path, &answer);
        answer
    }

    /// A page that is no JSON, as `admin`.
    pub async fn text(&self, path: &str) -> String {
        let request = Request::builder().uri(path).header("authorization", "Basic YWRtaW46cA==");
        let response = self.routes.answer(request.body(Body::empty()).unwrap()).await;
        String::from_utf8(to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap()
    }

    pub async fn create(&self) -> Answer {
        self.send("POST", "/v1/containers", "image=image").await
    }

    /// How many containers a client sees.
    pub async fn listed(&self) -> usize {
        self.send("GET", "/v1/containers", "").await.body.as_array().unwrap().len()
    }

    pub async fn until_missed(&self) {
        until("the engine is missed", async || !self.app.control.is_ready()).await;
    }

    pub async fn until_status(&self, uri: &str, status: &str) {
        until(status, async || self.send("GET", uri, "").await.body["status"] == status).await;
    }

    pub async fn until_depth(&self, uri: &str, depth: &str) {
        until(depth, async || self.send("GET", uri, "").await.body["depth"] == depth).await;
    }
}

impl Answer {
    pub fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// Waits until it is so; a paused clock runs on meanwhile.
pub async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !so().await {
        assert!(begun.elapsed() < Duration::from_secs(10), "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A problem document of this kind.
pub fn is(answer: &Answer, status: u16, slug: &str) {
    let kind = format!("urn:spin-docker:problem:{slug}");
    assert_eq!((answer.status, &answer.body["type"]), (status, &json!(kind)), "{}", answer.body);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!(answer.body["status"], status);
}

/// The same, with these words in its message.
pub fn says(answer: &Answer, status: u16, slug: &str, words: &str) {
    is(answer, status, slug);
    assert!(answer.message().contains(words), "{:?} is not in {:?}", words, answer.message());
}

fn settings() -> Settings {
    Settings {
        instance: "test".into(),
        subnet: None,
        policy: IdlePolicy {
            initial_timeout_interval: Duration::from_secs(60),
            timeout_interval: Duration::from_secs(60),
            disable_timeouts: false,
            ..IdlePolicy::DEFAULT
        },
        endpoint_ports: 50_000..=50_003,
        limits: engine::Limits::default(),
        reserves: Default::default(),
        pressure_limit: None,
        env: vec![],
        authorized_keys: String::new(),
        on_loopback: true,
        publish: false,
        check_in_url: None,
        start_limit: 1,
    }
}
