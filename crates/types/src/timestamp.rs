//! A moment in time as a type of its own, so that it cannot stand where a length of time or a count belongs.

use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A moment: milliseconds since 1970 UTC. Arithmetic stops at the ends of the range.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Before all others.
    pub const MIN: Self = Self(i64::MIN);
    /// The beginning of 1970.
    pub const EPOCH: Self = Self(0);
    /// After all others: never.
    pub const MAX: Self = Self(i64::MAX);

    /// From milliseconds since 1970 UTC, as the database has them.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970 UTC.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970 UTC, as protocols have them.
    pub const fn as_secs(self) -> i64 {
        self.0 / 1_000
    }

    /// The time that passed since an earlier moment; zero if that moment is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    /// Parts of a millisecond are dropped.
    fn add(self, length: Duration) -> Self {
        Self(self.0.saturating_add(millis(length)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    /// Parts of a millisecond are dropped.
    fn sub(self, length: Duration) -> Self {
        Self(self.0.saturating_sub(millis(length)))
    }
}

fn millis(length: Duration) -> i64 {
    i64::try_from(length.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_added_and_measured_in_milliseconds() {
        let start = Timestamp::from_millis(1_500);
        let later = start + Duration::from_micros(2_900);
        assert_eq!((later.as_millis(), later.as_secs()), (1_502, 1));
        assert_eq!(later.since(start), Duration::from_millis(2));
        assert_eq!(start.since(later), Duration::ZERO);
        assert_eq!(later - Duration::from_secs(2), Timestamp::from_millis(-498));
    }

    #[test]
    fn arithmetic_stops_at_the_ends() {
        assert_eq!(Timestamp::EPOCH + Duration::MAX, Timestamp::MAX);
        assert_eq!(Timestamp::MIN - Duration::from_secs(1), Timestamp::MIN);
        assert_eq!(Timestamp::MAX.since(Timestamp::MIN), Duration::from_millis(i64::MAX.unsigned_abs()));
    }
}
