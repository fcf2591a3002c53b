//! The places that a listener has for connections. When all are taken, whoever has waited longest for its next request, or has
//! taken longest to say it, makes room for a newcomer: ten thousand idle or slow clients keep nobody out. One whose request is
//! there and is being answered is never closed for that; where all are, newcomers wait.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// All of a listener's.
#[derive(Debug)]
pub(crate) struct Places {
    free: Arc<Semaphore>,
    per_source: usize,
    sources: Mutex<HashMap<IpAddr, usize>>,
    idle: Idle,
}

/// Connections without a whole request, in the order in which they became so.
#[derive(Debug, Default)]
struct Idle {
    queue: Mutex<Queue>,
    one_more: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    tickets: u64,
    waiting: BTreeMap<u64, CancellationToken>,
}

/// One connection's, given back on drop.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    source: IpAddr,
    /// None for one that is not the listener's to take away.
    ticket: Mutex<Option<u64>>,
    /// Somebody else needs it.
    pub(crate) taken_away: CancellationToken,
    seat: Mutex<OwnedSemaphorePermit>,
}

/// One request of a connection, from its head to the end of its answer.
#[derive(Debug)]
pub(crate) struct Turn {
    place: Arc<Place>,
    has_begun: Mutex<bool>,
}

impl Places {
    /// So many, and so many for each address.
    pub(crate) fn new(connections: usize, per_source: usize) -> Arc<Self> {
        let free = Arc::new(Semaphore::new(connections));
        Arc::new(Self { free, per_source, sources: Mutex::default(), idle: Idle::default() })
    }

    /// A place, once there is one; none where this address has all that it may. Cancel safe.
    pub(crate) async fn take(self: &Arc<Self>, source: IpAddr) -> Option<Arc<Place>> {
        if lock(&self.sources).get(&source).is_some_and(|open| *open >= self.per_source) {
            return None;
        }
        let seat = tokio::select! {
            biased;
            seat = Arc::clone(&self.free).acquire_owned() => seat.expect("the semaphore is never closed"),
            never = self.idle.close_the_longest() => match never {},
        };
        *lock(&self.sources).entry(source).or_default() += 1;
        let taken_away = CancellationToken::new();
        let ticket = Mutex::new(Some(self.idle.enter(&taken_away)));
        Some(Arc::new(Place { places: Arc::clone(self), source, ticket, taken_away, seat: Mutex::new(seat) }))
    }
}

impl Idle {
    fn enter(&self, connection: &CancellationToken) -> u64 {
        let mut queue = lock(&self.queue);
        queue.tickets += 1;
        let ticket = queue.tickets;
        queue.waiting.insert(ticket, connection.clone());
        self.one_more.notify_one();
        ticket
    }

    /// Whether it was there.
    fn leave(&self, ticket: u64) -> bool {
        lock(&self.queue).waiting.remove(&ticket).is_some()
    }

    /// Closes one, as soon as one is idle; then waits to be dropped.
    async fn close_the_longest(&self) -> Infallible {
        loop {
            let longest = lock(&self.queue).waiting.pop_first();
            if let Some((_, connection)) = longest {
                connection.cancel();
                std::future::pending().await
            }
            self.one_more.notified().await;
        }
    }
}

impl Place {
    /// Moves to a place elsewhere for good, and leaves this one to others. False where there is none, or this one was just
    /// taken away.
    pub(crate) fn move_to(&self, elsewhere: &Arc<Semaphore>) -> bool {
        let mut ticket = lock(&self.ticket);
        let Some(number) = *ticket else { return true };
        let Ok(seat) = Arc::clone(elsewhere).try_acquire_owned() else { return false };
        if !self.places.idle.leave(number) {
            return false;
        }
        (*ticket, *lock(&self.seat)) = (None, seat);
        true
    }

    /// The next request.
    pub(crate) fn turn(self: &Arc<Self>) -> Arc<Turn> {
        Arc::new(Turn { place: Arc::clone(self), has_begun: Mutex::new(false) })
    }
}

