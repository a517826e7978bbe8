//! Drops audit events that are past their retention time: whole segments, oldest first. A tombstone is written
//! before anything is deleted. The events are deleted in batches, so that other writes do not wait long. An
//! interrupted drop is finished by the next round.
//!
//! Dropped events cannot be recovered, so the clock alone does not decide. The time that counts is a mark in
//! the database. The mark follows the clock, but at most ten times as fast as a server has been running. A
//! clock that jumps ahead by a year therefore drops nothing for weeks, and the log warns about it. A server
//! that was off for a month catches up in three days. The time of the newest event cannot replace the mark,
//! because a wrong clock dates the next event too.

use std::time::Duration;

use switchboard_store::audit_segments::{self, DROP_BATCH, Segment, Tombstone};
use switchboard_store::{Unit, WriteError, meta};
use switchboard_types::Timestamp;

use super::{canon, seal};
use crate::app::audit::AuditLog;
use crate::error::Result;
use crate::time::DAY;

/// The mark advances at most this many times as fast as the server's running time.
const MAX_CATCH_UP_FACTOR: u32 = 10;
/// Key of the mark in the `meta` table.
const MARK: &str = "audit_time";
/// Pause between two batches, for other writes.
const PAUSE: Duration = Duration::from_millis(50);

/// The state of retention between rounds of one process.
#[derive(Debug, Default)]
pub(super) struct Retention {
    has_begun: bool,
    is_behind: bool,
}

impl Retention {
    /// Drops expired events. Called once per sealing interval.
    pub(super) async fn round(&mut self, audit_log: &AuditLog) -> Result<usize> {
        if audit_log.core.settings.audit_retention_days.is_none() {
            return Ok(0);
        }
        // The time since the previous round is known within one process only.
        let passed = if self.has_begun { seal::INTERVAL } else { Duration::ZERO };
        self.has_begun = true;
        let dropped = audit_log.drop_old_events(passed).await?;
        let behind = audit_log.core.now().since(audit_log.audit_time().await?);
        if behind > DAY && !self.is_behind {
            let hours = behind.as_secs() / 3_600;
            tracing::warn!(
                hours,
                "the clock is far ahead of when this server last ran; audit events are dropped late until it has caught up"
            );
        }
        self.is_behind = behind > DAY;
        Ok(usize::try_from(dropped).unwrap_or_default())
    }
}

impl AuditLog {
    /// Drops events past their retention, given the time that has passed since the last call. Returns how many
    /// were dropped.
    pub async fn drop_old_events(&self, passed: Duration) -> Result<i64> {
        let Some(days) = self.core.settings.audit_retention_days else { return Ok(0) };
        self.finish_drop().await?;
        let before = self.advance_time(passed).await? - DAY * days.get();
        let mut dropped = 0;
        while let Some(events) = self.drop_oldest(before).await? {
            dropped += events;
            if self.core.stopping.is_cancelled() {
                break;
            }
        }
        Ok(dropped)
    }

    /// Advances the mark towards the clock, and returns it.
    async fn advance_time(&self, passed: Duration) -> Result<Timestamp> {
        let mark = (self.audit_time().await? + passed.saturating_mul(MAX_CATCH_UP_FACTOR)).min(self.core.now());
        self.core.store.apply(Unit::new().with(meta::put(MARK, mark.as_millis().to_be_bytes().to_vec()))).await?;
        Ok(mark)
    }

    /// The mark. It starts at the time of the newest sealed event, which an earlier run of the server wrote. A
    /// mark in the past only delays dropping.
    async fn audit_time(&self) -> Result<Timestamp> {
        let stored = self.core.store.meta(MARK).await?.and_then(|bytes| bytes.try_into().ok());
        let mark = match stored {
            Some(mark) => Timestamp::from_millis(i64::from_be_bytes(mark)),
            None => self.core.store.newest_audit_segment().await?.map_or(Timestamp::MAX, |segment| segment.newest_at),
        };
        Ok(mark.min(self.core.now()))
    }

