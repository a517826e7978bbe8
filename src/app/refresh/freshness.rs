//! Whether an account's credential can be used as it is, and when it is due for a refresh.

use std::time::Duration;

use switchboard_store::accounts::AccountRow;
use switchboard_types::Timestamp;

use crate::app::refresh::Refresher;
use crate::error::{Code, Error};

/// Refresh this long before expiry, unless the toolkit sets another margin; at most a fifth of the
/// lifetime (R39).
const MARGIN: Duration = Duration::from_mins(5);
/// Longest pause between attempts.
pub(in crate::app) const MAX_BACKOFF: Duration = Duration::from_mins(5);

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
pub(in crate::app) fn freshness(account: &AccountRow, now: Timestamp) -> Freshness {
    let Some(expires_at) = account.expires_at else { return Freshness::Fresh };
    if now >= expires_at {
        return Freshness::Expired;
    }
    let lifetime = account.issued_at.map_or(Duration::ZERO, |issued| expires_at.since(issued));
    let due_at = account.refresh_due_at.unwrap_or(expires_at - MARGIN.min(lifetime / 5));
    if now >= due_at { Freshness::Stale } else { Freshness::Fresh }
}

impl Refresher {
    /// When a new credential is due for a refresh: a margin before its expiry, minus a random jitter of
    /// up to the same length, so that accounts connected together are not refreshed together (F28).
    /// None for a credential that does not expire.
    pub(in crate::app) fn due_at(&self, margin: Option<u64>, expires_at: Option<Timestamp>) -> Option<Timestamp> {
        let expires_at = expires_at?;
        let lifetime = expires_at.since(self.core.now());
        let margin = match margin {
            // A token that must be exchanged while it is valid is exchanged days ahead.
            Some(seconds) => Duration::from_secs(seconds).min(lifetime / 2),
            None => MARGIN.min(lifetime / 5),
        };
        let mut chance = [0; 2];
        self.core.entropy.fill(&mut chance);
        let earlier = margin.min(lifetime / 4).saturating_mul(u16::from_be_bytes(chance).into()) / u16::MAX.into();
        Some(expires_at - margin - earlier)
    }
}

/// Whether the pause after a failure is still running. A longer pause than the maximum comes from a
/// clock that was set back and is ignored.
pub(in crate::app) fn is_backing_off(account: &AccountRow, now: Timestamp) -> bool {
    account.refresh_retry_at.is_some_and(|retry_at| now < retry_at && retry_at <= now + MAX_BACKOFF)
}

/// The error while the pause after a failure is running.
pub(in crate::app) fn backing_off(account: &AccountRow, now: Timestamp) -> Error {
    let wait = account.refresh_retry_at.map_or(Duration::ZERO, |retry_at| retry_at.since(now));
    provider_paused("The provider does not refresh this account at present", wait)
}

/// The provider is not called for this long, because it failed or refused just now.
pub(in crate::app) fn provider_paused(why: &str, wait: Duration) -> Error {
    let seconds = wait.as_secs() + 1;
    Error::new(Code::ProviderPaused, format!("{why}; next try in {seconds} s")).retry_after(seconds)
}
