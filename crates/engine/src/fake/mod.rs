//! An engine in memory, for tests: it keeps what Docker would keep, and fails, dawdles and falls silent when told to.
//!
//! Everything in it is ordered and nothing is random, so that a test replays to the letter. Clones share one engine.

mod asleep;
mod by_hand;
mod state;

use crate::{
    ContainerSpec, Created, Description, Engine, EngineError, Event, EventKind, Inside, Listed, Network,
    NetworkSpec, Result, Socket,
};
use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use ipnet::Ipv4Net;
use model::{EngineId, Freezer, Image, Observation, PortSpec, Protocol};
use state::{Body, Fault, State};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// The engine calls that a test can slow down or break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// [`Engine::ping`], of which no list is kept.
    Ping,
    /// [`Engine::image`].
    Image,
    /// [`Engine::network`].
    Network,
    /// [`Engine::create`].
    Create,
    /// [`Engine::attach`].
    Attach,
    /// [`Engine::start`].
    Start,
    /// [`Engine::stop`].
    Stop,
    /// [`Engine::remove`].
    Remove,
    /// [`Engine::freeze`].
    Freeze,
    /// [`Engine::thaw`].
    Thaw,
    /// [`Engine::cpu`].
    Cpu,
    /// [`Engine::sockets`].
    Sockets,
    /// [`Engine::execs`].
    Execs,
    /// [`Engine::reclaim`].
    Reclaim,
    /// [`Engine::inspect`].
    Inspect,
    /// [`Engine::list`].
    List,
    /// [`Engine::our_subnets`].
    Subnets,
    /// [`Engine::events`].
    Events,
    /// [`Engine::exec`].
    Exec,
    /// [`Engine::listens`].
    Listens,
}

/// How long a call may take, as every engine has it.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// The engine in memory.
#[derive(Clone, Debug, Default)]
pub struct Fake(Arc<Mutex<State>>);

impl Fake {
    /// One that knows the image `image`, which exposes 22/tcp, 8000/tcp and 53/udp.
    pub fn new() -> Self {
        let fake = Self::default();
        let udp = PortSpec { port: 53, protocol: Protocol::Udp };
        let exposed = vec![PortSpec::tcp(22), udp, PortSpec::tcp(8000)];
        fake.add_image("image", Image { id: "sha256:1".into(), exposed, ..Image::default() });
        fake
    }

    /// Knows this image from now on.
    pub fn add_image(&self, name: &str, image: Image) {
        self.state().images.insert(name.to_owned(), image);
    }

    /// Every call of this kind takes so long from now on. One that takes longer than [`DEADLINE`] times out without having
    /// done anything; but a body that was to be made comes in its time all the same.
    pub fn slow(&self, call: Call, by: Duration) {
        self.state().latency.insert(call, by);
    }

    /// The next `times` calls of this kind fail, with `done` after they did what they should, and without, before.
    pub fn fail(&self, call: Call, times: usize, done: bool) {
        self.state().faults.insert(call, Fault { times, done });
    }

    /// Commands inside containers end with this code from now on.
    pub fn exit_commands_with(&self, code: i64) {
        self.state().exit_code = code;
    }

    /// No application listens from now on, or all that run do.
    pub fn set_deaf(&self, is_deaf: bool) {
        self.state().is_deaf = is_deaf;
    }

    /// Commands inside containers use so much CPU time each, from now on.
    pub fn use_cpu_by_commands(&self, by: Duration) {
        self.state().exec_cpu = by;
    }

    /// Nothing answers, and event streams end; until it is there again.
    pub fn set_away(&self, away: bool) {
        let mut state = self.state();
        state.away = away;
        if away {
            state.listeners.clear();
        }
    }

    /// Event streams end, and nothing else.
    pub fn break_events(&self) {
        self.state().listeners.clear();
    }

    /// Every call so far, oldest first.
    pub fn calls(&self) -> Vec<(Call, String)> {
        self.state().calls.clone()
    }

    /// Lists no calls from now on: for measuring very many containers, which would pay for the list.
    pub fn forget_calls(&self) {
        self.state().forgets_calls = true;
    }

    /// Every container that there is: its id, and whether it runs.
    pub fn bodies(&self) -> Vec<(EngineId, bool)> {
        self.state().bodies.iter().map(|(id, body)| (id.clone(), body.running)).collect()
    }

    /// The same, as a list of all instances shows them.
    pub fn all(&self) -> Vec<Listed> {
        self.state().list(None)
    }

