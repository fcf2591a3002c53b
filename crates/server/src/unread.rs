//! What of a request's body nobody read, because the answer did not depend on it: no credentials, no such route, too long.
//!
//! hyper closes a connection over such a rest if it is still on its way, without telling the client, whose next request then
//! fails, or whose answer is lost in the reset. So a little of it is read and thrown away before the answer.

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{Request, header};
use hyper::body::{Frame, Incoming};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

/// How much of it is read.
const MOST: usize = 1024 * 1024;
/// How long it is waited for.
const WITHIN: Duration = Duration::from_secs(1);

/// The rest of a body that somebody else reads first.
pub(crate) struct Unread(Arc<Mutex<Incoming>>);

/// The body as it is handed on.
struct Lent(Arc<Mutex<Incoming>>);

impl Unread {
    /// Hands the request on, and keeps hold of its body. Nothing where the client waits to be asked for it: it is not.
    pub(crate) fn of(request: Request<Incoming>) -> (Request<Body>, Option<Self>) {
        if request.body().is_end_stream() || request.headers().contains_key(header::EXPECT) {
            return (request.map(Body::new), None);
        }
        let (head, body) = request.into_parts();
        let shared = Arc::new(Mutex::new(body));
        let lent = Body::new(Lent(Arc::clone(&shared)));
        (Request::from_parts(head, lent), Some(Self(shared)))
    }

    /// Reads what is left, if nobody else is about to.
    pub(crate) async fn read(self) {
        if Arc::strong_count(&self.0) > 1 {
            return;
        }
        let rest = async {
            let mut read = 0;
            while let Some(Ok(frame)) =
                std::future::poll_fn(|cx| Pin::new(&mut *lock(&self.0)).poll_frame(cx)).await
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
        Pin::new(&mut *lock(&self.0)).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        lock(&self.0).is_end_stream()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        lock(&self.0).size_hint()
    }
}

fn lock(body: &Mutex<Incoming>) -> MutexGuard<'_, Incoming> {
    body.lock().unwrap_or_else(PoisonError::into_inner)
}
