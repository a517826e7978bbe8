//! Connections that wait for the developer's word on who finished them (R05, contract section 3.8).

use crate::{ReadError, Row, Statement, Store};

/// A connection that waits.
#[derive(Clone, Debug)]
pub struct VerificationRow {
    /// First part of the session URI.
    pub id: String,
    /// Owner.
    pub project_id: String,
    /// The link that was finished.
    pub link_id: String,
    /// The account it connects.
    pub account_id: String,
    /// `updated_at` of the auth config when the flow started (R18).
    pub auth_config_version: i64,
    /// SHA-256 of the session URI.
    pub token_hash: Vec<u8>,
    /// What is parked.
    pub kind: ParkedKind,
    /// Sealed; none once it was used.
    pub parked_sealed: Option<Vec<u8>>,
    /// JSON of the account's parameters.
    pub params: String,
    /// Redirect URI of the attempt; only with a code.
    pub redirect_uri: Option<String>,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// Not accepted after this.
    pub expires_at: i64,
    /// When it was used; it counts once.
    pub consumed_at: Option<i64>,
    /// The attempt that it comes from; none for what was entered.
    pub attempt_id: Option<String>,
}

/// What a connection needs once its user is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParkedKind {
    /// An authorization code, not exchanged yet.
    Code,
    /// A key, token or password that was entered.
    Credential,
    /// A credential whose user still has to say what it is for.
    Choice,
}

impl ParkedKind {
    /// The stored word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Credential => "credential",
            Self::Choice => "choice",
        }
    }

    fn parse(text: &str) -> Result<Self, ReadError> {
        match text {
            "code" => Ok(Self::Code),
            "credential" => Ok(Self::Credential),
            "choice" => Ok(Self::Choice),
            other => Err(ReadError::Impossible(format!("parked {other:?}"))),
        }
    }
}

/// Parks a connection.
pub fn insert(row: &VerificationRow) -> Statement {
    Statement::one(
        "verification_exists",
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
            (&row.params).into(),
            row.redirect_uri.clone().into(),
            row.created_at.into(),
            row.expires_at.into(),
            row.attempt_id.clone().into(),
        ],
    )
}

/// Uses a session URI: refused when it was used, or is too old.
pub fn consume(project: &str, id: &str, now: i64) -> Statement {
    Statement::one(
        "verification_consumed",
        "UPDATE verifications SET consumed_at = $3, parked_sealed = NULL
         WHERE id = $2 AND project_id = $1 AND consumed_at IS NULL AND expires_at > $3",
        vec![project.into(), id.into(), now.into()],
    )
}

/// Ends what waits for a link: what was parked is erased.
pub fn cancel_of_link(link: &str, now: i64) -> Statement {
    Statement::any(
        "UPDATE verifications SET consumed_at = $2, parked_sealed = NULL WHERE link_id = $1 AND consumed_at IS NULL",
        vec![link.into(), now.into()],
    )
}

/// Ends what waits for an attempt, or for what was entered (`attempt` none): a newer answer of the same
/// visitor takes its place.
pub fn cancel_of_attempt(link: &str, attempt: Option<&str>, now: i64) -> Statement {
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
        project_id: row.text(1)?,
        link_id: row.text(2)?,
        account_id: row.text(3)?,
        auth_config_version: row.int(4)?,
        token_hash: row.blob(5)?,
        kind: ParkedKind::parse(&row.text(6)?)?,
        parked_sealed: row.opt_blob(7)?,
        params: row.text(8)?,
        redirect_uri: row.opt_text(9)?,
        created_at: row.int(10)?,
        expires_at: row.int(11)?,
        consumed_at: row.opt_int(12)?,
        attempt_id: row.opt_text(13)?,
    })
}

impl Store {
    /// One verification of a project, by the public part of its session URI.
    pub async fn verification(&self, project: &str, id: &str) -> Result<Option<VerificationRow>, ReadError> {
        self.one(select!("WHERE id = $2 AND project_id = $1"), &[project.into(), id.into()], read).await
    }

    /// Whether something of an attempt waits for a word.
    pub async fn is_waiting(&self, link: &str, attempt: &str) -> Result<bool, ReadError> {
        let waiting = select!("WHERE link_id = $1 AND attempt_id = $2 AND consumed_at IS NULL LIMIT 1");
        Ok(self.one(waiting, &[link.into(), attempt.into()], read).await?.is_some())
    }

    /// A choice that a browser is to make. Its id is public; whoever presents the token proves it by
    /// `token_hash`.
    pub async fn choice(&self, id: &str) -> Result<Option<VerificationRow>, ReadError> {
        self.one(select!("WHERE id = $1 AND kind = 'choice'"), &[id.into()], read).await
    }
}