    /// How one is, without a call.
    pub fn look(&self, id: &EngineId) -> Observation {
        self.state().bodies.get(id).map_or(Observation::Missing, Body::observation)
    }

    /// How often it was started, this time included; none if it does not run.
    pub fn life(&self, id: &EngineId) -> Option<u64> {
        self.state().bodies.get(id).filter(|body| body.running).map(|body| body.lives)
    }

    /// The environment that it was made with, beside its image's own.
    pub fn env_of(&self, id: &EngineId) -> Vec<String> {
        self.state().body(id).map(|body| body.spec.env.clone()).unwrap_or_default()
    }

    /// Which of its ports the engine publishes, and where.
    pub fn published_of(&self, id: &EngineId) -> Vec<(u16, SocketAddrV4)> {
        self.state().body(id).map(|body| body.spec.publish.clone()).unwrap_or_default()
    }

    /// The id of every network of ours, of whatever instance.
    pub fn networks(&self) -> Vec<String> {
        self.state().networks.values().map(|network| network.id.clone()).collect()
    }

    /// The id of every network whose check-ins are redirected. As a firewall's rule, a redirect outlives its network.
    pub fn redirects(&self) -> Vec<String> {
        self.state().redirects.iter().cloned().collect()
    }

    /// How many commands of others run in it.
    pub fn execs_in(&self, id: &EngineId) -> usize {
        self.state().bodies.get(id).map_or(0, |body| body.execs)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One call: counted, slowed, failed or done.
    async fn call<T>(&self, call: Call, about: &str, act: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        let latency = {
            let mut state = self.state();
            if !state.forgets_calls {
                state.calls.push((call, about.to_owned()));
            }
            state.latency.get(&call).copied()
        };
        if let Some(latency) = latency {
            tokio::time::sleep(latency.min(DEADLINE)).await;
        }
        if latency.is_some_and(|latency| latency > DEADLINE) {
            return Err(EngineError::TimedOut { doing: name(call), seconds: DEADLINE.as_secs() });
        }
        let mut state = self.state();
        state.reachable()?;
        match state.fault(call) {
            Some(true) => act(&mut state).and(Err(broken(call))),
            Some(false) => Err(broken(call)),
            None => act(&mut state),
        }
    }
}

fn broken(call: Call) -> EngineError {
    EngineError::Refused { doing: name(call), status: 500, message: "told to fail".into() }
}

fn name(call: Call) -> String {
    format!("{call:?}").to_lowercase()
}

#[async_trait]
impl Engine for Fake {
    async fn describe(&self) -> Result<Description> {
        self.state().reachable()?;
        Ok(Description {
            name: "Fake 1".into(),
            api_version: "1.41".into(),
            root: None,
            cgroup_version: None,
            limits: Vec::new(),
        })
    }

    async fn ping(&self) -> Result<()> {
        let latency = self.state().latency.get(&Call::Ping).copied();
        tokio::time::sleep(latency.unwrap_or_default()).await;
        self.state().reachable()
    }

    async fn images(&self) -> Result<Vec<String>> {
        let state = self.state();
        state.reachable()?;
        Ok(state.images.keys().map(|name| format!("{name}:latest")).collect())
    }

    async fn image(&self, name: &str) -> Result<Image> {
        self.call(Call::Image, name, |state| {
            let found = state.images.get(name).cloned();
            found.ok_or_else(|| EngineError::NotFound { what: format!("image: {name}") })
        })
        .await
    }

    async fn network(&self, wanted: &NetworkSpec) -> Result<Network> {
        self.call(Call::Network, &wanted.name, |state| state.network(wanted)).await
    }

    async fn find_network(&self, wanted: &NetworkSpec) -> Result<Option<Network>> {
        Ok(self.state().networks.get(&wanted.name).cloned())
    }

    async fn remove_network(&self, name: &str) -> Result<()> {
        self.state().networks.remove(name);
        Ok(())
    }

    async fn our_subnets(&self) -> Result<Vec<Ipv4Net>> {
        let subnets = |state: &mut State| Ok(state.networks.values().map(|network| network.subnet).collect());
        self.call(Call::Subnets, "", subnets).await
    }

    async fn create(&self, spec: &ContainerSpec) -> Result<Created> {
        let latency = self.state().latency.get(&Call::Create).copied().unwrap_or_default();
        let made = self.call(Call::Create, &spec.key, |state| state.create(spec)).await;
        if let Err(EngineError::TimedOut { .. }) = made {
            let (late, spec) = (self.clone(), spec.clone());
            tokio::spawn(async move {
                tokio::time::sleep(latency - DEADLINE).await;
                late.state().create(&spec)
            });
        }
        made
    }

