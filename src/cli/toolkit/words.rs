//! Numbers, times and lists in words.

use crate::time::{Clock, SystemClock, iso};

/// `1 toolkit`, `2 toolkits`.
pub(super) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Seconds in the largest unit that divides them.
pub(super) fn duration(seconds: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(86_400, "day"), (3_600, "hour"), (60, "minute")];
    let unit = UNITS.iter().find(|(unit, _)| seconds >= *unit && seconds.is_multiple_of(*unit));
    let (number, noun) = unit.map_or((seconds, "second"), |(unit, noun)| (seconds / unit, *noun));
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// `YYYY-MM-DD`, in UTC.
pub(super) fn today() -> String {
    iso(SystemClock.now()).chars().take(10).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_use_whole_units() {
        for (seconds, said) in [(1, "1 second"), (90, "90 seconds"), (300, "5 minutes"), (3_600, "1 hour")] {
            assert_eq!(duration(seconds), said);
        }
        assert_eq!(duration(7_776_000), "90 days");
        assert_eq!(count(1, "toolkit"), "1 toolkit");
        assert_eq!(count(0, "warning"), "0 warnings");
    }
}
