//! The job of the queue that revokes one credential at its provider.
//!
//! The lane is the toolkit, so that a slow provider does not delay the others. Temporary failures are retried for
//! a day.

use std::time::Duration;

use switchboard_store::Unit;
use switchboard_store::jobs::JobKind;
use switchboard_store::revocations::{self, FinishedRevocation, RevocationOutcome, RevocationRow, RevocationState};
use switchboard_types::{AuditAction, AuditOutcome};
use tokio::sync::{Notify, OwnedMutexGuard};

use super::attempt::{AttemptStatus, Task};
use super::sharing::SharedTokens;
use super::{RevocationMethod, RevokedToken, parse_tokens, revocation_method, tokens_text};
use crate::app::Actor;
use crate::app::audit::Facts;
use crate::app::model::params::with_derived_values;
use crate::app::provider::request::TOKEN_TIMEOUT;
use crate::app::queue::{LeasedJob, Outcome, Policy, QueuedJob};
use crate::app::revocation::Revocations;
use crate::error::Result;

/// Timeout of an attempt: two requests, and time for what they need.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2 * TOKEN_TIMEOUT.as_secs() + 20);

/// The audit log's word for an outcome.
fn audit_outcome(outcome: RevocationOutcome) -> AuditOutcome {
    match outcome {
        RevocationOutcome::Revoked => AuditOutcome::Revoked,
        RevocationOutcome::NotSupported => AuditOutcome::NotSupported,
        RevocationOutcome::Failed => AuditOutcome::Failed,
        RevocationOutcome::Kept => AuditOutcome::Kept,
    }
}

/// What an attempt holds until its outcome is stored.
#[derive(Default)]
pub(in crate::app) struct GrantClaim {
    /// The tokens that are revoked so far.
    revoked: Vec<RevokedToken>,
    /// The grant that the request revokes, if it revokes more than one token.
    grant: Option<Vec<u8>>,
    /// The lock of the grant.
    lock: Option<OwnedMutexGuard<()>>,
}

impl QueuedJob for Revocations {
    const KIND: JobKind = JobKind::Revocation;
    const POLICY: Policy = Policy {
        max_concurrent: 16,
        max_concurrent_per_lane: 4,
        // Time for an attempt, and for the database.
        lease: Duration::from_secs(ATTEMPT_TIMEOUT.as_secs() + 10),
        initial_backoff: Duration::from_secs(5),
        max_backoff: Duration::from_mins(30),
        deadline: Duration::from_hours(24),
    };
    type Held = GrantClaim;

    fn wake(&self) -> &Notify {
        &self.wake
    }

    /// Attempts the revocation.
    #[tracing::instrument(level = "debug", skip_all)]
    async fn run(&self, job: &LeasedJob<'_>, grant_claim: &mut GrantClaim) -> Result<Outcome> {
        // Without a pending revocation nothing is left to do.
        let nothing = Ok(Outcome::Done(Unit::new()));
        let Some(row) = self.core.store.revocation(job.project_id(), job.key()).await? else { return nothing };
        let RevocationState::Pending { material, .. } = &row.state else { return nothing };
        if row.pending_verification_id.is_some() && self.may_share_grant(&row).await? {
            return Ok(Outcome::Done(Unit::new().with(revocations::withdraw(&row.project_id, &row.id))));
        }
        grant_claim.revoked = parse_tokens(&row.tokens)?;
        let status = self.attempt_in_time(&row, material, grant_claim).await;
        let tokens = tokens_text(&grant_claim.revoked);
        let (outcome, detail) = match status {
            AttemptStatus::Revoked => (RevocationOutcome::Revoked, None),
            AttemptStatus::NotSupported(detail) => (RevocationOutcome::NotSupported, Some(detail)),
            AttemptStatus::Failed(detail) => (RevocationOutcome::Failed, Some(detail)),
            AttemptStatus::Kept(detail) => (RevocationOutcome::Kept, Some(detail)),
            AttemptStatus::Retry { detail, retry_after } => {
                if let Some(retry) = job.retry(&detail, retry_after) {
                    tracing::warn!(account.id = %row.account_id, toolkit = %row.toolkit, tries = job.tries(), "revocation will be retried later");
                    let progress = revocations::record_tokens(&row.project_id, &row.id, &tokens);
                    return Ok(Outcome::Retry(retry, Unit::new().with(progress)));
                }
                (RevocationOutcome::Failed, Some(format!("Given up after {} tries: {detail}", job.tries())))
            }
        };
        tracing::info!(account.id = %row.account_id, toolkit = %row.toolkit, outcome = outcome.as_str(), "revocation finished");
        let (tries, grant, at) = (job.tries(), grant_claim.grant.take(), self.core.now());
        let finished = FinishedRevocation { outcome, tokens, detail, tries, grant, at };
        Ok(Outcome::Done(self.finish(&row, &finished)))
    }
}

