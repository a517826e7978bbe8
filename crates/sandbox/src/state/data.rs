//! What the provider remembers, as it is kept in the state file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::secret::Hash;
use crate::users::{Scopes, User};

/// The provider's whole state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    /// By hash of the code.
    pub(super) codes: BTreeMap<Hash, Code>,
    /// By hash of the family, which all refresh tokens of a grant share.
    pub(super) grants: BTreeMap<Hash, Grant>,
    /// By hash of the access token.
    pub(super) access_tokens: BTreeMap<Hash, AccessToken>,
    /// By hash of the login cookie.
    pub(super) logins: BTreeMap<Hash, Login>,
    pub(super) notes: BTreeMap<u64, Note>,
    /// Number of the newest note ever created, so that ids are never reused.
    pub(super) last_note: u64,
}

/// The login of a browser.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Login {
    pub(super) user: User,
    pub(super) expires_at_ms: i64,
}

/// The content of a user's consent, exchanged for a code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NewCode {
    pub client_id: String,
    pub redirect_uri: String,
    pub code_challenge: String,
    pub user: User,
    pub scopes: Scopes,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Code {
    Pending {
        authorization: NewCode,
        expires_at_ms: i64,
    },
    /// Kept as long as its grant, to detect a second use.
    Spent {
        family: Hash,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Grant {
    pub(super) client_id: String,
    pub(super) user: User,
    pub(super) scopes: Scopes,
    /// The only valid refresh token.
    pub(super) refresh_token: Hash,
    pub(super) refresh_expires_at_ms: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AccessToken {
    pub(super) family: Hash,
    pub(super) scopes: Scopes,
    pub(super) expires_at_ms: i64,
}

/// A user's note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    pub number: u64,
    pub owner: User,
    pub text: String,
    pub created_at_ms: i64,
}

/// The time this many seconds after `now_ms`.
pub(super) fn after(now_ms: i64, seconds: i64) -> i64 {
    now_ms.saturating_add(seconds.saturating_mul(1000))
}
