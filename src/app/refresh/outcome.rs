//! The outcome of a refresh attempt, and how it is stored: a new credential, an expired account, or a
//! later retry.

use std::time::Duration;

use switchboard_store::accounts::{AccountRow, RefreshFailure, Refreshed};
use switchboard_store::{Unit, WriteError};
use switchboard_types::{AccountParams, AuditAction, AuditOutcome, Fence, Reason, ReasonCode};

use super::Refresher;
use super::freshness::MAX_BACKOFF;
use super::renewal::caller_error;
use crate::app::Actor;
use crate::app::audit::Facts;
use crate::app::provider::lease::still_refreshing;
use crate::app::provider::{Failure, TokenCredential};
use crate::app::spool::rotation::Rotation;
use crate::error::{Error, Result};
use crate::time::millis;

/// Consecutive failures that are recorded in the audit log.
const AUDITED_FAILURES: i64 = 3;
/// Minimum pause after a refusal that cannot be classified.
const REJECTION_PAUSE: Duration = Duration::from_mins(1);

/// The outcome of one attempt.
pub(super) enum Outcome {
    /// A new credential is stored.
    Refreshed,
    /// Another lease holder was faster, or the account changed: read it again.
    LostRace,
    /// Retry later.
    Later(Error),
}

/// What a failed attempt means for the account.
#[derive(Clone, Copy, Default)]
pub(super) struct FailureEffect {
    /// The provider may have rotated the token without our seeing the response.
    pub lost: bool,
    /// The refusal could not be classified.
    pub rejected: bool,
}

impl Refresher {
    /// Commits the rotated credential before it is used (R36).
    #[tracing::instrument(level = "debug", skip_all)]
    pub(super) async fn store_rotated(
        &self,
        account: &AccountRow,
        fence: Fence,
        credential: &TokenCredential,
        params: &AccountParams,
        margin: Option<u64>,
    ) -> Result<Outcome> {
        let refreshed = Refreshed {
            refresh_due_at: self.due_at(margin, credential.expires_at),
            credential: self.credentials.seal_credential(&account.into(), params, &credential.secrets),
            params: params.stored(),
            expires_at: credential.expires_at,
            now: self.core.now(),
        };
        let rotation = Rotation::new(&account.project_id, &account.id, fence, &refreshed);
        match self.spool.store_rotation(&rotation).await {
            Ok(()) => Ok(Outcome::Refreshed),
            // Deleted, or refreshed by another lease holder: the stored state decides.
            Err(WriteError::Refused(_)) => {
                self.revocations.revoke_orphan(account, &credential.secrets).await?;
                Ok(Outcome::LostRace)
            }
            Err(error) => Err(still_refreshing().because(error)),
        }
    }

    #[tracing::instrument(level = "debug", skip_all)]
    pub(super) async fn expire(
        &self,
        account: &AccountRow,
        fence: Fence,
        code: ReasonCode,
        failure: Option<&Failure>,
    ) -> Result<Outcome> {
        self.core.metrics.refresh("expired");
        let actor = Actor::system(&account.project_id);
        let (reason, detail) = (Reason::new(code), failure.map(|failure| failure.facts().to_text()));
        let mut unit = Unit::new().with(account.expire(fence, &reason, self.core.now())).with(self.core.audit(
            &actor,
            AuditAction::AccountExpire,
            &account.id,
            &reason,
            detail,
        ));
        if let Some(kept) = self.credentials.keep_unread(account, failure.and_then(Failure::unread)) {
            unit.extend(kept);
        }
        match self.spool.apply_with_retry(unit).await {
            Ok(()) | Err(WriteError::Refused(_)) => Ok(Outcome::LostRace),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) async fn record_failure(
        &self,
        account: &AccountRow,
        fence: Fence,
        how: FailureEffect,
        failure: Failure,
        retry_after: Option<Duration>,
    ) -> Result<Outcome> {
        self.core.metrics.refresh("later");
        let now = self.core.now();
        let retry_after = retry_after.unwrap_or_default().min(MAX_BACKOFF);
        let pause = self.backoff(account.refresh_failures).max(retry_after);
        let pause = pause.max(if how.rejected { REJECTION_PAUSE } else { Duration::ZERO });
        // A failure without effect does not clear an earlier lost response.
        let started_at = if how.lost { account.refresh_started_at.or(Some(now)) } else { account.refresh_started_at };
        let lost = RefreshFailure { started_at, rejected: how.rejected, retry_at: now + pause };
        let outcome = if how.lost { AuditOutcome::AnswerLost } else { AuditOutcome::Failed };
        let detail = Facts { next_try_ms: Some(millis(pause)), ..failure.facts() }.to_text();
        let actor = Actor::system(&account.project_id);
        let mut unit = Unit::new().with(account.clear_lease(fence, lost));
        if let Some(kept) = self.credentials.keep_unread(account, failure.unread()) {
            unit.extend(kept);
        }
        // Only the first failures of a series are audited.
        if account.refresh_failures < AUDITED_FAILURES {
            unit.push(self.core.audit(&actor, AuditAction::AccountRefresh, &account.id, outcome, Some(detail)));
        }
        match self.core.store.apply(unit).await {
            Ok(_) | Err(WriteError::Refused(_)) => Ok(Outcome::Later(caller_error(account, failure, pause))),
            Err(failed) => Err(failed.into()),
        }
    }

    /// 1 s, 2 s, 4 s … up to five minutes, half of it random.
    fn backoff(&self, failures: i64) -> Duration {
        let exponent = u32::try_from(failures.clamp(0, 16)).unwrap_or(16);
        let longest = Duration::from_secs(1 << exponent).min(MAX_BACKOFF);
        let mut byte = [0];
        self.core.entropy.fill(&mut byte);
        longest / 2 + longest / 2 * u32::from(byte[0]) / 255
    }
}
