//! Listeners: accept, bound, serve, drain. The API and the check-in door differ in their routes and in their limits.
//!
//! What is asked for by a container's name goes another way before any of that (`names`).

use crate::host::Hosts;
use crate::names::Names;
use crate::places::{Place, Places};
use crate::routes::Routes;
use crate::visit::Visit;
use control::Neighbours;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// After an accept that failed for want of descriptors or memory.
const PAUSE: Duration = Duration::from_millis(200);

/// What a listener's clients may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// Connections at once from one address.
    pub per_source: usize,
    /// Bytes of a body.
    pub body: usize,
    /// How long a request's head may take, and a connection may idle.
    pub head_within: Duration,
    /// How long a connection may last; none for ever.
    pub whole: Option<Duration>,
    /// How long the reader of a stream may take nothing of what it is sent.
    pub untaken: Duration,
}

impl Limits {
    /// The API's.
    pub const API: Self = Self {
        connections: 4096,
        // All may be one user's, or one proxy's: the longest idle makes room.
        per_source: usize::MAX,
        body: crate::body::MAX_BODY,
        head_within: Duration::from_secs(15),
        whole: None,
        untaken: Duration::from_secs(30),
    };

    /// The check-in door's: nobody inside a container needs more.
    pub const CHECK_IN: Self = Self {
        connections: 4096,
        per_source: 8,
        body: 1024,
        head_within: Duration::from_secs(5),
        whole: Some(Duration::from_secs(5)),
        untaken: Duration::from_secs(5),
    };

    /// The same where the engine stands between: all containers come from one address, of this host.
    pub const CHECK_IN_BY_TOKEN: Self = Self { per_source: 4096, ..Self::CHECK_IN };
}

/// A listener that serves until it is told to end.
pub struct Listening {
    /// Where.
    pub listener: TcpListener,
    /// What.
    pub routes: Routes,
    /// How much of it.
    pub limits: Limits,
    /// For whom.
    pub hosts: Hosts,
    /// What is asked for by a container's name, and who answers it.
    pub names: Option<Names>,
    /// Whoever connects from here is turned away without a word.
    pub refused: Neighbours,
    /// Where connections are served, each by one of these for as long as it lives; by whoever listens, where there are none.
    pub threads: Vec<Handle>,
}

impl Listening {
    /// Serves until `ending`; then accepts nobody more, and gives what is under way `grace` to end.
    pub async fn serve(self, ending: CancellationToken, grace: Duration) {
        let serving = TaskTracker::new();
        let places = Places::new(self.limits.connections, self.limits.per_source);
        while let Some((stream, peer)) = ending.run_until_cancelled(self.accept()).await {
            if self.refused.include(peer.ip()) {
                tracing::debug!(%peer, "turned away: containers may not reach this");
                continue;
            }
            match ending.run_until_cancelled(places.take(peer.ip())).await.flatten() {
                Some(place) => self.attend(stream, peer, place, &serving, &ending),
                None => tracing::debug!(%peer, "turned away: too many connections from one address"),
            }
        }
        serving.close();
        if tokio::time::timeout(grace, serving.wait()).await.is_err() {
            tracing::warn!("connections were cut off: they did not end within the grace period");
        }
    }

    /// The next connection. Cancel safe.
    async fn accept(&self) -> (TcpStream, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok(accepted) => return accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// On the thread that has the least to do.
    fn attend(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        place: Arc<Place>,
        serving: &TaskTracker,
        ending: &CancellationToken,
    ) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%peer, %error, "answers may be held back by the kernel");
        }
        let visit = Visit {
            routes: self.routes.clone(),
            hosts: self.hosts.clone(),
            names: self.names.clone(),
            limits: self.limits,
            peer,
            place,
            ending: ending.clone(),
        };
        let Some(thread) = self.threads.iter().min_by_key(|thread| thread.metrics().num_alive_tasks()) else {
            serving.spawn(visit.serve(stream));
            return;
        };
        let stream = stream.into_std();
        let moved = async move {
            match stream.and_then(TcpStream::from_std) {
                Ok(stream) => visit.serve(stream).await,
                Err(error) => tracing::warn!(%peer, %error, "a connection could not change threads"),
            }
        };
        serving.spawn_on(moved, thread);
    }
}
