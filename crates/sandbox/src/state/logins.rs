//! Browsers that are logged in.

use super::data::{Login, State, after};
use crate::secret::Hash;
use crate::users::User;

/// How long a browser stays logged in.
pub(crate) const LOGIN_LIFETIME_SECONDS: i64 = 7 * 24 * 3600;

impl State {
    /// Stores that the browser with this cookie is logged in as the user.
    pub(crate) fn log_in(&mut self, cookie: &str, user: User, now_ms: i64) {
        self.prune(now_ms);
        let login = Login { user, expires_at_ms: after(now_ms, LOGIN_LIFETIME_SECONDS) };
        self.logins.insert(Hash::of(cookie), login);
    }

    pub(crate) fn log_out(&mut self, cookie: &str) {
        self.logins.remove(&Hash::of(cookie));
    }

    /// The user that is logged in with this cookie.
    pub(crate) fn logged_in(&self, cookie: &str, now_ms: i64) -> Option<User> {
        let login = self.logins.get(&Hash::of(cookie))?;
        (now_ms < login.expires_at_ms).then_some(login.user)
    }
}
