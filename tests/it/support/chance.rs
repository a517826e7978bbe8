//! Chance that can be repeated: a failing test shows its seed, and `SWITCHBOARD_TEST_SEED` takes one.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Random times from one seed.
pub struct Chance(StdRng);

impl Chance {
    /// With a new seed, which is printed; what a test prints is shown when it fails.
    pub fn new() -> Self {
        let given = std::env::var("SWITCHBOARD_TEST_SEED").ok().map(|seed| seed.parse().unwrap());
        let seed = given.unwrap_or_else(rand::random::<u64>);
        println!("SWITCHBOARD_TEST_SEED={seed} repeats this");
        Self(StdRng::seed_from_u64(seed))
    }

    /// Up to so many milliseconds.
    pub fn time_up_to(&mut self, milliseconds: u64) -> Duration {
        Duration::from_millis(self.0.random_range(0..=milliseconds))
    }
}
