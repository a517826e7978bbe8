//! Approvals: questions to a person before a tool is called, and their answers.

use switchboard_types::{AccountId, CompactString, ProjectId, SessionId, Timestamp};

use crate::retention::BATCH;
use crate::{ReadError, Refusal, Row, Statement, Store, Unit};

/// A question with its answer.
#[derive(Clone, Debug)]
pub struct ApprovalRow {
    /// `apr_…`, time-ordered.
    pub id: CompactString,
    /// Owner.
    pub project_id: ProjectId,
    /// The session that calls.
    pub session_id: SessionId,
    /// Its user.
    pub user_id: String,
    /// Slug of the toolkit.
    pub toolkit: String,
    /// Slug of the tool.
    pub tool: String,
    /// The account; none if no credential is used.
    pub account_id: Option<AccountId>,
    /// SHA-256 of the exact call.
    pub digest: Vec<u8>,
    /// How it stands. Whether its time is over is for the reader to say.
    pub state: ApprovalState,
    /// What the answer is for.
    pub scope: ApprovalScope,
    /// The arguments, sealed.
    pub preview_sealed: Vec<u8>,
    /// `key_…` of the caller.
    pub requested_by: String,
    /// When it was asked.
    pub created_at: Timestamp,
    /// Not used after this time.
    pub expires_at: Timestamp,
    /// When it was answered.
    pub decided_at: Option<Timestamp>,
    /// Who answered.
    pub decided_by: Option<String>,
}

/// How an approval stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApprovalState {
    /// Not answered.
    Pending,
    /// The call may be made.
    Approved,
    /// The call may not be made.
    Denied,
    /// The call was made.
    Used,
}

impl ApprovalState {
    /// The stored value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Used => "used",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Pending, Self::Approved, Self::Denied, Self::Used].into_iter().find(|state| state.as_str() == text)
    }
}

/// What an answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApprovalScope {
    /// The one call.
    Once,
    /// Further calls of the tool with the account, in the session.
    Session,
}

impl ApprovalScope {
    /// The stored value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Once => "once",
            Self::Session => "session",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Once, Self::Session].into_iter().find(|scope| scope.as_str() == text)
    }
}

/// Asks. Changes nothing if the same question is open.
pub fn insert(row: &ApprovalRow) -> Statement {
    Statement::any(
        "INSERT INTO approvals (project_id, id, session_id, user_id, toolkit, tool, account_id, digest, state, scope,
           preview_sealed, requested_by, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'pending', 'once', $9, $10, $11, $12)
         ON CONFLICT DO NOTHING",
        vec![
            (&row.project_id).into(),
            row.id.clone().into(),
            (&row.session_id).into(),
            (&row.user_id).into(),
            (&row.toolkit).into(),
            (&row.tool).into(),
            row.account_id.clone().into(),
            row.digest.clone().into(),
            row.preview_sealed.clone().into(),
            (&row.requested_by).into(),
            row.created_at.into(),
            row.expires_at.into(),
        ],
    )
}

/// Ends open questions of a call whose time is over, so that it can be asked again.
pub fn end_expired(project: &ProjectId, session: &SessionId, digest: &[u8], now: Timestamp) -> Statement {
    Statement::any(
        "UPDATE approvals SET state = 'denied' WHERE project_id = $1 AND session_id = $2 AND digest = $3
           AND state IN ('pending', 'approved') AND expires_at <= $4",
        vec![project.into(), session.into(), digest.to_vec().into(), now.into()],
    )
}

/// Answers a question. Refused if it was answered, or if its time is over.
pub fn decide(
    (project, id): (&ProjectId, &str),
    (state, scope): (ApprovalState, ApprovalScope),
    by: &str,
    now: Timestamp,
) -> Statement {
    Statement::one(
        Refusal::ApprovalAnswered,
        "UPDATE approvals SET state = $3, scope = $4, decided_by = $5, decided_at = $6
         WHERE project_id = $1 AND id = $2 AND state = 'pending' AND expires_at > $6",
        vec![project.into(), id.into(), state.as_str().into(), scope.as_str().into(), by.into(), now.into()],
    )
}

