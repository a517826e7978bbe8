//! Segments of the audit log. Each authenticates the events of one project in a range of ids and links to the
//! previous segment. Retention leaves a tombstone for what it drops.

use switchboard_types::{ProjectId, Timestamp};

use crate::{ReadError, Refusal, Row, Statement, Store, Unit, meta};

/// Events or segments that one unit of retention deletes.
pub const DROP_BATCH: i64 = 500;
/// Present while the events and segments before the newest tombstone are being deleted.
const DROPPING: &str = "audit_dropping";

/// One sealed segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// From 1, without gaps, over the whole installation.
    pub number: i64,
    /// Project of the events; `None` for those of the installation.
    pub project_id: Option<ProjectId>,
    /// First id, inclusive.
    pub from_id: String,
    /// Last id, exclusive.
    pub until_id: String,
    /// Number of events.
    pub events: i64,
    /// SHA-256 of the events.
    pub digest: Vec<u8>,
    /// When the newest of them was written.
    pub newest_at: Timestamp,
    /// When the segment was sealed.
    pub sealed_at: Timestamp,
    /// MAC of the previous segment.
    pub previous: Vec<u8>,
    /// The master key that the MAC's key is derived from.
    pub key_id: String,
    /// Over all of the above.
    pub mac: Vec<u8>,
    /// Set when retention dropped this segment and all before it.
    pub tombstone: Option<Tombstone>,
}

/// What remains of a segment that retention dropped with all before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// When they were dropped.
    pub dropped_at: Timestamp,
    /// Number of dropped events since the beginning of the log.
    pub dropped_events: i64,
    /// The master key that the MAC's key is derived from.
    pub key_id: String,
    /// Over the segment's number and MAC, and the above.
    pub mac: Vec<u8>,
}

const SEGMENT: &str = "number, project_id, from_id, until_id, events, digest, newest_at, sealed_at, previous, key_id, \
                       mac, dropped_at, dropped_events, drop_key_id, drop_mac";

/// Adds the segments of one range, in order. Refused as `audit_already_sealed` when another process sealed
/// it first, or when the range has a different number of events than were read.
pub fn seal(segments: &[Segment]) -> Unit {
    let counted: i64 = segments.iter().map(|segment| segment.events).sum();
    // Events are written too often to lock anything themselves: sealing waits for those in progress.
    let mut unit = Unit::new().with(Statement::lock_table("LOCK TABLE audit_events IN SHARE ROW EXCLUSIVE MODE"));
    for (index, segment) in segments.iter().enumerate() {
        let mut args = vec![
            segment.number.into(),
            segment.project_id.as_deref().into(),
            segment.from_id.as_str().into(),
            segment.until_id.as_str().into(),
            segment.events.into(),
            segment.digest.clone().into(),
            segment.newest_at.into(),
            segment.sealed_at.into(),
            segment.previous.clone().into(),
            segment.key_id.as_str().into(),
            segment.mac.clone().into(),
        ];
        let sql = if index == 0 {
            args.push(counted.into());
            "INSERT INTO audit_segments (number, project_id, from_id, until_id, events, digest, newest_at, sealed_at,
               previous, key_id, mac)
             SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11
             WHERE (SELECT COUNT(*) FROM audit_events WHERE id >= $3 AND id < $4) = $12
               AND $1 = COALESCE((SELECT MAX(number) FROM audit_segments), 0) + 1
             /* guarded by: table lock audit_events, index audit_segments */"
        } else {
            "INSERT INTO audit_segments (number, project_id, from_id, until_id, events, digest, newest_at, sealed_at,
               previous, key_id, mac)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
        };
        unit.push(Statement::one(Refusal::AuditAlreadySealed, sql, args));
    }
    unit
}

/// Makes a segment the tombstone: everything before it is due for deletion. Refused as
/// `audit_already_dropped` if it is a tombstone already.
pub fn begin_drop(number: i64, tombstone: &Tombstone) -> Unit {
    Unit::new()
        .with(Statement::one(
            Refusal::AuditAlreadyDropped,
            "UPDATE audit_segments SET dropped_at = $2, dropped_events = $3, drop_key_id = $4, drop_mac = $5
             WHERE number = $1 AND dropped_at IS NULL",
            vec![
                number.into(),
                tombstone.dropped_at.into(),
                tombstone.dropped_events.into(),
                tombstone.key_id.as_str().into(),
                tombstone.mac.clone().into(),
            ],
        ))
        .with(meta::put(DROPPING, number.to_be_bytes().to_vec()))
}

/// Deletes up to [`DROP_BATCH`] events before the end of a tombstone.
pub fn drop_events(until_id: &str) -> Unit {
    Unit::new().with(Statement::any(
        "DELETE FROM audit_events WHERE id IN (SELECT id FROM audit_events WHERE id < $1 ORDER BY id LIMIT $2)
         /* guarded by: final */",
        vec![until_id.into(), DROP_BATCH.into()],
    ))
}

