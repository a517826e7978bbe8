//! Attempts: one run of a link through the provider. Found by the OAuth `state` of the callback, or, in the
//! device flow (RFC 8628), by the time of the next poll.

use std::time::Duration;

use switchboard_types::{AccountId, AccountParams, AuthConfigId, LinkId, ProjectId, Timestamp};

use crate::{ReadError, Refusal, Row, Statement, Store};

/// An attempt.
#[derive(Clone, Debug)]
pub struct AttemptRow {
    /// First part of the state.
    pub id: String,
    /// Owner.
    pub project_id: ProjectId,
    /// Its link.
    pub link_id: LinkId,
    /// The account it connects.
    pub account_id: AccountId,
    /// The auth config it was started with.
    pub auth_config_id: AuthConfigId,
    /// The `updated_at` of that config when the attempt started.
    pub auth_config_version: Timestamp,
    /// SHA-256 of the state.
    pub state_hash: Vec<u8>,
    /// SHA-256 of the browser's cookie.
    pub browser_hash: Vec<u8>,
    /// Exactly as sent to the provider.
    pub redirect_uri: String,
    /// PKCE verifier or equivalent, sealed.
    pub verifier_sealed: Option<Vec<u8>>,
    /// Creation.
    pub created_at: Timestamp,
    /// Not accepted after this.
    pub expires_at: Timestamp,
    /// When the state was used; it is valid once.
    pub consumed_at: Option<Timestamp>,
    /// When to poll the provider next, and the interval; `None` for a flow with a callback.
    pub poll: Option<Poll>,
    /// JSON: what the visitor entered and the requested scopes; `None` for the account's own.
    pub params: Option<AccountParams>,
}

/// A polling schedule.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Poll {
    /// No earlier than this.
    pub at: Timestamp,
    /// Polling interval, in whole milliseconds.
    pub interval: Duration,
}

/// A new attempt.
pub fn insert(attempt: &AttemptRow) -> Statement {
    Statement::one(
        Refusal::AttemptExists,
        "INSERT INTO attempts (id, project_id, link_id, account_id, auth_config_id, auth_config_version, state_hash,
           browser_hash, redirect_uri, verifier_sealed, created_at, expires_at, poll_at, poll_interval,
           params)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
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
            attempt.poll.map(|poll| poll.at).into(),
            attempt.poll.map(|poll| poll.interval).into(),
            attempt.params.clone().into(),
        ],
    )
}

/// Consumes a state. Refused when it was used before or has expired (R02).
pub fn consume(id: &str, now: Timestamp) -> Statement {
    Statement::one(
        Refusal::StateConsumed,
        "UPDATE attempts SET consumed_at = $2, verifier_sealed = NULL
         WHERE id = $1 AND consumed_at IS NULL AND expires_at > $2",
        vec![id.into(), now.into()],
    )
}

/// Cancels the attempts of a finished link: their states become invalid and polling stops.
pub fn cancel_of_link(link: &LinkId, now: Timestamp) -> Statement {
    Statement::any(
        "UPDATE attempts SET consumed_at = $2, verifier_sealed = NULL WHERE link_id = $1 AND consumed_at IS NULL",
        vec![link.into(), now.into()],
    )
}

/// Makes room for another attempt of a link: of the unused attempts, only the newest `kept` remain. The unit begins
/// with [`crate::links::start`].
pub fn cancel_oldest(link: &LinkId, kept: i64, now: Timestamp) -> Statement {
    Statement::any(
        "UPDATE attempts SET consumed_at = $2, verifier_sealed = NULL
         WHERE link_id = $1 AND consumed_at IS NULL AND id NOT IN (
           SELECT id FROM attempts WHERE link_id = $1 AND consumed_at IS NULL AND expires_at > $2
           ORDER BY created_at DESC, id DESC LIMIT $3)
         /* guarded by: exclusive lock links */",
        vec![link.into(), now.into(), kept.into()],
    )
}

/// Claims an attempt for one poll; only one claimant succeeds. The next poll is due at `next`.
pub fn claim_poll(id: &str, poll: Poll, next: Timestamp) -> Statement {
    Statement::one(
        Refusal::AttemptTaken,
        "UPDATE attempts SET poll_at = $3 WHERE id = $1 AND poll_at = $2 AND consumed_at IS NULL",
        vec![id.into(), poll.at.into(), next.into()],
    )
}

/// Sets the time and interval of the next poll, as the provider asked.
pub fn set_poll(id: &str, poll: Poll) -> Statement {
    Statement::any(
        "UPDATE attempts SET poll_at = $2, poll_interval = $3 WHERE id = $1 AND consumed_at IS NULL",
        vec![id.into(), poll.at.into(), poll.interval.into()],
    )
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, project_id, link_id, account_id, auth_config_id, auth_config_version, state_hash, ",
            "browser_hash, redirect_uri, verifier_sealed, created_at, expires_at, consumed_at, poll_at, ",
            "poll_interval, params FROM attempts ",
            $rest
        )
    };
}

fn read(row: &Row<'_>) -> Result<AttemptRow, ReadError> {
    Ok(AttemptRow {
        id: row.text(0)?,
        project_id: row.id(1)?,
        link_id: row.id(2)?,
        account_id: row.id(3)?,
        auth_config_id: row.id(4)?,
        auth_config_version: row.timestamp(5)?,
        state_hash: row.blob(6)?,
        browser_hash: row.blob(7)?,
        redirect_uri: row.text(8)?,
        verifier_sealed: row.opt_blob(9)?,
        created_at: row.timestamp(10)?,
        expires_at: row.timestamp(11)?,
        consumed_at: row.opt_timestamp(12)?,
        poll: row.opt_timestamp(13)?.zip(row.opt_duration(14)?).map(|(at, interval)| Poll { at, interval }),
        params: row.opt_account_params(15)?,
    })
}

impl Store {
    /// One attempt, by the public part of its state.
    pub async fn attempt(&self, id: &str) -> Result<Option<AttemptRow>, ReadError> {
        self.one(select!("WHERE id = $1"), &[id.into()], read).await
    }

    /// All attempts of a link, the oldest first.
    pub async fn attempts_of_link(&self, link: &LinkId) -> Result<Vec<AttemptRow>, ReadError> {
        self.few(select!("WHERE link_id = $1 ORDER BY created_at, id"), &[link.into()], read).await
    }

    /// Attempts that are due for a poll, the longest due first: at most `limit` after `after` (due time and
    /// id).
    pub async fn attempts_to_poll(
        &self,
        now: Timestamp,
        after: (Timestamp, &str),
        limit: i64,
    ) -> Result<Vec<AttemptRow>, ReadError> {
        self.list(
            "",
            select!(
                "WHERE poll_at <= $1 AND consumed_at IS NULL AND expires_at > $1
                   AND (poll_at > $2 OR (poll_at = $2 AND id > $3))
                 ORDER BY poll_at, id LIMIT $4"
            ),
            vec![now.into(), after.0.into(), after.1.into(), limit.into()],
            read,
        )
        .await
    }
}
