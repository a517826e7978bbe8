//! The audit log: who did what, written in the same unit as the change itself (R92).

use switchboard_types::{AuditAction, AuditOutcome, CompactString, ProjectId, Stored, Timestamp};

use crate::{ReadError, Refusal, Row, Statement, Store, Value};

/// One event. `detail` is JSON and never holds a secret.
#[derive(Clone, Debug)]
pub struct AuditEvent {
    /// `evt_…`, time-ordered.
    pub id: CompactString,
    /// Tenant; none for the installation itself.
    pub project_id: Option<ProjectId>,
    /// When it happened.
    pub at: Timestamp,
    /// `key_…`, `link:lt_…`, `system` or `cli`.
    pub actor: CompactString,
    /// `noun.verb`. Another version of the program may have written one that this one does not know.
    pub action: Stored<AuditAction>,
    /// Id of the object that it concerns.
    pub object: CompactString,
    /// A known outcome, or the sentence of the reason that it failed for.
    pub outcome: Stored<AuditOutcome>,
    /// Our id of the request that caused it.
    pub request_id: Option<CompactString>,
    /// The `x-request-id` that the caller sent. Untrusted: it may equal another request's id.
    pub caller_request_id: Option<CompactString>,
    /// JSON.
    pub detail: Option<String>,
}

/// A place in the audit log, between two events, and where its reader stops. The log is the only record of changes
/// that other parts of the program follow: an event is written in the unit of its change, and a reader keeps the
/// place up to which it has read.
///
/// Ids begin with the time, but an id is made before its unit is applied. So a new event may get an id below the
/// newest one. A reader that must not miss any stays a while behind, as sealing does; below the end of the newest
/// segment nothing is added any more.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AuditCursor {
    /// The least id that was not passed.
    next: String,
    until: Option<String>,
}

impl AuditCursor {
    /// Before the first event whose id is not less than `id`, such as the end of a segment. The default is before
    /// all events.
    pub fn at(id: &str) -> Self {
        Self { next: id.to_owned(), until: None }
    }

    /// Stops before the first event whose id is not less than `id`.
    #[must_use]
    pub fn until(self, id: &str) -> Self {
        Self { until: Some(id.to_owned()), ..self }
    }

    /// Passes an event.
    pub fn pass(&mut self, event: &AuditEvent) {
        // The smallest text greater than its id.
        self.next = format!("{}\0", event.id);
    }
}

const COLUMNS: &str = "id, project_id, at, actor, action, object, outcome, request_id, detail, caller_request_id";

/// Adds an event. If its id falls into a range that is already sealed (its process was delayed), it gets the
/// first time after that range: sealed segments never grow.
pub fn insert(event: AuditEvent) -> Statement {
    Statement::one(
        Refusal::AuditEventExists,
        "INSERT OR FAIL INTO audit_events
           (id, project_id, at, actor, action, object, outcome, request_id, detail, caller_request_id)
         VALUES (CASE WHEN $1 < (SELECT until_id FROM audit_segments ORDER BY number DESC LIMIT 1)
             THEN (SELECT until_id FROM audit_segments ORDER BY number DESC LIMIT 1) || substr($1, 14)
             ELSE $1 END,
           $2, $3, $4, $5, $6, $7, $8, $9, $10)
         /* guarded by: sealing lock audit_events */",
        vec![
            event.id.into(),
            event.project_id.into(),
            event.at.into(),
            event.actor.into(),
            event.action.to_text().into(),
            event.object.into(),
            event.outcome.to_text().into(),
            event.request_id.into(),
            event.detail.into(),
            event.caller_request_id.into(),
        ],
    )
}

fn read(row: &Row<'_>) -> Result<AuditEvent, ReadError> {
    Ok(AuditEvent {
        id: row.id(0)?,
        project_id: row.opt_id(1)?,
        at: row.timestamp(2)?,
        actor: row.id(3)?,
        action: AuditAction::read(row.text(4)?),
        object: row.id(5)?,
        outcome: AuditOutcome::read(row.text(6)?),
        request_id: row.opt_id(7)?,
        detail: row.opt_text(8)?,
        caller_request_id: row.opt_id(9)?,
    })
}

/// Selects the events of one object (`$2`) of a project (`$1`). An event whose id has the time of the object's id
/// is not in the index (migration 16): it is in the range of ids of that time, from `$3` to `$4`.
macro_rules! of_object {
    ($rest:literal) => {
        concat!(
            "SELECT id, project_id, at, actor, action, object, outcome, request_id, detail, caller_request_id
             FROM audit_events
             WHERE project_id = $1 AND object = $2 AND substr(id, 1, 13) <> 'evt_' || substr(object, 4, 9)
             UNION ALL
             SELECT id, project_id, at, actor, action, object, outcome, request_id, detail, caller_request_id
             FROM audit_events
             WHERE id >= $3 AND id <= $4 AND project_id = $1 AND object = $2
               AND substr(id, 1, 13) = 'evt_' || substr(object, 4, 9) ",
            $rest
        )
    };
}

/// The first four arguments of [`of_object`]. Time digits follow a prefix of three characters, as in `ca_`; an object
/// with another prefix has all its events in the index.
fn object_args(project: &ProjectId, object: &str) -> Vec<Value> {
    let time: String = object.chars().skip(3).take(9).collect();
    let from = format!("evt_{time}");
    // A shorter text equals only a whole id.
    let until = if time.chars().count() == 9 { format!("{from}~") } else { from.clone() };
    vec![project.into(), object.into(), from.into(), until.into()]
}

impl Store {
    /// Events of all projects after a cursor, in order of their ids, at most `limit`.
    pub async fn audit_events_after(&self, cursor: &AuditCursor, limit: i64) -> Result<Vec<AuditEvent>, ReadError> {
        let mut args: Vec<Value> = vec![(&cursor.next).into(), limit.into()];
        let mut before = "";
        if let Some(until) = &cursor.until {
            args.push(until.into());
            before = "AND id < $3";
        }
        let sql = format!("SELECT {COLUMNS} FROM audit_events WHERE id >= $1 {before} ORDER BY id LIMIT $2");
        self.scan("", move |reading| reading.all(&sql, &args, read)).await
    }

    /// The newest events of one object, up to `limit`, oldest first.
    pub async fn newest_audit_events(
        &self,
        project: &ProjectId,
        object: &str,
        limit: i64,
    ) -> Result<Vec<AuditEvent>, ReadError> {
        let mut args = object_args(project, object);
        args.push(limit.into());
        let mut newest = self.list(project, of_object!("ORDER BY id DESC LIMIT $5"), args, read).await?;
        newest.reverse();
        Ok(newest)
    }

    /// Events of one object, oldest first, at most 1,000.
    pub async fn audit_events(&self, project: &ProjectId, object: &str) -> Result<Vec<AuditEvent>, ReadError> {
        self.list(project, of_object!("ORDER BY id LIMIT 1000"), object_args(project, object), read).await
    }
}
