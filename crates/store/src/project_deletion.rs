//! Deleting a project with everything in it. All tables are listed here, so that a new table has one place to
//! be added. Rows stay until retention removes them; secrets are erased.
//!
//! [`close`] invalidates the project's keys. Its contents then end in batches, found by an index and small
//! enough not to delay other writes. A mark on the project records when nothing is left, so that any server
//! can continue where another stopped.

use switchboard_types::{LinkId, LinkOutcome, ProjectId, Timestamp};

use crate::unit::{Lock, Parent};
use crate::{ReadError, Refusal, Statement, Store, Unit, links};

/// Maximum number of rows per statement.
pub const BATCH: usize = 50;

/// A deleted project that is not empty yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedProject {
    /// `pr_…`.
    pub id: ProjectId,
    /// Its credentials must be revoked at their providers.
    pub revokes: bool,
}

/// Closes a live project and invalidates its keys. Refused as `project_not_found` otherwise.
pub fn close(project: &ProjectId, revokes: bool, now: Timestamp) -> Unit {
    Unit::new()
        .with(Statement::one(
            Refusal::ProjectNotFound,
            "UPDATE projects SET deleted_at = $2, updated_at = $2, revokes_on_delete = $3
             WHERE id = $1 AND deleted_at IS NULL",
            vec![project.into(), now.into(), revokes.into()],
        ))
        .with(crate::api_keys::revoke_of_project(project, now))
        .with(crate::unread_answers::delete_of_project(project))
}

/// Ends an open link with its attempts and verifications.
pub fn end_link(project: &ProjectId, link: &LinkId, now: Timestamp) -> Unit {
    links::end_one(project, link, LinkOutcome::Deleted, now)
}

/// Ends [`BATCH`] live sessions.
pub fn end_sessions(project: &ProjectId, now: Timestamp) -> Statement {
    batch(
        "UPDATE sessions SET deleted_at = $2, updated_at = $2
         WHERE deleted_at IS NULL
           AND id IN (SELECT id FROM sessions WHERE project_id = $1 AND deleted_at IS NULL LIMIT 50)
         /* guarded by: own row */",
        project,
        now,
    )
}

/// Ends [`BATCH`] live accounts and erases their credentials.
pub fn end_accounts(project: &ProjectId, now: Timestamp) -> Statement {
    batch(
        "UPDATE connected_accounts SET deleted_at = $2, updated_at = $2, credential_sealed = NULL,
           params = '{}', identity_id = NULL,
           refresh_fence = refresh_fence + 1, refresh_lease_until = NULL
         WHERE deleted_at IS NULL
           AND id IN (SELECT id FROM connected_accounts WHERE project_id = $1 AND deleted_at IS NULL LIMIT 50)
         /* guarded by: own row */",
        project,
        now,
    )
}

/// Ends [`BATCH`] live accounts without a credential.
pub fn end_accounts_without_credential(project: &ProjectId, now: Timestamp) -> Statement {
    batch(
        "UPDATE connected_accounts SET deleted_at = $2, updated_at = $2, params = '{}', identity_id = NULL,
           refresh_fence = refresh_fence + 1
         WHERE deleted_at IS NULL AND credential_sealed IS NULL
           AND id IN (SELECT id FROM connected_accounts
                      WHERE project_id = $1 AND deleted_at IS NULL AND credential_sealed IS NULL LIMIT 50)
         /* guarded by: own row */",
        project,
        now,
    )
}

/// Ends [`BATCH`] auth configs whose accounts have no credential. The last statement ends them. Few accounts live
/// when this is called, so that locking those without a credential costs little.
pub fn end_auth_configs(project: &ProjectId, now: Timestamp) -> Unit {
    let end = batch(
        "UPDATE auth_configs SET deleted_at = $2, updated_at = $2, credentials_sealed = NULL, shared_sealed = NULL
         WHERE deleted_at IS NULL
           AND id IN (SELECT id FROM auth_configs WHERE project_id = $1 AND deleted_at IS NULL AND NOT EXISTS
                        (SELECT 1 FROM connected_accounts WHERE project_id = $1 AND auth_config_id = auth_configs.id
                           AND deleted_at IS NULL AND credential_sealed IS NOT NULL)
                      LIMIT 50)
         /* guarded by: exclusive lock auth_configs, exclusive lock connected_accounts */",
        project,
        now,
    );
    Unit::new()
        .with(Statement::lock_all(
            Parent::AuthConfig,
            "SELECT id FROM auth_configs WHERE project_id = $1 AND deleted_at IS NULL ORDER BY id",
            vec![project.into()],
        ))
        .with(Statement::lock_all(
            Parent::Account,
            "SELECT id FROM connected_accounts
             WHERE project_id = $1 AND deleted_at IS NULL AND credential_sealed IS NULL ORDER BY id",
            vec![project.into()],
        ))
        .with(end)
}

/// Deletes [`BATCH`] idempotency keys.
pub fn forget_idempotency_keys(project: &ProjectId) -> Statement {
    Statement::any(
        "DELETE FROM idempotency_keys WHERE project_id = $1
           AND key IN (SELECT key FROM idempotency_keys WHERE project_id = $1 LIMIT 50)
         /* guarded by: final */",
        vec![project.into()],
    )
}

/// Deletes [`BATCH`] calls from the log.
pub fn forget_calls(project: &ProjectId) -> Statement {
    crate::tool_calls::delete_before(project, "~", BATCH)
}

/// Marks a deleted project as empty. Refused as `project_not_empty` if it still contains live rows, or is
/// marked already. Whatever adds a session or auth config locks the project, and an account its auth config.
pub fn mark_empty(project: &ProjectId, now: Timestamp) -> Unit {
    let lock = Statement::lock(
        Refusal::ProjectNotEmpty,
        Parent::Project,
        Lock::Exclusive,
        "SELECT 1 FROM projects WHERE id = $1 AND deleted_at IS NOT NULL AND emptied_at IS NULL",
        vec![project.into()],
    );
    let mark = Statement::one(
        Refusal::ProjectNotEmpty,
        "UPDATE projects SET emptied_at = $2
         WHERE id = $1 AND deleted_at IS NOT NULL AND emptied_at IS NULL
           AND NOT EXISTS (SELECT 1 FROM connected_accounts WHERE project_id = $1 AND deleted_at IS NULL)
           AND NOT EXISTS (SELECT 1 FROM auth_configs WHERE project_id = $1 AND deleted_at IS NULL)
           AND NOT EXISTS (SELECT 1 FROM sessions WHERE project_id = $1 AND deleted_at IS NULL)
           AND NOT EXISTS (SELECT 1 FROM files WHERE project_id = $1 AND state <> 'deleted')
         /* guarded by: exclusive lock projects */",
        vec![project.into(), now.into()],
    );
    Unit::new().with(lock).with(mark)
}

/// A statement with the project (`$1`) and the time (`$2`) as arguments.
fn batch(sql: &'static str, project: &ProjectId, now: Timestamp) -> Statement {
    Statement::any(sql, vec![project.into(), now.into()])
}

impl Store {
    /// Deleted projects that are not marked as empty.
    pub async fn closed_projects(&self, limit: i64) -> Result<Vec<ClosedProject>, ReadError> {
        self.list(
            "",
            "SELECT id, revokes_on_delete FROM projects WHERE deleted_at IS NOT NULL AND emptied_at IS NULL
             ORDER BY id LIMIT $1",
            vec![limit.into()],
            |row| Ok(ClosedProject { id: row.id(0)?, revokes: row.flag(1)? }),
        )
        .await
    }
}
