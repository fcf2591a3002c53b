//! How long a client takes to say what it wants: from its connection, or from the end of the last answer, to the end of its request's head.
//!
//! hyper would set a timer for each request, and end it again: one for the whole of the connection, set anew where it was too early,
//! costs next to nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// Since when a connection waits for its client, unless it has something to do for it.
#[derive(Debug)]
pub(crate) struct Lull {
    connected_at: Instant,
    /// Milliseconds after that.
    since: AtomicU64,
    /// Requests that are being answered, and bodies that still come: these may outlast their answers.
    under_way: AtomicUsize,
    /// Some of an answer waits for its reader.
    is_held_up: AtomicBool,
}

/// Something is under way, until this and its clones are dropped.
#[derive(Debug)]
pub(crate) struct UnderWay(Arc<Lull>);

impl Lull {
    /// From now on.
    pub(crate) fn begin() -> Arc<Self> {
        Arc::new(Self {
            connected_at: Instant::now(),
            since: AtomicU64::new(0),
            under_way: AtomicUsize::new(0),
            is_held_up: AtomicBool::new(false),
        })
    }

    /// The head of a request is there.
    pub(crate) fn interrupt(self: &Arc<Self>) -> UnderWay {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(self))
    }

    /// The client takes nothing more of an answer for now.
    pub(crate) fn hold_up(&self) {
        self.is_held_up.store(true, Ordering::Relaxed);
    }

    /// It took some.
    pub(crate) fn go_on(&self) {
        if self.is_held_up.load(Ordering::Relaxed) {
            self.begin_anew();
            self.is_held_up.store(false, Ordering::Relaxed);
        }
    }

    fn begin_anew(&self) {
        let after = u64::try_from(self.connected_at.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.since.store(after, Ordering::Release);
    }

    /// Ready once it has lasted for so long. Cancel safe.
    pub(crate) async fn lasts(&self, long: Duration) {
        loop {
            let now = Instant::now();
            let is_none =
                self.under_way.load(Ordering::Acquire) > 0 || self.is_held_up.load(Ordering::Relaxed);
            let since = self.connected_at + Duration::from_millis(self.since.load(Ordering::Acquire));
            let ends = if is_none { now } else { since } + long;
            if ends <= now {
                return;
            }
            tokio::time::sleep_until(ends).await;
        }
    }
}

impl Clone for UnderWay {
    fn clone(&self) -> Self {
        self.0.interrupt()
    }
}

impl Drop for UnderWay {
    /// On whatever thread. The lull begins anew before anybody may see that there is one.
    fn drop(&mut self) {
        self.0.begin_anew();
        self.0.under_way.fetch_sub(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::{advance, timeout};

    const LONG: Duration = Duration::from_secs(15);

    #[tokio::test(start_paused = true)]
    async fn it_begins_anew_after_each_answer_and_never_ends_during_one() {
        let lull = Lull::begin();
        assert!(timeout(LONG / 2, lull.lasts(LONG)).await.is_err());
        let answering = lull.interrupt();
        let body = answering.clone();
        drop(answering);
        assert!(timeout(LONG * 10, lull.lasts(LONG)).await.is_err(), "the body still comes");
        let watched = tokio::spawn({
            let lull = Arc::clone(&lull);
            async move { lull.lasts(LONG).await }
        });
        tokio::task::yield_now().await;
        advance(LONG / 3).await;
        drop(body);
        let over = Instant::now();
        watched.await.unwrap();
        assert_eq!(over.elapsed(), LONG, "to the moment, though the timer was set before");
    }
}
