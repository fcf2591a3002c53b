//! The clock that the rules run on: the wall's time, advanced by the monotonic clock.
//!
//! A wall clock that is set, or a host that slept (the monotonic clock stands still then), shows as a difference between
//! the two. Small ones are drift and are followed; a jump is reported, so that every look keeps its distance from now.

use model::Timestamp;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// A difference from here on is a jump, not drift.
const JUMP_MILLIS: u64 = 2_000;
/// How often the two clocks are compared.
pub(crate) const COMPARE_EVERY: Duration = Duration::from_secs(1);

type Wall = dyn Fn() -> Timestamp + Send + Sync;

/// Clones share one clock.
#[derive(Clone)]
pub struct Clock {
    wall: Arc<Wall>,
    anchor: Arc<Mutex<Anchor>>,
}

#[derive(Clone, Copy)]
struct Anchor {
    time: Timestamp,
    at: Instant,
    jumped: i64,
}

/// What the clock says at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What time it is.
    pub now: Timestamp,
    /// By how many milliseconds it has jumped so far, all in all. Whoever saw another sum holds times of another clock.
    pub jumped: i64,
}

impl Clock {
    /// The system's.
    pub fn system() -> Self {
        Self::over(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            Timestamp::default().plus(since)
        })
    }

    /// Over any wall clock, as tests and simulations have.
    pub fn over(wall: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        let anchor = Anchor { time: wall(), at: Instant::now(), jumped: 0 };
        Self { wall: Arc::new(wall), anchor: Arc::new(Mutex::new(anchor)) }
    }

    /// Now.
    pub fn now(&self) -> Timestamp {
        self.read().now
    }

    /// Now, and how far it has jumped.
    pub fn read(&self) -> Reading {
        self.anchor().read()
    }

    /// When `time` will be, on tokio's clock; at once if it is past.
    pub fn instant_of(&self, time: Timestamp) -> Instant {
        Instant::now() + time.since(self.now())
    }

    /// Follows the wall clock. A jump is answered with its milliseconds.
    pub fn compare(&self) -> Option<i64> {
        let mut anchor = self.anchor();
        let (wall, Reading { now, jumped }) = ((self.wall)(), anchor.read());
        let by = i64::try_from(wall.as_millis()).ok()? - i64::try_from(now.as_millis()).ok()?;
        let jump = (by.unsigned_abs() >= JUMP_MILLIS).then_some(by);
        *anchor = Anchor { time: wall, at: Instant::now(), jumped: jumped + jump.unwrap_or_default() };
        jump
    }

    fn anchor(&self) -> MutexGuard<'_, Anchor> {
        self.anchor.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Anchor {
    fn read(&self) -> Reading {
        Reading { now: self.time.plus(self.at.elapsed()), jumped: self.jumped }
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    fn clock() -> (Clock, Arc<AtomicU64>) {
        let wall = Arc::new(AtomicU64::new(1_000_000));
        let read = Arc::clone(&wall);
        (Clock::over(move || Timestamp::from_millis(read.load(Ordering::Relaxed))), wall)
    }

    #[tokio::test(start_paused = true)]
    async fn it_runs_on_the_monotonic_clock() {
        let (clock, _) = clock();
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(clock.now(), Timestamp::from_millis(1_005_000));
    }

    #[tokio::test(start_paused = true)]
    async fn drift_is_followed_and_a_jump_is_reported() {
        let (clock, wall) = clock();
        tokio::time::advance(Duration::from_secs(10)).await;
        wall.store(1_010_900, Ordering::Relaxed);
        assert_eq!(clock.compare(), None);
        assert_eq!(clock.now(), Timestamp::from_millis(1_010_900));
        wall.store(1_010_900 + 3_600_000, Ordering::Relaxed);
        assert_eq!(clock.compare(), Some(3_600_000));
        assert_eq!(clock.compare(), None);
        wall.store(1_010_900, Ordering::Relaxed);
        assert_eq!(clock.read().jumped, 3_600_000);
        assert_eq!(clock.compare(), Some(-3_600_000));
        assert_eq!(clock.read(), Reading { now: clock.now(), jumped: 0 });
    }
}
