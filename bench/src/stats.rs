//! Medians and percentiles.

use std::time::Duration;

use serde::Serialize;

/// Median and range of some numbers.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Spread {
    /// Smallest.
    pub min: f64,
    /// Median; the mean of the middle two of an even number.
    pub median: f64,
    /// Largest.
    pub max: f64,
}

impl Spread {
    /// Of at least one number; NaN if there are none.
    pub fn of(numbers: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = numbers.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
        let median = if sorted.len().is_multiple_of(2) && middle > 0 {
            f64::midpoint(at(middle - 1), at(middle))
        } else {
            at(middle)
        };
        Self { min: at(0), median, max: at(sorted.len().saturating_sub(1)) }
    }

    /// Of a single number.
    pub fn single(number: f64) -> Self {
        Self { min: number, median: number, max: number }
    }
}

/// Nearest-rank percentile: the smallest value that is at least as large as `percent` per cent of the values.
/// Zero if there are no values.
pub fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    per_mille(sorted, percent * 10)
}

/// The same in thousandths: 999 is the p99.9.
pub fn per_mille(sorted: &[Duration], share: usize) -> Duration {
    let rank = (sorted.len() * share).div_ceil(1_000).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

/// A count as a divisor.
pub fn float(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

/// Microseconds.
pub fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_whatever_the_order() {
        assert!((Spread::of([5.0, 1.0, 3.0]).median - 3.0).abs() < 1e-9);
        let even = Spread::of([4.0, 1.0, 3.0, 2.0]);
        assert!((even.median - 2.5).abs() < 1e-9 && even.min < 1.1 && even.max > 3.9);
        assert!(Spread::of([]).median.is_nan());
    }

    #[test]
    fn percentiles_are_values_that_occurred() {
        let sorted: Vec<Duration> = (1..=200).map(Duration::from_micros).collect();
        assert_eq!(percentile(&sorted, 50), Duration::from_micros(100));
        assert_eq!(percentile(&sorted, 99), Duration::from_micros(198));
        assert_eq!(per_mille(&sorted, 999), Duration::from_micros(200));
        assert_eq!(percentile(&sorted[..1], 99), Duration::from_micros(1));
        assert_eq!(percentile(&[], 50), Duration::ZERO);
    }
}
