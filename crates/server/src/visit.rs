//! One connection of a listener's: its requests, each to the API or to a container, and who is at the other end meanwhile.
//!
//! What hyper answers by itself has a status and no body: 400 to what is no HTTP, 431 to a head that is far too long.

use crate::body::BodyLimit;
use crate::client::{Client, Io, Reader, Socket};
use crate::error::Failure;
use crate::head;
use crate::host::Hosts;
use crate::listen::Limits;
use crate::lull::{Lull, UnderWay};
use crate::names::{Addressee, Names};
use crate::places::{Place, Turn};
use crate::routes::Routes;
use crate::unread::Unread;
use api::Kind;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{FuturesUnordered, StreamExt};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// When the program ends, how long a connection may take to say the request that its client has on the way. hyper would close one that
/// was accepted a moment ago, and to its client that is an empty answer.
const LAST_REQUEST: Duration = Duration::from_millis(100);

/// One connection, from its accept to its end.
pub(crate) struct Visit {
    pub(crate) routes: Routes,
    pub(crate) hosts: Hosts,
    pub(crate) names: Option<Names>,
    pub(crate) limits: Limits,
    pub(crate) peer: SocketAddr,
    pub(crate) place: Arc<Place>,
    pub(crate) ending: CancellationToken,
}

impl Visit {
    /// Serves requests until the client, the program or the connection ends.
    pub(crate) async fn serve(self, stream: TcpStream) {
        let Self { limits, peer, place, ending, .. } = self;
        let (socket, lull) = (Arc::new(Socket::new(stream, peer)), Lull::begin());
        let visitor = Arc::new(Visitor {
            routes: self.routes,
            hosts: self.hosts,
            names: self.names,
            limits,
            peer,
            place: Arc::clone(&place),
            lull: Arc::clone(&lull),
            socket: Arc::downgrade(&socket),
        });
        let mut connection = pin!(
            http1::Builder::new()
                .header_read_timeout(None)
                .max_buf_size(head::MAX_READ)
                // Who has sent all that it wants to may say so, and is answered.
                .half_close(true)
                // A long body is written from where it is kept; `Io` makes a short one and its head one piece.
                .writev(true)
                .serve_connection(
                    TokioIo::new(Io::new(socket, Arc::clone(&lull))),
                    service_fn(move |request| Arc::clone(&visitor).answer(request)),
                )
                .with_upgrades()
        );
        let mut interruptions = interruptions(place, lull, limits, ending);
        loop {
            let interruption = tokio::select! {
                biased;
                Some(interruption) = interruptions.next() => interruption,
                ended = connection.as_mut() => {
                    return ended.unwrap_or_else(|error| tracing::debug!(%peer, %error, "a connection broke off"));
                }
            };
            match interruption {
                Interruption::Over(why) => return tracing::debug!(%peer, "closed: {why}"),
                Interruption::Ending => interruptions.push(Box::pin(async {
                    tokio::time::sleep(LAST_REQUEST).await;
                    Interruption::LastRequest
                })),
                Interruption::LastRequest => connection.as_mut().graceful_shutdown(),
            }
        }
    }
}

/// What happens to a connection from outside of it.
enum Interruption {
    Over(&'static str),
    Ending,
    LastRequest,
}

/// Looked at when one happens, not whenever the connection's task goes on: that is several times for each request.
fn interruptions(
    place: Arc<Place>,
    lull: Arc<Lull>,
    limits: Limits,
    ending: CancellationToken,
) -> FuturesUnordered<BoxFuture<'static, Interruption>> {
    let over = async move {
        tokio::select! {
            () = place.taken_away.cancelled() => Interruption::Over("idle, and its place is another's"),
            () = lull.lasts(limits.head_within) => Interruption::Over("its client took too long to ask"),
        }
    };
    let ending = async move {
        ending.cancelled().await;
        Interruption::Ending
    };
    let lasted = limits.whole.map(|whole| async move {
        tokio::time::sleep(whole).await;
        Interruption::Over("it lasted for as long as it may")
    });
    [over.boxed(), ending.boxed()].into_iter().chain(lasted.map(FutureExt::boxed)).collect()
}

/// Who is at the other end of one connection, and what is there for them.
struct Visitor {
    routes: Routes,
    hosts: Hosts,
    names: Option<Names>,
    limits: Limits,
    peer: SocketAddr,
    place: Arc<Place>,
    lull: Arc<Lull>,
    /// hyper's, which takes it over at an upgrade.
    socket: Weak<Socket>,
}

impl Visitor {
    async fn answer(self: Arc<Self>, request: hyper::Request<Incoming>) -> Result<Response, TakenAway> {
        let under_way = self.lull.interrupt();
        if let Some(too_long) = head::refusal(&request) {
            return Ok(too_long);
        }
        let Some(names) = &self.names else { return self.route(request, under_way).await };
        match names.addressee(&request) {
            Addressee::Api => self.route(request, under_way).await,
            Addressee::Container(label) => Ok(self.page(names, label, request, under_way).await),
            Addressee::Unclear => {
                Ok(Failure::new(Kind::HostUnclear, "A request is for one host, and this one names several")
                    .into_response())
            }
        }
    }

    async fn route(
        &self,
        request: hyper::Request<Incoming>,
        under_way: UnderWay,
    ) -> Result<Response, TakenAway> {
        let turn = self.place.turn();
        let (mut request, unread) = Unread::of(request, &turn);
        request.extensions_mut().insert(ConnectInfo(self.peer));
        request.extensions_mut().insert(BodyLimit(self.limits.body));
        request.extensions_mut().insert(Reader::new(&self.socket, self.limits.untaken));
        request.extensions_mut().insert(self.hosts.clone());
        answer(self.routes.clone(), request, unread, (turn, under_way)).await
    }

    async fn page(
        &self,
        names: &Names,
        label: String,
        mut request: hyper::Request<Incoming>,
        under_way: UnderWay,
    ) -> Response {
        if !self.place.move_to(&names.places) {
            const FULL: &str = "Too many connections to containers are open; try again\n";
            return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], FULL).into_response();
        }
        if !request.body().is_end_stream() {
            // It goes with the body, which may end after the answer.
            request.extensions_mut().insert(under_way.clone());
        }
        let socket = self.socket.upgrade().expect("hyper has it for as long as it asks");
        names.pages.answer(label, request, Client::new(socket, under_way)).await
    }
}

/// The connection has its turn until the last of the answer is on its way.
async fn answer(
    routes: Routes,
    request: hyper::Request<Body>,
    unread: Unread,
    until_answered: (Arc<Turn>, UnderWay),
) -> Result<Response, TakenAway> {
    let response = routes.answer(request).await;
    unread.read().await;
    if !until_answered.0.begin() {
        return Err(TakenAway);
    }
    Ok(response.map(|body| {
        Body::new(body.map_err(move |error| {
            let _until_dropped = &until_answered;
            error
        }))
    }))
}

/// The connection's place went to another while its request was coming: it is closed as any idle one.
#[derive(Debug, thiserror::Error)]
#[error("idle, and closed for another")]
struct TakenAway;
