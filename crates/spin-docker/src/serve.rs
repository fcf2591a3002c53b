//! `spin-docker serve`: wires the parts together, in the order in which they need each other, and takes them down in turn.

mod again;
mod by_name;
pub(crate) mod check_in_door;
mod host;
mod memory;
pub(crate) mod room;
mod service_manager;
mod ssh_key;

pub(crate) use service_manager::Passed;

use crate::config::{Config, Environment, Flags, Settings};
use crate::telemetry::Log;
use anyhow::Context;
use control::{Clock, Control, Neighbours, Parts, Reserves, Sqlite, Writing};
use engine::docker::Docker;
use engine::{Description, Engine, EngineError, Limit};
use gateway::http::Trusted;
use gateway::{Gateway, Options, Threads};
use server::{App, Hosts, Limits, Listening, Password};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long a connection waits for a container that starts.
const WAKE_TIMEOUT: Duration = Duration::from_secs(60);

/// Of the grace, what is left for what comes after requests and connections; half of one that is short.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What to do where the engine does not answer.
pub(crate) const NO_ENGINE: &str =
    "is it started, and may this user use its socket? `docker version` tells; `engine_host` says where it is";

/// Serves until it is told to end, and then ends well. Told to, it reads its settings again.
pub(crate) async fn run(mut config: Config, flags: Flags, log: Log, passed: Passed) -> anyhow::Result<()> {
    let mut told = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut hung_up = signal(SignalKind::hangup())?;
    config.notes.iter().for_each(|note| tracing::warn!("{note}"));
    server::record();
    host::prepare();
    let mut degraded = Vec::new();
    // An engine that hangs would make it deaf for as long.
    let daemon = tokio::select! {
        started = Daemon::start(&config.settings, passed, &mut degraded) => Some(started?),
        _ = told.recv() => None,
        _ = interrupted.recv() => None,
    };
    let Some(daemon) = daemon else {
        tracing::info!("told to end before it served");
        return Ok(());
    };
    if !degraded.is_empty() {
        tracing::warn!("degraded: {}", degraded.join("; "));
    }
    service_manager::ready(daemon.address, &degraded);
    loop {
        tokio::select! {
            _ = told.recv() => break tracing::info!("told to end; draining"),
            _ = interrupted.recv() => break tracing::info!("interrupted; draining"),
            _ = hung_up.recv() => {
                service_manager::reloading();
                again::read(&mut config, flags.clone(), &daemon, &log).await;
                service_manager::reloaded();
            }
        }
    }
    service_manager::stopping();
    tokio::select! {
        () = daemon.end(config.settings.shutdown_grace) => {}
        _ = interrupted.recv() => tracing::warn!("interrupted again; ending at once"),
    }
    Ok(())
}

struct Daemon {
    app: Arc<App>,
    /// Where the API is served.
    address: SocketAddr,
    control: Arc<Control>,
    gateway: Gateway,
    /// Where the API and what is asked for by name are served.
    threads: Threads,
    servers: TaskTracker,
    ending: CancellationToken,
}

impl Daemon {
    async fn start(settings: &Settings, passed: Passed, degraded: &mut Vec<String>) -> anyhow::Result<Self> {
        let listener = passed.at(settings.listen)?.map_or_else(|| bind(settings.listen), Ok)?;
        let address = listener.local_addr()?;
        let store = Sqlite::open(&settings.data_dir)?;
        let engine = Docker::connect(settings.engine_host.as_deref()).await.map_err(no_engine)?;
        let described = engine.describe().await?;
        tracing::info!(
            engine = described.name,
            api = described.api_version,
            at = engine.host(),
            "engine found"
        );
        let told = control_settings(settings, &described)?;
        degraded.extend(host::without_root().filter(|_| !told.publish));
        degraded.extend(described.limits.iter().map(ToString::to_string));
        let room = room::Host::new(&settings.data_dir, described.root.clone());
        if let Err(error) = reserves(settings).check(&room, most_memory(settings)) {
            tracing::warn!("every create will be refused: {error}");
        }
        let gateway =
            Gateway::new(Options { address: settings.endpoint_address, wake_timeout: WAKE_TIMEOUT })
                .context("cannot start the gateway's threads")?;
        let threads = Threads::start("http").context("cannot start the API's threads")?;
        let parts = Parts {
            engine: Arc::new(engine),
            endpoints: Arc::new(gateway.clone()),
            room: Arc::new(room),
            store: Box::new(store),
            writing: Writing::InGroups,
            clock: Clock::system(),
            settings: told,
            mint: Box::new(control::mint),
        };
        let control = Control::launch(parts).await?;
        let (servers, ending) = (TaskTracker::new(), CancellationToken::new());
        let app = Arc::new(app(settings, &control, ending.clone()));
        let daemon = Self { app, address, control, gateway, threads, servers, ending };
        memory::give_back();
        let doors = check_in_door::open(&daemon.control, settings, &described, degraded).await;
        // Out of reach, their addresses are others' here.
        let within_reach = !described.is_out_of_reach();
        let refused = if within_reach { daemon.control.neighbours() } else { Neighbours::default() };
        daemon.open(settings, listener, doors, refused);
        Ok(daemon)
    }