impl Turn {
    /// The whole request is there: the place is kept until this is dropped. False where it was just taken away.
    pub(crate) fn begin(&self) -> bool {
        let mut has_begun = lock(&self.has_begun);
        *has_begun =
            *has_begun || lock(&self.place.ticket).is_none_or(|ticket| self.place.places.idle.leave(ticket));
        *has_begun
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if *lock(&self.has_begun)
            && let Some(ticket) = &mut *lock(&self.place.ticket)
        {
            *ticket = self.place.places.idle.enter(&self.place.taken_away);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(ticket) = *lock(&self.ticket) {
            self.places.idle.leave(ticket);
        }
        let mut sources = lock(&self.places.sources);
        if let Some(open) = sources.get_mut(&self.source) {
            *open -= 1;
            if *open == 0 {
                sources.remove(&self.source);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    /// As a connection's task does: it ends when its place is taken away.
    fn connect(place: Arc<Place>) -> tokio::task::JoinHandle<()> {
        tokio::spawn(async move { place.taken_away.cancelled().await })
    }

    #[tokio::test]
    async fn the_longest_idle_makes_room() {
        let places = Places::new(3, 3);
        let first = places.take(HERE).await.unwrap();
        let second = connect(places.take(HERE).await.unwrap());
        let turn = first.turn();
        assert!(turn.begin() && turn.begin());
        let third = connect(places.take(HERE).await.unwrap());
        let first = connect(first);
        // One address has all that it may: another one comes.
        assert!(places.take(HERE).await.is_none());
        let elsewhere = IpAddr::from([192, 0, 2, 1]);
        let fourth = connect(places.take(elsewhere).await.unwrap());
        second.await.unwrap();
        drop(turn);
        let fifth = places.take(elsewhere).await.unwrap();
        third.await.unwrap();
        assert!(!first.is_finished() && !fourth.is_finished(), "who was busy counts from then on");
        drop(fifth);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_answered_is_never_closed_and_newcomers_wait_until_one_is_idle() {
        let places = Places::new(1, 9);
        let only = places.take(HERE).await.unwrap();
        let turn = only.turn();
        assert!(turn.begin());
        let connection = connect(only);
        assert!(timeout(Duration::from_secs(60), places.take(HERE)).await.is_err());
        assert!(!connection.is_finished());
        let waiting = tokio::spawn({
            let places = Arc::clone(&places);
            async move { places.take(HERE).await }
        });
        tokio::task::yield_now().await;
        drop(turn);
        assert!(waiting.await.unwrap().is_some());
        connection.await.unwrap();
    }

    #[tokio::test]
    async fn who_is_still_sending_its_request_makes_room() {
        let places = Places::new(1, 9);
        let slow = places.take(HERE).await.unwrap();
        let turn = slow.turn();
        let slow = tokio::spawn(async move {
            slow.taken_away.cancelled().await;
            assert!(!turn.begin());
        });
        assert!(places.take(HERE).await.is_some());
        slow.await.unwrap();
    }

    #[tokio::test]
    async fn who_moves_elsewhere_leaves_a_place_and_is_closed_for_nobody() {
        let (places, elsewhere) = (Places::new(1, 9), Arc::new(Semaphore::new(1)));
        let first = places.take(HERE).await.unwrap();
        assert!(first.move_to(&elsewhere) && first.move_to(&elsewhere));
        let second = places.take(HERE).await.expect("the first one's place is free");
        assert!(!second.move_to(&elsewhere), "there is one place elsewhere");
        let turn = first.turn();
        assert!(turn.begin());
        drop(turn);
        let third = tokio::spawn({
            let places = Arc::clone(&places);
            async move { places.take(HERE).await.unwrap() }
        });
        second.taken_away.cancelled().await;
        assert!(!first.taken_away.is_cancelled());
        drop((first, second));
        let third = third.await.unwrap();
        assert!(third.move_to(&elsewhere), "what the first had elsewhere is free again");
    }

    #[tokio::test]
    async fn a_place_that_was_taken_away_answers_nobody_and_nothing_leaks() {
        let places = Places::new(1, 1);
        let place = places.take(HERE).await.unwrap();
        places.idle.leave(lock(&place.ticket).unwrap());
        assert!(!place.turn().begin());
        drop(place);
        let again = places.take(HERE).await.expect("the address has its place back");
        assert!(again.turn().begin());
        drop(again);
        assert!(lock(&places.idle.queue).waiting.is_empty() && lock(&places.sources).is_empty());
        assert_eq!(places.free.available_permits(), 1);
    }
}
