//! Events on their way to disk, and from there to whoever follows them. An event gets its id when it is taken to be written, in the
//! order in which all were told; it keeps it until it is.

use model::Event;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::broadcast;

/// How many may wait for the disk.
const WAITING: usize = 4096;
/// How far behind whoever follows may be before it has to read.
const BEHIND: usize = 256;

#[derive(Clone, Debug)]
pub(super) struct Told {
    queue: Arc<Mutex<Queue>>,
    live: broadcast::Sender<Arc<Event>>,
}

#[derive(Debug)]
struct Queue {
    waiting: VecDeque<Arc<Event>>,
    /// The last id that was given.
    given: u64,
    /// The newest that is on disk.
    written: u64,
}

impl Told {
    pub(super) fn new(last: u64) -> Self {
        let queue = Queue { waiting: VecDeque::new(), given: last, written: last };
        Self { queue: Arc::new(Mutex::new(queue)), live: broadcast::Sender::new(BEHIND) }
    }

    /// Whether nobody has been told yet that there are some.
    pub(super) fn add(&self, event: Event) -> bool {
        let mut queue = self.lock();
        if queue.waiting.len() == WAITING {
            let oldest = queue.waiting.pop_front();
            tracing::warn!(event = ?oldest, "an event is dropped: too many wait for the disk");
        }
        queue.waiting.push_back(Arc::new(event));
        queue.waiting.len() == 1
    }

    pub(super) fn waits(&self) -> bool {
        !self.lock().waiting.is_empty()
    }

    /// All that wait, each with its id.
    pub(super) fn take(&self) -> Vec<Arc<Event>> {
        let mut queue = self.lock();
        let Queue { waiting, given, .. } = &mut *queue;
        let numbered = waiting.drain(..).map(|mut event| {
            if event.id == 0 {
                *given += 1;
                Arc::make_mut(&mut event).id = *given;
            }
            event
        });
        numbered.collect()
    }

    /// They could not be written.
    pub(super) fn put_back(&self, events: Vec<Arc<Event>>) {
        let mut queue = self.lock();
        for event in events.into_iter().rev().take(WAITING.saturating_sub(queue.waiting.len())) {
            queue.waiting.push_front(event);
        }
    }

    /// They are on disk.
    pub(super) fn show(&self, events: Vec<Arc<Event>>) {
        let Some(newest) = events.last() else { return };
        self.lock().written = newest.id;
        // Nobody may be following.
        events.into_iter().for_each(|event| drop(self.live.send(event)));
    }

    pub(super) fn follow(&self) -> broadcast::Receiver<Arc<Event>> {
        self.live.subscribe()
    }

    pub(super) fn last(&self) -> u64 {
        self.lock().written
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::tests::event;

    /// Some that can be told apart by when they happened.
    fn tell(told: &Told, at: std::ops::Range<usize>) {
        for at in at {
            let at = model::Timestamp::from_millis(u64::try_from(at).unwrap());
            told.add(Event { at, ..event(0, "k") });
        }
    }

    /// When those that wait happened. Each has its id, ascending, from then on.
    fn waiting(told: &Told) -> (Vec<Arc<Event>>, Vec<usize>) {
        let events = told.take();
        assert!(events.is_sorted_by(|one, next| one.id < next.id));
        let at = events.iter().map(|event| usize::try_from(event.at.as_millis()).unwrap()).collect();
        (events, at)
    }

    #[test]
    fn of_those_that_wait_for_a_disk_the_newest_are_kept_and_no_more_than_so_many() {
        let told = Told::new(0);
        tell(&told, 0..WAITING + 10);
        let (events, at) = waiting(&told);
        assert_eq!(at, (10..WAITING + 10).collect::<Vec<_>>());

        // More are told while a full disk refuses those.
        tell(&told, WAITING + 10..WAITING + 30);
        told.put_back(events);
        let (events, at) = waiting(&told);
        assert_eq!(at, (30..WAITING + 30).collect::<Vec<_>>());

        tell(&told, WAITING + 30..2 * WAITING + 30);
        told.put_back(events);
        assert_eq!(waiting(&told).1, (WAITING + 30..2 * WAITING + 30).collect::<Vec<_>>());
    }
}
