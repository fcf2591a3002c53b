//! An engine to put to the test, the fake or a real one, and what the tests of both share.

#![allow(unreachable_pub, dead_code, reason = "shared by the test files")]
#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use engine::docker::Docker;
use engine::fake::Fake;
use engine::{ContainerSpec, Engine, Limits, Network, NetworkSpec};
use model::{EngineId, Freezer, Observation};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

pub const GRACE: Duration = Duration::from_secs(1);

/// An engine, and a network and names of our own on it. Everything of the instance is removed at the end.
pub struct Bench {
    pub engine: Box<dyn Engine>,
    pub image: &'static str,
    pub instance: String,
    pub network: Network,
    /// Where a real one is.
    pub host: Option<String>,
    /// What freezes here.
    pub by: Freezer,
    /// Whether it is Podman.
    pub podman: bool,
}

impl Bench {
    pub async fn fake() -> Self {
        Self::over(Box::new(Fake::new()), "image", None).await
    }

    pub async fn docker() -> Self {
        let engine = Docker::connect(None).await.expect("an engine answers; `make engine` brings one up");
        let host = engine.host().to_owned();
        Self::over(Box::new(engine), test_image(), Some(host)).await
    }

    /// A real engine of a test's own, which knows this image.
    pub async fn docker_at(host: &str, image: &'static str) -> Self {
        let engine = Docker::connect(Some(host)).await.expect("the test's engine answers");
        Self::over(Box::new(engine), image, Some(host.to_owned())).await
    }

    /// The same, where Podman answers.
    pub async fn podman_at(host: &str, image: &'static str) -> Self {
        let mut bench = Self::docker_at(host, image).await;
        bench.podman = true;
        bench
    }

    async fn over(engine: Box<dyn Engine>, image: &'static str, host: Option<String>) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let instance = format!("t-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let network = engine.network(&network_spec(&instance)).await.unwrap();
        Self { engine, image, instance, network, host, by: Freezer::Cgroup, podman: false }
    }

    pub fn spec(&self) -> ContainerSpec {
        let host = u32::from(self.network.subnet.network()) + 7;
        ContainerSpec {
            key: "k".into(),
            owner: self.instance.clone(),
            instance: self.instance.clone(),
            image: self.image.into(),
            network: self.network.name.clone(),
            address: Some(host.into()),
            env: vec!["A=b".into()],
            files: vec![],
            limits: Limits { pids: 64, log_size: "1m".into(), log_files: 2, ..Limits::default() },
            ..ContainerSpec::default()
        }
    }

    pub async fn body(&self) -> EngineId {
        self.engine.create(&self.spec()).await.unwrap().engine_id
    }

    pub async fn running(&self) -> EngineId {
        let id = self.body().await;
        self.engine.start(&id).await.unwrap();
        id
    }

    pub async fn sees(&self, id: &EngineId, expected: &str) {
        let seen = self.engine.inspect(id).await.unwrap();
        let word = match &seen {
            Observation::Running { .. } => "running",
            Observation::Exited { code: 0, .. } => "created",
            Observation::Exited { .. } => "exited",
            Observation::Missing => "missing",
        };
        assert_eq!(word, expected, "{seen:?}");
    }

    /// `docker ARGS`, behind the back of the engine's user.
    pub fn docker_cli(&self, args: &[&str]) -> String {
        let host = self.host.as_deref().expect("it is a real one");
        docker(&[&["--host", host], args].concat())
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if self.host.is_some() {
            let filter = format!("label=spin-docker.instance={}", self.instance);
            for id in self.docker_cli(&["ps", "-aq", "--filter", &filter]).split_whitespace() {
                self.docker_cli(&["rm", "-fv", id]);
            }
            self.docker_cli(&["network", "rm", &self.network.name]);
        }
    }
}

pub fn network_spec(instance: &str) -> NetworkSpec {
    NetworkSpec {
        name: format!("spin-docker-{instance}"),
        instance: instance.into(),
        owner: instance.into(),
        subnet: None,
    }
}

pub fn docker(args: &[&str]) -> String {
    let output = Command::new("docker").args(args).output().expect("the docker CLI is installed");
    assert!(output.status.success(), "docker {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Docker's own build: `docker build` from standard input, once.
pub fn test_image() -> &'static str {
    use std::io::Write;
    use std::process::Stdio;
    const NAME: &str = "spin-docker-test/contract";
    const DOCKERFILE: &[u8] =
        b"FROM debian:bookworm-slim\nEXPOSE 22 8000 53/udp\nLABEL a=b\nVOLUME /anonymous\n\
        STOPSIGNAL SIGKILL\nCMD [\"sleep\", \"infinity\"]\n";
    let mut build = Command::new("docker")
        .args(["build", "-q", "-t", NAME, "-"])
        .env("DOCKER_BUILDKIT", "0")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("the docker CLI is installed");
    build.stdin.take().expect("it is piped").write_all(DOCKERFILE).expect("docker reads it");
    assert!(build.wait().expect("it is our child").success());
    NAME
}
