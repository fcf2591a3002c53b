//! The one bound that all starts share. Whoever is waited for by a person goes before background work.

use std::collections::BinaryHeap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;

/// Who goes first. Later variants go before earlier ones; equals in the order they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Priority {
    /// Nobody waits: work taken up again after a restart.
    Background,
    /// Somebody asked for a new container.
    Create,
    /// Somebody waits for a container that they have.
    Start,
}

/// The bound. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Starts(Arc<Mutex<Queue>>);

#[derive(Debug)]
struct Queue {
    free: usize,
    arrivals: u64,
    waiting: BinaryHeap<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    priority: Priority,
    arrival: u64,
    turn: oneshot::Sender<Permit>,
}

/// The right to start one container, given back on drop.
#[derive(Debug)]
pub(crate) struct Permit(Option<Starts>);

impl Starts {
    /// At most `limit` starts at once.
    pub(crate) fn new(limit: usize) -> Self {
        Self(Arc::new(Mutex::new(Queue { free: limit, arrivals: 0, waiting: BinaryHeap::new() })))
    }

    /// Waits for a permit. Dropping the future gives up the place in the queue.
    pub(crate) async fn permit(&self, priority: Priority) -> Permit {
        let turn = {
            let mut queue = self.lock();
            if queue.free > 0 {
                queue.free -= 1;
                return Permit(Some(self.clone()));
            }
            let (turn, wait) = oneshot::channel();
            queue.arrivals += 1;
            let arrival = queue.arrivals;
            queue.waiting.push(Waiting { priority, arrival, turn });
            wait
        };
        turn.await.expect("a place in the queue ends with a permit: the queue lives as long as whoever waits")
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pass_on(self) {
        loop {
            let next = {
                let mut queue = self.lock();
                let Some(next) = queue.waiting.pop() else {
                    queue.free += 1;
                    return;
                };
                next
            };
            // Who gave up waiting is passed over; its permit comes back unspent, and must not pass itself on.
            match next.turn.send(Permit(Some(self.clone()))) {
                Ok(()) => return,
                Err(mut unspent) => drop(unspent.0.take()),
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(starts) = self.0.take() {
            starts.pass_on();
        }
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.priority.cmp(&other.priority).then_with(|| other.arrival.cmp(&self.arrival))
    }
}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Waiting {}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use std::pin::pin;

    #[tokio::test]
    async fn people_go_first_and_equals_in_turn() {
        let starts = Starts::new(1);
        let first = starts.permit(Priority::Background).await;
        let mut background = pin!(starts.permit(Priority::Background));
        let mut create = pin!(starts.permit(Priority::Create));
        let mut one = pin!(starts.permit(Priority::Start));
        let mut two = pin!(starts.permit(Priority::Start));
        assert!((&mut background).now_or_never().is_none() && (&mut create).now_or_never().is_none());
        assert!((&mut one).now_or_never().is_none() && (&mut two).now_or_never().is_none());
        drop(first);
        assert!((&mut two).now_or_never().is_none());
        drop((&mut one).now_or_never().expect("the first of the highest priority is next"));
        drop((&mut two).now_or_never().expect("then its equal"));
        assert!((&mut background).now_or_never().is_none());
        drop((&mut create).now_or_never().expect("then the create"));
        drop((&mut background).now_or_never().expect("and the background last"));
    }

    #[tokio::test]
    async fn who_gives_up_is_passed_over_and_nothing_is_lost() {
        let starts = Starts::new(1);
        let first = starts.permit(Priority::Start).await;
        {
            let mut gives_up = pin!(starts.permit(Priority::Start));
            assert!((&mut gives_up).now_or_never().is_none());
        }
        let mut next = pin!(starts.permit(Priority::Create));
        assert!((&mut next).now_or_never().is_none());
        drop(first);
        drop((&mut next).now_or_never().expect("the place of who gave up is free"));
        assert!(starts.permit(Priority::Start).now_or_never().is_some());
    }
}
