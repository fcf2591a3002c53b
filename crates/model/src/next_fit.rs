//! Handing out numbers from a range: next-fit, and what comes back rests before it is handed out again.
//!
//! Both keep a stale client from reaching a stranger: the number that was freed last is the last to come round.

use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long a number that came back is not handed out.
pub const REST: Duration = Duration::from_secs(60);

/// A range of numbers, some of them out.
#[derive(Clone, Debug)]
pub struct NextFit {
    first: u32,
    last: u32,
    cursor: u32,
    used: BTreeSet<u32>,
    resting: BTreeMap<u32, Timestamp>,
}

/// What survives a restart beside the numbers in use, which the containers themselves carry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trail {
    /// Where the search goes on.
    pub cursor: u32,
    /// What rests, and until when.
    pub resting: BTreeMap<u32, Timestamp>,
}

/// The range has nothing to give: the arithmetic of why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{first}-{last} holds {size}: {used} in use, {resting} resting, {wanted} wanted")]
pub struct UsedUp {
    /// The range's first number.
    pub first: u32,
    /// The range's last number.
    pub last: u32,
    /// How many it holds.
    pub size: usize,
    /// How many are out.
    pub used: usize,
    /// How many rest.
    pub resting: usize,
    /// How many were asked for.
    pub wanted: usize,
    /// How long until one of the resting may be had.
    pub retry_after: Duration,
}

impl NextFit {
    /// The numbers `first..=last`, with what an earlier run left behind.
    pub fn new(first: u32, last: u32, trail: Trail) -> Self {
        let cursor = if (first..=last).contains(&trail.cursor) { trail.cursor } else { first };
        Self { first, last, cursor, used: BTreeSet::new(), resting: trail.resting }
    }

    /// Says that a number is out, as those of the containers in the store are. It need not lie in the range.
    pub fn occupy(&mut self, number: u32) {
        self.used.insert(number);
    }

    /// The next number that neither is out nor rests.
    pub fn take(&mut self, now: Timestamp) -> Result<u32, UsedUp> {
        // Longer than a rest lasts nothing rests, wherever the clock was.
        self.resting.values_mut().for_each(|until| *until = (*until).min(now.plus(REST)));
        self.resting.retain(|_, until| *until > now);
        let free = (self.cursor..=self.last).chain(self.first..self.cursor).find(|n| self.is_free(*n));
        let number = free.ok_or_else(|| self.used_up(now))?;
        self.cursor = if number == self.last { self.first } else { number + 1 };
        self.used.insert(number);
        Ok(number)
    }

    /// Takes a number back; it rests from now on.
    pub fn give_back(&mut self, number: u32, now: Timestamp) {
        if self.used.remove(&number) {
            self.resting.insert(number, now.plus(REST));
        }
    }

    /// Takes a number back that nobody was told of; it does not rest.
    pub fn undo(&mut self, number: u32) {
        self.used.remove(&number);
    }

    /// Every number that is out.
    pub fn out(&self) -> impl Iterator<Item = u32> + '_ {
        self.used.iter().copied()
    }

    /// The wall clock was set, or the host slept: what rests, rests for as long as before.
    pub fn clock_shifted(&mut self, by_millis: i64) {
        self.resting.values_mut().for_each(|until| *until = until.shifted(by_millis));
    }

    /// What to keep for the next run.
    pub fn trail(&self) -> Trail {
        Trail { cursor: self.cursor, resting: self.resting.clone() }
    }

    fn is_free(&self, number: u32) -> bool {
        !self.used.contains(&number) && !self.resting.contains_key(&number)
    }

    fn used_up(&self, now: Timestamp) -> UsedUp {
        let soonest = self.resting.values().min();
        UsedUp {
            first: self.first,
            last: self.last,
            size: (self.last - self.first + 1) as usize,
            used: self.used.range(self.first..=self.last).count(),
            resting: self.resting.len(),
            wanted: 1,
            retry_after: soonest.map_or(REST, |until| until.since(now)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_millis(10_000_000);

    #[test]
    fn hands_out_in_turn_and_wraps() {
        let mut range = NextFit::new(10, 12, Trail::default());
        assert_eq!([range.take(NOW), range.take(NOW), range.take(NOW)], [Ok(10), Ok(11), Ok(12)]);
        range.give_back(11, NOW);
        assert_eq!(range.take(NOW.plus(REST)), Ok(11));
    }

    #[test]
    fn what_came_back_rests() {
        let mut range = NextFit::new(10, 11, Trail::default());
        range.take(NOW).unwrap();
        range.take(NOW).unwrap();
        range.give_back(10, NOW);
        let error = range.take(NOW.plus(Duration::from_secs(59))).unwrap_err();
        assert_eq!((error.size, error.used, error.resting), (2, 1, 1));
        assert_eq!(error.retry_after, Duration::from_secs(1));
        assert_eq!(range.take(NOW.plus(REST)), Ok(10));
    }

    #[test]
    fn a_clock_that_jumps_shortens_and_lengthens_no_rest() {
        for by in [-3_600_000, 3_600_000] {
            let mut range = NextFit::new(10, 10, Trail::default());
            range.take(NOW).unwrap();
            range.give_back(10, NOW);
            range.clock_shifted(by);
            let now = NOW.shifted(by);
            assert!(range.take(now.plus(Duration::from_secs(59))).is_err());
            assert_eq!(range.take(now.plus(REST)), Ok(10));
        }
    }

    #[test]
    fn a_clock_that_was_set_back_while_nobody_watched_lengthens_no_rest() {
        let mut range = NextFit::new(10, 10, Trail::default());
        range.take(NOW).unwrap();
        range.give_back(10, NOW);
        let set_back = NOW.shifted(-3_600_000);
        let mut next_run = NextFit::new(10, 10, range.trail());
        assert!(next_run.take(set_back).is_err());
        assert_eq!(next_run.take(set_back.plus(REST)), Ok(10));
    }

    #[test]
    fn the_trail_survives_a_restart() {
        let mut range = NextFit::new(10, 19, Trail::default());
        for _ in 0..3 {
            range.take(NOW).unwrap();
        }
        range.give_back(12, NOW);
        let mut next_run = NextFit::new(10, 19, range.trail());
        next_run.occupy(10);
        next_run.occupy(11);
        assert_eq!(next_run.take(NOW), Ok(13));
    }

    #[test]
    fn a_range_that_was_moved_begins_anew() {
        let trail = Trail { cursor: 500, ..Trail::default() };
        assert_eq!(NextFit::new(10, 19, trail).take(NOW), Ok(10));
    }

    proptest! {
        #[test]
        fn nothing_is_out_twice(operations in prop::collection::vec((any::<bool>(), 0_u32..8), 0..200)) {
            let mut range = NextFit::new(0, 7, Trail::default());
            let mut out = BTreeSet::new();
            let mut now = NOW;
            for (take, number) in operations {
                now = now.plus(Duration::from_secs(10));
                if take {
                    if let Ok(number) = range.take(now) {
                        prop_assert!(out.insert(number), "{} was out already", number);
                    }
                } else if out.remove(&number) {
                    range.give_back(number, now);
                }
            }
        }
    }
}
