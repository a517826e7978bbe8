//! Connections that wait until the developer confirms the user (R05, contract section 3.8).

use switchboard_types::{AccountId, AccountParams, LinkId, ProjectId, Timestamp};

use crate::{ReadError, Refusal, Row, Statement, Store};

/// A waiting connection.
#[derive(Clone, Debug)]
pub struct VerificationRow {
    /// First part of the session URI.
    pub id: String,
    /// Owner.
    pub project_id: ProjectId,
    /// The link that was finished.
    pub link_id: LinkId,
    /// The account it connects.
    pub account_id: AccountId,
    /// `updated_at` of the auth config when the flow started (R18).
    pub auth_config_version: Timestamp,
    /// SHA-256 of the session URI.
    pub token_hash: Vec<u8>,
    /// Kind of the parked value.
    pub kind: ParkedKind,
    /// Sealed; `None` once it was used.
    pub parked_sealed: Option<Vec<u8>>,
    /// JSON of the account's parameters.
    pub params: Box<AccountParams>,
    /// Redirect URI of the attempt; only with a code.
    pub redirect_uri: Option<String>,
    /// Creation.
    pub created_at: Timestamp,
    /// Not accepted after this.
    pub expires_at: Timestamp,
    /// When it was used; it is valid once.
    pub consumed_at: Option<Timestamp>,
    /// The attempt that it comes from; `None` for an entered credential.
    pub attempt_id: Option<String>,
}

/// What was parked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParkedKind {
    /// An authorization code, not exchanged yet.
    Code,
    /// A key, token or password that the user entered.
    Credential,
    /// A credential for which the user still has to make a choice.
    Choice,
}

impl ParkedKind {
    /// The stored value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Credential => "credential",
            Self::Choice => "choice",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text {
            "code" => Some(Self::Code),
            "credential" => Some(Self::Credential),
            "choice" => Some(Self::Choice),
            _ => None,
        }
    }
}

/// Parks a connection.
pub fn insert(row: &VerificationRow) -> Statement {
    Statement::one(
        Refusal::VerificationExists,
        "INSERT INTO verifications (id, project_id, link_id, account_id, auth_config_version, token_hash, kind,
           parked_sealed, params, redirect_uri, created_at, expires_at, attempt_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        vec![
            (&row.id).into(),
            (&row.project_id).into(),
            (&row.link_id).into(),
            (&row.account_id).into(),
            row.auth_config_version.into(),
            row.token_hash.clone().into(),
            row.kind.as_str().into(),
            row.parked_sealed.clone().into(),
            (&*row.params).into(),
            row.redirect_uri.clone().into(),
            row.created_at.into(),
            row.expires_at.into(),
            row.attempt_id.clone().into(),
        ],
    )
}

/// Consumes a session URI. Refused when it was used before or has expired.
pub fn consume(project: &ProjectId, id: &str, now: Timestamp) -> Statement {
    Statement::one(
        Refusal::VerificationConsumed,
        "UPDATE verifications SET consumed_at = $3, parked_sealed = NULL
         WHERE id = $2 AND project_id = $1 AND consumed_at IS NULL AND expires_at > $3",
        vec![project.into(), id.into(), now.into()],
    )
}

/// Cancels the verifications of a link and erases what was parked.
pub fn cancel_of_link(link: &LinkId, now: Timestamp) -> Statement {
    Statement::any(
        "UPDATE verifications SET consumed_at = $2, parked_sealed = NULL WHERE link_id = $1 AND consumed_at IS NULL",
        vec![link.into(), now.into()],
    )
}

/// Cancels the verifications of an attempt, or of an entered credential (`attempt` is `None`), because the
/// same visitor replaced it.
pub fn cancel_of_attempt(link: &LinkId, attempt: Option<&str>, now: Timestamp) -> Statement {
    Statement::any(
        "UPDATE verifications SET consumed_at = $3, parked_sealed = NULL
         WHERE link_id = $1 AND consumed_at IS NULL AND COALESCE(attempt_id, '') = COALESCE($2, '')",
        vec![link.into(), attempt.into(), now.into()],
    )
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, project_id, link_id, account_id, auth_config_version, token_hash, kind, parked_sealed, params, ",
            "redirect_uri, created_at, expires_at, consumed_at, attempt_id FROM verifications ",
            $rest
        )
    };
}

fn read(row: &Row<'_>) -> Result<VerificationRow, ReadError> {
    Ok(VerificationRow {
        id: row.text(0)?,
        project_id: row.id(1)?,
        link_id: row.id(2)?,
        account_id: row.id(3)?,
        auth_config_version: row.timestamp(4)?,
        token_hash: row.blob(5)?,
        kind: row.word(6, ParkedKind::parse)?,
        parked_sealed: row.opt_blob(7)?,
        params: Box::new(row.account_params(8)?),
        redirect_uri: row.opt_text(9)?,
        created_at: row.timestamp(10)?,
        expires_at: row.timestamp(11)?,
        consumed_at: row.opt_timestamp(12)?,
        attempt_id: row.opt_text(13)?,
    })
}

impl Store {
    /// One verification of a project, by the public part of its session URI.
    pub async fn verification(&self, project: &ProjectId, id: &str) -> Result<Option<VerificationRow>, ReadError> {
        self.one(select!("WHERE id = $2 AND project_id = $1"), &[project.into(), id.into()], read).await
    }

    /// Whether a verification of an attempt is pending.
    pub async fn is_waiting(&self, link: &LinkId, attempt: &str) -> Result<bool, ReadError> {
        let waiting = select!("WHERE link_id = $1 AND attempt_id = $2 AND consumed_at IS NULL LIMIT 1");
        Ok(self.one(waiting, &[link.into(), attempt.into()], read).await?.is_some())
    }

    /// A choice to be made in a browser. Its id is public; the caller must check the token against
    /// `token_hash`.
    pub async fn choice(&self, id: &str) -> Result<Option<VerificationRow>, ReadError> {
        self.one(select!("WHERE id = $1 AND kind = 'choice'"), &[id.into()], read).await
    }
}
