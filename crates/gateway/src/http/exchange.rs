//! One request and its answer's head: over a connection that rests, or over a new one as soon as the container may be reached.
//!
//! A request that never left is sent again whatever it is. One that may have, and met the end of its connection before the first byte
//! of an answer, is sent once more if that may do no harm: a timer of the container's may have closed the connection while we
//! took it. While nobody has had an answer since the container started, it is sent again until it has one; any other waits until one of
//! our own has.

use super::body::{Inward, Withheld};
use super::page::{Asked, Trouble};
use super::reach;
use super::site::{Link, Site};
use super::{Client, Upstream};
use crate::Gateway;
use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use control::{Flow, Target};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Uri};
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
#[derive(Clone)]
pub(super) struct Route {
    pub(super) upstream: Upstream,
    pub(super) site: Arc<Site>,
    pub(super) target: Target,
    pub(super) flow: Arc<Flow>,
}

/// One request on its way there. What it needs stands here and not in futures, which would move it from one to the next.
pub(super) struct Exchange {
    pub(super) gateway: Gateway,
    pub(super) route: Route,
    /// Until it has left.
    pub(super) request: Option<Box<Request<Inward>>>,
    /// What it goes over.
    pub(super) link: Option<Link>,
}

type Answered = Response<Incoming>;
type Sent = Result<Answered, TrySendError<Request<Inward>>>;

/// A try that came to nothing. Where the request has left, what it takes to send it once more, if that may do no harm.
struct Failed {
    copy: Option<Copied>,
    error: hyper::Error,
}

impl Exchange {
    /// Until there is an answer, or none is to be had, or the client is gone.
    pub(super) async fn run(&mut self, client: &impl Client) -> Result<Answered, Trouble> {
        tokio::select! {
            biased;
            answered = self.answered() => answered,
            () = poll_fn(|context| client.poll_gone(context)) => Err(Trouble::Gone),
        }
    }

    /// Nearly every request is answered over a connection that rests. What the others take is not there for those.
    async fn answered(&mut self) -> Result<Answered, Trouble> {
        if self.is_for_later() || !self.take_rested() {
            return Box::pin(self.insist(None)).await;
        }
        match self.send().await {
            Ok(answered) => Ok(answered),
            Err(failed) => Box::pin(self.insist(Some(failed))).await,
        }
    }

    /// Whether there is a connection that may be used at once. Counted before anything is forwarded: what rests while the container
    /// sleeps is of no use.
    fn take_rested(&mut self) -> bool {
        let size = self.request.as_ref().map_or(0, |request| super::page::size(request.headers()));
        let is_awake = self.route.flow.inward(size) && self.route.site.is_forwarded();
        self.link = if is_awake { self.route.site.take() } else { None };
        self.link.is_some()
    }

    /// One try. What never left is still there after it.
    async fn send(&mut self) -> Result<Answered, Box<Failed>> {
        let (copy, sent) = self.begin();
        let mut failed = match sent.await {
            Ok(response) => {
                self.route.site.has_answered();
                return Ok(response);
            }
            Err(failed) => failed,
        };
        if self.link.take().is_some_and(|link| link.has_rested) {
            // What else rested has most likely met the same.
            self.route.site.quiet();
        }
        self.request = failed.take_message().map(Box::new);
        Err(Box::new(Failed { copy, error: failed.into_error() }))
    }

    fn begin(&mut self) -> (Option<Copied>, impl Future<Output = Sent> + use<>) {
        let request = *self.request.take().expect("one that has left is put together again");
        let link = self.link.as_mut().expect("it was connected");
        self.route.flow.reaches_from(link.from);
        (Copied::of(&request), link.sender.try_send_request(request))
    }

    /// It may be sent once alone, and nobody has had an answer of the application yet.
    fn is_for_later(&self) -> bool {
        self.route.site.is_new() && !self.request.as_ref().is_some_and(|request| may_be_sent_twice(request))
    }

    async fn insist(&mut self, failed: Option<Box<Failed>>) -> Result<Answered, Trouble> {
        if failed.is_none() && self.is_for_later() {
            self.knock().await?;
        }
        self.try_on(failed).await
    }

    /// An application that comes up may accept before it can answer, and break off. It is asked for what may be asked for again, until it
    /// answers, whatever that is.
    async fn knock(&mut self) -> Result<(), Trouble> {
        let mut asked = Request::new(Inward::empty(&self.route.flow));
        *asked.method_mut() = Method::HEAD;
        let host = self.request.as_ref().and_then(|request| request.headers().get(header::HOST)).cloned();
        host.into_iter().for_each(|host| drop(asked.headers_mut().insert(header::HOST, host)));
        let (gateway, route) = (self.gateway.clone(), self.route.clone());
        let mut knock = Self { gateway, route, request: Some(Box::new(asked)), link: None };
        knock.try_on(None).await.map(drop)
    }

