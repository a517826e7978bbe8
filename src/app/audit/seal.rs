//! Sealing: a background job turns events into segments, batch by batch.
//!
//! Ids of events begin with the time. A round seals the events that existed one round ago, so that events still
//! being written keep the time in their ids. Correctness does not depend on that pause. The unit that adds a
//! segment is refused if its range contains another number of events than were read. An event that arrives late
//! for a sealed range gets an id after it (`switchboard_store::audit::insert`). Several servers may seal at
//! once: one of them wins.

use std::collections::BTreeMap;
use std::time::Duration;

use switchboard_store::WriteError;
use switchboard_store::audit::AuditCursor;
use switchboard_store::audit_segments::{self, Segment};
use switchboard_store::failpoint;
use switchboard_types::ProjectId;

use super::canon::{self, Events, GENESIS};
use super::head;
use super::retention::Retention;
use crate::app::audit::AuditLog;
use crate::error::Result;

/// Time between two rounds.
pub(in crate::app) const INTERVAL: Duration = Duration::from_mins(1);
/// Events per unit. The writer counts them again, which takes about a millisecond.
const BATCH: i64 = 1_000;
/// Events read per page.
pub(super) const PAGE: i64 = 1_000;
/// Stop after losing this many batches to other servers.
const MAX_CONFLICTS: u32 = 5;
/// Time limit for sealing at shutdown.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);
/// Length of an id's prefix up to the end of its time.
const TIME_PREFIX_LENGTH: usize = "evt_".len() + 9;
/// Greater than every id that this program creates until the year 8900.
const AFTER_ALL_IDS: &str = "evt_1";

/// The state of sealing between rounds of one process.
#[derive(Debug, Default)]
pub struct Sealer {
    /// The newest event at the previous round.
    newest: Option<String>,
    retention: Retention,
}

impl Sealer {
    /// Seals the events that existed one round ago, then drops expired segments. Called once per [`INTERVAL`]. The first
    /// round seals what an earlier process left. Returns how many events were sealed and dropped.
    ///
    /// # Errors
    /// The first error. A failure to seal does not prevent dropping.
    pub(in crate::app) async fn round(&mut self, audit_log: &AuditLog) -> Result<usize> {
        let sealed = self.seal(audit_log).await;
        let dropped = self.retention.round(audit_log).await;
        Ok(usize::try_from(sealed?).unwrap_or_default() + dropped?)
    }

    async fn seal(&mut self, audit_log: &AuditLog) -> Result<i64> {
        let newest = audit_log.core.store.newest_audit_event_before(AFTER_ALL_IDS).await?;
        let through = std::mem::replace(&mut self.newest, newest.clone()).or(newest);
        audit_log.seal(through.as_deref()).await
    }
}

fn log_failure<T>(result: Result<T>, task: &str) {
    if let Err(error) = result {
        tracing::error!(error = error.message(), cause = error.causes(), "{task} failed");
    }
}

impl AuditLog {
    /// Seals all events at shutdown, within a time limit.
    pub async fn seal_on_shutdown(&self) {
        let Ok(result) = tokio::time::timeout(SHUTDOWN_TIMEOUT, self.seal_all()).await else {
            tracing::warn!("not all audit events were sealed before shutdown; the next start continues");
            return;
        };
        log_failure(result, "sealing the audit log");
    }

    /// Seals all existing events. Returns how many.
    pub async fn seal_all(&self) -> Result<i64> {
        let newest = self.core.store.newest_audit_event_before(AFTER_ALL_IDS).await?;
        self.seal(newest.as_deref()).await
    }

    /// Seals the events up to the one with this id, and updates the head. Returns how many were sealed. Stops
    /// early if other servers win too often.
    pub async fn seal(&self, through: Option<&str>) -> Result<i64> {
        head::begin(self).await?;
        let mut sealed = 0;
        if let Some(through) = through {
            let end = next_time_prefix(through);
            let mut conflicts = 0;
            while conflicts < MAX_CONFLICTS {
                match self.seal_batch(&end).await? {
                    Batch::Sealed(events) => sealed += events,
                    Batch::Nothing => break,
                    Batch::Conflict => conflicts += 1,
                }
                failpoint::hit("after_audit_batch");
            }
            failpoint::hit("before_audit_head");
        }
        head::advance(self).await?;
        Ok(sealed)
    }

    /// Seals one batch of the events before an id.
    async fn seal_batch(&self, end: &str) -> Result<Batch> {
        let newest = self.core.store.newest_audit_segment().await?;
        let from = newest.as_ref().map_or("", |segment| segment.until_id.as_str());
        if from >= end {
            return Ok(Batch::Nothing);
        }
        let until = self.end_of_batch(from, end).await?;
        let events = self.hash_events(from, &until).await?;
        if events.is_empty() {
            return Ok(Batch::Nothing);
        }
        let segments = self.segments(newest.as_ref(), from, &until, events);
        match self.core.store.apply(audit_segments::seal(&segments)).await {
            Ok(_) => Ok(Batch::Sealed(segments.iter().map(|segment| segment.events).sum())),
            Err(WriteError::Refused(_)) => Ok(Batch::Conflict),
            Err(error) => Err(error.into()),
        }
    }

