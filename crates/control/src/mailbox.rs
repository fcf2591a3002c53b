//! The commands that wait for one supervisor, in the order in which they came. Of very many containers hardly any has one, and an empty
//! mailbox is small: a channel of tokio's has a block of 32 places from its first day, a KiB with what belongs to it.

use crate::handle::Command;
use futures_util::task::AtomicWaker;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use tokio::sync::{Semaphore, TryAcquireError};

/// How many commands may wait for one container.
const PLACES: usize = 64;

/// Where commands go. It is shared by all who command; its supervisor has the [`Receiver`].
#[derive(Debug)]
pub(crate) struct Mailbox {
    waiting: Mutex<VecDeque<Command>>,
    came: AtomicWaker,
    /// Closed with the mailbox.
    places: Semaphore,
}

/// The supervisor's end. Dropped, it closes the mailbox, and what waits in it is dropped too.
#[derive(Debug)]
pub(crate) struct Receiver(Arc<Mailbox>);

/// Why a command was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// Too many wait.
    Full,
    /// The supervisor has ended.
    Closed,
}

impl Mailbox {
    /// An empty one, and its supervisor's end.
    pub(crate) fn new() -> (Arc<Self>, Receiver) {
        let places = Semaphore::new(PLACES);
        let mailbox = Arc::new(Self { waiting: Mutex::default(), came: AtomicWaker::new(), places });
        (Arc::clone(&mailbox), Receiver(mailbox))
    }

    /// Has it taken now, or not at all.
    pub(crate) fn try_send(&self, command: Command) -> Result<(), NotTaken> {
        let place = self.places.try_acquire().map_err(|error| match error {
            TryAcquireError::NoPermits => NotTaken::Full,
            TryAcquireError::Closed => NotTaken::Closed,
        })?;
        place.forget();
        self.put(command)
    }

    /// Waits for a place, in turn. Dropped before, nothing was sent.
    pub(crate) async fn send(&self, command: Command) -> Result<(), NotTaken> {
        self.places.acquire().await.map_err(|_| NotTaken::Closed)?.forget();
        self.put(command)
    }

    /// What comes while it is closed would wait for nobody.
    fn put(&self, command: Command) -> Result<(), NotTaken> {
        let mut waiting = self.lock();
        if self.places.is_closed() {
            return Err(NotTaken::Closed);
        }
        waiting.push_back(command);
        drop(waiting);
        self.came.wake();
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Command>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Receiver {
    /// The next command, as soon as there is one. Dropped before, none is lost.
    pub(crate) fn recv(&mut self) -> impl Future<Output = Command> {
        poll_fn(|context| {
            self.0.came.register(context.waker());
            self.try_recv().map_or(Poll::Pending, Poll::Ready)
        })
    }

    /// The next command, if there is one.
    pub(crate) fn try_recv(&mut self) -> Option<Command> {
        let mut waiting = self.0.lock();
        let command = waiting.pop_front()?;
        if waiting.is_empty() {
            *waiting = VecDeque::new();
        }
        self.0.places.add_permits(1);
        Some(command)
    }

    /// Nothing is taken any more; what waits already is there to be received.
    pub(crate) fn close(&mut self) {
        // Under the lock: whoever has a place has put its command by then, or is told.
        let waiting = self.0.lock();
        self.0.places.close();
        drop(waiting);
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.close();
        // Whoever waits for an answer hears that there is none.
        while self.try_recv().is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn fill(mailbox: &Mailbox) {
        while mailbox.try_send(Command::Used).is_ok() {}
    }

    #[tokio::test]
    async fn commands_come_in_their_order_and_no_more_wait_than_there_are_places() {
        let (mailbox, mut receiver) = Mailbox::new();
        mailbox.try_send(Command::CheckIn).unwrap();
        fill(&mailbox);
        assert_eq!(mailbox.try_send(Command::Used), Err(NotTaken::Full));
        let crowd = {
            let mailbox = Arc::clone(&mailbox);
            tokio::spawn(async move { mailbox.send(Command::CheckIn).await })
        };
        tokio::task::yield_now().await;
        assert!(!crowd.is_finished(), "it waits for a place");
        assert!(matches!(receiver.recv().await, Command::CheckIn));
        crowd.await.unwrap().unwrap();
        for _ in 1..PLACES {
            assert!(matches!(receiver.recv().await, Command::Used));
        }
        assert!(matches!(receiver.recv().await, Command::CheckIn), "who waited comes last");
        assert!(receiver.try_recv().is_none());
        assert_eq!(mailbox.lock().capacity(), 0, "at rest it holds nothing");
    }

    #[tokio::test]
    async fn whoever_receives_is_woken_by_what_comes() {
        let (mailbox, mut receiver) = Mailbox::new();
        let received = tokio::spawn(async move { receiver.recv().await });
        tokio::task::yield_now().await;
        mailbox.try_send(Command::Used).unwrap();
        let received = tokio::time::timeout(Duration::from_secs(10), received).await;
        assert!(matches!(received.unwrap().unwrap(), Command::Used));
    }

    #[tokio::test]
    async fn a_supervisor_that_ends_takes_nothing_more_and_tells_everybody() {
        let (mailbox, mut receiver) = Mailbox::new();
        let (done, told) = tokio::sync::oneshot::channel();
        mailbox.try_send(Command::Compare(Some(done))).unwrap();
        fill(&mailbox);
        let crowd = {
            let mailbox = Arc::clone(&mailbox);
            tokio::spawn(async move { mailbox.send(Command::Used).await })
        };
        tokio::task::yield_now().await;
        receiver.close();
        assert_eq!(crowd.await.unwrap(), Err(NotTaken::Closed));
        assert_eq!(mailbox.try_send(Command::Used), Err(NotTaken::Closed));
        assert!(receiver.try_recv().is_some(), "what waits already is there");
        drop((told, receiver));
        assert!(mailbox.lock().is_empty());
    }
}
