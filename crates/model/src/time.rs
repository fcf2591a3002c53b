//! Points in time as the rules see them: milliseconds since the Unix epoch, told by the caller.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// From milliseconds since the epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// This much later; the end of time if that is past it.
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)))
    }

    /// This much earlier; the epoch if that is before it.
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long from `earlier` to here; nothing if `earlier` is the later one.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// What something is counted from, after the wall clock was set by so much to `now`: moved with it, but neither back nor
    /// beyond `now`. So what comes so long after it comes late where a clock is set, and never early.
    pub fn followed(self, by_millis: i64, now: Self) -> Self {
        self.max(self.shifted(by_millis)).min(now)
    }

    /// Moved by a signed number of milliseconds, as when the wall clock was set.
    pub fn shifted(self, by_millis: i64) -> Self {
        Self(self.0.saturating_add_signed(by_millis))
    }
}

/// A duration for people: its two or three leading digits, in the largest unit that has them.
pub fn brief(duration: Duration) -> String {
    const UNITS: [(u64, &str); 3] = [(2 * 86_400, "days"), (2 * 3600, "h"), (2 * 60, "min")];
    let seconds = duration.as_secs();
    let unit = UNITS.iter().find(|(from, _)| seconds >= *from);
    unit.map_or_else(|| format!("{seconds} s"), |(from, unit)| format!("{} {unit}", seconds / (from / 2)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_told_briefly() {
        let table = [
            (0, "0 s"),
            (60, "60 s"),
            (119, "119 s"),
            (120, "2 min"),
            (7199, "119 min"),
            (7200, "2 h"),
            (172_800, "2 days"),
        ];
        for (seconds, told) in table {
            assert_eq!(brief(Duration::from_secs(seconds)), told);
        }
    }
}
