//! Links: one offer, to one user, to connect one account.

use switchboard_types::{AccountId, LinkId, LinkOutcome, ProjectId, SessionId, Timestamp};

use crate::unit::{Lock, Parent};
use crate::{ReadError, Refusal, Row, Statement, Store, Unit};

mod ending;
mod sweep;

pub use ending::{end, end_of_account, end_of_auth_config};
pub(crate) use ending::{end_batch_of_auth_config, end_one};
pub use sweep::{OpenLinks, OverdueLink, SweepStep, end_step};

/// A link and its progress.
#[derive(Clone, Debug)]
pub struct LinkRow {
    /// First part of the token.
    pub id: LinkId,
    /// Owner.
    pub project_id: ProjectId,
    /// Session in which it was created, if any.
    pub session_id: Option<SessionId>,
    /// The account it connects.
    pub account_id: AccountId,
    /// SHA-256 of the token.
    pub token_hash: Vec<u8>,
    /// Where to redirect the browser afterwards.
    pub callback_url: Option<String>,
    /// Cannot be opened after this.
    pub expires_at: Timestamp,
    /// Effect of a success on the account.
    pub purpose: LinkPurpose,
    /// Whether the user chooses how to connect.
    pub choice: LinkChoice,
    /// Fields that the developer supplied in advance, sealed.
    pub prefill_sealed: Option<Vec<u8>>,
    /// JSON: the expected user, and scopes to ask for; `None` for any user and the usual scopes.
    pub expected: Option<String>,
    /// Progress.
    pub state: LinkState,
}

/// What a link is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LinkPurpose {
    /// It connects an account that has no credential.
    #[default]
    Connect,
    /// Gives a working account a new credential. Until it succeeds, the account does not change.
    Reconnect,
}

/// Whether the user of a link chooses how to connect. Only links of new accounts have a choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LinkChoice {
    /// The developer chose.
    #[default]
    None,
    /// The user has not chosen yet.
    Open,
    /// The user chose.
    Made,
}

/// Purpose and choice share one column.
fn purpose_text(purpose: LinkPurpose, choice: LinkChoice) -> &'static str {
    match (purpose, choice) {
        (LinkPurpose::Reconnect, _) => "reconnect",
        (LinkPurpose::Connect, LinkChoice::None) => "connect",
        (LinkPurpose::Connect, LinkChoice::Open) => "choose",
        (LinkPurpose::Connect, LinkChoice::Made) => "chosen",
    }
}

fn parse_purpose(text: &str) -> Option<(LinkPurpose, LinkChoice)> {
    match text {
        "connect" => Some((LinkPurpose::Connect, LinkChoice::None)),
        "choose" => Some((LinkPurpose::Connect, LinkChoice::Open)),
        "chosen" => Some((LinkPurpose::Connect, LinkChoice::Made)),
        "reconnect" => Some((LinkPurpose::Reconnect, LinkChoice::None)),
        _ => None,
    }
}

/// Progress of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// Not finished.
    Open,
    /// Not finished, and the code of one attempt is being exchanged.
    Exchanging {
        /// The attempt, or the verification that held its code.
        by: String,
        /// When it began.
        since: Timestamp,
    },
    /// Finished: `success`, `failed`, `expired`, `rejected` or `deleted`.
    Finished {
        /// The outcome.
        outcome: LinkOutcome,
    },
}

/// A new link.
#[derive(Clone, Debug)]
pub struct NewLink<'a> {
    /// First part of the token.
    pub id: &'a LinkId,
    /// Owner.
    pub project_id: &'a ProjectId,
    /// Session in which it was created, if any.
    pub session_id: Option<&'a SessionId>,
    /// The account it connects.
    pub account_id: &'a AccountId,
    /// SHA-256 of the token.
    pub token_hash: [u8; 32],
    /// Where to redirect the browser afterwards.
    pub callback_url: Option<&'a str>,
    /// Effect of a success on the account.
    pub purpose: LinkPurpose,
    /// Whether the user chooses how to connect.
    pub choice: LinkChoice,
    /// Fields that the developer supplied in advance, sealed.
    pub prefill_sealed: Option<Vec<u8>>,
    /// JSON: the expected user, and scopes to ask for.
    pub expected: Option<&'a str>,
    /// Creation.
    pub created_at: Timestamp,
    /// Cannot be opened after this.
    pub expires_at: Timestamp,
}

/// Adds a link. It gets its own time for the sweep if that has passed its id: its process was delayed, or the clock was
/// set back.
pub fn insert(link: &NewLink<'_>) -> Statement {
    Statement::one(
        Refusal::LinkExists,
        "INSERT INTO links (id, project_id, session_id, account_id, token_hash, callback_url, created_at, expires_at,
           purpose, prefill_sealed, expected, sweep_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11,
           CASE WHEN $1 < (SELECT until_id FROM link_sweep) THEN $8 END)
         /* guarded by: sealing lock links */",
        vec![
            link.id.into(),
            link.project_id.into(),
            link.session_id.into(),
            link.account_id.into(),
            link.token_hash.into(),
            link.callback_url.into(),
            link.created_at.into(),
            link.expires_at.into(),
            purpose_text(link.purpose, link.choice).into(),
            link.prefill_sealed.clone().into(),
            link.expected.into(),
        ],
    )
}

