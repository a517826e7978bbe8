//! Memory budget for responses. One budget per process; each call reserves as much as its response needs
//! before it reads on.
//!
//! A call reserves a little before it is sent, so that no request is sent whose response cannot be stored.
//! Large responses share three quarters of the budget, so that small ones never wait for them. Without free
//! memory, the response is simply not read further; after a timeout the call fails.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Granularity of reservations in bytes, because a semaphore's permits are limited.
const UNIT: usize = 1_024;
/// Reservation of every call before it is sent.
const INITIAL: usize = 16 * UNIT;
/// Growth factor for a response of unknown length.
const GROWTH: usize = 4;

/// A process-wide memory budget for responses. Clones share it.
#[derive(Clone, Debug)]
pub struct Budget {
    all: Arc<Semaphore>,
    /// The part of the budget for responses larger than the initial reservation.
    large: Arc<Semaphore>,
    largest: usize,
}

/// No memory was available in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetExhausted;

impl Budget {
    /// A budget of `bytes`, a quarter of which is reserved for small responses.
    pub fn new(bytes: usize) -> Self {
        let units = (bytes / UNIT).clamp(4 * INITIAL / UNIT, Semaphore::MAX_PERMITS);
        let large = units - units / 4;
        let semaphore = |permits| Arc::new(Semaphore::new(permits));
        Self { all: semaphore(units), large: semaphore(large), largest: large * UNIT }
    }

    /// Reserves memory for a call before it is sent.
    ///
    /// # Errors
    /// If none is available within `timeout`.
    pub async fn reserve(&self, timeout: Duration) -> Result<Reservation, BudgetExhausted> {
        let initial = take(&self.all, INITIAL, timeout).await?;
        Ok(Reservation { budget: self.clone(), timeout, bytes: INITIAL, _initial: initial, grown: None })
    }

    /// Free bytes.
    pub fn available(&self) -> usize {
        self.all.available_permits().saturating_mul(UNIT)
    }
}

/// The reservation of one call; released when dropped.
#[derive(Debug)]
pub struct Reservation {
    budget: Budget,
    timeout: Duration,
    bytes: usize,
    _initial: OwnedSemaphorePermit,
    /// Permits of the large part and of the total.
    grown: Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)>,
}

impl Reservation {
    /// Sets the timeout of each further reservation.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Grows the reservation for a response of `needed` bytes. If the response cannot exceed `length`, it
    /// reserves just that; otherwise more than needed now, to avoid a reservation per chunk.
    pub async fn grow(&mut self, needed: usize, length: usize) -> Result<(), BudgetExhausted> {
        if needed <= self.bytes {
            return Ok(());
        }
        let target = needed.max(self.bytes.saturating_mul(GROWTH)).min(length.max(needed)).min(self.budget.largest);
        let target = target.max(needed);
        let missing = target - self.bytes;
        let large = take(&self.budget.large, missing, self.timeout).await?;
        let all = take(&self.budget.all, missing, self.timeout).await?;
        match &mut self.grown {
            None => self.grown = Some((large, all)),
            Some((of_large, of_all)) => {
                of_large.merge(large);
                of_all.merge(all);
            }
        }
        self.bytes = target;
        Ok(())
    }

    /// Releases what a response of `needed` bytes does not need.
    pub fn shrink(&mut self, needed: usize) {
        let surplus = units(self.bytes.saturating_sub(needed.max(INITIAL)));
        if let Some((large, all)) = &mut self.grown {
            let surplus = surplus.min(large.num_permits());
            drop((large.split(surplus), all.split(surplus)));
            self.bytes -= (surplus * UNIT).min(self.bytes);
        }
    }
}

/// Number of whole units, rounded down.
fn units(bytes: usize) -> usize {
    bytes / UNIT
}

async fn take(from: &Arc<Semaphore>, bytes: usize, timeout: Duration) -> Result<OwnedSemaphorePermit, BudgetExhausted> {
    let permits = u32::try_from(bytes.div_ceil(UNIT)).map_err(|_| BudgetExhausted)?;
    if let Ok(taken) = Arc::clone(from).try_acquire_many_owned(permits) {
        return Ok(taken);
    }
    match tokio::time::timeout(timeout, Arc::clone(from).acquire_many_owned(permits)).await {
        Ok(Ok(taken)) => Ok(taken),
        Ok(Err(_)) | Err(_) => Err(BudgetExhausted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(20);
    const MIB: usize = 1 << 20;

    #[tokio::test]
    async fn a_response_of_known_length_reserves_exactly_that() {
        let budget = Budget::new(16 * MIB);
        let mut reservation = budget.reserve(SOON).await.unwrap();
        assert_eq!(budget.available(), 16 * MIB - INITIAL);
        reservation.grow(3 * MIB, 3 * MIB).await.unwrap();
        assert_eq!(budget.available(), 13 * MIB);
        reservation.shrink(MIB);
        assert_eq!(budget.available(), 15 * MIB);
        drop(reservation);
        assert_eq!(budget.available(), 16 * MIB);
    }

    #[tokio::test]
    async fn a_response_of_unknown_length_reserves_more_as_it_grows() {
        let budget = Budget::new(16 * MIB);
        let mut reservation = budget.reserve(SOON).await.unwrap();
        let mut held = Vec::new();
        for needed in [INITIAL, INITIAL + 1, 4 * INITIAL + 1, MIB + 1] {
            reservation.grow(needed, 10 * MIB).await.unwrap();
            held.push(16 * MIB - budget.available());
        }
        assert_eq!(held, [INITIAL, 4 * INITIAL, 16 * INITIAL, MIB + UNIT]);
        reservation.grow(9 * MIB, 10 * MIB).await.unwrap();
        reservation.shrink(9 * MIB + 1);
        assert!(16 * MIB - budget.available() <= 9 * MIB + 2 * UNIT, "{}", budget.available());
    }

    #[tokio::test]
    async fn large_responses_leave_memory_for_small_ones_and_wait_for_each_other() {
        let budget = Budget::new(16 * MIB);
        let mut first = budget.reserve(SOON).await.unwrap();
        first.grow(10 * MIB, 10 * MIB).await.unwrap();
        let mut second = budget.reserve(SOON).await.unwrap();
        assert_eq!(second.grow(3 * MIB, 3 * MIB).await, Err(BudgetExhausted));
        let mut small = Vec::new();
        for _ in 0..4 * MIB / INITIAL {
            small.push(budget.reserve(SOON).await.unwrap());
        }
        let mut patient = second.with_timeout(Duration::from_secs(30));
        let waiting = tokio::spawn(async move { patient.grow(3 * MIB, 3 * MIB).await });
        drop(first);
        assert_eq!(waiting.await.unwrap(), Ok(()));
    }

    #[tokio::test]
    async fn an_exhausted_budget_admits_no_call() {
        let budget = Budget::new(0);
        let mut all = Vec::new();
        while let Ok(reservation) = budget.reserve(SOON).await {
            all.push(reservation);
        }
        assert_eq!(all.len(), 4);
        assert!(matches!(all[0].grow(MIB, MIB).await, Err(BudgetExhausted)));
        all.clear();
        assert!(budget.reserve(SOON).await.is_ok());
    }
}
