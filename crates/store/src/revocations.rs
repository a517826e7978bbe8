//! Revocations: credentials queued for revocation at their provider, and the receipts.
//!
//! A row is written in the unit that erases the credential from its account, so that the credential is never
//! lost unrevoked. A worker claims it by compare-and-swap on `tries` and `next_try_at`: two servers never
//! send the same one at once, and the claim of a worker that died expires. The outcome erases the material.
//!
//! Tokens that wait for their user's choice get a row as soon as they are stored: a conditional revocation.
//! It is cancelled when an account gets the tokens, and becomes due when the choice can no longer be made.

mod counts;

pub use counts::RevocationCounts;
use counts::read_counts;

use switchboard_types::Scheme;

use crate::row::push_not_in;
use crate::{ListPage, PageQuery, Position, ReadError, Refusal, Row, Statement, Store, Value};

/// How a revocation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevocationOutcome {
    /// The provider revoked it, or did not know it any more.
    Revoked,
    /// The provider has no way to revoke it.
    NotSupported,
    /// The provider refused, or stayed unreachable until the last attempt.
    Failed,
    /// Not revoked, because another account depends on the same grant.
    Kept,
}

impl RevocationOutcome {
    const ALL: [Self; 4] = [Self::Revoked, Self::NotSupported, Self::Failed, Self::Kept];

    /// The stored value, also used in API responses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::NotSupported => "not_supported",
            Self::Failed => "failed",
            Self::Kept => "kept",
        }
    }
}

/// State of a revocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevocationState {
    /// Not finished.
    Pending {
        /// Tokens and client, sealed.
        material: Vec<u8>,
    },
    /// Finished.
    Finished {
        /// The outcome.
        outcome: RevocationOutcome,
        /// Milliseconds since 1970, as all times here.
        at: i64,
    },
}

/// One credential of one account.
#[derive(Clone, Debug)]
pub struct RevocationRow {
    /// `rvk_…`.
    pub id: String,
    /// `rvj_…`: what one request revokes.
    pub job_id: String,
    /// Owner.
    pub project_id: String,
    /// The account that held the credential.
    pub account_id: String,
    /// Toolkit slug.
    pub toolkit: String,
    /// The auth config of that account.
    pub auth_config_id: String,
    /// Contract name of the scheme.
    pub scheme: Scheme,
    /// Whether the client is the operator's.
    pub is_managed: bool,
    /// JSON: parameters of the account.
    pub params: String,
    /// State.
    pub state: RevocationState,
    /// JSON list of the tokens revoked so far.
    pub tokens: String,
    /// What prevented it.
    pub detail: Option<String>,
    /// Number of attempts, including one in progress.
    pub tries: i64,
    /// No attempt before this time.
    pub next_try_at: i64,
    /// Creation.
    pub created_at: i64,
    /// For a conditional revocation, the verification whose tokens these are.
    pub pending_verification_id: Option<String>,
}

pub(crate) const COLUMNS: &str = "id, job_id, project_id, account_id, toolkit, auth_config_id, is_managed, material_sealed, \
                       params, outcome, tokens, detail, tries, next_try_at, created_at, finished_at, scheme, \
                       promised_for";

/// Adds a credential to revoke, or the receipt of one that cannot be revoked.
pub fn insert(row: &RevocationRow) -> Statement {
    let (material, outcome, finished_at) = match &row.state {
        RevocationState::Pending { material } => (Some(material.clone()), None, None),
        RevocationState::Finished { outcome, at } => (None, Some(outcome.as_str()), Some(*at)),
    };
    Statement::one(
        Refusal::RevocationExists,
        "INSERT INTO revocations (id, job_id, project_id, account_id, toolkit, auth_config_id, is_managed,
           material_sealed, params, outcome, tokens, detail, tries, next_try_at, created_at, finished_at, scheme,
           promised_for)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)",
        vec![
            (&row.id).into(),
            (&row.job_id).into(),
            (&row.project_id).into(),
            (&row.account_id).into(),
            (&row.toolkit).into(),
            (&row.auth_config_id).into(),
            row.is_managed.into(),
            material.into(),
            (&row.params).into(),
            outcome.into(),
            (&row.tokens).into(),
            row.detail.clone().into(),
            row.tries.into(),
            row.next_try_at.into(),
            row.created_at.into(),
            finished_at.into(),
            row.scheme.into(),
            row.pending_verification_id.clone().into(),
        ],
    )
}

