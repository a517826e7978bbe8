//! Tool router sessions: a user id and a policy.

use crate::{ReadError, Row, Statement, Store};

/// A session that was not deleted.
#[derive(Clone, Debug)]
pub struct SessionRow {
    /// `trs_…`.
    pub id: String,
    /// Owner.
    pub project_id: String,
    /// The project's end user.
    pub user_id: String,
    /// JSON of the policy.
    pub config: String,
    /// 1 at creation, +1 with every change.
    pub config_version: i64,
    /// Milliseconds since 1970.
    pub created_at: i64,
}

/// A new session.
pub fn insert(session: &SessionRow) -> Statement {
    Statement::one(
        "session_exists",
        "INSERT INTO sessions (id, project_id, user_id, config, config_version, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $6)",
        vec![
            (&session.id).into(),
            (&session.project_id).into(),
            (&session.user_id).into(),
            (&session.config).into(),
            session.config_version.into(),
            session.created_at.into(),
        ],
    )
}

/// Deletes a session; a second delete is refused as not found.
pub fn delete(project: &str, id: &str, now: i64) -> Statement {
    Statement::one(
        "session_not_found",
        "UPDATE sessions SET deleted_at = $3, updated_at = $3 WHERE id = $2 AND project_id = $1 AND deleted_at IS NULL",
        vec![project.into(), id.into(), now.into()],
    )
}

fn read(row: &Row<'_>) -> Result<SessionRow, ReadError> {
    Ok(SessionRow {
        id: row.text(0)?,
        project_id: row.text(1)?,
        user_id: row.text(2)?,
        config: row.text(3)?,
        config_version: row.int(4)?,
        created_at: row.int(5)?,
    })
}

impl Store {
    /// One live session of a project.
    pub async fn session(&self, project: &str, id: &str) -> Result<Option<SessionRow>, ReadError> {
        self.one(
            "SELECT id, project_id, user_id, config, config_version, created_at FROM sessions
             WHERE id = $2 AND project_id = $1 AND deleted_at IS NULL",
            &[project.into(), id.into()],
            read,
        )
        .await
    }
}
