//! Revocations: credentials queued for revocation at their provider, and the receipts.
//!
//! A row is written in the unit that erases the credential from its account, so that the credential is never
//! lost unrevoked. While it is pending it has a job in the queue (`jobs.rs`), which says when it is tried and
//! how often it was. The outcome erases the material, and is stored in the unit that ends the job.
//!
//! Tokens that wait for their user's choice get a row as soon as they are stored: a conditional revocation
//! (`conditional.rs`).

mod conditional;
mod counts;

pub(crate) use conditional::make_due_of_link;
pub use conditional::{
    cancel_conditional, cancel_conditional_of_account, make_unconditional, postpone, postpone_of_account, withdraw,
};
pub use counts::RevocationCounts;
use counts::read_counts;

use switchboard_types::{AccountId, AccountParams, AuthConfigId, ProjectId, Scheme, Timestamp};

use crate::jobs::{self, JobKind, NewJob};
use crate::{ListPage, PageQuery, Position, ReadError, Refusal, Row, Statement, Store, Unit, Value};

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
        /// No attempt before this time. During an attempt, the time at which the next one may begin if this
        /// one has no outcome.
        next_try_at: Timestamp,
    },
    /// Finished.
    Finished {
        /// The outcome.
        outcome: RevocationOutcome,
        /// When the outcome was known.
        at: Timestamp,
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
    pub project_id: ProjectId,
    /// The account that held the credential.
    pub account_id: AccountId,
    /// Toolkit slug.
    pub toolkit: String,
    /// The auth config of that account.
    pub auth_config_id: AuthConfigId,
    /// Contract name of the scheme.
    pub scheme: Scheme,
    /// Whether the client is the operator's.
    pub is_managed: bool,
    /// JSON: parameters of the account.
    pub params: AccountParams,
    /// State.
    pub state: RevocationState,
    /// JSON list of the tokens revoked so far.
    pub tokens: String,
    /// What prevented it.
    pub detail: Option<String>,
    /// Number of attempts, including one in progress.
    pub tries: i64,
    /// Creation.
    pub created_at: Timestamp,
    /// For a conditional revocation, the verification whose tokens these are.
    pub pending_verification_id: Option<String>,
}

/// A query of revocations, each with the job of a pending one; the rest of the query uses the alias `r`.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT r.id, r.job_id, r.project_id, r.account_id, r.toolkit, r.auth_config_id, r.is_managed,
               r.material_sealed, r.params, r.outcome, r.tokens, COALESCE(j.detail, r.detail) AS detail,
               COALESCE(j.tries, r.tries) AS tries, COALESCE(j.lease_until, j.run_at) AS next_try_at,
               r.created_at, r.finished_at, r.scheme, r.promised_for
             FROM revocations r LEFT JOIN jobs j ON j.kind = 'revocation' AND j.key = r.id
             WHERE ",
            $rest
        )
    };
}

/// Adds a credential to revoke, with its job, or the receipt of one that cannot be revoked.
pub fn insert(row: &RevocationRow) -> Unit {
    match &row.state {
        RevocationState::Pending { material, next_try_at } => {
            let job = NewJob {
                kind: JobKind::Revocation,
                key: &row.id,
                project: &row.project_id,
                lane: &row.toolkit,
                run_at: *next_try_at,
                created_at: row.created_at,
            };
            Unit::new().with(insert_row(row, Some(material.clone()), None)).with(jobs::insert(&job))
        }
        RevocationState::Finished { outcome, at } => Unit::new().with(insert_row(row, None, Some((*outcome, *at)))),
    }
}

fn insert_row(
    row: &RevocationRow,
    material: Option<Vec<u8>>,
    finished: Option<(RevocationOutcome, Timestamp)>,
) -> Statement {
    Statement::one(
        Refusal::RevocationExists,
        "INSERT INTO revocations (id, job_id, project_id, account_id, toolkit, auth_config_id, is_managed,
           material_sealed, params, outcome, tokens, detail, tries, created_at, finished_at, scheme, promised_for,
           next_try_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, 0)",
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
            finished.map(|(outcome, _)| outcome.as_str()).into(),
            (&row.tokens).into(),
            row.detail.clone().into(),
            row.tries.into(),
            row.created_at.into(),
            finished.map(|(_, at)| at).into(),
            row.scheme.into(),
            row.pending_verification_id.clone().into(),
        ],
    )
}

/// How a revocation ended.
#[derive(Clone, Debug)]
pub struct FinishedRevocation {
    /// The outcome.
    pub outcome: RevocationOutcome,
    /// JSON list of the tokens that were revoked.
    pub tokens: String,
    /// What prevented it.
    pub detail: Option<String>,
    /// Number of attempts.
    pub tries: i64,
    /// Digest of the grant or installation that was revoked, if more than a token was.
    pub grant: Option<Vec<u8>>,
    /// When the outcome was known.
    pub at: Timestamp,
}

