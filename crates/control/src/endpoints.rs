//! What the control asks of whoever owns the host ports. The gateway implements it; the control knows nothing of
//! sockets, and tests stand in with a recorder.

use crate::{Flow, Traffic};
use async_trait::async_trait;
use model::{IdlePolicy, Reach};
use std::io;
use std::net::{SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

/// The host ports of the endpoints. All calls but [`Endpoints::answers`] return at once.
#[async_trait]
pub trait Endpoints: Send + Sync + 'static {
    /// Makes the port ours: bound, not listening, so that it refuses and nobody else gets it. A port that is ours
    /// already is no error; one that somebody else holds is [`io::ErrorKind::AddrInUse`].
    fn claim(&self, port: u16) -> io::Result<()>;

    /// Whether the engine could publish something there, on loopback; an error where it could not, as of [`Endpoints::claim`].
    fn is_publishable(&self, _at: SocketAddrV4) -> io::Result<()> {
        Ok(())
    }

    /// Says what a connection to a claimed port meets from now on:
    ///
    /// - [`Reach::Refuse`]: nobody listens. Connections that were being held are closed; those that are being forwarded
    ///   end as the container's side ends them.
    /// - [`Reach::Wake`]: accepted; [`Target::wake`] is asked, and then it is as held.
    /// - [`Reach::WakeOnByte`]: the same once the client has sent something.
    /// - [`Reach::Hold`]: accepted, and held; nothing is sent to the container's address (an early SYN costs a full
    ///   second of ARP).
    /// - [`Reach::Forward`]: forwarded. Until the application has accepted once since this began, and no longer than the
    ///   wake timeout, a connection that it refuses is tried again.
    ///
    /// Fails where the port cannot listen; it is still ours then.
    fn set(&self, port: u16, reach: Reach, target: &Target) -> io::Result<()>;

    /// Whether a `GET` of this path is answered there, where connections to a container go, and with less than 400; over a connection that
    /// begins as its policy says. Comes back within a few seconds. Who speaks no HTTP takes it that it would be.
    async fn answers(&self, _at: SocketAddrV4, _path: &str, _policy: &IdlePolicy) -> bool {
        true
    }

    /// The container behind this port is about to be frozen: connections to it that wait for somebody's next request are closed.
    fn quiet(&self, _port: u16) {}

    /// Gives the port up: whatever is open on it is closed.
    fn release(&self, port: u16);
}

/// Where an endpoint's bytes go, where they are counted, and who is told to wake it.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where connections go: the container's own address and port, or where the engine publishes that.
    pub address: SocketAddrV4,
    /// The container's port.
    pub port: u16,
    /// The container's counters, shared by its endpoints.
    pub traffic: Arc<Traffic>,
    /// Its supervisor.
    pub wake: Arc<dyn Wake>,
}

impl Target {
    /// Whether connections towards it begin with a PROXY protocol v2 header.
    pub fn proxy_protocol(&self) -> bool {
        self.traffic.policy().is_some_and(|policy| policy.proxy_protocol)
    }

    /// Has the container awake for this connection: started or thawed, whichever is needed. Comes back once bytes may be sent to its
    /// address, or with why not. Dropping the future takes the wish back for nobody else.
    pub async fn wake(&self, flow: &Flow) -> Result<(), WakeError> {
        let admits = self.traffic.policy().is_none_or(|policy| policy.admits(flow.peer().ip()));
        if flow.is_ignored() || !admits {
            self.gave_up(flow, GaveUp::NotAllowed);
            return Err(WakeError::NotByYou);
        }
        self.wake.wake(Caller::of(flow)).await
    }

    /// Tells that this connection is closed unserved. Returns at once.
    pub fn gave_up(&self, flow: &Flow, why: GaveUp) {
        self.wake.gave_up(Caller::of(flow), why);
    }
}

/// What wakes a container.
#[async_trait]
pub trait Wake: std::fmt::Debug + Send + Sync + 'static {
    /// Comes back once it is awake and its application can serve, or with why it will not be. Callers come and go without harm.
    async fn wake(&self, caller: Caller) -> Result<(), WakeError>;

    /// Whether its application listens on this port of the container's, where a connection would not tell: the engine's own proxy accepts in
    /// its place; none where nobody can say. Comes back within a few seconds.
    async fn listens(&self, _port: u16) -> Option<bool> {
        Some(true)
    }

    /// Somebody was not served, and why; for its events. Returns at once.
    fn gave_up(&self, _caller: Caller, _why: GaveUp) {}
}

/// Why a connection was closed unserved, where its supervisor does not know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GaveUp {
    /// The policy's `wake_from` and `ignore_from` say who may.
    NotAllowed,
    /// The container was not awake within so long.
    NotAwake(Duration),
    /// It was, and its port did not accept within so long.
    NotAccepted(Duration),
    /// It was, and has had its time to come up; nothing listens on its port.
    Closed,
    /// No local port was left to reach it from.
    OutOfPorts,
}

/// Who wants it awake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// From where.
    pub peer: SocketAddr,
    /// Which of the container's ports.
    pub port: u16,
}

impl Caller {
    fn of(flow: &Flow) -> Self {
        Self { peer: flow.peer(), port: flow.port() }
    }
}

/// Why a container does not wake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WakeError {
    /// The policy's `wake_from` and `ignore_from` say who may.
    #[error("its policy lets nobody wake it from there")]
    NotByYou,
    /// A person stopped it, or only a request wakes it.
    #[error("it was stopped, and no connection wakes it; start it by PATCH with status=running")]
    Asleep,
    /// The engine does not answer.
    #[error("the engine does not answer")]
    EngineAway,
    /// It ended by itself too often.
    #[error("it ended by itself {times} times in a row; the next start is tried in {seconds} s")]
    TooSoon {
        /// How often.
        times: u32,
        /// From now.
        seconds: u64,
    },
    /// It did not come up.
    #[error("it does not start: {0}")]
    NotStarted(String),
    /// It cannot be thawed.
    #[error("it cannot be thawed: {0}")]
    NotThawed(String),
    /// It is deleted, or the program ends.
    #[error("it is gone")]
    Gone,
    /// Too many wait already.
    #[error("too many requests wait for it")]
    Busy,
}
