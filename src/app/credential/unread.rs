//! Responses of token endpoints that could not be parsed. Codes and most refresh tokens work only once, so such
//! a response may contain the only copy of the new tokens. It is stored, sealed for its account, until an
//! operator reads it by command or it expires.

use std::time::Duration;

use http::{HeaderMap, StatusCode, header};
use switchboard_auth::{TokenError, TokenErrorKind};
use switchboard_store::Unit;
use switchboard_store::accounts::AccountRow;
use switchboard_store::unread_answers::{self, UnreadAnswerRow};
use switchboard_types::{AccountId, AuditAction, AuditOutcome};
use zeroize::Zeroizing;

use crate::app::Actor;
use crate::app::base::errors::account_not_found;
use crate::app::credential::Credentials;
use crate::error::{Code, Error, Result};
use crate::id::Kind;

/// How long a response is kept: one week, in milliseconds.
const RETENTION: Duration = Duration::from_hours(7 * 24);
/// Maximum size of a stored response, in bytes.
const MAX_BYTES: usize = 64 * 1024;

/// A response as received: status, the two headers needed to decode it, and body. Contains secrets.
pub struct UnreadAnswer(Zeroizing<Vec<u8>>);

impl UnreadAnswer {
    /// The response to store; none if it cannot contain tokens, because the provider refused or sent nothing.
    pub fn of(error: &TokenError, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Option<Self> {
        use TokenErrorKind::{Unreadable, UnsupportedTokenType, Unusable};
        let may_hold_tokens = matches!(error.kind, Unreadable | Unusable | UnsupportedTokenType);
        if !status.is_success() || !may_hold_tokens || body.is_empty() {
            return None;
        }
        let mut bytes = Zeroizing::new(format!("HTTP/1.1 {}\r\n", status.as_u16()).into_bytes());
        for name in [header::CONTENT_TYPE, header::CONTENT_ENCODING] {
            for value in headers.get_all(&name) {
                bytes.extend_from_slice(name.as_str().as_bytes());
                bytes.extend_from_slice(b": ");
                bytes.extend_from_slice(value.as_bytes());
                bytes.extend_from_slice(b"\r\n");
            }
        }
        bytes.extend_from_slice(b"\r\n");
        let remaining = MAX_BYTES.saturating_sub(bytes.len());
        bytes.extend_from_slice(&body[..body.len().min(remaining)]);
        Some(Self(bytes))
    }
}

crate::redacted_debug!(UnreadAnswer);

impl Credentials {
    /// The statements that store the unreadable response of a failed token request; none if there is none.
    pub(in crate::app) fn keep_unread(&self, account: &AccountRow, unread: Option<&UnreadAnswer>) -> Option<Unit> {
        let unread = unread?;
        let (id, now) = (self.core.mint(Kind::UnreadAnswer), self.core.now());
        Some(unread_answers::insert(&UnreadAnswerRow {
            answer_sealed: self.seal_unread(&account.into(), &id, &unread.0),
            id: id.into(),
            project_id: account.project_id.clone(),
            account_id: account.id.clone(),
            created_at: now,
            expires_at: now + RETENTION,
        }))
    }

    /// The stored responses of an account, oldest first, as received. The access is audited first.
    ///
    /// # Errors
    /// [`Code::AccountNotFound`]; [`Code::AccountBadRequest`] if nothing is stored.
    pub async fn read_unread(&self, actor: &Actor, account: &AccountId) -> Result<Vec<Zeroizing<Vec<u8>>>> {
        let project = &actor.project_id;
        let found = self.core.store.account(project, account).await?;
        let owner = found.ok_or_else(|| account_not_found(account))?;
        let now = self.core.now();
        let mut rows = self.core.store.unread_answers(project, account).await?;
        rows.retain(|row| now < row.expires_at);
        if rows.is_empty() {
            return Err(Error::new(
                Code::AccountBadRequest,
                format!("No unread answer is kept of connected account {account}"),
            )
            .fix("Answers of token endpoints that cannot be read are kept for seven days."));
        }
        let unit =
            Unit::new().with(self.core.audit(actor, AuditAction::AccountReadAnswer, account, AuditOutcome::Ok, None));
        self.core.store.apply(unit).await?;
        rows.iter().map(|row| self.open_unread(&(&owner).into(), row)).collect()
    }
}
