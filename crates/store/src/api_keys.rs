//! API keys. Only hashes are stored: found by hash, displayed by prefix.

use switchboard_types::{ProjectId, SessionId, Timestamp};

use crate::{ReadError, Refusal, Row, Statement, Store, Unit, projects};

/// A key as it is listed.
#[derive(Clone, Debug)]
pub struct ApiKeyRow {
    /// `key_…`.
    pub id: String,
    /// Owner.
    pub project_id: ProjectId,
    /// Name given at creation.
    pub name: String,
    /// First characters of the key.
    pub prefix: String,
    /// Creation.
    pub created_at: Timestamp,
    /// Rejected from this time on.
    pub expires_at: Option<Timestamp>,
    /// Precise to the minute.
    pub last_used_at: Option<Timestamp>,
    /// Rejected since this time.
    pub revoked_at: Option<Timestamp>,
    /// JSON: preset → access; `None`: everything in the project.
    pub permissions: Option<String>,
    /// JSON list of addresses and CIDR ranges; `None`: any address.
    pub allowed_ips: Option<String>,
    /// The session whose MCP endpoint it is for, and for nothing else; `None`: the project.
    pub session_id: Option<SessionId>,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, project_id, name, prefix, created_at, expires_at, last_used_at, revoked_at, ",
            "permissions, allowed_ips, session_id FROM api_keys ",
            $rest
        )
    };
}

fn read(row: &Row<'_>) -> Result<ApiKeyRow, ReadError> {
    Ok(ApiKeyRow {
        id: row.text(0)?,
        project_id: row.id(1)?,
        name: row.text(2)?,
        prefix: row.text(3)?,
        created_at: row.timestamp(4)?,
        expires_at: row.opt_timestamp(5)?,
        last_used_at: row.opt_timestamp(6)?,
        revoked_at: row.opt_timestamp(7)?,
        permissions: row.opt_text(8)?,
        allowed_ips: row.opt_text(9)?,
        session_id: row.opt_id(10)?,
    })
}

/// Adds a key to a live project. Only its hash is stored. Refused as `project_gone`.
pub fn insert(key: &ApiKeyRow, hash: [u8; 32]) -> Unit {
    let insert = Statement::one(
        Refusal::ApiKeyExists,
        "INSERT INTO api_keys (id, project_id, name, prefix, key_hash, created_at, expires_at, permissions, allowed_ips,
           session_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        vec![
            (&key.id).into(),
            (&key.project_id).into(),
            (&key.name).into(),
            (&key.prefix).into(),
            hash.into(),
            key.created_at.into(),
            key.expires_at.into(),
            key.permissions.clone().into(),
            key.allowed_ips.clone().into(),
            key.session_id.clone().into(),
        ],
    );
    Unit::new().with(projects::require_live(&key.project_id)).with(insert)
}

/// Revokes a key that is not yet revoked.
pub fn revoke(project: &ProjectId, id: &str, now: Timestamp) -> Statement {
    Statement::one(
        Refusal::ApiKeyNotFound,
        "UPDATE api_keys SET revoked_at = $3 WHERE project_id = $1 AND id = $2 AND revoked_at IS NULL",
        vec![project.into(), id.into(), now.into()],
    )
}

/// Revokes every key of a project that is not yet revoked.
pub fn revoke_of_project(project: &ProjectId, now: Timestamp) -> Statement {
    Statement::any(
        "UPDATE api_keys SET revoked_at = $2 WHERE project_id = $1 AND revoked_at IS NULL",
        vec![project.into(), now.into()],
    )
}

/// Revokes a key of any project. Revoking twice has no effect.
pub fn revoke_leaked(id: &str, now: Timestamp) -> Statement {
    Statement::any(
        "UPDATE api_keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL",
        vec![id.into(), now.into()],
    )
}

/// Records a use; callers do this at most once a minute.
pub fn touch(id: &str, now: Timestamp) -> Statement {
    Statement::any("UPDATE api_keys SET last_used_at = $2 WHERE id = $1", vec![id.into(), now.into()])
}

impl Store {
    /// The key with this hash, in any state: the caller checks expiry and revocation.
    pub async fn api_key_by_hash(&self, hash: [u8; 32]) -> Result<Option<ApiKeyRow>, ReadError> {
        self.one(select!("WHERE key_hash = $1"), &[hash.into()], read).await
    }

    /// Keys of a project, oldest first.
    pub async fn api_keys(&self, project: &ProjectId) -> Result<Vec<ApiKeyRow>, ReadError> {
        let sql = select!("WHERE project_id = $1 ORDER BY id LIMIT 1000");
        self.list(project, sql, vec![project.into()], read).await
    }

    /// One key of a project, in any state.
    pub async fn api_key(&self, project: &ProjectId, id: &str) -> Result<Option<ApiKeyRow>, ReadError> {
        self.one(select!("WHERE project_id = $1 AND id = $2"), &[project.into(), id.into()], read).await
    }
}
