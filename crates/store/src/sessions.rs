//! Tool router sessions: a user id and a policy, with the history of policies.

use switchboard_types::{ProjectId, SessionId, Timestamp};

use crate::unit::{Lock, Parent};
use crate::{ListPage, PageQuery, Position, ReadError, Refusal, Row, Statement, Store, Unit, Value, projects};

/// A session that was not deleted.
#[derive(Clone, Debug)]
pub struct SessionRow {
    /// `trs_…`.
    pub id: SessionId,
    /// Owner.
    pub project_id: ProjectId,
    /// The project's end user.
    pub user_id: String,
    /// JSON of the policy.
    pub config: String,
    /// 1 at creation, incremented with every change.
    pub config_version: i64,
    /// Creation.
    pub created_at: Timestamp,
    /// The release set that it uses. None for a session that has used no tool since there are release sets.
    pub release_set: Option<i64>,
}

/// A new session of a live project. Refused as `project_gone`.
pub fn insert(session: &SessionRow) -> Unit {
    let insert = Statement::one(
        Refusal::SessionExists,
        "INSERT INTO sessions (id, project_id, user_id, config, config_version, created_at, updated_at, release_set)
         VALUES ($1, $2, $3, $4, $5, $6, $6, $7)",
        vec![
            (&session.id).into(),
            (&session.project_id).into(),
            (&session.user_id).into(),
            (&session.config).into(),
            session.config_version.into(),
            session.created_at.into(),
            session.release_set.into(),
        ],
    );
    Unit::new().with(projects::require_live(&session.project_id)).with(insert)
}

/// Deletes a session. Refused when it is already deleted.
pub fn delete(project: &ProjectId, id: &SessionId, now: Timestamp) -> Statement {
    Statement::one(
        Refusal::SessionNotFound,
        "UPDATE sessions SET deleted_at = $3, updated_at = $3 WHERE id = $2 AND project_id = $1 AND deleted_at IS NULL",
        vec![project.into(), id.into(), now.into()],
    )
}

/// One policy version of a session.
#[derive(Clone, Debug)]
pub struct SessionVersion {
    /// 1 at creation, incremented with every change.
    pub version: i64,
    /// When it was written.
    pub created_at: Timestamp,
    /// JSON of the policy.
    pub config: String,
    /// Whether it is the current version.
    pub is_current: bool,
}

/// Maximum size of a session's history in bytes. The newest earlier policy is always kept.
pub const HISTORY_BYTES: i64 = 1 << 20;

/// Keeps a live session as it is while a unit adds to it. Refused as `session_not_found`.
pub(crate) fn require_live(project: &ProjectId, id: &SessionId) -> Statement {
    Statement::lock(
        Refusal::SessionNotFound,
        Parent::Session,
        Lock::Share,
        "SELECT 1 FROM sessions WHERE id = $2 AND project_id = $1 AND deleted_at IS NULL",
        vec![project.into(), id.into()],
    )
}

/// Replaces the policy with version `version` by that of `session` and moves it to the session's history. The history
/// keeps at most `max_versions` versions and [`HISTORY_BYTES`], and always the newest one. Refused as
/// `session_changed` if the session has another version or is gone.
pub fn change(session: &SessionRow, version: i64, max_versions: i64, now: Timestamp) -> Unit {
    let (project, id) = (&session.project_id, &session.id);
    Unit::new()
        .with(Statement::one(
            Refusal::SessionChanged,
            "INSERT INTO session_versions (session_id, version, project_id, config, created_at)
             SELECT id, config_version, project_id, config, updated_at FROM sessions
             WHERE id = $2 AND project_id = $1 AND config_version = $3 AND deleted_at IS NULL
             /* guarded by: index session_versions */",
            vec![project.into(), id.into(), version.into()],
        ))
        .with(Statement::one(
            Refusal::SessionChanged,
            "UPDATE sessions SET config = $4, config_version = config_version + 1, updated_at = $5,
               release_set = COALESCE($6, release_set)
             WHERE id = $2 AND project_id = $1 AND config_version = $3 AND deleted_at IS NULL",
            vec![
                project.into(),
                id.into(),
                version.into(),
                (&session.config).into(),
                now.into(),
                session.release_set.into(),
            ],
        ))
        .with(Statement::any(
            "DELETE FROM session_versions WHERE session_id = $1 AND version < $2 AND version IN
               (SELECT version FROM
                 (SELECT version, ROW_NUMBER() OVER (ORDER BY version DESC) AS place,
                    SUM(LENGTH(config)) OVER (ORDER BY version DESC) AS bytes
                  FROM session_versions WHERE session_id = $1) AS found
                WHERE place > $3 OR bytes > $4)
             /* guarded by: exclusive lock sessions */",
            vec![id.into(), version.into(), max_versions.into(), HISTORY_BYTES.into()],
        ))
}

