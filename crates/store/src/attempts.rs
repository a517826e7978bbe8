//! Attempts: one run of a link through the provider, found by the OAuth `state` that comes back.

use crate::{ReadError, Row, Statement, Store};

/// An attempt.
#[derive(Clone, Debug)]
pub struct AttemptRow {
    /// First part of the state.
    pub id: String,
    /// Owner.
    pub project_id: String,
    /// Its link.
    pub link_id: String,
    /// The account it connects.
    pub account_id: String,
    /// The auth config it was started with.
    pub auth_config_id: String,
    /// That config's `updated_at` at the time.
    pub auth_config_version: i64,
    /// SHA-256 of the state.
    pub state_hash: Vec<u8>,
    /// SHA-256 of the browser's cookie.
    pub browser_hash: Vec<u8>,
    /// Exactly as sent to the provider.
    pub redirect_uri: String,
    /// PKCE verifier, sealed.
    pub verifier_sealed: Option<Vec<u8>>,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// Not accepted after this.
    pub expires_at: i64,
    /// When the state came back; it counts once.
    pub consumed_at: Option<i64>,
}

/// A new attempt.
pub fn insert(attempt: &AttemptRow) -> Statement {
    Statement::one(
        "attempt_exists",
        "INSERT INTO attempts (id, project_id, link_id, account_id, auth_config_id, auth_config_version, state_hash,
           browser_hash, redirect_uri, verifier_sealed, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        vec![
            (&attempt.id).into(),
            (&attempt.project_id).into(),
            (&attempt.link_id).into(),
            (&attempt.account_id).into(),
            (&attempt.auth_config_id).into(),
            attempt.auth_config_version.into(),
            attempt.state_hash.clone().into(),
            attempt.browser_hash.clone().into(),
            (&attempt.redirect_uri).into(),
            attempt.verifier_sealed.clone().into(),
            attempt.created_at.into(),
            attempt.expires_at.into(),
        ],
    )
}

/// Consumes a state: refused when it was used, or is too old (R02).
pub fn consume(id: &str, now: i64) -> Statement {
    Statement::one(
        "state_consumed",
        "UPDATE attempts SET consumed_at = $2, verifier_sealed = NULL
         WHERE id = $1 AND consumed_at IS NULL AND expires_at > $2",
        vec![id.into(), now.into()],
    )
}

/// Ends the other attempts of a link: the user started again, and only the newest may finish.
pub fn cancel_of_link(link: &str, now: i64) -> Statement {
    Statement::any(
        "UPDATE attempts SET consumed_at = $2, verifier_sealed = NULL WHERE link_id = $1 AND consumed_at IS NULL",
        vec![link.into(), now.into()],
    )
}

fn read(row: &Row<'_>) -> Result<AttemptRow, ReadError> {
    Ok(AttemptRow {
        id: row.text(0)?,
        project_id: row.text(1)?,
        link_id: row.text(2)?,
        account_id: row.text(3)?,
        auth_config_id: row.text(4)?,
        auth_config_version: row.int(5)?,
        state_hash: row.blob(6)?,
        browser_hash: row.blob(7)?,
        redirect_uri: row.text(8)?,
        verifier_sealed: row.opt_blob(9)?,
        created_at: row.int(10)?,
        expires_at: row.int(11)?,
        consumed_at: row.opt_int(12)?,
    })
}

impl Store {
    /// One attempt, by the public part of its state.
    pub async fn attempt(&self, id: &str) -> Result<Option<AttemptRow>, ReadError> {
        self.one(
            "SELECT id, project_id, link_id, account_id, auth_config_id, auth_config_version, state_hash, browser_hash,
               redirect_uri, verifier_sealed, created_at, expires_at, consumed_at FROM attempts WHERE id = $1",
            &[id.into()],
            read,
        )
        .await
    }
}
