//! A port's accept loop. It goes on listening when descriptors run out: a gateway that gave up would be deaf for good.

use crate::{Course, Inner, connection, keeper};
use socket2::SockRef;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// After an accept that failed for want of descriptors or memory.
const PAUSE: Duration = Duration::from_millis(100);

/// Listens as long as it lives. Dropped, it refuses at once.
pub(crate) struct Listener {
    socket: Arc<TcpListener>,
    closed: CancellationToken,
}

impl Listener {
    pub(crate) fn open(
        gateway: &Arc<Inner>,
        address: SocketAddr,
        course: &watch::Sender<Course>,
        released: &CancellationToken,
    ) -> io::Result<Self> {
        let _entered = gateway.runtime.enter();
        let socket = Arc::new(TcpListener::from_std(keeper::listen(address)?.into())?);
        let closed = released.child_token();
        let loop_ = Loop {
            gateway: Arc::clone(gateway),
            socket: Arc::clone(&socket),
            course: course.subscribe(),
            released: released.clone(),
        };
        let ending = closed.clone();
        let accepting = async move {
            tokio::select! {
                // First its end: an accept on what listens no more is an error.
                biased;
                () = ending.cancelled() => {}
                () = loop_.run() => {}
            }
        };
        gateway.tasks.spawn_on(accepting, &gateway.runtime);
        Ok(Self { socket, closed })
    }
}

impl Drop for Listener {
    /// The kernel stops listening at the shutdown already, whenever the task lets go of the socket.
    fn drop(&mut self) {
        self.closed.cancel();
        if let Err(error) = SockRef::from(&*self.socket).shutdown(Shutdown::Both) {
            tracing::debug!(%error, "a listener was closed before");
        }
    }
}

struct Loop {
    gateway: Arc<Inner>,
    socket: Arc<TcpListener>,
    course: watch::Receiver<Course>,
    released: CancellationToken,
}

impl Loop {
    async fn run(self) {
        let mut starved = false;
        loop {
            match self.socket.accept().await {
                Ok((client, peer)) => {
                    starved = false;
                    self.attend(client, peer);
                }
                Err(error) => {
                    if !std::mem::replace(&mut starved, true) {
                        tracing::warn!(%error, "cannot accept; trying again until it works");
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    fn attend(&self, client: TcpStream, peer: SocketAddr) {
        if self.gateway.is_refused(peer.ip()) {
            tracing::debug!(%peer, "turned away: containers may not reach endpoints");
            return;
        }
        let (course, timeout) = (self.course.clone(), self.gateway.options.wake_timeout);
        let released = self.released.clone();
        self.gateway.tasks.spawn(async move {
            released.run_until_cancelled(connection::attend(client, peer, course, timeout)).await;
        });
    }
}
