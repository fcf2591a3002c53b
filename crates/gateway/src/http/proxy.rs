//! The proxy itself: one request from its name to the answer's head, and what is taken from and added to either.

use super::body::{Body, Inward, Withheld};
use super::exchange::{self, Exchange, Route};
use super::page::{self, Trouble};
use super::upgrade;
use super::{Client, Trusted, Upstreams, headers, ignored};
use crate::Gateway;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::http::request::Parts;
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode, Version};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// How often connections that rested for too long are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(10);

/// The proxy. Clones share everything.
#[derive(Clone)]
pub struct Proxy(Arc<Inner>);

pub(super) struct Inner {
    pub(super) gateway: Gateway,
    upstreams: Box<dyn Upstreams>,
    trusted: Trusted,
}

impl Proxy {
    /// To the containers that these know, over the gateway that holds their ports. Its tasks run on the current runtime.
    pub fn new(gateway: Gateway, upstreams: impl Upstreams, trusted: Trusted) -> Self {
        let proxy = Self(Arc::new(Inner { gateway, upstreams: Box::new(upstreams), trusted }));
        let swept = Arc::downgrade(&proxy.0);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(SWEEP_EVERY).await;
                let Some(proxy) = swept.upgrade() else { return };
                proxy.gateway.sites().sweep();
            }
        });
        proxy
    }

    /// Answers a request for the container that goes by this label. Dropped, it takes the request back.
    pub fn answer<C: Client>(
        &self,
        label: String,
        request: Request<Incoming>,
        client: C,
    ) -> impl Future<Output = Response<Body<C>>> + use<C> {
        let (asked, is_admin) = (page::Asked::of(&request), client.is_admin());
        let mut begun = self.begin(&label, request, client);
        let proxy = self.clone();
        async move {
            let trouble = match &mut begun {
                Ok(errand) => match errand.run().await {
                    Ok(response) => return response,
                    Err(trouble) => trouble,
                },
                Err(trouble) => std::mem::replace(trouble, Trouble::Gone),
            };
            // The way is over; the client still waits.
            let _client = begun.as_mut().map(|errand| errand.client.take());
            drop(begun);
            let shows_lines = is_admin && matches!(trouble, Trouble::ComingUp(_));
            let lines = if shows_lines { proxy.0.upstreams.lines(&label).await } else { Vec::new() };
            page::answer(&trouble, asked, &lines).map(Body::Whole)
        }
    }

    /// Finds the way, and what is to go there.
    fn begin<C: Client>(
        &self,
        label: &str,
        mut request: Request<Incoming>,
        client: C,
    ) -> Result<Errand<C>, Trouble> {
        let route = self.route(label, &request, client.peer())?;
        let upgrade = headers::upgrade(request.headers()).filter(|_| request.version() == Version::HTTP_11);
        let on_upgrade = upgrade.is_some().then(|| hyper::upgrade::on(&mut request));
        let (outgoing, withheld) = self.outgoing(request, &client, upgrade, &route);
        let gateway = self.0.gateway.clone();
        let exchange = Exchange { gateway, route, request: Some(Box::new(outgoing)), link: None };
        Ok(Errand { exchange, client: Some(client), on_upgrade, withheld })
    }

    /// The way to the container, counted in. A request that is to be ignored counts nothing, and finds nobody where it sleeps.
    fn route<B>(&self, label: &str, request: &Request<B>, peer: SocketAddr) -> Result<Route, Trouble> {
        let upstream = self.0.upstreams.find(label).ok_or(Trouble::Unknown)?;
        check(request)?;
        let port = upstream.port.ok_or(Trouble::NoPort)?;
        let site = self.0.gateway.sites().of(port, &self.0.gateway).ok_or(Trouble::NoPort)?;
        let target = site.target().ok_or(Trouble::Stopped)?;
        let from = self.0.trusted.client(peer.ip(), request.headers());
        let path = request.uri().path();
        let is_ignored = ignored::is_ignored(&upstream.policy, from, path, request.headers());
        let flow = target.traffic.flow(SocketAddr::new(from, peer.port()), target.port, is_ignored);
        if is_ignored && (!site.is_forwarded() || flow.is_asleep()) {
            return Err(Trouble::Asleep);
        }
        Ok(Route { upstream, site, target, flow: Arc::new(flow) })
    }

    /// What the container is sent.
    fn outgoing<C: Client>(
        &self,
        request: Request<Incoming>,
        client: &C,
        upgrade: Option<HeaderValue>,
        route: &Route,
    ) -> (Request<Inward>, Option<Withheld>) {
        let (mut head, body) = request.into_parts();
        head.version = Version::HTTP_11;
        let extensions = std::mem::take(&mut head.extensions);
        origin_form(&mut head);
        headers::strip_hops(&mut head.headers);
        headers::forwarded(&mut head.headers, client.peer().ip(), client.address(), &self.0.trusted);
        if let Some(to) = upgrade {
            headers::ask_upgrade(&mut head.headers, to);
        }
        // No container learns the password of the API.
        if head.headers.contains_key(header::AUTHORIZATION) && client.is_admin() {
            head.headers.remove(header::AUTHORIZATION);
        }
        let waits = head.headers.contains_key(header::EXPECT);
        let mut request =
            Request::from_parts(head, Inward::new(body, extensions, &route.target, &route.flow));
        let withheld = if waits { exchange::wait_for_continue(&mut request) } else { None };
        (request, withheld)
    }
}

