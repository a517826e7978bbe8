//! Memory for answers: one budget of a process, of which each call takes as much as its answer needs,
//! before it reads on.
//!
//! A call takes a little before it is sent, so that nothing is sent whose answer nobody could hold.
//! Large answers may take three quarters in all, so that small ones never wait behind them. Where there
//! is no room, the provider is simply not read on; after a while the call is given up.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What is counted in: a semaphore's permits are few bits, and nobody counts single bytes.
const UNIT: usize = 1_024;
/// What a call takes before it is sent.
const FIRST: usize = 16 * UNIT;
/// How much more an answer of unknown length takes each time that it has filled what it has.
const GROWTH: usize = 4;

/// Bytes of answers that a process may hold. Clones share them.
#[derive(Clone, Debug)]
pub struct Budget {
    all: Arc<Semaphore>,
    /// The part of it that answers may take that do not fit into what every call has.
    large: Arc<Semaphore>,
    largest: usize,
}

/// There was no room in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom;

impl Budget {
    /// A budget of so many bytes, of which a quarter is for small answers alone.
    pub fn new(bytes: usize) -> Self {
        let units = (bytes / UNIT).clamp(4 * FIRST / UNIT, Semaphore::MAX_PERMITS);
        let large = units - units / 4;
        let semaphore = |permits| Arc::new(Semaphore::new(permits));
        Self { all: semaphore(units), large: semaphore(large), largest: large * UNIT }
    }

    /// Room for a call that is about to be sent.
    ///
    /// # Errors
    /// There is none within `patience`.
    pub async fn admit(&self, patience: Duration) -> Result<Room, NoRoom> {
        let first = take(&self.all, FIRST, patience).await?;
        Ok(Room { budget: self.clone(), patience, bytes: FIRST, _first: first, more: None })
    }

    /// Bytes that nobody holds.
    pub fn available(&self) -> usize {
        self.all.available_permits().saturating_mul(UNIT)
    }
}

/// What one call holds, until it is dropped.
#[derive(Debug)]
pub struct Room {
    budget: Budget,
    patience: Duration,
    bytes: usize,
    _first: OwnedSemaphorePermit,
    /// Of the large part, and of all.
    more: Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)>,
}

impl Room {
    /// How long each further piece may take to get, from now on.
    #[must_use]
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Makes room for an answer of so many bytes. When it will not get longer than `length`, that is
    /// all it takes; otherwise more than it needs now, so that it need not ask at every piece.
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

    /// Gives back what an answer of so many bytes does not need.
    pub fn shrink(&mut self, needed: usize) {
        let surplus = units(self.bytes.saturating_sub(needed.max(FIRST)));
        if let Some((large, all)) = &mut self.more {
            let surplus = surplus.min(large.num_permits());
            drop((large.split(surplus), all.split(surplus)));
            self.bytes -= (surplus * UNIT).min(self.bytes);
        }
    }
}

/// Whole units that fit.
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