/// Uses an approval for its call. Refused if another call used it, or if its time is over.
pub fn use_once(project: &ProjectId, id: &str, now: Timestamp) -> Statement {
    Statement::one(
        Refusal::ApprovalUsed,
        "UPDATE approvals SET state = 'used' WHERE project_id = $1 AND id = $2 AND state = 'approved' AND expires_at > $3",
        vec![project.into(), id.into(), now.into()],
    )
}

/// Deletes [`BATCH`] approvals whose time ended before another, except those that are for the rest of a session. They go
/// with their sessions.
pub fn delete_old(before: Timestamp) -> Unit {
    Unit::new().with(Statement::any(
        "DELETE FROM approvals WHERE (project_id, id) IN
           (SELECT project_id, id FROM approvals WHERE scope = 'once' AND expires_at < $1 ORDER BY expires_at LIMIT $2)
         /* guarded by: final */",
        vec![before.into(), i64::try_from(BATCH).unwrap_or(i64::MAX).into()],
    ))
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, project_id, session_id, user_id, toolkit, tool, account_id, digest, state, scope, preview_sealed, ",
            "requested_by, created_at, expires_at, decided_at, decided_by FROM approvals ",
            $rest
        )
    };
}

fn read(row: &Row<'_>) -> Result<ApprovalRow, ReadError> {
    Ok(ApprovalRow {
        id: row.text(0)?.into(),
        project_id: row.id(1)?,
        session_id: row.id(2)?,
        user_id: row.text(3)?,
        toolkit: row.text(4)?,
        tool: row.text(5)?,
        account_id: row.opt_id(6)?,
        digest: row.blob(7)?,
        state: row.word(8, ApprovalState::parse)?,
        scope: row.word(9, ApprovalScope::parse)?,
        preview_sealed: row.blob(10)?,
        requested_by: row.text(11)?,
        created_at: row.timestamp(12)?,
        expires_at: row.timestamp(13)?,
        decided_at: row.opt_timestamp(14)?,
        decided_by: row.opt_text(15)?,
    })
}

impl Store {
    /// One approval of a project.
    pub async fn approval(&self, project: &ProjectId, id: &str) -> Result<Option<ApprovalRow>, ReadError> {
        self.one(select!("WHERE project_id = $1 AND id = $2"), &[project.into(), id.into()], read).await
    }

    /// The open approval of a call, or else the newest, however it stands.
    pub async fn approval_of_call(
        &self,
        project: &ProjectId,
        session: &SessionId,
        digest: &[u8],
    ) -> Result<Option<ApprovalRow>, ReadError> {
        let newest = select!(
            "WHERE project_id = $1 AND session_id = $2 AND digest = $3
             ORDER BY state IN ('pending', 'approved') DESC, id DESC LIMIT 1"
        );
        self.one(newest, &[project.into(), session.into(), digest.to_vec().into()], read).await
    }

    /// The approval that a session has for a tool with an account: one for the whole session, or else the newest.
    pub async fn granted_approval(
        &self,
        (project, session): (&ProjectId, &SessionId),
        tool: &str,
        account: Option<&AccountId>,
    ) -> Result<Option<ApprovalRow>, ReadError> {
        let granted = select!(
            "WHERE project_id = $1 AND session_id = $2 AND tool = $3 AND COALESCE(account_id, '') = COALESCE($4, '')
               AND state IN ('approved', 'used')
             ORDER BY scope DESC, id DESC LIMIT 1"
        );
        let args = [project.into(), session.into(), tool.into(), account.cloned().into()];
        self.one(granted, &args, read).await
    }

    /// Approvals of a session, the newest first.
    pub async fn approvals(
        &self,
        project: &ProjectId,
        session: &SessionId,
        limit: i64,
    ) -> Result<Vec<ApprovalRow>, ReadError> {
        let page = select!("WHERE project_id = $1 AND session_id = $2 ORDER BY id DESC LIMIT $3");
        self.few(page, &[project.into(), session.into(), limit.into()], read).await
    }
}
