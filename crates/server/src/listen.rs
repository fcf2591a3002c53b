//! Listeners: accept, bound, serve, drain. The API and the check-in door differ in their routes and in their limits.
//!
//! What is asked for by a container's name goes another way before any of that (`names`).
//!
//! What hyper answers by itself has a status and no body: 400 to what is no HTTP, 431 to a head that is too long.

use crate::body::BodyLimit;
use crate::client::{Client, Io};
use crate::error::Failure;
use crate::host::Hosts;
use crate::names::{Addressee, Names};
use crate::places::{Place, Places, Turn};
use crate::routes::Routes;
use crate::unread::Unread;
use api::Kind;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use control::Neighbours;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

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
        // All may be one user's, or one proxy's: the longest idle makes room.
        per_source: usize::MAX,
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
    /// For whom.
    pub hosts: Hosts,
    /// What is asked for by a container's name, and who answers it.
    pub names: Option<Names>,
    /// Whoever connects from here is turned away without a word.
    pub refused: Neighbours,
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
        let (stream, limits) = (Arc::new(stream), self.limits);
        let visitor = Arc::new(Visitor {
            routes: self.routes.clone(),
            hosts: self.hosts.clone(),
            names: self.names.clone(),
            limits,
            peer,
            place: Arc::clone(&place),
            stream: Arc::downgrade(&stream),
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head_within)
            .max_buf_size(MAX_HEAD)
            // Who has sent all that it wants to may say so, and is answered.
            .half_close(true)
            .serve_connection(
                TokioIo::new(Io(stream)),
                service_fn(move |request| Arc::clone(&visitor).answer(request)),
            )
            .with_upgrades();
        let ending = ending.clone();
        serving.spawn(async move {
            let mut connection = pin!(connection);
            let served = async {
                if let Some(ended) = ending.run_until_cancelled(connection.as_mut()).await {
                    return ended;
                }
                connection.as_mut().graceful_shutdown();
                connection.await
            };
            let whole = limits.whole.unwrap_or(Duration::MAX);
            let ended = tokio::select! {
                biased;
                () = place.taken_away.cancelled() => return tracing::debug!(%peer, "idle, and closed for another"),
                ended = tokio::time::timeout(whole, served) => ended,
            };
            if let Ok(Err(error)) = ended {
                tracing::debug!(%peer, %error, "a connection broke off");
            }
        });
    }
}

/// Who is at the other end of one connection, and what is there for them.
struct Visitor {
    routes: Routes,
    hosts: Hosts,
    names: Option<Names>,
    limits: Limits,
    peer: SocketAddr,
    place: Arc<Place>,
    /// hyper's, which takes it over at an upgrade.
    stream: Weak<TcpStream>,
}

impl Visitor {
    async fn answer(self: Arc<Self>, request: hyper::Request<Incoming>) -> Result<Response, TakenAway> {
        let Some(names) = &self.names else { return self.route(request).await };
        match names.addressee(&request) {
            Addressee::Api => self.route(request).await,
            Addressee::Container(label) => Ok(self.page(names, label, request).await),
            Addressee::Unclear => {
                Ok(Failure::new(Kind::HostUnclear, "A request is for one host, and this one names several")
                    .into_response())
            }
        }
    }

    async fn route(&self, request: hyper::Request<Incoming>) -> Result<Response, TakenAway> {
        let turn = self.place.turn();
        let (mut request, unread) = Unread::of(request, &turn);
        request.extensions_mut().insert(ConnectInfo(self.peer));
        request.extensions_mut().insert(BodyLimit(self.limits.body));
        request.extensions_mut().insert(self.hosts.clone());
        answer(self.routes.clone(), request, unread, turn).await
    }

    async fn page(&self, names: &Names, label: String, request: hyper::Request<Incoming>) -> Response {
        if !self.place.move_to(&names.places) {
            const FULL: &str = "Too many connections to containers are open; try again\n";
            return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], FULL).into_response();
        }
        let stream = self.stream.upgrade().expect("hyper has it for as long as it asks");
        names.pages.answer(label, request, Client::new(self.peer, &stream)).await
    }
}

/// The connection has its turn until the last of the answer is on its way.
async fn answer(
    routes: Routes,
    request: hyper::Request<Body>,
    unread: Unread,
    turn: Arc<Turn>,
) -> Result<Response, TakenAway> {
    let response = routes.answer(request).await;
    unread.read().await;
    if !turn.begin() {
        return Err(TakenAway);
    }
    Ok(response.map(|body| {
        Body::new(body.map_err(move |error| {
            let _until_dropped = &turn;
            error
        }))
    }))
}

/// The connection's place went to another while its request was coming: it is closed as any idle one.
#[derive(Debug, thiserror::Error)]
#[error("idle, and closed for another")]
struct TakenAway;
