//! A request's body on its way: a request whose body is there to its end has its turn, and what nobody read of it, because the
//! answer did not depend on it (no credentials, no such route, too long), is read before the answer.
//!
//! hyper closes a connection over such a rest if it is still on its way, without telling the client, whose next request then
//! fails, or whose answer is lost in the reset. So a little of it is read and thrown away.

use crate::places::Turn;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::{Request, header};
use hyper::body::{Frame, Incoming};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

/// How much of it is read: twice what a body may hold, so that whoever sends some more than that reads why it is refused.
const MOST: usize = 2 * crate::body::MAX_BODY;
/// How long it is waited for.
const WITHIN: Duration = Duration::from_secs(1);

/// The rest of a body that somebody else reads first.
pub(crate) struct Unread {
    body: Arc<Mutex<Incoming>>,
    /// The client sends it when it is asked to, and nobody did.
    is_withheld: bool,
}

/// The body as it is handed on.
struct Lent {
    body: Arc<Mutex<Incoming>>,
    turn: Arc<Turn>,
}

impl Unread {
    /// Hands the request on, and keeps hold of its body. One without a body has its turn at once.
    pub(crate) fn of(request: Request<Incoming>, turn: &Arc<Turn>) -> (Request<Body>, Self) {
        let is_withheld = request.headers().contains_key(header::EXPECT);
        let (head, body) = request.into_parts();
        if body.is_end_stream() {
            turn.begin();
        }
        let body = Arc::new(Mutex::new(body));
        let lent = Lent { body: Arc::clone(&body), turn: Arc::clone(turn) };
        (Request::from_parts(head, Body::new(lent)), Self { body, is_withheld })
    }

    /// Reads what is left, if nobody else is about to.
    pub(crate) async fn read(self) {
        let is_read_elsewhere = Arc::strong_count(&self.body) > 1;
        if self.is_withheld || is_read_elsewhere || lock(&self.body).is_end_stream() {
            return;
        }
        let rest = async {
            let mut read = 0;
            while let Some(Ok(frame)) =
                std::future::poll_fn(|cx| Pin::new(&mut *lock(&self.body)).poll_frame(cx)).await
            {
                read += frame.data_ref().map_or(0, Bytes::len);
                if read > MOST {
                    break;
                }
            }
        };
        // Whether all of it came or not, the answer is due now.
        tokio::time::timeout(WITHIN, rest).await.unwrap_or_default();
    }
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let mut body = lock(&self.body);
        let polled = Pin::new(&mut *body).poll_frame(cx);
        if matches!(polled, Poll::Ready(None)) || body.is_end_stream() {
            self.turn.begin();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        lock(&self.body).is_end_stream()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        lock(&self.body).size_hint()
    }
}

fn lock(body: &Mutex<Incoming>) -> MutexGuard<'_, Incoming> {
    body.lock().unwrap_or_else(PoisonError::into_inner)
}
