//! Bodies on their way: counted before they are forwarded, in both directions, and never held whole.

use super::Client;
use super::exchange::Route;
use super::site::{Link, Site};
use bytes::Bytes;
use control::{Flow, Target, WakeError};
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::http::Extensions;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How much of a body that the container did not want is read, so that the client reads its answer and may ask again.
const MOST_UNREAD: usize = 1024 * 1024;
const UNREAD_WITHIN: Duration = Duration::from_secs(1);
/// A container that says nothing of `Expect: 100-continue` is sent the body all the same.
const CONTINUE_WITHIN: Duration = Duration::from_secs(1);

type Wait = Pin<Box<dyn Future<Output = ()> + Send>>;
type Waking = Pin<Box<dyn Future<Output = Result<(), WakeError>> + Send>>;

/// A request's body, towards the container. Small, since most have none.
pub(super) struct Inward {
    flow: Arc<Flow>,
    coming: Option<Box<Coming>>,
}

/// A body that is on its way.
struct Coming {
    /// None once it has ended.
    body: Option<Incoming>,
    target: Target,
    held: Option<(Withheld, Wait)>,
    waking: Option<(Frame<Bytes>, Waking)>,
    /// What whoever took the request has to know the end of.
    _lives_as_long: Extensions,
}

impl Inward {
    /// The request's extensions live as long as its body.
    pub(super) fn new(body: Incoming, extensions: Extensions, target: &Target, flow: &Arc<Flow>) -> Self {
        let is_coming = !body.is_end_stream();
        let coming = is_coming.then(|| Coming::new(body, extensions, target.clone()));
        Self { flow: Arc::clone(flow), coming: coming.map(Box::new) }
    }

    pub(super) fn empty(flow: &Arc<Flow>) -> Self {
        Self { flow: Arc::clone(flow), coming: None }
    }

    /// The client waits for a word of the container's before it sends its body. Not asked for before, it is not sent. None where
    /// there is no body.
    pub(super) fn withhold(&mut self) -> Option<Withheld> {
        let coming = self.coming.as_mut()?;
        let withheld = Withheld::default();
        let said = withheld.said.clone().cancelled_owned();
        let said = async move {
            // Late is as good: some say nothing.
            tokio::time::timeout(CONTINUE_WITHIN, said).await.unwrap_or_default();
        };
        coming.held = Some((withheld.clone(), Box::pin(said)));
        Some(withheld)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.coming.is_none()
    }
}

impl Coming {
    fn new(body: Incoming, extensions: Extensions, target: Target) -> Self {
        Self { body: Some(body), target, held: None, waking: None, _lives_as_long: extensions }
    }

    fn poll_frame(
        &mut self,
        flow: &Arc<Flow>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some((withheld, said)) = &mut self.held {
            ready!(said.as_mut().poll(context));
            if withheld.refused.load(Ordering::Acquire) {
                return Poll::Ready(Some(Err("the container did not want the body".into())));
            }
            self.held = None;
        }
        if self.waking.is_none() {
            let Some(body) = &mut self.body else { return Poll::Ready(None) };
            let Some(frame) = ready!(Pin::new(&mut *body).poll_frame(context)?) else {
                self.body = None;
                return Poll::Ready(None);
            };
            if body.is_end_stream() {
                self.body = None;
            }
            if flow.inward(frame.data_ref().map_or(0, Bytes::len)) {
                return Poll::Ready(Some(Ok(frame)));
            }
            let (target, flow) = (self.target.clone(), Arc::clone(flow));
            self.waking = Some((frame, Box::pin(async move { target.wake(&flow).await })));
        }
        let Some((_, waking)) = &mut self.waking else { return Poll::Ready(None) };
        ready!(waking.as_mut().poll(context)?);
        Poll::Ready(self.waking.take().map(|(frame, _)| Ok(frame)))
    }
}