/// Deletes up to [`DROP_BATCH`] segments before a tombstone.
pub fn drop_segments(number: i64) -> Unit {
    Unit::new().with(Statement::any(
        "DELETE FROM audit_segments WHERE number IN
           (SELECT number FROM audit_segments WHERE number < $1 ORDER BY number LIMIT $2)
         /* guarded by: final */",
        vec![number.into(), DROP_BATCH.into()],
    ))
}

/// Records that everything before a tombstone is deleted, unless there is a newer tombstone.
pub fn end_drop(number: i64) -> Unit {
    Unit::new().with(Statement::any(
        "DELETE FROM meta WHERE name = $1 AND value = $2",
        vec![DROPPING.into(), number.to_be_bytes().to_vec().into()],
    ))
}

fn read(row: &Row<'_>) -> Result<Segment, ReadError> {
    let tombstone = match (row.opt_timestamp(11)?, row.opt_int(12)?, row.opt_text(13)?, row.opt_blob(14)?) {
        (None, ..) => None,
        // A forged tombstone lacks the MAC, which requires the master key.
        (Some(dropped_at), events, key_id, mac) => Some(Tombstone {
            dropped_at,
            dropped_events: events.unwrap_or_default(),
            key_id: key_id.unwrap_or_default(),
            mac: mac.unwrap_or_default(),
        }),
    };
    Ok(Segment {
        number: row.int(0)?,
        project_id: row.opt_id(1)?,
        from_id: row.text(2)?,
        until_id: row.text(3)?,
        events: row.int(4)?,
        digest: row.blob(5)?,
        newest_at: row.timestamp(6)?,
        sealed_at: row.timestamp(7)?,
        previous: row.blob(8)?,
        key_id: row.text(9)?,
        mac: row.blob(10)?,
        tombstone,
    })
}

impl Store {
    /// The newest segment.
    pub async fn newest_audit_segment(&self) -> Result<Option<Segment>, ReadError> {
        let found = self.segments("ORDER BY number DESC LIMIT 1", &[]).await?;
        Ok(found.into_iter().next())
    }

    /// The newest tombstone, if retention has dropped anything.
    pub async fn audit_tombstone(&self) -> Result<Option<Segment>, ReadError> {
        let found = self.segments("WHERE dropped_at IS NOT NULL ORDER BY number DESC LIMIT 1", &[]).await?;
        Ok(found.into_iter().next())
    }

    /// Whether deletion before the newest tombstone may be incomplete.
    pub async fn is_dropping_audit_events(&self) -> Result<bool, ReadError> {
        Ok(self.meta(DROPPING).await?.is_some())
    }

    /// One segment.
    pub async fn audit_segment(&self, number: i64) -> Result<Option<Segment>, ReadError> {
        let found = self.segments("WHERE number = $1", &[number.into()]).await?;
        Ok(found.into_iter().next())
    }

    /// Segments after a number, in order.
    pub async fn audit_segments_after(&self, number: i64, limit: i64) -> Result<Vec<Segment>, ReadError> {
        self.segments("WHERE number > $1 ORDER BY number LIMIT $2", &[number.into(), limit.into()]).await
    }

    async fn segments(&self, rest: &str, args: &[crate::Value]) -> Result<Vec<Segment>, ReadError> {
        let (sql, args) = (format!("SELECT {SEGMENT} FROM audit_segments {rest}"), args.to_vec());
        self.scan("", move |reading| reading.all(&sql, &args, read)).await
    }

    /// The id of the event after the first `skip` events of a range.
    pub async fn audit_event_id_at(&self, from: &str, until: &str, skip: i64) -> Result<Option<String>, ReadError> {
        let sql = "SELECT id FROM audit_events WHERE id >= $1 AND id < $2 ORDER BY id LIMIT 1 OFFSET $3";
        let args: [crate::Value; 3] = [from.into(), until.into(), skip.into()];
        self.scan("", move |reading| reading.one(sql, &args, |row| row.text(0))).await
    }

    /// The id of the newest event before the given id.
    pub async fn newest_audit_event_before(&self, until: &str) -> Result<Option<String>, ReadError> {
        self.one("SELECT id FROM audit_events WHERE id < $1 ORDER BY id DESC LIMIT 1", &[until.into()], |row| {
            row.text(0)
        })
        .await
    }

    /// The number of events from an id on, of one project or all, and the time of the oldest.
    pub async fn audit_events_from(
        &self,
        from: &str,
        project: Option<&str>,
    ) -> Result<(i64, Option<Timestamp>), ReadError> {
        let sql = "SELECT COUNT(*), MIN(at) FROM audit_events WHERE id >= $1 AND ($2 IS NULL OR project_id = $2)";
        let args: [crate::Value; 2] = [from.into(), project.into()];
        let read = |row: &Row<'_>| Ok((row.int(0)?, row.opt_timestamp(1)?));
        Ok(self.scan("", move |reading| reading.one(sql, &args, read)).await?.unwrap_or_default())
    }
}
