//! Responses of token endpoints that could not be parsed. They are stored sealed for some days: a code and
//! most refresh tokens work only once, and the response may contain the tokens issued for them.

use switchboard_types::{AccountId, AuthConfigId, ProjectId, Timestamp};

use crate::unit::Parent;
use crate::{ReadError, Row, Statement, Store, Unit};

/// Maximum number of responses per account. The first of a series is the one that may contain tokens.
const MAX_PER_ACCOUNT: i64 = 4;

/// A response that could not be parsed.
#[derive(Clone, Debug)]
pub struct UnreadAnswerRow {
    /// Identifier.
    pub id: String,
    /// Owner.
    pub project_id: ProjectId,
    /// The account that requested it.
    pub account_id: AccountId,
    /// Sealed.
    pub answer_sealed: Vec<u8>,
    /// Creation.
    pub created_at: Timestamp,
    /// Deleted after this.
    pub expires_at: Timestamp,
}

/// Stores a response, unless the account already has four or is deleted.
pub fn insert(answer: &UnreadAnswerRow) -> Unit {
    let lock = Statement::lock_all(
        Parent::Account,
        "SELECT 1 FROM connected_accounts WHERE id = $2 AND project_id = $1 AND deleted_at IS NULL",
        vec![(&answer.project_id).into(), (&answer.account_id).into()],
    );
    let insert = Statement::any(
        "INSERT INTO unread_answers (id, project_id, account_id, answer_sealed, created_at, expires_at)
         SELECT $1, $2, $3, $4, $5, $6
         WHERE (SELECT COUNT(*) FROM unread_answers WHERE account_id = $3) < $7
           AND EXISTS (SELECT 1 FROM connected_accounts WHERE id = $3 AND project_id = $2 AND deleted_at IS NULL)
         /* guarded by: exclusive lock connected_accounts */",
        vec![
            (&answer.id).into(),
            (&answer.project_id).into(),
            (&answer.account_id).into(),
            answer.answer_sealed.clone().into(),
            answer.created_at.into(),
            answer.expires_at.into(),
            MAX_PER_ACCOUNT.into(),
        ],
    );
    Unit::new().with(lock).with(insert)
}

/// Deletes the responses of an account.
pub fn delete_of_account(project: &ProjectId, account: &AccountId) -> Statement {
    Statement::any(
        "DELETE FROM unread_answers WHERE account_id = $2 AND project_id = $1",
        vec![project.into(), account.into()],
    )
}

/// Deletes the responses of an auth config's accounts.
pub fn delete_of_auth_config(project: &ProjectId, auth_config: &AuthConfigId) -> Statement {
    Statement::any(
        "DELETE FROM unread_answers WHERE project_id = $1 AND account_id IN
           (SELECT id FROM connected_accounts WHERE project_id = $1 AND auth_config_id = $2 AND deleted_at IS NULL)
         /* guarded by: exclusive lock auth_configs, exclusive lock connected_accounts */",
        vec![project.into(), auth_config.into()],
    )
}

/// Deletes the responses of the first 100 accounts, as [`crate::accounts::delete_batch_of_auth_config`]
/// selects them.
pub(crate) fn delete_batch_of_auth_config(
    project: &ProjectId,
    auth_config: &AuthConfigId,
    with_credentials: bool,
) -> Statement {
    let sql = if with_credentials {
        "DELETE FROM unread_answers WHERE account_id IN
           (SELECT id FROM connected_accounts WHERE project_id = $1 AND auth_config_id = $2
              AND deleted_at IS NULL ORDER BY id LIMIT 100)
         /* guarded by: exclusive lock connected_accounts */"
    } else {
        "DELETE FROM unread_answers WHERE account_id IN
           (SELECT id FROM connected_accounts WHERE project_id = $1 AND auth_config_id = $2
              AND deleted_at IS NULL AND credential_sealed IS NULL ORDER BY id LIMIT 100)
         /* guarded by: exclusive lock connected_accounts */"
    };
    Statement::any(sql, vec![project.into(), auth_config.into()])
}

/// Deletes the responses of a project.
pub(crate) fn delete_of_project(project: &ProjectId) -> Statement {
    Statement::any("DELETE FROM unread_answers WHERE project_id = $1", vec![project.into()])
}

/// Deletes a batch of expired responses.
pub fn delete_expired(now: Timestamp) -> Unit {
    Unit::new().with(Statement::any(
        "DELETE FROM unread_answers WHERE id IN
           (SELECT id FROM unread_answers WHERE expires_at <= $1 ORDER BY expires_at LIMIT 500)
         /* guarded by: final */",
        vec![now.into()],
    ))
}

fn read(row: &Row<'_>) -> Result<UnreadAnswerRow, ReadError> {
    Ok(UnreadAnswerRow {
        id: row.text(0)?,
        project_id: row.id(1)?,
        account_id: row.id(2)?,
        answer_sealed: row.blob(3)?,
        created_at: row.timestamp(4)?,
        expires_at: row.timestamp(5)?,
    })
}

impl Store {
    /// The stored responses of an account, oldest first.
    pub async fn unread_answers(
        &self,
        project: &ProjectId,
        account: &AccountId,
    ) -> Result<Vec<UnreadAnswerRow>, ReadError> {
        self.few(
            "SELECT id, project_id, account_id, answer_sealed, created_at, expires_at FROM unread_answers
             WHERE account_id = $2 AND project_id = $1 ORDER BY created_at, id",
            &[project.into(), account.into()],
            read,
        )
        .await
    }
}
