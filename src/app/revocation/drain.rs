//! Processes the queue: when a revocation is added, and every two seconds.
//!
//! The number of concurrent attempts is limited, also per toolkit, so that a slow provider does not delay the
//! others. Temporary failures are retried for a day with exponential backoff.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use switchboard_store::revocations::{self, AttemptResult, RevocationOutcome, RevocationRow, RevocationState};
use switchboard_store::{Unit, WriteError};
use switchboard_types::{AuditAction, AuditOutcome};
use tokio::sync::{OwnedMutexGuard, Semaphore};
use tokio_util::sync::CancellationToken;

use super::attempt::{AttemptOutcome, AttemptStatus, Task};
use super::sharing::SharedTokens;
use super::{RevocationMethod, parse_tokens, revocation_method, tokens_text};
use crate::app::Actor;
use crate::app::audit::Facts;
use crate::app::model::params::AccountParams;
use crate::app::provider::request::TOKEN_TIMEOUT;
use crate::app::revocation::Revocations;
use crate::error::Result;
use crate::time::{Millis, millis};

/// Maximum number of concurrent attempts.
const MAX_CONCURRENT: usize = 16;
/// Maximum number of concurrent attempts per toolkit.
const MAX_CONCURRENT_PER_TOOLKIT: usize = 4;
/// Rows read with one query.
const PAGE: i64 = 32;
/// How long a row is claimed for one attempt: two requests, and time for the database.
const CLAIM_DURATION: Duration = Duration::from_secs(2 * TOKEN_TIMEOUT.as_secs() + 30);
/// How long a revocation is retried, in milliseconds: a day.
const MAX_RETRY_TIME: Millis = 24 * 60 * 60 * 1_000;
/// Pause after the first failure, in milliseconds.
const INITIAL_BACKOFF: Millis = 5_000;
/// Maximum pause between two attempts, in milliseconds, unless the provider asks for more.
const MAX_BACKOFF: Millis = 30 * 60 * 1_000;

/// The attempts in flight.
#[derive(Debug)]
pub struct RevocationQueue {
    in_flight: Arc<Semaphore>,
    by_toolkit: HashMap<String, Arc<Semaphore>>,
}

impl Default for RevocationQueue {
    fn default() -> Self {
        Self { in_flight: Arc::new(Semaphore::new(MAX_CONCURRENT)), by_toolkit: HashMap::new() }
    }
}

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
struct GrantClaim {
    /// The grant that the request revokes, if it revokes more than one token.
    grant: Option<Vec<u8>>,
    /// The lock of the grant.
    lock: Option<OwnedMutexGuard<()>>,
}

impl Revocations {
    /// Resolves when a revocation was added to the queue, or an attempt has ended.
    pub(in crate::app) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Starts the attempts that are due, within the limits. Returns how many.
    pub(in crate::app) async fn start_due_revocations(
        self: &Arc<Self>,
        queue: &mut RevocationQueue,
        stop: &CancellationToken,
    ) -> Result<usize> {
        let RevocationQueue { in_flight, by_toolkit } = queue;
        let mut count = 0;
        by_toolkit.retain(|_, permits| permits.available_permits() < MAX_CONCURRENT_PER_TOOLKIT);
        while !stop.is_cancelled() {
            let is_full = |permits: &Semaphore| permits.available_permits() == 0;
            let full: Vec<String> =
                by_toolkit.iter().filter(|(_, permits)| is_full(permits)).map(|(slug, _)| slug.clone()).collect();
            let mut started = false;
            for mut row in self.core.store.due_revocations(self.core.now(), &full, PAGE).await? {
                let Ok(permit) = Arc::clone(in_flight).try_acquire_owned() else { return Ok(count) };
                let permits = by_toolkit
                    .entry(row.toolkit.clone())
                    .or_insert_with(|| Arc::new(Semaphore::new(MAX_CONCURRENT_PER_TOOLKIT)));
                let Ok(toolkit_permit) = Arc::clone(permits).try_acquire_owned() else { continue };
                let claim = revocations::claim(&row, self.core.now() + millis(CLAIM_DURATION));
                match self.core.store.apply(Unit::new().with(claim)).await {
                    Ok(_) => row.tries += 1,
                    Err(WriteError::Refused(_)) => continue,
                    Err(error) => return Err(error.into()),
                }
                started = true;
                count += 1;
                let revocations = Arc::clone(self);
                // Shutdown waits for this task, so that its outcome is not lost.
                self.core.tasks.spawn(async move {
                    if let Err(error) = revocations.process(&row).await {
                        tracing::error!(revocation.id = %row.id, error = error.message(), cause = error.causes(), "the outcome of a revocation could not be stored");
                    }
                    drop((permit, toolkit_permit));
                    revocations.wake.notify_one();
                });
            }
            if !started {
                return Ok(count);
            }
        }
        Ok(count)
    }

