//! Who may create: so many at once, so many waiting in the order they came, and nobody beyond that. Whoever would wait
//! behind all of them is better served by being told at once.

use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Creates under way at once.
const UNDER_WAY: usize = 64;
/// Creates that wait for one of those to end.
const WAITING: usize = 256;

/// The bound on creates.
#[derive(Debug)]
pub(crate) struct Admission {
    /// One permit for each that is under way or waits.
    everybody: Arc<Semaphore>,
    /// One permit for each that is under way.
    under_way: Arc<Semaphore>,
}

/// The right to create one container, given back on drop.
#[derive(Debug)]
pub(crate) struct Admitted {
    _under_way: OwnedSemaphorePermit,
    _among_everybody: OwnedSemaphorePermit,
}

/// Too many creates are under way and waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{UNDER_WAY} creates are under way and {WAITING} more are waiting; try again later")]
pub struct TooMany;

impl TooMany {
    /// How long until asking again may help.
    pub fn retry_after(&self) -> Duration {
        Duration::from_secs(2)
    }
}

impl Default for Admission {
    fn default() -> Self {
        Self {
            everybody: Arc::new(Semaphore::new(UNDER_WAY + WAITING)),
            under_way: Arc::new(Semaphore::new(UNDER_WAY)),
        }
    }
}

impl Admission {
    /// Waits for a place, in turn; says at once where there is none to wait for. Dropping the future gives the place up.
    pub(crate) async fn admit(&self) -> Result<Admitted, TooMany> {
        let among_everybody = Arc::clone(&self.everybody).try_acquire_owned().map_err(|_| TooMany)?;
        let under_way =
            Arc::clone(&self.under_way).acquire_owned().await.expect("the semaphore is never closed");
        Ok(Admitted { _under_way: under_way, _among_everybody: among_everybody })
    }

    /// How many are under way, the caller's among them.
    pub(crate) fn under_way(&self) -> usize {
        UNDER_WAY - self.under_way.available_permits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use futures_util::future::BoxFuture;

    fn asks(admission: &Arc<Admission>) -> BoxFuture<'static, Result<Admitted, TooMany>> {
        let admission = Arc::clone(admission);
        async move { admission.admit().await }.boxed()
    }

    #[tokio::test]
    async fn so_many_at_once_so_many_waiting_in_turn_and_nobody_beyond() {
        let admission = Arc::new(Admission::default());
        let mut inside: Vec<_> = (0..UNDER_WAY)
            .map(|_| asks(&admission).now_or_never().expect("there is a place").unwrap())
            .collect();
        let mut waiting: Vec<_> = (0..WAITING).map(|_| asks(&admission)).collect();
        assert!(waiting.iter_mut().all(|one| one.now_or_never().is_none()));
        assert_eq!(asks(&admission).now_or_never().expect("it is told at once").unwrap_err(), TooMany);

        drop(waiting.remove(0));
        waiting.push(asks(&admission));
        assert!(
            waiting[WAITING - 1].as_mut().now_or_never().is_none(),
            "who gave up left a place to wait in"
        );
        drop(inside.pop());
        assert!(waiting[1].as_mut().now_or_never().is_none(), "nobody is overtaken");
        let first = waiting[0].as_mut().now_or_never().expect("the first in turn").unwrap();
        drop((first, inside, waiting));
        assert!(asks(&admission).now_or_never().is_some(), "nothing is lost");
    }
}
