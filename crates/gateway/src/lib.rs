//! What listens on endpoints and moves the bytes.
//!
//! Each host port is bound for its container's whole life by a socket that never listens (`keeper`); a second one
//! listens on it while the container may be reached (`listener`). A connection is held until the container's port
//! accepts (`connection`), and then its bytes are moved both ways (`mover`). What a port's connections meet is said
//! by the control, through [`Endpoints`]; nothing here decides it.

mod connection;
mod keeper;
mod listener;
mod mover;

use control::{Endpoints, Neighbours, Target};
use listener::Listener;
use model::Reach;
use socket2::Socket;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
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
    runtime: Handle,
    tasks: TaskTracker,
    ending: CancellationToken,
}

struct Port {
    /// Bound, never listening: as long as it lives, the port is ours.
    _keeper: Socket,
    listener: Option<Listener>,
    course: watch::Sender<Course>,
    /// Cancelled when the port is given up.
    released: CancellationToken,
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
    /// A gateway without ports. Its tasks run on the current runtime.
    pub fn new(options: Options) -> Self {
        Self(Arc::new(Inner {
            options,
            refused: RwLock::default(),
            ports: Mutex::default(),
            runtime: Handle::current(),
            tasks: TaskTracker::new(),
            ending: CancellationToken::new(),
        }))
    }

    /// Whoever connects from here is turned away: containers must not reach each other through the host.
    pub fn refuse(&self, neighbours: Neighbours) {
        *self.0.refused.write().unwrap_or_else(PoisonError::into_inner) = neighbours;
    }

    /// Accepts nobody more, gives open connections `grace` to end, and then cuts them off.
    pub async fn drain(&self, grace: Duration) {
        for port in self.0.ports().values_mut() {
            port.listener = None;
        }
        self.0.tasks.close();
        if tokio::time::timeout(grace, self.0.tasks.wait()).await.is_err() {
            tracing::info!(
                connections = self.0.tasks.len(),
                "cutting off what did not end within the grace period"
            );
            self.0.ending.cancel();
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

impl Endpoints for Gateway {
    fn claim(&self, port: u16) -> io::Result<()> {
        let mut ports = self.0.ports();
        if ports.contains_key(&port) {
            return Ok(());
        }
        let keeper = keeper::bind(SocketAddr::new(self.0.options.address, port))?;
        let course = watch::Sender::new(Course::new(Reach::Refuse, None));
        let released = self.0.ending.child_token();
        ports.insert(port, Port { _keeper: keeper, listener: None, course, released });
        Ok(())
    }

    fn set(&self, port: u16, reach: Reach, target: &Target) -> io::Result<()> {
        let mut ports = self.0.ports();
        let entry = ports.get_mut(&port).ok_or(io::ErrorKind::NotFound)?;
        entry.course.send_if_modified(|course| course.change(reach, target));
        if reach == Reach::Refuse {
            entry.listener = None;
        } else if entry.listener.is_none() {
            let address = SocketAddr::new(self.0.options.address, port);
            entry.listener = Some(Listener::open(&self.0, address, &entry.course, &entry.released)?);
        }
        Ok(())
    }

    fn release(&self, port: u16) {
        if let Some(port) = self.0.ports().remove(&port) {
            port.released.cancel();
        }
    }
}

impl Course {
    fn new(reach: Reach, target: Option<Target>) -> Self {
        Self { reach, target, since: Instant::now(), accepted: Arc::default() }
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
