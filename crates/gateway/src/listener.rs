//! A port that is listened on, and what becomes of whoever connects to it.

use crate::connection::{Among, Client};
use crate::connections::Connections;
use crate::lane::{Lane, Pair};
use crate::{Course, Inner, dial, keeper};
use control::Target;
use rustix::io::Errno;
use rustix::net::{SocketFlags, acceptfrom_with};
use socket2::Socket;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// Listens as long as it lives. Dropped, it refuses at once.
pub(crate) struct Listener(Arc<Listening>);

/// What its lane knows of a port. There are two for each container that may be reached, so they are small.
pub(crate) struct Listening {
    socket: Socket,
    gateway: Arc<Inner>,
    course: watch::Receiver<Course>,
    connections: Arc<Connections>,
    has_said_why_not: AtomicBool,
}

/// Somebody who was accepted.
pub(crate) struct Arrival {
    pub(crate) client: TcpStream,
    /// Towards the container.
    pub(crate) spare: Socket,
    pub(crate) peer: SocketAddr,
    pub(crate) at: Arc<Listening>,
}

impl Listener {
    pub(crate) fn open(
        gateway: &Arc<Inner>,
        address: SocketAddr,
        course: &watch::Sender<Course>,
        connections: &Arc<Connections>,
    ) -> io::Result<Self> {
        let listening = Arc::new(Listening {
            socket: keeper::listen(address)?,
            gateway: Arc::clone(gateway),
            course: course.subscribe(),
            connections: Arc::clone(connections),
            has_said_why_not: AtomicBool::new(false),
        });
        gateway.lanes.of_port(address.port()).listen(Arc::clone(&listening));
        Ok(Self(listening))
    }
}

impl Drop for Listener {
    /// The kernel stops listening at the shutdown already, and says so to the lane, which lets go of the socket.
    fn drop(&mut self) {
        if let Err(error) = self.0.socket.shutdown(Shutdown::Both) {
            tracing::debug!(%error, "a listener was closed before");
        }
    }
}

impl Listening {
    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// None where nobody waits to be accepted. It goes on listening when descriptors run out: a gateway that gave up would be deaf
    /// for good.
    pub(crate) fn accept(&self) -> io::Result<Option<(TcpStream, SocketAddr)>> {
        loop {
            match acceptfrom_with(&self.socket, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                Ok((socket, peer)) => {
                    self.has_said_why_not.store(false, Ordering::Relaxed);
                    let peer = peer.ok_or(Errno::AFNOSUPPORT)?.try_into()?;
                    return Ok(Some((socket.into(), peer)));
                }
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Says so once, until it can again.
    pub(crate) fn cannot_accept(&self, error: &io::Error) {
        if !self.has_said_why_not.swap(true, Ordering::Relaxed) {
            tracing::warn!(%error, "cannot accept; trying again until it works");
        }
    }

    /// Where a connection is to run that was accepted here.
    pub(crate) fn place<'a>(&'a self, here: &'a Lane) -> &'a Lane {
        self.gateway.lanes.place(here)
    }

    fn among(&self) -> Among {
        (Arc::clone(&self.connections), self.gateway.tasks.token())
    }

    fn wake_timeout(&self, target: &Target) -> Duration {
        let policy = target.traffic.policy();
        policy.map_or(self.gateway.options.wake_timeout, |policy| policy.wake_timeout)
    }
}

impl Arrival {
    pub(crate) fn is_refused(&self) -> bool {
        self.at.gateway.is_refused(self.peer.ip())
    }

    /// What is to be forwarded, if it can be at once. Whoever has to wait does so in a task, and comes to this lane later.
    pub(crate) fn attend(self, lane: &Lane) -> Option<Pair> {
        let Self { client, spare, peer, at } = self;
        let now = at.course.borrow().clone();
        let target = now.target.clone()?;
        let flow = Arc::new(target.traffic.open(peer, target.port));
        let client = Client { stream: client, flow, target };
        let spare = if now.accepts() && !client.flow.is_asleep() {
            let has_spoken = client.stream.peek(&mut [0]).is_ok();
            match dial::at_once(client.target.address, spare, has_spoken) {
                Ok(container) => return client.begin(container, at.among()),
                Err(left) => left,
            }
        } else {
            Some(spare)
        };
        let course = (at.course.clone(), at.wake_timeout(&client.target));
        let waiting = client.attend(spare, course, (lane.clone(), at.among()));
        at.connections.serve(waiting, &at.gateway.tasks, &at.gateway.runtime);
        None
    }
}