impl HttpBody for Inward {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Self { flow, coming } = self.get_mut();
        coming.as_mut().map_or(Poll::Ready(None), |coming| coming.poll_frame(flow, context))
    }

    fn is_end_stream(&self) -> bool {
        self.coming.as_ref().is_none_or(|coming| coming.body.is_none() && coming.waking.is_none())
    }

    fn size_hint(&self) -> SizeHint {
        let body = self.coming.as_ref().and_then(|coming| coming.body.as_ref());
        body.map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

/// A body that the client sends only when it is asked to.
#[derive(Clone, Default)]
pub(super) struct Withheld {
    said: CancellationToken,
    refused: Arc<AtomicBool>,
}

impl Withheld {
    /// The container wants it.
    pub(super) fn is_wanted(&self) {
        self.said.cancel();
    }

    /// The container has answered: what it did not want by now stays where it is.
    pub(super) fn is_over(&self) {
        self.refused.store(true, Ordering::Release);
        self.said.cancel();
    }
}

impl Drop for Coming {
    /// hyper closes a connection over what is left of a body, and the client may lose the answer in that.
    fn drop(&mut self) {
        if let Some(body) = self.body.take().filter(|_| self.held.is_none()) {
            tokio::spawn(tokio::time::timeout(UNREAD_WITHIN, drain(body)));
        }
    }
}

/// Reads and throws away, up to [`MOST_UNREAD`].
async fn drain(mut body: Incoming) {
    let mut read = 0;
    while read < MOST_UNREAD
        && let Some(Ok(frame)) = body.frame().await
    {
        read += frame.data_ref().map_or(0, Bytes::len);
    }
}

/// What the client gets: a text of ours, or the container's answer as it comes.
pub enum Body<C> {
    /// Ours.
    Whole(Option<Bytes>),
    /// The container's.
    Streamed(Outward<C>),
}

/// An answer on its way to the client.
pub struct Outward<C> {
    body: Incoming,
    flow: Arc<Flow>,
    site: Arc<Site>,
    client: C,
    /// It goes back to rest when the answer is over.
    link: Option<Link>,
    /// It broke off: told once the client has what came before that.
    broken: Option<hyper::Error>,
}

impl<C> Body<C> {
    pub(super) fn streamed(body: Incoming, route: &Route, client: C, link: Link) -> Self {
        if body.is_end_stream() {
            route.site.rest(link);
            return Self::Whole(None);
        }
        let (flow, site) = (Arc::clone(&route.flow), Arc::clone(&route.site));
        Self::Streamed(Outward { body, flow, site, client, link: Some(link), broken: None })
    }
}

impl<C: Client> HttpBody for Body<C> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut *self {
            Self::Whole(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Self::Streamed(outward) => outward.poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(text) => text.is_none(),
            Self::Streamed(outward) => outward.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(text) => SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64)),
            Self::Streamed(outward) => outward.body.size_hint(),
        }
    }
}

impl<C: Client> Outward<C> {
    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(error) = self.broken.take() {
            return Poll::Ready(Some(Err(error.into())));
        }
        let Poll::Ready(polled) = Pin::new(&mut self.body).poll_frame(context) else {
            // Nothing more is read from the client while it is answered: that it went away shows nowhere else.
            ready!(self.client.poll_gone(context));
            return Poll::Ready(Some(Err(io::Error::from(ErrorKind::ConnectionAborted).into())));
        };
        if let Some(Ok(frame)) = &polled {
            self.flow.outward(frame.data_ref().map_or(0, Bytes::len));
        }
        let polled = match polled {
            Some(Err(error)) => {
                self.broken = Some(error);
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            polled => polled,
        };
        let has_ended = polled.is_none() || self.body.is_end_stream();
        if has_ended && let Some(link) = self.link.take() {
            self.site.rest(link);
        }
        Poll::Ready(polled.map(|frame| frame.map_err(Into::into)))
    }
}