    /// The end of a batch: between two milliseconds, after about `BATCH` events.
    async fn end_of_batch(&self, from: &str, end: &str) -> Result<String> {
        let Some(next) = self.core.store.audit_event_id_at(from, end, BATCH).await? else { return Ok(end.to_owned()) };
        let before_next = time_prefix(&next);
        let first = self.core.store.audit_event_id_at(from, &before_next, 0).await?;
        // Events of one millisecond go together.
        Ok(if first.is_some() { before_next } else { next_time_prefix(&next) })
    }

    /// Hashes the events of a range, per project.
    pub(super) async fn hash_events(&self, from: &str, until: &str) -> Result<BTreeMap<Option<ProjectId>, Events>> {
        let mut hashed: BTreeMap<Option<ProjectId>, Events> = BTreeMap::new();
        let mut cursor = AuditCursor::at(from).until(until);
        loop {
            let page = self.core.store.audit_events_after(&cursor, PAGE).await?;
            for event in &page {
                if let Some(events) = hashed.get_mut(&event.project_id) {
                    events.add(event);
                } else {
                    hashed.entry(event.project_id.clone()).or_default().add(event);
                }
            }
            let Some(last) = page.last().filter(|_| i64::try_from(page.len()) == Ok(PAGE)) else { return Ok(hashed) };
            cursor.pass(last);
            tokio::task::yield_now().await;
        }
    }

    fn segments(
        &self,
        newest: Option<&Segment>,
        from: &str,
        until: &str,
        events: BTreeMap<Option<ProjectId>, Events>,
    ) -> Vec<Segment> {
        let (mut number, mut previous) =
            newest.map_or((0, GENESIS.to_vec()), |segment| (segment.number, segment.mac.clone()));
        let sealed_at = self.core.now();
        let mut segments = Vec::with_capacity(events.len());
        for (project_id, events) in events {
            number += 1;
            let mut segment = Segment {
                number,
                project_id,
                from_id: from.to_owned(),
                until_id: until.to_owned(),
                events: events.count,
                newest_at: events.newest_at,
                digest: events.digest(),
                sealed_at,
                previous,
                key_id: String::new(),
                mac: Vec::new(),
                tombstone: None,
            };
            let mac = self.ring.authenticate(canon::SEGMENT, &canon::segment(&segment));
            previous = mac.code.to_vec();
            segment.key_id = mac.key_id;
            segment.mac = mac.code.to_vec();
            segments.push(segment);
        }
        segments
    }
}

/// The outcome of sealing one batch.
enum Batch {
    /// This many events were sealed.
    Sealed(i64),
    /// There is nothing to seal.
    Nothing,
    /// Another server sealed the range, or an event arrived in it meanwhile.
    Conflict,
}

/// The prefix of an id up to the end of its time, padded with zeros.
fn time_prefix(id: &str) -> String {
    let time: String = id.chars().skip("evt_".len()).take(9).collect();
    format!("evt_{time:0<9}")
}

/// The prefix of the next millisecond: greater than all ids of this one.
fn next_time_prefix(id: &str) -> String {
    let mut text = time_prefix(id).into_bytes();
    for at in ("evt_".len()..text.len().min(TIME_PREFIX_LENGTH)).rev() {
        let (next, carries) = match text[at] {
            b'z' => (b'0', true),
            b'9' => (b'A', false),
            b'Z' => (b'a', false),
            digit if digit.is_ascii_alphanumeric() => (digit + 1, false),
            // Not an id of this program; treat it as the last digit.
            _ => (b'0', true),
        };
        text[at] = next;
        if !carries {
            break;
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Kind;
    use proptest::prelude::*;
    use switchboard_types::Timestamp;
    use switchboard_vault::SystemEntropy;

    #[test]
    fn a_batch_ends_after_the_millisecond_of_its_last_event() {
        for (id, after) in [
            ("evt_00Vabc012CCCCCCCCCCC", "evt_00Vabc013"),
            ("evt_00Vabc019CCCCCCCCCCC", "evt_00Vabc01A"),
            ("evt_00Vabc01ZCCCCCCCCCCC", "evt_00Vabc01a"),
            ("evt_00Vabczzz", "evt_00Vabd000"),
            ("evt_00V", "evt_00V000001"),
        ] {
            assert_eq!(next_time_prefix(id), after, "{id}");
        }
    }

    proptest! {
        #[test]
        fn the_next_prefix_is_greater_than_every_id_of_that_time(at in 0_i64..4_000_000_000_000) {
            let id = String::from(Kind::AuditEvent.mint(Timestamp::from_millis(at), &SystemEntropy));
            let after = next_time_prefix(&id);
            prop_assert!(id < after && time_prefix(&id) <= id);
            prop_assert!(*after <= *Kind::AuditEvent.mint(Timestamp::from_millis(at + 1), &SystemEntropy));
        }

        #[test]
        fn unusual_ids_do_not_panic(id in ".{0,30}") {
            prop_assert!(!next_time_prefix(&id).is_empty());
        }
    }
}