/// A request between its client and its container.
struct Errand<C> {
    exchange: Exchange,
    /// Until the answer takes it along, to watch it.
    client: Option<C>,
    on_upgrade: Option<OnUpgrade>,
    withheld: Option<Withheld>,
}

impl<C: Client> Errand<C> {
    async fn run(&mut self) -> Result<Response<Body<C>>, Trouble> {
        let client = self.client.as_ref().ok_or(Trouble::Gone)?;
        let response = self.exchange.run(client).await?;
        self.answer(response)
    }

    fn answer(&mut self, response: Response<Incoming>) -> Result<Response<Body<C>>, Trouble> {
        let route = &self.exchange.route;
        self.withheld.iter().for_each(Withheld::is_over);
        route.flow.outward(page::size(response.headers()));
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            // One that nobody asked for is no answer.
            let asked_for = self.on_upgrade.take().ok_or(Trouble::Broke)?;
            return Ok(self.switch(response, asked_for));
        }
        // Events come for as long as somebody listens; any other answer has an end, which is waited for.
        route.flow.awaits(!headers::is_event_stream(response.headers()));
        let (mut head, body) = response.into_parts();
        head.version = Version::HTTP_11;
        headers::strip_hops(&mut head.headers);
        let (client, link) = self.client.take().zip(self.exchange.link.take()).ok_or(Trouble::Gone)?;
        Ok(Response::from_parts(head, Body::streamed(body, route, client, link)))
    }

    fn switch(&mut self, mut response: Response<Incoming>, client: OnUpgrade) -> Response<Body<C>> {
        let to = response.headers().get(header::UPGRADE).cloned();
        let container = hyper::upgrade::on(&mut response);
        headers::strip_hops(response.headers_mut());
        if let Some(to) = to {
            headers::ask_upgrade(response.headers_mut(), to);
        }
        let (gateway, route) = (self.exchange.gateway.clone(), self.exchange.route.clone());
        self.exchange.gateway.spawn(async move {
            let sockets = upgrade::sockets::<C>(client, container, &route.target, &route.flow);
            let sockets = route.site.released.run_until_cancelled(sockets).await.flatten();
            if let (Some((client, container)), Some(port)) = (sockets, route.upstream.port) {
                gateway.forward(port, client, container, (route.flow, route.target));
            }
        });
        response.map(|_| Body::Whole(None))
    }
}

/// A request is for one host, in the path or in the header: the container is sent the path alone, and that host.
fn origin_form(head: &mut Parts) {
    if let Some(authority) = head.uri.authority() {
        let host = HeaderValue::try_from(authority.as_str());
        head.headers.insert(header::HOST, host.expect("an authority is header text"));
        let path = head.uri.path_and_query().cloned();
        head.uri = path.map_or_else(hyper::Uri::default, hyper::Uri::from);
    }
}

/// What another reader may read differently, and what is no request for a page. hyper has refused the rest of what is not clear.
fn check<B>(request: &Request<B>) -> Result<(), Trouble> {
    if request.headers().contains_key(header::TRANSFER_ENCODING) && request.version() < Version::HTTP_11 {
        return Err(Trouble::Framing);
    }
    if request.method() == Method::CONNECT {
        return Err(Trouble::Method);
    }
    Ok(())
}
