//! The provider's state machine: pure data and transitions, no HTTP, no clock and no randomness
//! of its own. Times are milliseconds since the Unix epoch; tokens come in and are kept as hashes.

mod grants;
mod notes;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub(crate) use grants::{CodeProof, FreshTokens, GrantError, Issued, NewCode};
pub(crate) use notes::{MAX_NOTES_PER_USER, Note};

use crate::secret::Hash;
use crate::users::User;
use grants::{AccessToken, Code, Grant};

/// How long a browser stays logged in.
pub(crate) const LOGIN_LIFETIME_SECONDS: i64 = 7 * 24 * 3600;

/// Everything the provider remembers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    /// By hash of the code.
    codes: BTreeMap<Hash, Code>,
    /// By hash of the family part that all refresh tokens of a grant share.
    grants: BTreeMap<Hash, Grant>,
    /// By hash of the access token.
    access_tokens: BTreeMap<Hash, AccessToken>,
    /// By hash of the login cookie.
    logins: BTreeMap<Hash, Login>,
    notes: BTreeMap<u64, Note>,
    /// Number of the newest note there ever was, so that no id is given twice.
    last_note: u64,
}

/// A browser that is logged in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Login {
    user: User,
    expires_at_ms: i64,
}

impl State {
    /// Remembers that the browser with this cookie is the user's.
    pub(crate) fn log_in(&mut self, cookie: &str, user: User, now_ms: i64) {
        self.prune(now_ms);
        let login = Login { user, expires_at_ms: after(now_ms, LOGIN_LIFETIME_SECONDS) };
        self.logins.insert(Hash::of(cookie), login);
    }

    pub(crate) fn log_out(&mut self, cookie: &str) {
        self.logins.remove(&Hash::of(cookie));
    }

    /// Whose browser this cookie belongs to.
    pub(crate) fn logged_in(&self, cookie: &str, now_ms: i64) -> Option<User> {
        let login = self.logins.get(&Hash::of(cookie))?;
        (now_ms < login.expires_at_ms).then_some(login.user)
    }

    /// Forgets what has expired, so that neither memory nor the file grows for ever.
    fn prune(&mut self, now_ms: i64) {
        self.logins.retain(|_, login| now_ms < login.expires_at_ms);
        self.prune_grants(now_ms);
    }
}

/// The moment that is this many seconds after `now_ms`.
fn after(now_ms: i64, seconds: i64) -> i64 {
    now_ms.saturating_add(seconds.saturating_mul(1000))
}
