//! What listens on endpoints and moves the bytes.
//!
//! Each host port is bound for its container's whole life by a socket that never listens (`keeper`); a second one
//! listens on it while the container may be reached (`listener`). A connection is held until the container's port
//! accepts (`connection`, `dial`), and then its bytes are moved both ways (`lane`). What a port's connections meet is said
//! by the control, through [`Endpoints`]; nothing here decides it.

mod connection;
mod connections;
mod dial;
pub mod http;
mod keeper;
mod lane;
mod listener;
mod proxy_header;
mod threads;

pub use threads::Threads;

use async_trait::async_trait;
use connections::Connections;
use control::{Endpoints, Flow, Neighbours, Target};
use lane::{Lanes, Pair};
use listener::Listener;
use model::{IdlePolicy, Reach};
use socket2::Socket;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV4, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The gateway's settings.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the ports are bound.
    pub address: IpAddr,
    /// How long a connection is held at most.
    pub wake_timeout: Duration,
}

/// All endpoints of this daemon. Clones share them.
#[derive(Clone)]
pub struct Gateway(Arc<Inner>);

pub(crate) struct Inner {
    options: Options,
    refused: RwLock<Neighbours>,
    ports: Mutex<HashMap<u16, Port>>,
    sites: http::Sites,
    lanes: Lanes,
    /// What waits for a container does so here.
    runtime: Handle,
    tasks: TaskTracker,
    ending: CancellationToken,
}

struct Port {
    /// Bound, never listening: as long as it lives, the port is ours.
    _keeper: Socket,
    listener: Option<Listener>,
    course: watch::Sender<Course>,
    connections: Arc<Connections>,
}

/// What a port's connections meet at present.
#[derive(Clone, Debug)]
pub(crate) struct Course {
    reach: Reach,
    target: Option<Target>,
    /// When it began. An application that never listens is not waited for again and again.
    since: Instant,
    /// Set once the application has accepted a connection since [`Reach::Forward`] began.
    accepted: Arc<std::sync::atomic::AtomicBool>,
}

impl Gateway {
    /// A gateway without ports. It forwards on threads of its own, one for each core, and waits for containers on the current runtime;
    /// an error where the threads cannot be had.
    pub fn new(options: Options) -> io::Result<Self> {
        dial::advise();
        let (runtime, tasks) = (Handle::current(), TaskTracker::new());
        Ok(Self(Arc::new(Inner {
            options,
            refused: RwLock::default(),
            ports: Mutex::default(),
            sites: http::Sites::default(),
            lanes: Lanes::start(&runtime, &tasks)?,
            runtime,
            tasks,
            ending: CancellationToken::new(),
        })))
    }

    /// Whoever connects from here is turned away: containers must not reach each other through the host.
    pub fn refuse(&self, neighbours: Neighbours) {
        *self.0.refused.write().unwrap_or_else(PoisonError::into_inner) = neighbours;
    }

    /// Forwards a connection to this port's container that was not accepted there; it is closed where the port was given up.
    pub(crate) fn forward(
        &self,
        port: u16,
        client: TcpStream,
        container: TcpStream,
        to: (Arc<Flow>, Target),
    ) {
        let connections = self.0.ports().get(&port).map(|port| Arc::clone(&port.connections));
        if let Some(connections) = connections {
            let lanes = &self.0.lanes;
            let pair = Pair::new(client, container, to, (connections, self.0.tasks.token()));
            lanes.place(lanes.of_port(port)).forward(pair);
        }
    }

    /// What the connections of a claimed port meet.
    pub(crate) fn course(&self, port: u16) -> Option<watch::Receiver<Course>> {
        self.0.ports().get(&port).map(|port| port.course.subscribe())
    }

    pub(crate) fn sites(&self) -> &http::Sites {
        &self.0.sites
    }

    /// Runs a task that is drained with the connections.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.tasks.spawn(task);
    }

    /// Accepts nobody more, gives open connections `grace` to end, and then cuts them off.
    pub async fn drain(&self, grace: Duration) {
        for port in self.0.ports().values_mut() {
            port.listener = None;
        }
        self.0.sites.quiet_all();
        self.0.tasks.close();
        if tokio::time::timeout(grace, self.0.tasks.wait()).await.is_err() {
            tracing::info!(
                connections = self.0.tasks.len(),
                "cutting off what did not end within the grace period"
            );
            self.0.ending.cancel();
            self.0.ports().values().for_each(|port| port.connections.cut_off());
            self.0.lanes.sweep();
            self.0.tasks.wait().await;
        }
    }
}

impl Inner {
    fn ports(&self) -> MutexGuard<'_, HashMap<u16, Port>> {
        self.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_refused(&self, peer: IpAddr) -> bool {
        self.refused.read().unwrap_or_else(PoisonError::into_inner).include(peer)
    }
}

#[async_trait]
impl Endpoints for Gateway {
    fn claim(&self, port: u16) -> io::Result<()> {
        let mut ports = self.0.ports();
        if ports.contains_key(&port) {
            return Ok(());
        }
        let keeper = keeper::bind(SocketAddr::new(self.0.options.address, port))?;
        let course = watch::Sender::new(Course::new(Reach::Refuse, None));
        ports.insert(
            port,
            Port { _keeper: keeper, listener: None, course, connections: Arc::new(Connections::new()) },
        );
        Ok(())
    }

    fn is_publishable(&self, at: SocketAddrV4) -> io::Result<()> {
        keeper::bind(at.into()).map(drop)
    }

    fn set(&self, port: u16, reach: Reach, target: &Target) -> io::Result<()> {
        let mut ports = self.0.ports();
        let entry = ports.get_mut(&port).ok_or(io::ErrorKind::NotFound)?;
        entry.course.send_if_modified(|course| course.change(reach, target));
        if reach == Reach::Refuse {
            entry.listener = None;
        } else if entry.listener.is_none() {
            let address = SocketAddr::new(self.0.options.address, port);
            entry.listener = Some(Listener::open(&self.0, address, &entry.course, &entry.connections)?);
        }
        Ok(())
    }

    async fn answers(&self, at: SocketAddrV4, path: &str, policy: &IdlePolicy) -> bool {
        http::answers(at, path, policy).await
    }

    fn quiet(&self, port: u16) {
        self.0.sites.quiet(port);
    }

    fn release(&self, port: u16) {
        self.0.sites.release(port);
        if let Some(port) = self.0.ports().remove(&port) {
            port.connections.cut_off();
            self.0.lanes.sweep();
        }
    }
}

impl Course {
    fn new(reach: Reach, target: Option<Target>) -> Self {
        Self { reach, target, since: Instant::now(), accepted: Arc::default() }
    }

    /// Whether its application has accepted before, and may be reached now if it is not frozen.
    fn accepts(&self) -> bool {
        self.reach == Reach::Forward && self.accepted.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Whether anything changed. A new forwarding begins with an application that has not accepted yet.
    fn change(&mut self, reach: Reach, target: &Target) -> bool {
        if self.reach == reach && self.target.is_some() {
            return false;
        }
        *self = Self::new(reach, Some(target.clone()));
        true
    }
}
