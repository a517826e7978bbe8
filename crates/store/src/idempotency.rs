//! Idempotency keys (R68): the response of a request, stored for 24 hours together with its effect.

use switchboard_types::{ProjectId, Timestamp};

use crate::{ReadError, Refusal, Statement, Store};

/// A stored response.
#[derive(Clone, Debug)]
pub struct IdempotencyRow {
    /// SHA-256 of method, path and body.
    pub request_hash: Vec<u8>,
    /// HTTP status of the response.
    pub status: i64,
    /// Response body, sealed: it may contain a link token.
    pub response_sealed: Vec<u8>,
    /// Creation.
    pub created_at: Timestamp,
}

/// Stores a response. Refused as `idempotency_key_used` when the key exists.
pub fn insert(project: &ProjectId, key: &str, row: IdempotencyRow) -> Statement {
    Statement::one(
        Refusal::IdempotencyKeyUsed,
        "INSERT INTO idempotency_keys (project_id, key, request_hash, status, response_sealed, created_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
        vec![
            project.into(),
            key.into(),
            row.request_hash.into(),
            row.status.into(),
            row.response_sealed.into(),
            row.created_at.into(),
        ],
    )
}

impl Store {
    /// The stored response of a key.
    pub async fn idempotency(&self, project: &ProjectId, key: &str) -> Result<Option<IdempotencyRow>, ReadError> {
        self.one(
            "SELECT request_hash, status, response_sealed, created_at FROM idempotency_keys
             WHERE project_id = $1 AND key = $2",
            &[project.into(), key.into()],
            |row| {
                Ok(IdempotencyRow {
                    request_hash: row.blob(0)?,
                    status: row.int(1)?,
                    response_sealed: row.blob(2)?,
                    created_at: row.timestamp(3)?,
                })
            },
        )
        .await
    }
}
