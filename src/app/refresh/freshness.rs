//! Whether an account's credential can be used as it is, and when it is due for a refresh.

use std::time::Duration;

use switchboard_store::accounts::AccountRow;

use crate::app::refresh::Refresher;
use crate::error::{Code, Error};
use crate::time::{Millis, millis};

/// Refresh this long before expiry, unless the toolkit sets another margin; at most a fifth of the
/// lifetime (R39).
const MARGIN: Millis = 5 * 60_000;
/// Longest pause between attempts.
pub(in crate::app) const MAX_BACKOFF: Millis = 5 * 60_000;

/// Whether a credential can be used as it is.
pub(in crate::app) enum Freshness {
    /// Usable.
    Fresh,
    /// Usable, but due for a refresh.
    Stale,
    /// Expired.
    Expired,
}

/// The freshness of an account's access token.
pub(in crate::app) fn freshness(account: &AccountRow, now: Millis) -> Freshness {
    let Some(expires_at) = account.expires_at else { return Freshness::Fresh };
    if now >= expires_at {
        return Freshness::Expired;
    }
    let lifetime = account.issued_at.map_or(0, |issued| expires_at - issued);
    let due_at = account.refresh_due_at.unwrap_or(expires_at - MARGIN.min(lifetime / 5));
    if now >= due_at { Freshness::Stale } else { Freshness::Fresh }
}

impl Refresher {
    /// When a new credential is due for a refresh: a margin before its expiry, minus a random jitter of
    /// up to the same length, so that accounts connected together are not refreshed together (F28).
    /// None for a credential that does not expire.
    pub(in crate::app) fn due_at(&self, margin: Option<u64>, expires_at: Option<Millis>) -> Option<Millis> {
        let expires_at = expires_at?;
        let lifetime = expires_at - self.core.now();
        let margin = match margin {
            // A token that must be exchanged while it is valid is exchanged days ahead.
            Some(seconds) => millis(Duration::from_secs(seconds)).min(lifetime / 2),
            None => MARGIN.min(lifetime / 5),
        };
        let mut chance = [0; 2];
        self.core.entropy.fill(&mut chance);
        let earlier = margin.min(lifetime / 4) * Millis::from(u16::from_be_bytes(chance)) / Millis::from(u16::MAX);
        Some(expires_at - margin - earlier)
    }
}

/// Whether the pause after a failure is still running. A longer pause than the maximum comes from a
/// clock that was set back and is ignored.
pub(in crate::app) fn is_backing_off(account: &AccountRow, now: Millis) -> bool {
    account.refresh_retry_at.is_some_and(|retry_at| now < retry_at && retry_at <= now + MAX_BACKOFF)
}

/// The error while the pause after a failure is running.
pub(in crate::app) fn backing_off(account: &AccountRow, now: Millis) -> Error {
    let wait = account.refresh_retry_at.map_or(0, |retry_at| retry_at - now);
    provider_paused("The provider does not refresh this account at present", wait)
}

/// The provider is not called for this many milliseconds, because it failed or refused just now.
pub(in crate::app) fn provider_paused(why: &str, wait: Millis) -> Error {
    let seconds = u64::try_from(wait / 1_000 + 1).unwrap_or(1);
    Error::new(Code::ProviderPaused, format!("{why}; next try in {seconds} s")).retry_after(seconds)
}
