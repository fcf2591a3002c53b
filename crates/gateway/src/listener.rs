//! A port's accept loop. It goes on listening when descriptors run out: a gateway that gave up would be deaf for good.

use crate::connection::{self, Client};
use crate::connections::Connections;
use crate::{Course, Inner, dial, keeper};
use backon::{ConstantBuilder, Retryable};
use control::Target;
use socket2::{SockRef, Socket};
use std::future::{Future, poll_fn, ready};
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
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
        connections: &Arc<Connections>,
    ) -> io::Result<Self> {
        let lane = gateway.lanes.of_port(address.port()).clone();
        let entered = lane.enter();
        let socket = Arc::new(TcpListener::from_std(keeper::listen(address)?.into())?);
        drop(entered);
        let closed = gateway.ending.child_token();
        let loop_ = Loop {
            gateway: Arc::clone(gateway),
            lane: lane.clone(),
            socket: Arc::clone(&socket),
            course: course.subscribe(),
            connections: Arc::clone(connections),
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
        gateway.tasks.spawn_on(accepting, &lane);
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
    lane: Handle,
    socket: Arc<TcpListener>,
    course: watch::Receiver<Course>,
    connections: Arc<Connections>,
}

impl Loop {
    /// There are two such tasks for each container that may be reached, so they are small: what they need when something fails is in a
    /// box that is made then.
    async fn run(&self) {
        loop {
            let (client, peer) = match self.accept().await {
                Ok(accepted) => accepted,
                Err(_) => tried_until_it_works(|| self.accept()).await,
            };
            // Nobody more is accepted before this one has both its descriptors: a crowd of halves would wait for each other.
            let spare = match dial::socket() {
                Ok(spare) => spare,
                Err(_) => tried_until_it_works(|| ready(dial::socket())).await,
            };
            if self.gateway.is_refused(peer.ip()) {
                tracing::debug!(%peer, "turned away: containers may not reach endpoints");
            } else {
                self.attend(client, spare, peer);
            }
        }
    }

    fn accept(&self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> {
        poll_fn(|context| self.socket.poll_accept(context))
    }

    fn attend(&self, stream: TcpStream, spare: Socket, peer: SocketAddr) {
        let Some(target) = self.course.borrow().target.clone() else { return };
        let flow = target.traffic.open(peer, target.address.port());
        let (course, timeout) = (self.course.clone(), self.wake_timeout(&target));
        let lane = self.gateway.lanes.place(&self.lane);
        let stream = if lane.id() == self.lane.id() { Ok(stream) } else { moved(stream, lane) };
        match stream {
            Ok(stream) => {
                let client = Client { stream, spare: Some(spare), flow, target };
                let serving = connection::attend(client, course, timeout);
                self.connections.serve(serving, &self.gateway.tasks, lane);
            }
            Err(error) => tracing::warn!(%error, %peer, "a connection could not change threads"),
        }
    }

    fn wake_timeout(&self, target: &Target) -> Duration {
        let policy = target.traffic.policy();
        policy.map_or(self.gateway.options.wake_timeout, |policy| policy.wake_timeout)
    }
}

/// To be served on another thread.
fn moved(stream: TcpStream, lane: &Handle) -> io::Result<TcpStream> {
    let stream = stream.into_std()?;
    let _entered = lane.enter();
    TcpStream::from_std(stream)
}

/// Now and again each [`PAUSE`], for as long as it takes.
async fn tried_until_it_works<T, F: Future<Output = io::Result<T>>>(attempt: impl FnMut() -> F) -> T {
    let patience = ConstantBuilder::default().with_delay(PAUSE).without_max_times();
    Box::pin(attempt.retry(patience).notify(say_once())).await.expect("tried until it works")
}

fn say_once() -> impl FnMut(&io::Error, Duration) {
    let mut said = false;
    move |error, _| {
        if !std::mem::replace(&mut said, true) {
            tracing::warn!(%error, "cannot accept; trying again until it works");
        }
    }
}
