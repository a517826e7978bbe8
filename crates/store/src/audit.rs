//! The audit log: who did what, written in the same unit as the change itself (R92).

use switchboard_types::{ProjectId, Timestamp};

use crate::{ReadError, Refusal, Row, Statement, Store};

/// One event. `detail` is JSON and never holds a secret.
#[derive(Clone, Debug)]
pub struct AuditEvent {
    /// `evt_…`, time-ordered.
    pub id: String,
    /// Tenant; none for the installation itself.
    pub project_id: Option<ProjectId>,
    /// When it happened.
    pub at: Timestamp,
    /// `key_…`, `link:lt_…`, `system` or `cli`.
    pub actor: String,
    /// `noun.verb`.
    pub action: String,
    /// Id of the object that it concerns.
    pub object: String,
    /// `ok`, or what prevented it.
    pub outcome: String,
    /// Our id of the request that caused it.
    pub request_id: Option<String>,
    /// The `x-request-id` that the caller sent. Untrusted: it may equal another request's id.
    pub caller_request_id: Option<String>,
    /// JSON.
    pub detail: Option<String>,
}

pub(crate) const COLUMNS: &str =
    "id, project_id, at, actor, action, object, outcome, request_id, detail, caller_request_id";

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
            event.action.into(),
            event.object.into(),
            event.outcome.into(),
            event.request_id.into(),
            event.detail.into(),
            event.caller_request_id.into(),
        ],
    )
}

pub(crate) fn read(row: &Row<'_>) -> Result<AuditEvent, ReadError> {
    Ok(AuditEvent {
        id: row.text(0)?,
        project_id: row.opt_text(1)?.map(Into::into),
        at: row.timestamp(2)?,
        actor: row.text(3)?,
        action: row.text(4)?,
        object: row.text(5)?,
        outcome: row.text(6)?,
        request_id: row.opt_text(7)?,
        detail: row.opt_text(8)?,
        caller_request_id: row.opt_text(9)?,
    })
}

impl Store {
    /// The newest events of one object, up to `limit`, oldest first.
    pub async fn newest_audit_events(
        &self,
        project: &ProjectId,
        object: &str,
        limit: i64,
    ) -> Result<Vec<AuditEvent>, ReadError> {
        let mut newest = self
            .list(
                project,
                format!(
                    "SELECT {COLUMNS} FROM audit_events
                     WHERE project_id = $1 AND object = $2 ORDER BY id DESC LIMIT $3"
                ),
                vec![project.into(), object.into(), limit.into()],
                read,
            )
            .await?;
        newest.reverse();
        Ok(newest)
    }

    /// Events of one object, oldest first, at most 1,000.
    pub async fn audit_events(&self, project: &ProjectId, object: &str) -> Result<Vec<AuditEvent>, ReadError> {
        self.list(
            project,
            format!("SELECT {COLUMNS} FROM audit_events WHERE project_id = $1 AND object = $2 ORDER BY id LIMIT 1000"),
            vec![project.into(), object.into()],
            read,
        )
        .await
    }
}
