//! What really runs containers. [`Engine`] is the one interface that the control knows; [`docker`] speaks it to Docker
//! Engine (and Podman) through bollard, [`fake`] in memory, for tests.
//!
//! This crate translates and decides nothing: no policy, no state of ours, no HTTP.

pub mod docker;
mod error;
pub mod fake;
mod limit;
mod socket;

pub use error::{EngineError, Result};
pub use limit::Limit;
pub use socket::{Socket, SocketKind};

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use ipnet::Ipv4Net;
use model::{EngineId, Freezer, Image, Observation};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::time::Duration;

/// The label that names the instance (the setting) a container or network belongs to.
pub const INSTANCE_LABEL: &str = "spin-docker.instance";
/// The label that carries the random id of the store that owns it.
pub const OWNER_LABEL: &str = "spin-docker.owner";
/// The label that carries our key of the container.
pub const KEY_LABEL: &str = "spin-docker.id";

/// An engine, reached. Every call has a deadline of its own and may be dropped at any time; what it had begun at the
/// engine goes on there.
#[async_trait]
pub trait Engine: Send + Sync + 'static {
    /// What engine this is, and what of it limits us.
    async fn describe(&self) -> Result<Description>;

    /// Comes back once it has answered, whatever it has to do for others.
    async fn ping(&self) -> Result<()>;

    /// Every tag of every image, `<none>` left out.
    async fn images(&self) -> Result<Vec<String>>;

    /// One image. [`EngineError::NotFound`] where there is none of that name.
    async fn image(&self, name: &str) -> Result<Image>;

    /// Finds our network, or makes it. Ours is what carries our owner id. Where another's has the name, ours is made
    /// under another name.
    async fn network(&self, wanted: &NetworkSpec) -> Result<Network>;

    /// Our network, where it is there.
    async fn find_network(&self, wanted: &NetworkSpec) -> Result<Option<Network>>;

    /// Removes a network of ours. One that is gone is no error.
    async fn remove_network(&self, name: &str) -> Result<()>;

    /// The subnets of every network that carries [`INSTANCE_LABEL`], whoever's instance it is.
    async fn our_subnets(&self) -> Result<Vec<Ipv4Net>>;

    /// Makes the body of a container, not started, with its files in it. Where a step fails, nothing is left behind.
    async fn create(&self, spec: &ContainerSpec) -> Result<Created>;

    /// Puts one that does not run onto a network of ours that was made again since: to the engine it still names the old one.
    async fn attach(&self, id: &EngineId, network: &str, address: Ipv4Addr) -> Result<()>;

    /// Starts it. One that runs is no error.
    async fn start(&self, id: &EngineId) -> Result<()>;

    /// Stops it: SIGTERM (or the image's signal), and after `grace` SIGKILL. One that does not run, or is gone, is no error.
    /// A frozen one is thawed first, so that it ends well.
    async fn stop(&self, id: &EngineId, grace: Duration) -> Result<()>;

    /// Removes it, running, frozen or not, with its anonymous volumes; named volumes stay. One that is gone is no error.
    async fn remove(&self, id: &EngineId) -> Result<()>;

    /// Freezes every process of a running container, through its cgroup where we may, else by the engine's pause; says
    /// which. Comes back once that is confirmed, within a second or so; else it was undone and is an error. One that is frozen
    /// already is no error; [`EngineError::NotFound`] where it does not run.
    ///
    /// Dropped, it may be frozen or not: a thaw by either afterwards makes sure of it, and waits for a pause under way.
    async fn freeze(&self, id: &EngineId) -> Result<Freezer>;

    /// Lets it go on: `by` the engine is its unpause, whoever paused it; by the cgroup, our own write. One that is not
    /// frozen, does not run, or is gone, is no error.
    async fn thaw(&self, id: &EngineId, by: Freezer) -> Result<()>;

    /// The CPU time that its processes have used since its start; none where that cannot be told.
    async fn cpu(&self, id: &EngineId) -> Result<Option<Duration>>;

    /// Its own TCP and UDP sockets, as the kernel shows them, frozen or not; none where we may not ask.
    async fn sockets(&self, id: &EngineId) -> Result<Option<Vec<Socket>>>;

    /// How many commands run in it beside its own: the docker CLI's, ours, anybody's.
    async fn execs(&self, id: &EngineId) -> Result<usize>;

    /// Offers the kernel the memory of a frozen container that it can take back. Gives how many bytes went, where that can
    /// be told. It may take some seconds; a thaw ends it.
    async fn reclaim(&self, id: &EngineId) -> Result<Option<u64>>;

    /// The last lines that it wrote to its output and its errors, oldest first. None from an engine that keeps none.
    async fn lines(&self, _id: &EngineId, _count: usize) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    /// How it is now; [`Observation::Missing`] where the engine knows it no more.
    async fn inspect(&self, id: &EngineId) -> Result<Observation>;

    /// Every container with our [`INSTANCE_LABEL`] of that instance, running or not.
    async fn list(&self, instance: &str) -> Result<Vec<Listed>>;

    /// What happens to containers with our [`INSTANCE_LABEL`] of that instance from now on, and to networks. Once this has returned the
    /// subscription stands; the stream ends when the engine goes away.
    async fn events(&self, instance: &str) -> Result<BoxStream<'static, Result<Event>>>;

    /// Runs a program with its arguments inside a running container, and gives its exit code. A frozen one is thawed first, and stays so.
    async fn exec(&self, id: &EngineId, command: &[String], within: Duration) -> Result<i64>;

    /// Whether something listens on this TCP port inside a running container: where the engine's own proxy accepts in its place, a
    /// connection does not tell. In an image without a program to look with, it is taken for so.
    async fn listens(&self, id: &EngineId, port: u16) -> Result<bool>;

    /// Tries a TCP connection to `to` from inside a running container's network. [`EngineError::NotFound`] where it does
    /// not run.
    async fn connect_from_inside(&self, id: &EngineId, to: SocketAddrV4, within: Duration) -> Result<Inside>;

    /// Sends what comes from the network's own containers to `from` at the gateway's address to port `to` there.
    /// Replaces an earlier redirect of the same network.
    async fn redirect(&self, network: &Network, from: u16, to: u16) -> Result<()>;

    /// Takes the redirect back. None there is no error; [`EngineError::is_program_missing`] where there can be none.
    async fn undo_redirect(&self, network: &Network) -> Result<()>;
}