    fn open(
        &self,
        settings: &Settings,
        listener: TcpListener,
        doors: Vec<(TcpListener, Limits)>,
        refused: Neighbours,
    ) {
        self.gateway.refuse(refused.clone());
        for (listener, limits) in doors {
            let routes = server::check_in_only(&self.app);
            self.serve(
                Listening {
                    listener,
                    routes,
                    limits,
                    hosts: Hosts::any(),
                    names: None,
                    refused: Neighbours::default(),
                    threads: Vec::new(),
                },
                settings,
            );
        }
        self.servers.spawn(server::keep_records(self.ending.clone()));
        self.servers.spawn(memory::keep_giving_back(self.ending.clone()));
        let (routes, hosts) = (server::api(&self.app), Hosts::of(self.address, &self.app.public_host));
        let trusted = Trusted(settings.trusted_proxies.clone());
        let names = Some(by_name::names(&settings.domain, trusted, &self.app, &self.gateway));
        let threads = self.threads.handles().to_vec();
        let limits = Limits::API;
        self.serve(Listening { listener, routes, limits, hosts, names, refused, threads }, settings);
        tracing::info!("listening on http://{} (version {})", self.address, env!("CARGO_PKG_VERSION"));
    }

    fn serve(&self, listening: Listening, settings: &Settings) {
        self.servers.spawn(listening.serve(self.ending.clone(), drain_within(settings.shutdown_grace)));
    }

    /// Accepts nobody more, drains within `grace`, and writes what is left. Containers run on. What then still hangs, such as
    /// a call of the engine's, is left: the intents on disk are taken up at the next start.
    async fn end(&self, grace: Duration) {
        self.ending.cancel();
        self.servers.close();
        tokio::join!(self.servers.wait(), self.gateway.drain(drain_within(grace)));
        match tokio::time::timeout(last_words(grace), self.close(last_words(grace) / 2)).await {
            Ok(()) => tracing::info!("ended"),
            Err(_) => tracing::warn!("ended with calls of the engine's under way"),
        }
    }

    async fn close(&self, undo_within: Duration) {
        let undone = tokio::time::timeout(undo_within, self.control.undo_redirect()).await;
        if !matches!(undone, Ok(Ok(()))) {
            tracing::debug!(?undone, "the redirect of check-ins was not taken back");
        }
        self.control.shut_down().await;
    }
}

fn last_words(grace: Duration) -> Duration {
    LAST_WORDS.min(grace / 2)
}

fn drain_within(grace: Duration) -> Duration {
    grace - last_words(grace)
}

/// Of what a client library says of its layers, the last is what the system said.
fn no_engine(error: EngineError) -> anyhow::Error {
    let EngineError::Unreachable { source, .. } = &error else { return error.into() };
    let mut said: &dyn std::error::Error = source.as_ref();
    while let Some(below) = said.source() {
        said = below;
    }
    anyhow::anyhow!("{error}: {said}; {NO_ENGINE}, and `spin-docker doctor` looks at the rest")
}

fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let advice =
        || format!("cannot listen on {address}: set `listen` to an address of this host and a free port");
    listen(address).with_context(advice)
}

/// Where a crowd comes at once, whoever finds the kernel's queue full waits a second and tries again: the usual 128 are few.
fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    const QUEUE: u32 = 1024;
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(QUEUE)
}

fn app(settings: &Settings, control: &Arc<Control>, ending: CancellationToken) -> App {
    let address = || settings.endpoint_address.to_string();
    App {
        control: Arc::clone(control),
        password: Password::new(settings.password.expose()),
        public_host: settings.public_host.clone().unwrap_or_else(address),
        show_causes: shows_causes(settings).into(),
        last_list: Default::default(),
        ending,
    }
}

fn shows_causes(settings: &Settings) -> bool {
    settings.environment == Environment::Development
}

/// Over this engine, if it can be used.
pub(crate) fn control_settings(
    settings: &Settings,
    engine: &Description,
) -> anyhow::Result<control::Settings> {
    if engine.limits.contains(&Limit::RootlessPodman) {
        anyhow::bail!("{}", Limit::RootlessPodman);
    }
    let publish = settings.publish.by(engine);
    let way_in = || check_in_door::whereabouts(settings.check_in_port, engine).ok().map(|(_, url)| url);
    let own_key = ssh_key::own_public_key(&settings.data_dir)?;
    let keys = settings.ssh_authorized_keys.iter().cloned().chain([own_key]);
    let on_loopback = is_loopback(settings.endpoint_address);
    let reached = if on_loopback { "loopback" } else { "public" };
    Ok(control::Settings {
        instance: settings.instance.clone(),
        subnet: settings.subnet,
        policy: settings.policy.clone(),
        endpoint_ports: settings.endpoint_ports.clone(),
        limits: limits(settings),
        reserves: reserves(settings),
        pressure_limit: settings.memory_pressure.0,
        env: vec![
            format!("SPIN_DOCKER_ENDPOINTS={reached}"),
            format!("SPIN_DOCKER_CHECK_IN_PORT={}", settings.check_in_port),
        ],
        authorized_keys: keys.map(|key| key + "\n").collect(),
        on_loopback,
        publish,
        check_in_url: publish.then(way_in).flatten(),
        start_limit: settings.start_limit,
    })
}

fn limits(settings: &Settings) -> engine::Limits {
    engine::Limits {
        cap_drop: settings.cap_drop.clone(),
        pids: settings.pids,
        memory: settings.memory.0,
        milli_cpus: settings.cpus.0,
        no_new_privileges: settings.no_new_privileges,
        log_size: settings.log_size.clone(),
        log_files: settings.log_files,
    }
}

/// What one more container may take, in bytes; 0 where nothing is set.
pub(crate) fn most_memory(settings: &Settings) -> u64 {
    u64::try_from(settings.memory.0).unwrap_or_default()
}

pub(crate) fn reserves(settings: &Settings) -> Reserves {
    let bytes = |size: i64| u64::try_from(size).unwrap_or_default();
    Reserves { memory: bytes(settings.memory_reserve.0), disk: bytes(settings.disk_reserve.0) }
}

pub(crate) fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}
