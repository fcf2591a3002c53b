//! Tells use from keep-alives. A new connection is use; of bytes, a bucket of a minute's keep-alives is free, and fills again as
//! time goes by: a ping every half a minute never empties it, a page of text does at once.

use crate::time::Timestamp;

const MINUTE: u64 = 60_000;

/// A container's counters as they were last seen, and what of the bucket is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meter {
    opened: u64,
    bytes: u64,
    spent: u64,
    at: Timestamp,
}

impl Meter {
    /// Whether what the counters say of connections opened and bytes moved so far is more than keep-alives, of which there may be
    /// `quiet_below` bytes a minute.
    pub fn sample(&mut self, opened: u64, bytes: u64, quiet_below: u64, now: Timestamp) -> bool {
        let (new, moved) = (opened != self.opened, bytes.wrapping_sub(self.bytes));
        let elapsed = u64::try_from(now.since(self.at).as_millis()).unwrap_or(MINUTE).min(MINUTE);
        let filled = quiet_below.saturating_mul(elapsed) / MINUTE;
        let spent = self.spent.saturating_sub(filled).saturating_add(moved);
        let is_use = new || (moved > 0 && spent > quiet_below);
        *self = Self { opened, bytes, spent: if is_use { 0 } else { spent }, at: now };
        is_use
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + seconds * 1000)
    }

    /// Whether so many bytes every so many seconds are ever taken for use, within an hour.
    fn is_use(bytes: u64, every: u64) -> bool {
        let mut meter = Meter::default();
        meter.sample(1, 0, 1024, at(0));
        (1..=3600 / every).any(|n| meter.sample(1, n * bytes, 1024, at(n * every)))
    }

    #[test]
    fn keep_alives_are_no_use_and_pages_are() {
        for (what, bytes, every, used) in [
            ("a WebSocket ping and its pong", 16, 30, false),
            ("ssh ServerAliveInterval 15", 80, 15, false),
            ("a pool's SELECT 1, prepared each time", 182, 30, false),
            ("1 KiB a minute to the byte", 1024, 60, false),
            ("a page", 1025, 60, true),
            ("somebody typing in a shell", 100, 2, true),
        ] {
            assert_eq!(is_use(bytes, every), used, "{what}");
        }
    }

    #[test]
    fn a_connection_is_use_and_nothing_is_none() {
        let mut meter = Meter::default();
        assert!(!meter.sample(0, 0, 1024, at(0)));
        assert!(meter.sample(1, 0, 1024, at(1)));
        assert!(!meter.sample(1, 0, 0, at(2)));
        assert!(meter.sample(1, 1, 0, at(3)), "with no allowance a byte is use");
    }

    #[test]
    fn a_clock_set_back_fills_nothing() {
        let mut meter = Meter::default();
        assert!(!meter.sample(0, 1000, 1024, at(100)));
        assert!(meter.sample(0, 2000, 1024, at(10)));
    }
}
