//! Listeners: accept, bound, serve, drain. The API and the check-in door differ in their routes and in their limits.

use crate::body::BodyLimit;
use crate::routes::Routes;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use ipnet::Ipv4Net;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// The longest request head. A longer one is 431.
const MAX_HEAD: usize = 32 * 1024;
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
}

impl Limits {
    /// The API's.
    pub const API: Self = Self {
        connections: 4096,
        per_source: 4096,
        body: crate::body::MAX_BODY,
        head_within: Duration::from_secs(15),
        whole: None,
    };

    /// The check-in door's: nobody inside a container needs more.
    pub const CHECK_IN: Self = Self {
        connections: 4096,
        per_source: 8,
        body: 1024,
        head_within: Duration::from_secs(5),
        whole: Some(Duration::from_secs(5)),
    };
}

/// A listener that serves until it is told to end.
pub struct Listening {
    /// Where.
    pub listener: TcpListener,
    /// What.
    pub routes: Routes,
    /// How much of it.
    pub limits: Limits,
    /// Whoever connects from here is turned away without a word.
    pub refused: Vec<Ipv4Net>,
}

impl Listening {
    /// Serves until `ending`; then accepts nobody more, and gives what is under way `grace` to end.
    pub async fn serve(self, ending: CancellationToken, grace: Duration) {
        let graceful = GracefulShutdown::new();
        let places = Arc::new(Semaphore::new(self.limits.connections));
        let sources = Arc::new(Sources::default());
        while let Some((stream, peer)) = ending.run_until_cancelled(self.accept(&places)).await {
            if self.is_refused(peer.ip()) {
                tracing::debug!(%peer, "turned away: containers may not reach this");
                continue;
            }
            let Some(place) = sources.take(peer.ip(), self.limits.per_source) else {
                tracing::debug!(%peer, "turned away: too many connections from one address");
                continue;
            };
            self.attend(stream, peer, &graceful, (place, Arc::clone(&places)));
        }
        if tokio::time::timeout(grace, graceful.shutdown()).await.is_err() {
            tracing::warn!("connections were cut off: they did not end within the grace period");
        }
    }

    /// The next connection, once there is a place for it. Cancel safe.
    async fn accept(&self, places: &Semaphore) -> (TcpStream, SocketAddr) {
        loop {
            let place = places.acquire().await.expect("the semaphore is never closed");
            match self.listener.accept().await {
                Ok(accepted) => {
                    place.forget();
                    return accepted;
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    fn is_refused(&self, peer: IpAddr) -> bool {
        matches!(peer.to_canonical(), IpAddr::V4(peer) if self.refused.iter().any(|net| net.contains(&peer)))
    }

    fn attend(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        graceful: &GracefulShutdown,
        held: (Place, Arc<Semaphore>),
    ) {
        let (routes, limits) = (self.routes.clone(), self.limits);
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            request.extensions_mut().insert(BodyLimit(limits.body));
            routes.clone().oneshot(request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head_within)
            .max_buf_size(MAX_HEAD)
            .serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            let (place, places) = held;
            let ended = match limits.whole {
                None => connection.await,
                Some(whole) => tokio::time::timeout(whole, connection).await.unwrap_or(Ok(())),
            };
            if let Err(error) = ended {
                tracing::debug!(%peer, %error, "a connection broke off");
            }
            drop(place);
            places.add_permits(1);
        });
    }
}

/// How many connections each address has open.
#[derive(Default)]
struct Sources(Mutex<HashMap<IpAddr, usize>>);

/// One of an address's connections, for as long as this lives.
struct Place {
    sources: Arc<Sources>,
    source: IpAddr,
}

impl Sources {
    fn take(self: &Arc<Self>, source: IpAddr, limit: usize) -> Option<Place> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(source).or_default();
        (*count < limit).then(|| {
            *count += 1;
            Place { sources: Arc::clone(self), source }
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.sources.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.source);
            }
        }
    }
}
