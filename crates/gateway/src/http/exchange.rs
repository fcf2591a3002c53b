//! One request and its answer's head: over a connection that rests, or over a new one as soon as the container may be reached.
//!
//! A request that never left is sent again whatever it is. One that may have, and met the end of its connection before the first byte
//! of an answer, is sent once more if that may do no harm: a timer of the container's may have closed the connection while we
//! took it. While nobody has had an answer since the container started, it is sent again until it has one.

use super::body::{Inward, Withheld};
use super::page::Trouble;
use super::proxy::Inner;
use super::reach;
use super::site::{Link, Site};
use super::{Client, Upstream};
use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use control::{Flow, Target};
use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use std::error::Error as _;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Between one try and the next at an application that comes up.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// How often a request that never left is tried over another connection.
const MOST_UNSENT: usize = 8;

/// The way of one request, for as long as it is being answered.
pub(super) struct Route {
    pub(super) upstream: Upstream,
    pub(super) site: Arc<Site>,
    pub(super) target: Target,
    pub(super) flow: Arc<Flow>,
}

pub(super) struct Exchange<'a, C> {
    pub(super) proxy: &'a Inner,
    pub(super) route: &'a Route,
    pub(super) client: &'a C,
}

type Answered = (Response<Incoming>, Link);

impl<C: Client> Exchange<'_, C> {
    /// Until there is an answer, or none is to be had, or the client is gone.
    pub(super) async fn run(&self, request: Request<Inward>) -> Result<Answered, Trouble> {
        tokio::select! {
            biased;
            answered = self.attempts(request) => answered,
            () = poll_fn(|context| self.client.poll_gone(context)) => Err(Trouble::Gone),
        }
    }

    async fn attempts(&self, mut request: Request<Inward>) -> Result<Answered, Trouble> {
        let asked = super::page::Asked::of(&request);
        let mut patience = None;
        let (mut once_more, mut unsent) = (true, 0);
        loop {
            let copy = is_harmless(&request).then(|| head(&request));
            let size = super::page::size(request.headers());
            // Counted before it is forwarded: what rests while the container sleeps is of no use.
            let is_awake = self.route.flow.inward(size) && self.route.site.is_forwarded();
            let rested = if is_awake { self.route.site.take() } else { None };
            let has_rested = rested.is_some();
            let mut link = match rested {
                Some(link) => link,
                None => {
                    let deadline = patience.get_or_insert_with(|| self.patience()).deadline;
                    Box::pin(reach::connect(self, &asked, deadline)).await?
                }
            };
            self.route.flow.reaches_from(link.from);
            let mut failed = match link.sender.try_send_request(request).await {
                Ok(response) => {
                    self.route.site.has_answered();
                    return Ok((response, link));
                }
                Err(failed) => failed,
            };
            if has_rested {
                // What else rested has most likely met the same.
                self.route.site.quiet();
            }
            if let Some(back) = failed.take_message().filter(|_| unsent < MOST_UNSENT) {
                unsent += 1;
                request = back;
                continue;
            }
            let copy = copy.filter(|_| has_broken(failed.error()));
            let patience = patience.get_or_insert_with(|| self.patience());
            let may_repeat = once_more || (self.route.site.is_new() && Instant::now() < patience.deadline);
            let Some(head) = copy.filter(|_| may_repeat) else {
                tracing::info!(container = self.route.upstream.name, error = %control::chain(failed.error()), "no answer");
                return Err(Trouble::Broke);
            };
            if !std::mem::take(&mut once_more) {
                Box::pin(tokio::time::sleep(patience.pauses.next().unwrap_or(LONGEST_PAUSE))).await;
            }
            request = Request::from_parts(head, Inward::empty(&self.route.flow));
        }
    }
}

/// For how long, and how often, a request is tried. Nearly all need none.
struct Patience {
    deadline: Instant,
    pauses: ExponentialBackoff,
}

impl<C> Exchange<'_, C> {
    fn patience(&self) -> Patience {
        let pauses = ExponentialBuilder::default().with_min_delay(FIRST_PAUSE).with_max_delay(LONGEST_PAUSE);
        Patience {
            deadline: Instant::now() + self.route.upstream.policy.wake_timeout,
            pauses: pauses.without_max_times().build(),
        }
    }
}

/// Without a body, and by its method meant to be repeatable (RFC 9110 §9.2.2).
fn is_harmless(request: &Request<Inward>) -> bool {
    let repeatable = [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE, Method::PUT, Method::DELETE];
    request.body().is_empty() && repeatable.contains(request.method())
}

fn head(request: &Request<Inward>) -> Parts {
    let mut copy = Request::new(());
    copy.method_mut().clone_from(request.method());
    copy.uri_mut().clone_from(request.uri());
    *copy.headers_mut() = request.headers().clone();
    copy.into_parts().0
}

/// Whether the connection ended, instead of saying what is no HTTP.
fn has_broken(error: &hyper::Error) -> bool {
    let io = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    let ended = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe, ErrorKind::ConnectionAborted];
    error.is_incomplete_message() || error.is_canceled() || io.is_some_and(|io| ended.contains(&io.kind()))
}

/// The body is asked of the client once the container says that it wants it. A container that refuses is heard first, and the client
/// keeps its body.
pub(super) fn wait_for_continue(request: &mut Request<Inward>) -> Withheld {
    let withheld = request.body_mut().withhold();
    let told = withheld.clone();
    hyper::ext::on_informational(request, move |response| {
        if response.status() == StatusCode::CONTINUE {
            told.is_wanted();
        }
    });
    withheld
}
