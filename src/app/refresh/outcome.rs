//! What a try to refresh comes to, and how each outcome is stored: a new credential, an account that ended,
//! or another try later.

use switchboard_store::accounts::{self, AccountRow, RefreshFailure, Refreshed};
use switchboard_store::{Unit, WriteError};

use super::Refresher;
use super::freshness::MAX_BACKOFF;
use super::renewal::for_caller;
use crate::app::Actor;
use crate::app::audit::Facts;
use crate::app::model::params::AccountParams;
use crate::app::provider::lease::still_refreshing;
use crate::app::provider::{Failure, TokenCredential};
use crate::app::spool::rotation::Rotation;
use crate::error::{Error, Result};
use crate::time::Millis;

/// Failures in a row that are written down as events.
const TOLD_FAILURES: i64 = 3;
/// Between two refusals that nobody understands, at least, in milliseconds.
const REJECTION_PAUSE: Millis = 60_000;

/// How one try went.
pub(super) enum Outcome {
    /// A new credential is stored.
    Refreshed,
    /// Another holder was faster, or the account changed: read it again.
    LostRace,
    /// Not now.
    Later(Error),
}

/// What is known of a try that gave no credential.
#[derive(Clone, Copy, Default)]
pub(super) struct GiveBack {
    /// The provider may have acted on it, and nothing tells.
    pub lost: bool,
    /// It said something that nobody understands.
    pub rejected: bool,
}

impl Refresher {
    /// Commits the rotated credential before anyone uses it (R36).
    pub(super) async fn store_rotated(
        &self,
        account: &AccountRow,
        fence: i64,
        credential: &TokenCredential,
        params: &AccountParams,
        margin: Option<u64>,
    ) -> Result<Outcome> {
        let refreshed = Refreshed {
            refresh_due_at: self.due_at(margin, credential.expires_at),
            credential: self.credentials.seal_credential(&account.into(), params, &credential.secrets),
            params: params.to_text(),
            expires_at: credential.expires_at,
            now: self.core.now(),
        };
        let rotation = Rotation::new(&account.project_id, &account.id, fence, &refreshed);
        match self.spool.store_rotation(&rotation).await {
            Ok(()) => Ok(Outcome::Refreshed),
            // Deleted, or refreshed by another holder: what is stored now decides.
            Err(WriteError::Refused(_)) => {
                self.revocations.revoke_orphan(account, &credential.secrets).await?;
                Ok(Outcome::LostRace)
            }
            Err(error) => Err(still_refreshing().because(error)),
        }
    }

    pub(super) async fn expire(
        &self,
        account: &AccountRow,
        fence: i64,
        reason: &str,
        failure: Option<&Failure>,
    ) -> Result<Outcome> {
        self.core.metrics.refresh("expired");
        let actor = Actor::system(&account.project_id);
        let detail = failure.map(|failure| failure.facts().to_value());
        let mut unit = Unit::new()
            .with(accounts::expire_refreshed(&account.project_id, &account.id, fence, reason, self.core.now()))
            .with(self.core.audit(&actor, "connected_account.expire", &account.id, reason, detail.as_ref()));
        if let Some(kept) = self.credentials.keep_unread(account, failure.and_then(Failure::unread)) {
            unit.push(kept);
        }
        match self.spool.apply_patiently(unit).await {
            Ok(()) | Err(WriteError::Refused(_)) => Ok(Outcome::LostRace),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) async fn give_back(
        &self,
        account: &AccountRow,
        fence: i64,
        how: GiveBack,
        failure: Failure,
        asked: Option<Millis>,
    ) -> Result<Outcome> {
        self.core.metrics.refresh("later");
        let now = self.core.now();
        let asked = asked.unwrap_or(0).clamp(0, MAX_BACKOFF);
        let pause = self.backoff(account.refresh_failures).max(asked);
        let pause = pause.max(if how.rejected { REJECTION_PAUSE } else { 0 });
        // A try that changed nothing leaves an earlier lost answer lost.
        let started_at = if how.lost { account.refresh_started_at.or(Some(now)) } else { account.refresh_started_at };
        let lost = RefreshFailure { started_at, rejected: how.rejected, retry_at: now + pause };
        let outcome = if how.lost { "answer_lost" } else { "failed" };
        let detail = Facts { next_try_ms: Some(pause), ..failure.facts() }.to_value();
        let actor = Actor::system(&account.project_id);
        let mut unit = Unit::new().with(accounts::clear_lease(&account.project_id, &account.id, fence, lost));
        if let Some(kept) = self.credentials.keep_unread(account, failure.unread()) {
            unit.push(kept);
        }
        // The first of a row says it all; an outage must not fill the log of events.
        if account.refresh_failures < TOLD_FAILURES {
            unit.push(self.core.audit(&actor, "connected_account.refresh", &account.id, outcome, Some(&detail)));
        }
        match self.core.store.apply(unit).await {
            Ok(_) | Err(WriteError::Refused(_)) => Ok(Outcome::Later(for_caller(account, failure, pause))),
            Err(failed) => Err(failed.into()),
        }
    }

    /// 1 s, 2 s, 4 s … up to five minutes, half of it by chance.
    fn backoff(&self, failures: i64) -> Millis {
        let exponent = u32::try_from(failures.clamp(0, 16)).unwrap_or(16);
        let longest = (1_000_i64 << exponent).min(MAX_BACKOFF);
        let mut byte = [0];
        self.core.entropy.fill(&mut byte);
        longest / 2 + longest / 2 * i64::from(byte[0]) / 255
    }
}
