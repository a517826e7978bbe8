//! Time is passed in: a [`Clock`] is a field of the application, and tests move it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat};
use switchboard_types::Timestamp;

/// A day.
pub const DAY: Duration = Duration::from_hours(24);

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// The operating system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is where the time comes from")]
    fn now(&self) -> Timestamp {
        Timestamp::EPOCH + SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO)
    }
}

/// ISO 8601 UTC with milliseconds and `Z` (contract section 1.7).
pub fn iso(at: Timestamp) -> String {
    DateTime::from_timestamp_millis(at.as_millis()).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Whole milliseconds, as JSON has lengths of time.
pub fn millis(length: Duration) -> i64 {
    i64::try_from(length.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_iso_8601_with_milliseconds() {
        assert_eq!(iso(Timestamp::EPOCH), "1970-01-01T00:00:00.000Z");
        assert_eq!(iso(Timestamp::from_millis(1_795_000_000_123)), "2026-11-18T11:06:40.123Z");
        assert_eq!(iso(Timestamp::MAX), "1970-01-01T00:00:00.000Z", "past the calendar is no panic");
    }
}