    /// Drops about one batch of the oldest ranges whose events were all written before a time.
    async fn drop_oldest(&self, before: Timestamp) -> Result<Option<i64>> {
        let old = self.core.store.audit_tombstone().await?;
        let after = old.as_ref().map_or(0, |segment| segment.number);
        let already_dropped = old.and_then(|segment| segment.tombstone).map_or(0, |range| range.dropped_events);
        let Some(Ranges { last, events, .. }) = self.oldest_ranges(after, before).await? else { return Ok(None) };
        let mut tombstone = Tombstone {
            dropped_at: self.core.now(),
            dropped_events: already_dropped + events,
            key_id: String::new(),
            mac: Vec::new(),
        };
        let mac = self.ring.authenticate(canon::TOMBSTONE, &canon::tombstone(&last, &tombstone));
        tombstone.key_id = mac.key_id;
        tombstone.mac = mac.code.to_vec();
        match self.core.store.apply(audit_segments::begin_drop(last.number, &tombstone)).await {
            Ok(_) => {}
            // Another server is dropping.
            Err(WriteError::Refused(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        self.finish_drop().await?;
        Ok(Some(events))
    }

    /// The oldest ranges that may be dropped: as many as fit in a batch, but at least one.
    async fn oldest_ranges(&self, after: i64, before: Timestamp) -> Result<Option<Ranges>> {
        let (mut selected, mut next): (Option<Ranges>, Option<Ranges>) = (None, None);
        let mut number = after;
        loop {
            let page = self.core.store.audit_segments_after(number, DROP_BATCH).await?;
            let is_end = i64::try_from(page.len()).is_ok_and(|length| length < DROP_BATCH);
            for segment in page {
                number = segment.number;
                let is_same = next.as_ref().is_none_or(|range| range.last.until_id == segment.until_id);
                if !is_same && !take_if_expired(&mut selected, &mut next, before) {
                    return Ok(selected);
                }
                next = Some(Ranges::with(next, segment));
            }
            if is_end {
                take_if_expired(&mut selected, &mut next, before);
                return Ok(selected);
            }
        }
    }

    /// Deletes what is left of the ranges that the newest tombstone covers.
    async fn finish_drop(&self) -> Result<()> {
        if !self.core.store.is_dropping_audit_events().await? {
            return Ok(());
        }
        let Some(tombstone) = self.core.store.audit_tombstone().await? else { return Ok(()) };
        let is_done = self.delete_batches(|| audit_segments::drop_events(&tombstone.until_id)).await?
            && self.delete_batches(|| audit_segments::drop_segments(tombstone.number)).await?;
        if is_done {
            self.core.store.apply(audit_segments::end_drop(tombstone.number)).await?;
        }
        Ok(())
    }

    /// Repeats a batch until it finds nothing more. Returns false if the server is asked to stop first.
    async fn delete_batches(&self, batch: impl Fn() -> Unit) -> Result<bool> {
        loop {
            let changed = self.core.store.apply(batch()).await?.first().copied().unwrap_or_default();
            if i64::try_from(changed).is_ok_and(|changed| changed < DROP_BATCH) {
                return Ok(true);
            }
            if self.core.stopping.run_until_cancelled(tokio::time::sleep(PAUSE)).await.is_none() {
                return Ok(false);
            }
        }
    }
}

/// Consecutive segments.
struct Ranges {
    last: Segment,
    events: i64,
    newest_at: Timestamp,
}

impl Ranges {
    fn with(before: Option<Self>, last: Segment) -> Self {
        let (events, newest_at) = before.map_or((0, Timestamp::MIN), |range| (range.events, range.newest_at));
        Self { events: events + last.events, newest_at: newest_at.max(last.newest_at), last }
    }
}

/// Adds the next range to the selected ones, if it has expired and all fit in one batch.
fn take_if_expired(selected: &mut Option<Ranges>, next: &mut Option<Ranges>, before: Timestamp) -> bool {
    let events = selected.as_ref().map_or(0, |range| range.events);
    let Some(range) = next.take() else { return false };
    if range.newest_at >= before || (events > 0 && events + range.events > DROP_BATCH) {
        return false;
    }
    *selected = Some(Ranges { events: events + range.events, ..range });
    true
}