/// The policy of a session.
#[derive(Clone, Debug)]
pub struct SessionPolicy {
    /// 1 at creation, incremented with every change.
    pub version: i64,
    /// JSON of the policy.
    pub config: String,
}

/// Selects the columns for [`read_policy`], of deleted sessions, too: a link outlives its session.
pub(crate) const SELECT_POLICY: &str = "SELECT id, project_id, config_version, config FROM sessions";

/// Reads what [`SELECT_POLICY`] selects.
pub(crate) fn read_policy(row: &Row<'_>) -> Result<SessionPolicy, ReadError> {
    Ok(SessionPolicy { version: row.int(2)?, config: row.text(3)? })
}

fn read_version(row: &Row<'_>) -> Result<SessionVersion, ReadError> {
    Ok(SessionVersion {
        version: row.int(0)?,
        created_at: row.timestamp(1)?,
        config: row.text(2)?,
        is_current: row.flag(3)?,
    })
}

fn read(row: &Row<'_>) -> Result<SessionRow, ReadError> {
    Ok(SessionRow {
        id: row.id(0)?,
        project_id: row.id(1)?,
        user_id: row.text(2)?,
        config: row.text(3)?,
        config_version: row.int(4)?,
        created_at: row.timestamp(5)?,
        release_set: row.opt_int(6)?,
    })
}

impl Store {
    /// One live session of a project.
    pub async fn session(&self, project: &ProjectId, id: &SessionId) -> Result<Option<SessionRow>, ReadError> {
        self.one(
            "SELECT id, project_id, user_id, config, config_version, created_at, release_set FROM sessions
             WHERE id = $2 AND project_id = $1 AND deleted_at IS NULL",
            &[project.into(), id.into()],
            read,
        )
        .await
    }

    /// One page of the policy versions of a live session, newest first, and their number.
    pub async fn session_versions(
        &self,
        project: &ProjectId,
        id: &SessionId,
        page: PageQuery,
    ) -> Result<ListPage<SessionVersion>, ReadError> {
        let ids: [Value; 2] = [project.into(), id.into()];
        self.scan(project, move |reading| {
            // The current version adds one to the total on every page.
            let earlier = "SELECT COUNT(*) FROM session_versions WHERE session_id = $2 AND project_id = $1";
            let total = reading.count(earlier, &ids)? + 1;
            let sql = "SELECT config_version, updated_at, config, 1 FROM sessions
                 WHERE id = $2 AND project_id = $1 AND deleted_at IS NULL AND config_version < $3
                 UNION ALL
                 SELECT version, created_at, config, 0 FROM session_versions
                 WHERE session_id = $2 AND project_id = $1 AND version < $3
                 ORDER BY 1 DESC LIMIT $4 OFFSET $5";
            let [project, id] = ids;
            let before = page.after().map_or(i64::MAX, |position| position.at);
            let args = [project, id, before.into(), (page.limit + 1).into(), page.skip().into()];
            let position = |row: &Row<'_>| Ok(Position { at: row.int(0)?, id: String::new() });
            let (rows, next) = page.read(reading, sql, &args, position, read_version)?;
            Ok(ListPage { rows, next, total })
        })
        .await
    }
}
