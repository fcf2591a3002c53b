//! What a start needed of memory, given back. Of very many containers the engine's list alone is megabytes for a moment, and what is
//! kept of it lies among what is not: glibc keeps all of that to itself otherwise.

/// Gives the system back every page that nothing is kept in. It takes milliseconds, in which nobody else allocates.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "the system's library has no other way")]
pub(super) fn give_back() {
    // SAFETY: any thread may call it at any time, with any pad (malloc_trim(3), "MT-Safe"); it takes the allocator's own locks, and
    // returns nothing but pages without a live allocation.
    let some = unsafe { libc::malloc_trim(0) } == 1;
    tracing::debug!(some, "memory of the start was given back");
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