    async fn attach(&self, id: &EngineId, network: &str, _: Ipv4Addr) -> Result<()> {
        self.call(Call::Attach, id.as_str(), |state| state.attach(id, network)).await
    }

    async fn start(&self, id: &EngineId) -> Result<()> {
        self.call(Call::Start, id.as_str(), |state| state.start(id)).await
    }

    async fn stop(&self, id: &EngineId, _: Duration) -> Result<()> {
        self.call(Call::Stop, id.as_str(), |state| {
            state.thaw_first(id);
            state.halt(id, 143, true);
            Ok(())
        })
        .await
    }

    async fn remove(&self, id: &EngineId) -> Result<()> {
        self.call(Call::Remove, id.as_str(), |state| {
            state.drop_body(id);
            Ok(())
        })
        .await
    }

    async fn freeze(&self, id: &EngineId) -> Result<Freezer> {
        self.call(Call::Freeze, id.as_str(), |state| state.freeze(id)).await
    }

    async fn thaw(&self, id: &EngineId, by: Freezer) -> Result<()> {
        self.call(Call::Thaw, id.as_str(), |state| {
            state.thaw(id, by);
            Ok(())
        })
        .await
    }

    async fn cpu(&self, id: &EngineId) -> Result<Option<Duration>> {
        self.call(Call::Cpu, id.as_str(), |state| Ok(Some(state.running(id)?.cpu))).await
    }

    async fn sockets(&self, id: &EngineId) -> Result<Option<Vec<Socket>>> {
        self.call(Call::Sockets, id.as_str(), |state| Ok(state.running(id)?.sockets.clone())).await
    }

    async fn execs(&self, id: &EngineId) -> Result<usize> {
        self.call(Call::Execs, id.as_str(), |state| Ok(state.running(id)?.execs)).await
    }

    async fn reclaim(&self, id: &EngineId) -> Result<Option<u64>> {
        self.call(Call::Reclaim, id.as_str(), |state| state.running(id).and(Ok(Some(0)))).await
    }

    async fn inspect(&self, id: &EngineId) -> Result<Observation> {
        self.call(Call::Inspect, id.as_str(), |state| {
            Ok(state.bodies.get(id).map_or(Observation::Missing, Body::observation))
        })
        .await
    }

    async fn list(&self, instance: &str) -> Result<Vec<Listed>> {
        self.call(Call::List, instance, |state| Ok(state.list(Some(instance)))).await
    }

    async fn events(&self, instance: &str) -> Result<BoxStream<'static, Result<Event>>> {
        let (sender, events) = mpsc::unbounded_channel();
        let instance = instance.to_owned();
        self.call(Call::Events, &instance.clone(), |state| {
            state.listeners.push((instance, sender));
            Ok(())
        })
        .await?;
        let events = stream::unfold(events, |mut events| async move { Some((events.recv().await?, events)) });
        Ok(events.map(Ok).boxed())
    }

    async fn exec(&self, id: &EngineId, command: &[String], _: Duration) -> Result<i64> {
        self.call(Call::Exec, &command.join(" "), |state| {
            if !state.body(id)?.running {
                let message = "it does not run".to_owned();
                return Err(EngineError::Refused { doing: "run a command".into(), status: 409, message });
            }
            state.thaw_first(id);
            state.tell(id, EventKind::Exec);
            let cpu = state.exec_cpu;
            state.alter(id, |body| body.cpu += cpu);
            Ok(state.exit_code)
        })
        .await
    }

    async fn listens(&self, id: &EngineId, _: u16) -> Result<bool> {
        self.call(Call::Listens, id.as_str(), |state| Ok(state.body(id)?.running && !state.is_deaf)).await
    }

    async fn connect_from_inside(&self, id: &EngineId, _: SocketAddrV4, _: Duration) -> Result<Inside> {
        if self.state().body(id)?.running {
            return Ok(Inside::Connected);
        }
        Err(EngineError::NotFound { what: format!("running container: {id}") })
    }

    async fn redirect(&self, network: &Network, _: u16, _: u16) -> Result<()> {
        self.state().redirect(network, true);
        Ok(())
    }

    async fn undo_redirect(&self, network: &Network) -> Result<()> {
        self.state().redirect(network, false);
        Ok(())
    }
}

/// The subnet that the fake chooses where none is wanted.
const SUBNET: (Ipv4Addr, u8) = (Ipv4Addr::new(10, 9, 0, 0), 24);
