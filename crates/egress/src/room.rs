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
const FIRST: usize = 16 * UNIT;
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
pub struct NoRoom;

impl Budget {
    /// A budget of `bytes`, a quarter of which is reserved for small responses.
    pub fn new(bytes: usize) -> Self {
        let units = (bytes / UNIT).clamp(4 * FIRST / UNIT, Semaphore::MAX_PERMITS);
        let large = units - units / 4;
        let semaphore = |permits| Arc::new(Semaphore::new(permits));
        Self { all: semaphore(units), large: semaphore(large), largest: large * UNIT }
    }

    /// Reserves memory for a call before it is sent.
    ///
    /// # Errors
    /// If none is available within `patience`.
    pub async fn admit(&self, patience: Duration) -> Result<Room, NoRoom> {
        let first = take(&self.all, FIRST, patience).await?;
        Ok(Room { budget: self.clone(), patience, bytes: FIRST, _first: first, more: None })
    }

    /// Free bytes.
    pub fn available(&self) -> usize {
        self.all.available_permits().saturating_mul(UNIT)
    }
}

/// The reservation of one call; released when dropped.
#[derive(Debug)]
pub struct Room {
    budget: Budget,
    patience: Duration,
    bytes: usize,
    _first: OwnedSemaphorePermit,
    /// Permits of the large part and of the total.
    more: Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)>,
}

impl Room {
    /// Sets the timeout of each further reservation.
    #[must_use]
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Grows the reservation for a response of `needed` bytes. If the response cannot exceed `length`, it
    /// reserves just that; otherwise more than needed now, to avoid a reservation per chunk.
    pub async fn hold(&mut self, needed: usize, length: usize) -> Result<(), NoRoom> {
        if needed <= self.bytes {
            return Ok(());
        }
        let wanted = needed.max(self.bytes.saturating_mul(GROWTH)).min(length.max(needed)).min(self.budget.largest);
        let wanted = wanted.max(needed);
        let missing = wanted - self.bytes;
        let large = take(&self.budget.large, missing, self.patience).await?;
        let all = take(&self.budget.all, missing, self.patience).await?;
        match &mut self.more {
            None => self.more = Some((large, all)),
            Some((of_large, of_all)) => {
                of_large.merge(large);
                of_all.merge(all);
            }
        }
        self.bytes = wanted;
        Ok(())
    }

    /// Releases what a response of `needed` bytes does not need.
    pub fn shrink(&mut self, needed: usize) {
        let surplus = units(self.bytes.saturating_sub(needed.max(FIRST)));
        if let Some((large, all)) = &mut self.more {
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

async fn take(from: &Arc<Semaphore>, bytes: usize, patience: Duration) -> Result<OwnedSemaphorePermit, NoRoom> {
    let permits = u32::try_from(bytes.div_ceil(UNIT)).map_err(|_| NoRoom)?;
    if let Ok(taken) = Arc::clone(from).try_acquire_many_owned(permits) {
        return Ok(taken);
    }
    match tokio::time::timeout(patience, Arc::clone(from).acquire_many_owned(permits)).await {
        Ok(Ok(taken)) => Ok(taken),
        Ok(Err(_)) | Err(_) => Err(NoRoom),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(20);
    const MIB: usize = 1 << 20;

    #[tokio::test]
    async fn an_answer_of_known_length_takes_that_and_gives_it_back() {
        let budget = Budget::new(16 * MIB);
        let mut room = budget.admit(SOON).await.unwrap();
        assert_eq!(budget.available(), 16 * MIB - FIRST);
        room.hold(3 * MIB, 3 * MIB).await.unwrap();
        assert_eq!(budget.available(), 13 * MIB);
        room.shrink(MIB);
        assert_eq!(budget.available(), 15 * MIB);
        drop(room);
        assert_eq!(budget.available(), 16 * MIB);
    }

    #[tokio::test]
    async fn an_answer_of_unknown_length_takes_more_as_it_grows() {
        let budget = Budget::new(16 * MIB);
        let mut room = budget.admit(SOON).await.unwrap();
        let mut held = Vec::new();
        for needed in [FIRST, FIRST + 1, 4 * FIRST + 1, MIB + 1] {
            room.hold(needed, 10 * MIB).await.unwrap();
            held.push(16 * MIB - budget.available());
        }
        assert_eq!(held, [FIRST, 4 * FIRST, 16 * FIRST, MIB + UNIT]);
        room.hold(9 * MIB, 10 * MIB).await.unwrap();
        room.shrink(9 * MIB + 1);
        assert!(16 * MIB - budget.available() <= 9 * MIB + 2 * UNIT, "{}", budget.available());
    }

    #[tokio::test]
    async fn large_answers_leave_room_for_small_ones_and_wait_for_each_other() {
        let budget = Budget::new(16 * MIB);
        let mut first = budget.admit(SOON).await.unwrap();
        first.hold(10 * MIB, 10 * MIB).await.unwrap();
        let mut second = budget.admit(SOON).await.unwrap();
        assert_eq!(second.hold(3 * MIB, 3 * MIB).await, Err(NoRoom));
        let mut small = Vec::new();
        for _ in 0..4 * MIB / FIRST {
            small.push(budget.admit(SOON).await.unwrap());
        }
        let mut patient = second.patience(Duration::from_secs(30));
        let waiting = tokio::spawn(async move { patient.hold(3 * MIB, 3 * MIB).await });
        drop(first);
        assert_eq!(waiting.await.unwrap(), Ok(()));
    }

    #[tokio::test]
    async fn without_room_nothing_is_admitted() {
        let budget = Budget::new(0);
        let mut all = Vec::new();
        while let Ok(room) = budget.admit(SOON).await {
            all.push(room);
        }
        assert_eq!(all.len(), 4);
        assert!(matches!(all[0].hold(MIB, MIB).await, Err(NoRoom)));
        all.clear();
        assert!(budget.admit(SOON).await.is_ok());
    }
}
