//! Containers' own pages: between the server, which tells them from the API by their host, and the gateway, which forwards.

use axum::body::Body;
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use gateway::Gateway;
use gateway::http::{Proxy, Trusted};
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::upgrade::Upgraded;
use hyper::{Request, Response};
use server::{App, Client, Names, Pages};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::net::TcpStream;

/// The hosts below `domain`, and their containers.
pub(super) fn names(domain: &str, trusted: Trusted, app: &Arc<App>, gateway: &Gateway) -> Names {
    let proxy = Proxy::new(gateway.clone(), Arc::clone(&app.control), trusted);
    let pages = Containers { proxy, app: Arc::clone(app) };
    Names::below(domain, &app.public_host, Names::CONNECTIONS, Arc::new(pages))
}

struct Containers {
    proxy: Proxy,
    app: Arc<App>,
}

impl Pages for Containers {
    fn answer(
        &self,
        label: String,
        request: Request<Incoming>,
        client: Client,
    ) -> BoxFuture<'static, Response<Body>> {
        let is_admin = self.app.admits(request.headers());
        let visitor = Visitor { client, is_admin };
        self.proxy.answer(label, request, visitor).map(|response| response.map(Body::new)).boxed()
    }
}

/// The server's client, as the gateway needs to know it.
struct Visitor {
    client: Client,
    is_admin: bool,
}

impl gateway::http::Client for Visitor {
    fn peer(&self) -> SocketAddr {
        self.client.peer()
    }

    fn address(&self) -> HeaderValue {
        self.client.address()
    }

    fn is_admin(&self) -> bool {
        self.is_admin
    }

    fn poll_gone(&self, context: &mut Context<'_>) -> Poll<()> {
        self.client.poll_gone(context)
    }

    fn take_over(upgraded: Upgraded) -> Option<(TcpStream, Bytes)> {
        Client::take_over(upgraded)
    }
}
