//! Timestamps for signatures: UTC, whole seconds, four-digit years.

use chrono::DateTime;

use crate::error::BuildError;

/// The last second of the year 9999.
pub(crate) const LAST: i64 = 253_402_300_799;

/// ISO 8601 in its basic form, `20150830T123600Z`.
pub(crate) fn basic(timestamp: i64) -> Result<String, BuildError> {
    format(timestamp, "%Y%m%dT%H%M%SZ")
}

/// RFC 3339, `2015-08-30T12:36:00Z`.
pub(crate) fn extended(timestamp: i64) -> Result<String, BuildError> {
    format(timestamp, "%Y-%m-%dT%H:%M:%SZ")
}

fn format(timestamp: i64, pattern: &str) -> Result<String, BuildError> {
    let time = DateTime::from_timestamp(timestamp, 0).filter(|_| (0..=LAST).contains(&timestamp));
    time.map(|time| time.format(pattern).to_string()).ok_or(BuildError::Time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_four_digits_of_year() {
        for (timestamp, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_440_938_160, "2015-08-30T12:36:00Z"),
            (1_709_164_799, "2024-02-28T23:59:59Z"),
            (LAST, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(extended(timestamp).as_deref(), Ok(expected));
            assert_eq!(basic(timestamp), Ok(expected.replace(['-', ':'], "")));
        }
        for timestamp in [-1, LAST + 1, i64::MIN, i64::MAX] {
            assert_eq!(basic(timestamp), Err(BuildError::Time), "{timestamp}");
        }
    }
}