/// Records that a visitor pressed Continue. Refused as `link_finished` when the link has finished or expired.
pub fn start(id: &LinkId, now: Timestamp) -> Statement {
    Statement::one(
        Refusal::LinkFinished,
        "UPDATE links SET claimed_at = $2 WHERE id = $1 AND finished_at IS NULL AND expires_at > $2",
        vec![id.into(), now.into()],
    )
}

/// Claims the exchange of a link for `by`; only one code is exchanged at a time. Refused as `exchange_busy`
/// while another holder has it, unless that claim is older than `stale_before`, and when the link has
/// finished.
pub fn claim_exchange(id: &LinkId, by: &str, now: Timestamp, stale_before: Timestamp) -> Statement {
    Statement::one(
        Refusal::ExchangeBusy,
        "UPDATE links SET exchange_by = $2, exchange_since = $3
         WHERE id = $1 AND finished_at IS NULL
           AND (exchange_by IS NULL OR exchange_by = $2 OR exchange_since < $4)",
        vec![id.into(), by.into(), now.into(), stale_before.into()],
    )
}

/// Releases the claim of `by`.
pub fn release_exchange(id: &LinkId, by: &str) -> Statement {
    Statement::any(
        "UPDATE links SET exchange_by = NULL, exchange_since = NULL WHERE id = $1 AND exchange_by = $2",
        vec![id.into(), by.into()],
    )
}

/// Requires that nothing but `by` can still succeed on the link: no attempt is pending, nothing waits for
/// confirmation and no code is being exchanged. Refused as `link_in_use` otherwise. Whatever adds an attempt or a
/// verification locks the link or changes its row.
pub fn is_unused(id: &LinkId, by: Option<&str>, now: Timestamp, stale_before: Timestamp) -> Unit {
    Unit::new()
        .with(Statement::lock(
            Refusal::LinkInUse,
            Parent::Link,
            Lock::Exclusive,
            "SELECT 1 FROM links
             WHERE id = $1 AND (exchange_by IS NULL OR exchange_by = COALESCE($2, '') OR exchange_since < $3)",
            vec![id.into(), by.into(), stale_before.into()],
        ))
        .with(Statement::check(
            Refusal::LinkInUse,
            "SELECT 1 WHERE
               NOT EXISTS (SELECT 1 FROM attempts WHERE link_id = $1 AND consumed_at IS NULL AND expires_at > $2)
               AND NOT EXISTS
                 (SELECT 1 FROM verifications WHERE link_id = $1 AND consumed_at IS NULL AND expires_at > $2)
             /* guarded by: exclusive lock links */",
            vec![id.into(), now.into()],
        ))
}

/// Records the user's choice. Refused as `link_finished` once the link has started or finished.
pub fn record_choice(id: &LinkId, now: Timestamp) -> Statement {
    Statement::one(
        Refusal::LinkFinished,
        "UPDATE links SET purpose = 'chosen' WHERE id = $1 AND purpose IN ('choose', 'chosen')
           AND claimed_at IS NULL AND finished_at IS NULL AND expires_at > $2",
        vec![id.into(), now.into()],
    )
}

/// Requires that a link has not finished, and keeps others from changing it until the unit is committed. A unit that
/// adds something to a link begins with this. Refused as `link_finished` otherwise.
pub fn is_open(id: &LinkId) -> Statement {
    Statement::lock(
        Refusal::LinkFinished,
        Parent::Link,
        Lock::Exclusive,
        "SELECT 1 FROM links WHERE id = $1 AND finished_at IS NULL",
        vec![id.into()],
    )
}

macro_rules! select {
    ($($rest:tt)*) => {
        concat!(
            "SELECT id, project_id, account_id, token_hash, callback_url, expires_at, exchange_by, ",
            "finished_at, outcome, purpose, prefill_sealed, expected, exchange_since, session_id FROM links ",
            $($rest)*
        )
    };
}
use select;

fn read(row: &Row<'_>) -> Result<LinkRow, ReadError> {
    let outcome = row.opt_text(8)?.map(|_| row.word(8, LinkOutcome::parse)).transpose()?;
    let state = match (outcome, row.opt_text(6)?.zip(row.opt_timestamp(12)?)) {
        (Some(outcome), _) => LinkState::Finished { outcome },
        (None, Some((by, since))) => LinkState::Exchanging { by, since },
        (None, None) => LinkState::Open,
    };
    if row.opt_int(7)?.is_some() != matches!(state, LinkState::Finished { .. }) {
        return Err(row.inconsistent(None, "an end without an outcome, or the reverse"));
    }
    let (purpose, choice) = row.word(9, parse_purpose)?;
    Ok(LinkRow {
        id: row.id(0)?,
        project_id: row.id(1)?,
        session_id: row.opt_id(13)?,
        account_id: row.id(2)?,
        token_hash: row.blob(3)?,
        callback_url: row.opt_text(4)?,
        expires_at: row.timestamp(5)?,
        purpose,
        choice,
        prefill_sealed: row.opt_blob(10)?,
        expected: row.opt_text(11)?,
        state,
    })
}

impl Store {
    /// One link. Its id is public; the caller must check the token against `token_hash`.
    pub async fn link(&self, id: &LinkId) -> Result<Option<LinkRow>, ReadError> {
        self.one(select!("WHERE id = $1"), &[id.into()], read).await
    }
}
