//! Forgetting what has expired, so that neither memory nor the file grows without bound.

use super::data::{Code, State};

impl State {
    /// Forgets what has expired.
    pub(super) fn prune(&mut self, now_ms: i64) {
        self.logins.retain(|_, login| now_ms < login.expires_at_ms);
        self.prune_grants(now_ms);
    }

    fn prune_grants(&mut self, now_ms: i64) {
        self.access_tokens.retain(|_, token| now_ms < token.expires_at_ms);
        self.grants.retain(|_, grant| now_ms < grant.refresh_expires_at_ms);
        self.codes.retain(|_, code| match code {
            Code::Pending { expires_at_ms, .. } => now_ms < *expires_at_ms,
            Code::Spent { .. } => true,
        });
        self.remove_orphans();
    }

    /// Removes codes and tokens of deleted grants.
    pub(super) fn remove_orphans(&mut self) {
        let grants = &self.grants;
        self.access_tokens.retain(|_, token| grants.contains_key(&token.family));
        self.codes.retain(|_, code| match code {
            Code::Pending { .. } => true,
            Code::Spent { family } => grants.contains_key(family),
        });
    }
}