impl Revocations {
    /// The unit that ends a revocation.
    fn finish(&self, row: &RevocationRow, finished: &FinishedRevocation) -> Unit {
        let facts =
            Facts { revoke_job_id: Some(row.job_id.clone()), detail: finished.detail.clone(), ..Facts::default() }
                .to_text();
        let audit = self.core.audit(
            &Actor::system(&row.project_id),
            AuditAction::AccountRevokeUpstream,
            &row.account_id,
            audit_outcome(finished.outcome),
            Some(facts),
        );
        Unit::new().with(revocations::finish(&row.project_id, &row.id, finished)).with(audit)
    }

    /// Whether the user of a conditional revocation has a connected account, which may use the same grant.
    async fn may_share_grant(&self, row: &RevocationRow) -> Result<bool> {
        let Some(account) = self.core.store.account(&row.project_id, &row.account_id).await? else { return Ok(false) };
        Ok(self.core.store.user_has_credential(&row.project_id, &account.user_id, &account.auth_config_id).await?)
    }

    /// An attempt that has an outcome before its lease ends.
    async fn attempt_in_time(
        &self,
        row: &RevocationRow,
        material: &[u8],
        grant_claim: &mut GrantClaim,
    ) -> AttemptStatus {
        let attempt = self.attempt(row, material, grant_claim);
        let detail = match tokio::time::timeout(ATTEMPT_TIMEOUT, attempt).await {
            Ok(Ok(status)) => return status,
            Ok(Err(error)) => {
                tracing::error!(revocation.id = %row.id, error = error.message(), cause = error.causes(), "a revocation could not be attempted");
                // Another server on this database may have a key that is missing here.
                error.message().to_owned()
            }
            Err(_) => "The provider did not answer in time".to_owned(),
        };
        AttemptStatus::Retry { detail, retry_after: None }
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn attempt(
        &self,
        row: &RevocationRow,
        material: &[u8],
        grant_claim: &mut GrantClaim,
    ) -> Result<AttemptStatus> {
        let material = self.credentials.open_revocation(row, material)?;
        let mut params = row.params.clone();
        let toolkit = self.core.toolkit(&row.toolkit);
        if let Some(toolkit) = &toolkit {
            params = with_derived_values(&params, toolkit, row.scheme);
        }
        if toolkit.is_none() {
            // Another server on this database may have the toolkit file.
            let detail = format!("This server has no toolkit \"{}\"", row.toolkit);
            return Ok(AttemptStatus::Retry { detail, retry_after: None });
        }
        let method = match revocation_method(row.scheme, &row.toolkit, toolkit.as_deref()) {
            Ok(method) => method,
            Err(reason) => return Ok(AttemptStatus::NotSupported(reason)),
        };
        let (toolkit, is_managed) = (row.toolkit.as_str(), row.is_managed);
        let managed =
            self.core.settings.managed.get(toolkit).filter(|_| is_managed).map(|client| client.client_id.as_str());
        let client_id = managed.or_else(|| material.get("client_id")).unwrap_or_default();
        let mut shared = SharedTokens::default();
        if let RevocationMethod::OAuth(oauth) = method {
            // One at a time per grant: if several of its accounts are deleted together, one request is enough.
            if let Some(key) = self.grant_key(oauth, &params, client_id, None) {
                grant_claim.lock =
                    Some(self.core.account_locks.for_account(&format!("grant {key:?}")).lock_owned().await);
            }
            shared = self
                .find_shared_tokens(oauth, &params, client_id, (&row.account_id, ""), |name| {
                    material.get(name).is_some()
                })
                .await?;
            if let Some(key) = &shared.key {
                if !shared.primary && self.core.store.grant_revoked_since(key, row.created_at).await? {
                    return Ok(AttemptStatus::Revoked);
                }
                grant_claim.grant.clone_from(&key.grant);
            }
        }
        let scheme = row.scheme;
        let task = Task { toolkit, scheme, method, is_managed, material: &material, params: &params, shared };
        Ok(self.attempt_revocation(task, &mut grant_claim.revoked).await)
    }
}