    /// Over new connections, and again where one has failed.
    async fn try_on(&mut self, mut failed: Option<Box<Failed>>) -> Result<Answered, Trouble> {
        let mut tries = Tries { patience: None, once_more: true, unsent: 0 };
        loop {
            let has_rested = match failed {
                Some(failed) => {
                    self.put_together_again(*failed, &mut tries).await?;
                    self.take_rested()
                }
                None => false,
            };
            if !has_rested {
                self.connect(&mut tries).await?;
            }
            match self.send().await {
                Ok(answered) => return Ok(answered),
                Err(again) => failed = Some(again),
            }
        }
    }

    async fn connect(&mut self, tries: &mut Tries) -> Result<(), Trouble> {
        let asked = self.request.as_ref().map_or_else(Asked::default, |request| Asked::of(request));
        let deadline = tries.patience(&self.route).deadline;
        self.link = Some(reach::connect(&self.gateway, &self.route, asked, deadline).await?);
        Ok(())
    }

    /// The request is there again, unless it may not be sent once more.
    async fn put_together_again(&mut self, failed: Failed, tries: &mut Tries) -> Result<(), Trouble> {
        if self.request.is_some() && tries.unsent < MOST_UNSENT {
            tries.unsent += 1;
            return Ok(());
        }
        let copy = failed.copy.filter(|_| has_broken(&failed.error));
        let may_repeat = tries.once_more
            || (self.route.site.is_new() && Instant::now() < tries.patience(&self.route).deadline);
        let Some(copy) = copy.filter(|_| may_repeat) else {
            tracing::info!(container = self.route.upstream.name, error = %control::chain(&failed.error), "no answer");
            return Err(Trouble::Broke);
        };
        if !std::mem::take(&mut tries.once_more) {
            tokio::time::sleep(tries.patience(&self.route).pauses.next().unwrap_or(LONGEST_PAUSE)).await;
        }
        self.request = Some(Box::new(copy.request(&self.route.flow)));
        Ok(())
    }
}

/// How often a request was tried, and how often it may be.
struct Tries {
    patience: Option<Patience>,
    once_more: bool,
    unsent: usize,
}

/// For how long, and how often, a request is tried. Nearly all need none.
struct Patience {
    deadline: Instant,
    pauses: ExponentialBackoff,
}

impl Tries {
    fn patience(&mut self, route: &Route) -> &mut Patience {
        self.patience.get_or_insert_with(|| {
            let pauses =
                ExponentialBuilder::default().with_min_delay(FIRST_PAUSE).with_max_delay(LONGEST_PAUSE);
            Patience {
                deadline: Instant::now() + route.upstream.policy.wake_timeout,
                pauses: pauses.without_max_times().build(),
            }
        })
    }
}

/// Without a body, and by its method meant to be repeatable (RFC 9110 §9.2.2).
fn may_be_sent_twice(request: &Request<Inward>) -> bool {
    const REPEATABLE: [Method; 6] =
        [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE, Method::PUT, Method::DELETE];
    request.body().is_empty() && REPEATABLE.contains(request.method())
}

/// A request that may be sent twice. As small as it can be: nearly none is.
struct Copied {
    method: Method,
    uri: Uri,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Copied {
    fn of(request: &Request<Inward>) -> Option<Self> {
        may_be_sent_twice(request).then(|| Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        })
    }

    fn request(self, flow: &Arc<Flow>) -> Request<Inward> {
        let mut request = Request::new(Inward::empty(flow));
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        for (name, value) in self.headers {
            request.headers_mut().append(name, value);
        }
        request
    }
}

/// Whether the connection ended, instead of saying what is no HTTP.
fn has_broken(error: &hyper::Error) -> bool {
    let io = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    let ended = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe, ErrorKind::ConnectionAborted];
    error.is_incomplete_message() || error.is_canceled() || io.is_some_and(|io| ended.contains(&io.kind()))
}

/// The body, where there is one, is asked of the client once the container says that it wants it. A container that refuses is heard first, and the client
/// keeps its body.
pub(super) fn wait_for_continue(request: &mut Request<Inward>) -> Option<Withheld> {
    let withheld = request.body_mut().withhold()?;
    let told = withheld.clone();
    hyper::ext::on_informational(request, move |response| {
        if response.status() == StatusCode::CONTINUE {
            told.is_wanted();
        }
    });
    Some(withheld)
}