/// Claims a due revocation for one attempt, which must end before `until`. Refused as `revocation_taken` when
/// another server claimed it first.
pub fn claim(row: &RevocationRow, until: i64) -> Statement {
    Statement::one(
        Refusal::RevocationTaken,
        "UPDATE revocations SET tries = tries + 1, next_try_at = $5
         WHERE id = $2 AND project_id = $1 AND outcome IS NULL AND tries = $3 AND next_try_at = $4",
        vec![(&row.project_id).into(), (&row.id).into(), row.tries.into(), row.next_try_at.into(), until.into()],
    )
}

/// Postpones the conditional revocation of a verification until `until` while its tokens are in use. Refused
/// as `already_being_revoked` if the tokens are being revoked.
pub fn postpone(project: &str, verification: &str, until: i64) -> Statement {
    Statement::one(
        Refusal::AlreadyBeingRevoked,
        "UPDATE revocations SET next_try_at = $3
         WHERE project_id = $1 AND promised_for = $2 AND outcome IS NULL AND tries = 0
           AND account_id = (SELECT account_id FROM verifications WHERE id = $2)",
        vec![project.into(), verification.into(), until.into()],
    )
}

/// Postpones the conditional revocations of an account until `until` while it is connecting.
pub fn postpone_of_account(project: &str, account: &str, until: i64) -> Statement {
    Statement::any(
        "UPDATE revocations SET next_try_at = $3
         WHERE project_id = $1 AND account_id = $2 AND promised_for IS NOT NULL AND outcome IS NULL AND tries = 0
           AND next_try_at < $3",
        vec![project.into(), account.into(), until.into()],
    )
}

/// Makes the revocation of a verification's tokens unconditional and due now.
pub fn make_unconditional(project: &str, verification: &str, now: i64) -> Statement {
    Statement::any(
        "UPDATE revocations SET next_try_at = $3, promised_for = NULL
         WHERE project_id = $1 AND promised_for = $2 AND outcome IS NULL AND tries = 0
           AND account_id = (SELECT account_id FROM verifications WHERE id = $2)",
        vec![project.into(), verification.into(), now.into()],
    )
}

/// Makes conditional revocations of a link due now, since the choice can no longer be made. The worker drops
/// those of an account that works with other tokens.
pub(crate) fn make_due_of_link(link: &str, now: i64) -> Statement {
    Statement::any(
        "UPDATE revocations SET next_try_at = $2
         WHERE account_id = (SELECT account_id FROM links WHERE id = $1) AND promised_for IS NOT NULL
           AND outcome IS NULL AND tries = 0 AND next_try_at > $2",
        vec![link.into(), now.into()],
    )
}

/// Cancels the conditional revocation of a verification's tokens.
pub fn cancel_conditional(project: &str, verification: &str) -> Statement {
    Statement::any(
        "DELETE FROM revocations
         WHERE project_id = $1 AND promised_for = $2 AND outcome IS NULL AND tries = 0
           AND account_id = (SELECT account_id FROM verifications WHERE id = $2)",
        vec![project.into(), verification.into()],
    )
}

/// Cancels the conditional revocations of an account that now has a credential. Their tokens may share its
/// grant, and some providers end the grant with any of its tokens (RFC 7009 section 2.1).
pub fn cancel_conditional_of_account(project: &str, account: &str) -> Statement {
    Statement::any(
        "DELETE FROM revocations
         WHERE project_id = $1 AND account_id = $2 AND promised_for IS NOT NULL AND outcome IS NULL AND tries = 0",
        vec![project.into(), account.into()],
    )
}

/// The same for a revocation that is already claimed.
pub fn cancel_claimed(project: &str, id: &str, tries: i64) -> Statement {
    Statement::one(
        Refusal::RevocationTaken,
        "DELETE FROM revocations
         WHERE id = $2 AND project_id = $1 AND promised_for IS NOT NULL AND outcome IS NULL AND tries = $3",
        vec![project.into(), id.into(), tries.into()],
    )
}

/// Result of one attempt.
#[derive(Clone, Debug)]
pub struct AttemptResult {
    /// Number of the attempt, which must still be the newest.
    pub tries: i64,
    /// JSON list of the tokens revoked so far.
    pub tokens: String,
    /// What prevented it.
    pub detail: Option<String>,
    /// Digest of the grant or installation that was revoked, if more than a token was.
    pub grant: Option<Vec<u8>>,
}

/// Ends a revocation and erases its material.
pub fn finish(project: &str, id: &str, tried: &AttemptResult, outcome: RevocationOutcome, now: i64) -> Statement {
    Statement::one(
        Refusal::RevocationTaken,
        "UPDATE revocations SET outcome = $4, tokens = $5, detail = $6, finished_at = $7, material_sealed = NULL,
           grant_key = $8
         WHERE id = $2 AND project_id = $1 AND outcome IS NULL AND tries = $3",
        vec![
            project.into(),
            id.into(),
            tried.tries.into(),
            outcome.as_str().into(),
            (&tried.tokens).into(),
            tried.detail.clone().into(),
            now.into(),
            tried.grant.clone().into(),
        ],
    )
}

