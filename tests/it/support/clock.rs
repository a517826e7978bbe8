//! A clock that stands still until a test moves it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use switchboard::time::{Clock, SystemClock};
use switchboard_types::Timestamp;

/// Starts at the real time; moves only by [`ManualClock::advance`].
#[derive(Clone)]
pub struct ManualClock(Arc<AtomicI64>, Arc<AtomicBool>);

impl ManualClock {
    pub fn new() -> Self {
        Self(Arc::new(AtomicI64::new(SystemClock.now().as_millis())), Arc::default())
    }

    /// Whether reading the time panics.
    pub fn panics(&self, does: bool) {
        self.1.store(does, Ordering::SeqCst);
    }

    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        assert!(!self.1.load(Ordering::SeqCst), "the clock is broken");
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

impl switchboard_sandbox::Clock for ManualClock {
    fn now_ms(&self) -> i64 {
        self.now().as_millis()
    }
}
