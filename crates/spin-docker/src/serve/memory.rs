//! Memory that was needed for a moment, given back. Of very many containers the engine's list alone is megabytes, at each start and each time
//! that the engine comes back, and what is kept of it lies among what is not: glibc keeps all of that to itself otherwise.

use std::time::Duration;
use tokio::time::{Instant, interval_at};
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(600);

/// Does so now and then, until the program ends.
pub(super) async fn keep_giving_back(ending: CancellationToken) {
    let mut ticks = interval_at(Instant::now() + EVERY, EVERY);
    while ending.run_until_cancelled(ticks.tick()).await.is_some() {
        give_back();
    }
}

/// Gives the system back every page that nothing is kept in. It takes milliseconds, in which nobody else allocates.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "the system's library has no other way")]
pub(super) fn give_back() {
    // SAFETY: any thread may call it at any time, with any pad (malloc_trim(3), "MT-Safe"); it takes the allocator's own locks, and
    // returns nothing but pages without a live allocation.
    let some = unsafe { libc::malloc_trim(0) } == 1;
    tracing::debug!(some, "memory was given back");
}

/// Other allocators do so by themselves.
#[cfg(not(target_env = "gnu"))]
pub(super) fn give_back() {}

#[cfg(all(test, target_env = "gnu"))]
mod tests {
    use super::*;

    /// In pages.
    fn resident() -> usize {
        let of_self = std::fs::read_to_string("/proc/self/statm").expect("the kernel tells");
        of_self.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("it is a number")
    }

    #[test]
    fn what_lies_among_what_is_kept_goes_back() {
        let mut made: Vec<Option<Box<[u8]>>> = (0..40_000).map(|_| Some(vec![1; 1000].into())).collect();
        let kept = made.iter_mut().step_by(100);
        let kept: Vec<_> = kept.map(Option::take).collect();
        made.clear();
        let before = resident();
        give_back();
        let after = resident();
        assert!(after + 5_000 < before, "{before} pages, then {after}");
        assert_eq!(kept.len(), 400);
    }
}