    /// Attempts a claimed revocation, and stores the outcome.
    #[tracing::instrument(level = "debug", skip_all)]
    async fn process(&self, row: &RevocationRow) -> Result<()> {
        if row.pending_verification_id.is_some() && self.may_share_grant(row).await? {
            let withdraw = revocations::cancel_claimed(&row.project_id, &row.id, row.tries);
            return self.store_outcome(Unit::new().with(withdraw)).await;
        }
        let mut grant_claim = GrantClaim::default();
        let attempt = match self.attempt(row, &mut grant_claim).await {
            Ok(attempt) => attempt,
            Err(error) => {
                tracing::error!(revocation.id = %row.id, error = error.message(), cause = error.causes(), "a revocation could not be attempted");
                // Another server on this database may have a key that is missing here.
                let status = AttemptStatus::Retry { detail: error.message().to_owned(), retry_after: None };
                AttemptOutcome { tokens: parse_tokens(&row.tokens)?, status }
            }
        };
        let tokens = tokens_text(&attempt.tokens);
        let (outcome, detail) = match attempt.status {
            AttemptStatus::Revoked => (RevocationOutcome::Revoked, None),
            AttemptStatus::NotSupported(detail) => (RevocationOutcome::NotSupported, Some(detail)),
            AttemptStatus::Failed(detail) => (RevocationOutcome::Failed, Some(detail)),
            AttemptStatus::Kept(detail) => (RevocationOutcome::Kept, Some(detail)),
            AttemptStatus::Retry { detail, retry_after } => match self.next_attempt_at(row, retry_after) {
                Some(at) => {
                    let result = AttemptResult { tries: row.tries, tokens, detail: Some(detail), grant: None };
                    tracing::warn!(account.id = %row.account_id, toolkit = %row.toolkit, tries = row.tries, "revocation will be retried later");
                    return self
                        .store_outcome(Unit::new().with(revocations::reschedule(&row.project_id, &row.id, &result, at)))
                        .await;
                }
                None => (RevocationOutcome::Failed, Some(format!("Given up after {} tries: {detail}", row.tries))),
            },
        };
        tracing::info!(account.id = %row.account_id, toolkit = %row.toolkit, outcome = outcome.as_str(), "revocation finished");
        let result = AttemptResult { tries: row.tries, tokens, detail, grant: grant_claim.grant };
        let actor = Actor::system(&row.project_id);
        let finish = revocations::finish(&row.project_id, &row.id, &result, outcome, self.core.now());
        let facts =
            Facts { revoke_job_id: Some(row.job_id.clone()), detail: result.detail.clone(), ..Facts::default() }
                .to_value();
        let audit = self.core.audit(
            &actor,
            AuditAction::AccountRevokeUpstream,
            &row.account_id,
            audit_outcome(outcome),
            Some(&facts),
        );
        self.store_outcome(Unit::new().with(finish).with(audit)).await
    }

    /// Whether the user of a conditional revocation has a connected account, which may use the same grant.
    async fn may_share_grant(&self, row: &RevocationRow) -> Result<bool> {
        let Some(account) = self.core.store.account(&row.project_id, &row.account_id).await? else { return Ok(false) };
        Ok(self.core.store.user_has_credential(&row.project_id, &account.user_id, &account.auth_config_id).await?)
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn attempt(&self, row: &RevocationRow, grant_claim: &mut GrantClaim) -> Result<AttemptOutcome> {
        let revoked = parse_tokens(&row.tokens)?;
        let RevocationState::Pending { material } = &row.state else {
            return Ok(AttemptOutcome { tokens: revoked, status: AttemptStatus::Revoked });
        };
        let material = self.credentials.open_revocation(row, material)?;
        let mut params = AccountParams::parse(&row.params)?;
        let toolkit = self.core.toolkit(&row.toolkit);
        if let Some(toolkit) = &toolkit {
            params = params.with_derived_values(toolkit, row.scheme);
        }
        if toolkit.is_none() {
            // Another server on this database may have the toolkit file.
            let detail = format!("This server has no toolkit \"{}\"", row.toolkit);
            return Ok(AttemptOutcome { tokens: revoked, status: AttemptStatus::Retry { detail, retry_after: None } });
        }
        let method = match revocation_method(row.scheme, &row.toolkit, toolkit.as_deref()) {
            Ok(method) => method,
            Err(reason) => return Ok(AttemptOutcome { tokens: revoked, status: AttemptStatus::NotSupported(reason) }),
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
                    return Ok(AttemptOutcome { tokens: revoked, status: AttemptStatus::Revoked });
                }
                grant_claim.grant.clone_from(&key.grant);
            }
        }
        let scheme = row.scheme;
        let task = Task { toolkit, scheme, method, is_managed, material: &material, params: &params, revoked, shared };
        Ok(self.attempt_revocation(task).await)
    }

    /// Stores the outcome. If another server has claimed the row since, its attempt stores the outcome.
    async fn store_outcome(&self, unit: Unit) -> Result<()> {
        match self.spool.apply_with_retry(unit).await {
            Ok(()) | Err(WriteError::Refused(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// When to retry: not before the time that the provider asked for, and for the last time at the deadline.
    /// None if there is no further attempt.
    fn next_attempt_at(&self, row: &RevocationRow, retry_after: Option<Millis>) -> Option<Millis> {
        let (now, deadline) = (self.core.now(), row.created_at + MAX_RETRY_TIME);
        let exponent = u32::try_from((row.tries - 1).clamp(0, 16)).unwrap_or(16);
        let max_pause = (INITIAL_BACKOFF << exponent).min(MAX_BACKOFF);
        let mut byte = [0];
        self.core.entropy.fill(&mut byte);
        let pause = max_pause / 2 + max_pause / 2 * i64::from(byte[0]) / 255;
        let earliest = now.saturating_add(retry_after.unwrap_or(0));
        (now < deadline && earliest <= deadline).then(|| (now + pause).max(earliest).min(deadline))
    }
}