/// Stores the outcome of a revocation and erases its material, in the unit that ends its job.
pub fn finish(project: &ProjectId, id: &str, finished: &FinishedRevocation) -> Statement {
    Statement::one(
        Refusal::RevocationFinished,
        "UPDATE revocations SET outcome = $4, tokens = $5, detail = $6, finished_at = $7, material_sealed = NULL,
           grant_key = $8, tries = $3
         WHERE id = $2 AND project_id = $1 AND outcome IS NULL",
        vec![
            project.into(),
            id.into(),
            finished.tries.into(),
            finished.outcome.as_str().into(),
            (&finished.tokens).into(),
            finished.detail.clone().into(),
            finished.at.into(),
            finished.grant.clone().into(),
        ],
    )
}

/// Stores which tokens are revoked so far (a JSON list), in the unit that reschedules the job.
pub fn record_tokens(project: &ProjectId, id: &str, tokens: &str) -> Statement {
    Statement::one(
        Refusal::RevocationFinished,
        "UPDATE revocations SET tokens = $3 WHERE id = $2 AND project_id = $1 AND outcome IS NULL",
        vec![project.into(), id.into(), tokens.into()],
    )
}

fn read(row: &Row<'_>) -> Result<RevocationRow, ReadError> {
    let state = match (row.opt_text(9)?, row.opt_blob(7)?, row.opt_timestamp(15)?, row.opt_timestamp(13)?) {
        (None, Some(material), None, Some(next_try_at)) => RevocationState::Pending { material, next_try_at },
        (Some(word), None, Some(at), None) => {
            let outcome = RevocationOutcome::ALL.into_iter().find(|outcome| outcome.as_str() == word);
            let outcome = outcome.ok_or_else(|| row.inconsistent(Some(9), format!("unknown word {word:?}")))?;
            RevocationState::Finished { outcome, at }
        }
        _ => return Err(row.inconsistent(None, "neither pending nor finished")),
    };
    Ok(RevocationRow {
        id: row.text(0)?,
        job_id: row.text(1)?,
        project_id: row.id(2)?,
        account_id: row.id(3)?,
        toolkit: row.text(4)?,
        auth_config_id: row.id(5)?,
        scheme: row.scheme(16)?,
        is_managed: row.flag(6)?,
        params: row.account_params(8)?,
        state,
        tokens: row.text(10)?,
        detail: row.opt_text(11)?,
        tries: row.int(12)?,
        created_at: row.timestamp(14)?,
        pending_verification_id: row.opt_text(17)?,
    })
}

impl Store {
    /// One revocation of a project.
    pub async fn revocation(&self, project: &ProjectId, id: &str) -> Result<Option<RevocationRow>, ReadError> {
        self.one(select!("r.id = $2 AND r.project_id = $1"), &[project.into(), id.into()], read).await
    }

    /// One page of a job's revocations, oldest first, and the counts of all; all zero for an unknown job.
    pub async fn revocations(
        &self,
        project: &ProjectId,
        job: &str,
        page: PageQuery,
    ) -> Result<(ListPage<RevocationRow>, RevocationCounts), ReadError> {
        let ids: [Value; 2] = [project.into(), job.into()];
        self.scan(project, move |reading| {
            let counts = read_counts(reading, &ids)?;
            let sql = select!("r.project_id = $1 AND r.job_id = $2 AND r.id > $3 ORDER BY r.id LIMIT $4 OFFSET $5");
            let [project, job] = ids;
            let after = page.after().map_or("", |position| position.id.as_str());
            let args = [project, job, after.into(), (page.limit + 1).into(), page.skip().into()];
            let (rows, next) = page.read(reading, sql, &args, Position::of_id, read)?;
            Ok((ListPage { rows, next, total: counts.total }, counts))
        })
        .await
    }

    /// The job of the conditional revocations of an account; `None` if there are none.
    pub async fn conditional_job(&self, project: &ProjectId, account: &AccountId) -> Result<Option<String>, ReadError> {
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
    pub async fn revocation_job_of_account(
        &self,
        project: &ProjectId,
        account: &AccountId,
    ) -> Result<Option<String>, ReadError> {
        self.one(
            "SELECT job_id FROM revocations WHERE project_id = $1 AND account_id = $2 ORDER BY id DESC LIMIT 1",
            &[project.into(), account.into()],
            |row| row.text(0),
        )
        .await
    }
}