/// Reschedules a revocation after a transient failure.
pub fn reschedule(project: &str, id: &str, tried: &AttemptResult, next_try_at: i64) -> Statement {
    Statement::one(
        Refusal::RevocationTaken,
        "UPDATE revocations SET tokens = $4, detail = $5, next_try_at = $6
         WHERE id = $2 AND project_id = $1 AND outcome IS NULL AND tries = $3",
        vec![
            project.into(),
            id.into(),
            tried.tries.into(),
            (&tried.tokens).into(),
            tried.detail.clone().into(),
            next_try_at.into(),
        ],
    )
}

pub(crate) fn read(row: &Row<'_>) -> Result<RevocationRow, ReadError> {
    let state = match (row.opt_text(9)?, row.opt_blob(7)?, row.opt_int(15)?) {
        (None, Some(material), None) => RevocationState::Pending { material },
        (Some(word), None, Some(at)) => {
            let outcome = RevocationOutcome::ALL.into_iter().find(|outcome| outcome.as_str() == word);
            let outcome = outcome.ok_or_else(|| row.inconsistent(Some(9), format!("unknown word {word:?}")))?;
            RevocationState::Finished { outcome, at }
        }
        _ => return Err(row.inconsistent(None, "neither pending nor finished")),
    };
    Ok(RevocationRow {
        id: row.text(0)?,
        job_id: row.text(1)?,
        project_id: row.text(2)?,
        account_id: row.text(3)?,
        toolkit: row.text(4)?,
        auth_config_id: row.text(5)?,
        scheme: row.scheme(16)?,
        is_managed: row.flag(6)?,
        params: row.text(8)?,
        state,
        tokens: row.text(10)?,
        detail: row.opt_text(11)?,
        tries: row.int(12)?,
        next_try_at: row.int(13)?,
        created_at: row.int(14)?,
        pending_verification_id: row.opt_text(17)?,
    })
}

impl Store {
    /// Due revocations of all projects, except those of the toolkits `except`.
    pub async fn due_revocations(
        &self,
        now: i64,
        except: &[String],
        limit: i64,
    ) -> Result<Vec<RevocationRow>, ReadError> {
        let mut args: Vec<Value> = vec![now.into(), limit.into()];
        let mut sql = format!("SELECT {COLUMNS} FROM revocations WHERE outcome IS NULL AND next_try_at <= $1");
        push_not_in(&mut sql, &mut args, "toolkit", except);
        sql.push_str(" ORDER BY next_try_at LIMIT $2");
        self.list("", sql, args, read).await
    }

    /// One page of a job's revocations, oldest first, and the counts of all; all zero for an unknown job.
    pub async fn revocations(
        &self,
        project: &str,
        job: &str,
        page: PageQuery,
    ) -> Result<(ListPage<RevocationRow>, RevocationCounts), ReadError> {
        let ids: [Value; 2] = [project.into(), job.into()];
        self.scan(project, move |reading| {
            let counts = read_counts(reading, &ids)?;
            let sql = format!(
                "SELECT {COLUMNS} FROM revocations WHERE project_id = $1 AND job_id = $2 AND id > $3
                 ORDER BY id LIMIT $4 OFFSET $5"
            );
            let [project, job] = ids;
            let after = page.after().map_or("", |position| position.id.as_str());
            let args = [project, job, after.into(), (page.limit + 1).into(), page.skip().into()];
            let (rows, next) = page.read(reading, &sql, &args, Position::of_id, read)?;
            Ok((ListPage { rows, next, total: counts.total }, counts))
        })
        .await
    }

    /// The job of the conditional revocations of an account; `None` if there are none.
    pub async fn conditional_job(&self, project: &str, account: &str) -> Result<Option<String>, ReadError> {
        self.one(
            "SELECT job_id FROM revocations
             WHERE project_id = $1 AND account_id = $2 AND promised_for IS NOT NULL AND outcome IS NULL
             ORDER BY id DESC LIMIT 1",
            &[project.into(), account.into()],
            |row| row.text(0),
        )
        .await
    }

    /// The newest job that revokes a credential of an account.
    pub async fn revocation_job_of_account(&self, project: &str, account: &str) -> Result<Option<String>, ReadError> {
        self.one(
            "SELECT job_id FROM revocations WHERE project_id = $1 AND account_id = $2 ORDER BY id DESC LIMIT 1",
            &[project.into(), account.into()],
            |row| row.text(0),
        )
        .await
    }
}