/// A line for the shell inside, as [`Engine::exec`] takes it.
pub fn shell(line: &str) -> [String; 3] {
    ["sh", "-c", line].map(str::to_owned)
}

/// What engine answers, and what of it limits us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Such as `Docker 20.10.24`.
    pub name: String,
    /// The API version in use, such as `1.41`.
    pub api_version: String,
    /// Where it keeps images and containers, if that is on this host.
    pub root: Option<PathBuf>,
    /// The version of control groups that its containers are in, if it says.
    pub cgroup_version: Option<u8>,
    /// What we cannot do here and why.
    pub limits: Vec<Limit>,
}

impl Description {
    /// Whether containers' own addresses are out of our reach.
    pub fn is_out_of_reach(&self) -> bool {
        self.limits.iter().any(|limit| matches!(limit, Limit::Rootless | Limit::Desktop))
    }
}

/// The network that we want.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkSpec {
    /// Its name, `spin-docker-INSTANCE`.
    pub name: String,
    /// For its label.
    pub instance: String,
    /// For its label.
    pub owner: String,
    /// The setting; none lets the engine find a free one, once.
    pub subnet: Option<Ipv4Net>,
}

/// Our network, there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// The engine's id of it, 64 hex digits.
    pub id: String,
    /// Where its containers' addresses lie.
    pub subnet: Ipv4Net,
    /// The host's address on it, its containers' default gateway.
    pub gateway: Ipv4Addr,
    /// The bridge's interface name on the engine's host.
    pub bridge: String,
    /// The addresses of whatever runs on it, whosever it is.
    pub taken: Vec<Ipv4Addr>,
}

/// The body that we want.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerSpec {
    /// For its labels: ours, the store's, the instance's.
    pub key: String,
    /// For its labels.
    pub owner: String,
    /// For its labels.
    pub instance: String,
    /// As it was asked for.
    pub image: String,
    /// The network's name.
    pub network: String,
    /// Its address there.
    pub address: Option<Ipv4Addr>,
    /// Beside the image's own, as `NAME=VALUE`.
    pub env: Vec<String>,
    /// Put into it before it starts.
    pub files: Vec<File>,
    /// Which of its TCP ports the engine publishes, each where.
    pub publish: Vec<(u16, SocketAddrV4)>,
    /// What it may not.
    pub limits: Limits,
    /// Its name on the engine, without a slash; none lets the engine make one up.
    pub name: Option<String>,
    /// A container whose volumes it shares.
    pub volumes_from: Option<EngineId>,
}

/// A small file to put into a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Absolute, inside the container. Its folders are made where they are missing, mode 0700.
    pub path: String,
    /// What it holds.
    pub content: Vec<u8>,
    /// Its mode, such as `0o600`. It belongs to root.
    pub mode: u32,
}

/// What a container may not. The defaults are the settings'.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Capabilities taken away.
    pub cap_drop: Vec<String>,
    /// The most processes; 0 for no limit.
    pub pids: i64,
    /// Bytes of memory; 0 for no limit.
    pub memory: i64,
    /// Thousandths of a CPU; 0 for no limit.
    pub milli_cpus: i64,
    /// No process gains privileges by `execve`.
    pub no_new_privileges: bool,
    /// The size of one log file, as Docker writes it: `10m`.
    pub log_size: String,
    /// How many log files.
    pub log_files: u32,
}

/// A body, made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// The engine's id of it.
    pub engine_id: EngineId,
    /// The engine's name for it, with the leading slash.
    pub name: String,
}

/// One entry of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The engine's id of it.
    pub engine_id: EngineId,
    /// With the leading slash.
    pub name: String,
    /// The label; empty where there is none.
    pub key: String,
    /// The label; empty where there is none.
    pub owner: String,
    /// The address that it was given for life, if any.
    pub address: Option<Ipv4Addr>,
    /// Whether it runs, frozen or not.
    pub running: bool,
    /// What holds its processes; none while it is awake.
    pub frozen: Option<Freezer>,
}

/// A hint that a container may have changed. What an inspect then shows is what counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Whose; of [`EventKind::Networks`], the network's.
    pub engine_id: EngineId,
    /// What.
    pub kind: EventKind,
}

/// The kinds of events that we tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// Somebody sent it a signal to end, through the engine, as `docker stop` and `docker kill` do first.
    Killed,
    /// A stop through the engine is done: that it ended was somebody's wish.
    Stopped,
    /// It was started: whatever ended it before is over.
    Started,
    /// Somebody sent it another signal through the engine. Frozen, it does not get it before a thaw.
    Signalled,
    /// Somebody is about to run a command in it, ours too. Frozen, it cannot.
    Exec,
    /// Some network of the engine's was made or removed, ours or not.
    Networks,
    /// Anything else that an inspect would show: died, renamed, paused, removed.
    Changed,
}

/// How a connection from inside a container went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inside {
    /// It was accepted.
    Connected,
    /// Nothing listens there, or a firewall rejects.
    Refused,
    /// No answer in time: a firewall drops it.
    TimedOut,
    /// We have not the right to enter the container's network, or it is not on this host.
    NotTried,
}
