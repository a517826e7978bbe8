//! Refreshes the credential of an account, exactly once per rotation (R33–R38).
//!
//! Within this process, callers queue on one lock per account and then read the new credential. Between
//! processes, one conditional UPDATE takes a lease with a fence. The lease outlives the deadlines of
//! all requests, and only the newest fence may write. The work runs in a task that outlives its caller:
//! a disconnect never loses a rotated token. A mark is written before the request. If the process
//! crashes between the provider's response and the commit, the next lease holder tries the old token
//! once; a refusal then ends the account as `refresh_interrupted`.

pub(in crate::app) mod freshness;
mod outcome;
pub(in crate::app) mod renewal;
pub mod scheduler;

use std::sync::Arc;
use std::time::Duration;

use switchboard_catalog::Toolkit;
use switchboard_store::accounts::{AccountRow, AccountStatus};
use switchboard_store::failpoint;
use switchboard_store::{Unit, WriteError};
use switchboard_types::{AccountId, CredentialVersion, Fence, ProjectId, ReasonCode, Timestamp};
use switchboard_vault::Secrets;

use super::Actor;
use super::provider::{Failure, Health, TokenCredential};
use crate::app::base::core::Core;
use crate::app::base::errors::{account_not_found, auth_config_not_found, reauth_required};
use crate::app::credential::Credentials;
use crate::app::credential::client::IssuedTo;
use crate::app::model::params::with_derived_values;
use crate::app::provider::lease::{LEASE, is_leased, still_refreshing};
use crate::app::provider::request::TOKEN_TIMEOUT;
use crate::app::provider::{Breakers, Providers};
use crate::app::revocation::Revocations;
use crate::app::spool::Spool;
use crate::error::{Error, Result};

use freshness::{Freshness, backing_off, freshness, is_backing_off, provider_paused};
use outcome::{FailureEffect, Outcome};
use renewal::{Renewal, Verdict, carry_over, classify_failure};

/// How long a caller waits for a refresh: the request's deadline plus time for the database.
const CALLER_TIMEOUT: Duration = Duration::from_secs(TOKEN_TIMEOUT.as_secs() + 5);

/// Refreshes credentials before they expire.
pub struct Refresher {
    core: Arc<Core>,
    credentials: Arc<Credentials>,
    providers: Arc<Providers>,
    spool: Arc<Spool>,
    revocations: Arc<Revocations>,
    breakers: Breakers,
}

crate::redacted_debug!(Refresher);

impl Refresher {
    /// Creates the service from the services that it calls.
    pub fn new(
        core: Arc<Core>,
        credentials: Arc<Credentials>,
        providers: Arc<Providers>,
        spool: Arc<Spool>,
        revocations: Arc<Revocations>,
    ) -> Self {
        Self { core, credentials, providers, spool, revocations, breakers: Breakers::default() }
    }
}

impl Refresher {
    /// Whether the account's credential needs no refresh now.
    pub fn is_fresh(&self, account: &AccountRow) -> bool {
        matches!(freshness(account, self.core.now()), Freshness::Fresh)
    }

    /// The account with a valid credential, refreshed first when due.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn fresh_credential(
        self: &Arc<Self>,
        account: Arc<AccountRow>,
        toolkit: &Arc<Toolkit>,
    ) -> Result<(Arc<AccountRow>, Secrets)> {
        let account = match freshness(&account, self.core.now()) {
            Freshness::Fresh => account,
            due => match self.refresh_exclusively(&account, toolkit, Requirement::WhenDue).await? {
                Some(refreshed) => Arc::new(refreshed),
                None if matches!(due, Freshness::Stale) => account,
                None => return Err(still_refreshing()),
            },
        };
        let secrets = self.credentials.open_credential(&account)?;
        Ok((account, secrets))
    }

    /// The account with a credential newer than its current one. If the provider is unavailable, the
    /// account is unchanged, and the error says so.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn refresh_now(self: &Arc<Self>, account: &AccountRow, toolkit: &Arc<Toolkit>) -> Result<AccountRow> {
        let requirement = Requirement::NewerThan(account.credential_version);
        self.refresh_exclusively(account, toolkit, requirement).await?.ok_or_else(still_refreshing)
    }

    /// Refreshes an account that is due, without a caller. Returns whether it has a newer credential
    /// now.
    pub async fn refresh_when_due(self: &Arc<Self>, account: &AccountRow, toolkit: &Arc<Toolkit>) -> Result<bool> {
        let now = self.refresh_exclusively(account, toolkit, Requirement::WhenDue).await?;
        Ok(now.is_some_and(|now| now.credential_version > account.credential_version))
    }

    /// Refreshes while holding the account's lock; none when that exceeds the caller's timeout.
    async fn refresh_exclusively(
        self: &Arc<Self>,
        account: &AccountRow,
        toolkit: &Arc<Toolkit>,
        requirement: Requirement,
    ) -> Result<Option<AccountRow>> {
        let refresher = Arc::clone(self);
        let (project, id, toolkit) = (account.project_id.clone(), account.id.clone(), Arc::clone(toolkit));
        let lock = self.core.account_locks.for_account(&id);
        // Spawned: it finishes even if the caller disconnects (R35).
        let task = self.core.tasks.spawn(async move {
            let _turn = lock.lock_owned().await;
            refresher.refresh_under_lock(&project, &id, &toolkit, requirement).await
        });
        match tokio::time::timeout(CALLER_TIMEOUT, task).await {
            Ok(joined) => joined.map_err(Error::internal)?.map(Some),
            // The task continues; only this caller stops waiting.
            Err(_) => Ok(None),
        }
    }

    /// Reads the account again under the lock, and refreshes it unless another caller did.
    async fn refresh_under_lock(
        &self,
        project: &ProjectId,
        id: &AccountId,
        toolkit: &Toolkit,
        requirement: Requirement,
    ) -> Result<AccountRow> {
        let deadline = self.core.now() + LEASE;
        let mut has_refreshed = false;
        let mut checked_fence = None;
        loop {
            let account = self.core.store.account(project, id).await?.ok_or_else(|| account_not_found(id))?;
            if account.status != AccountStatus::Active {
                return Err(reauth_required(&account));
            }
            let now = self.core.now();
            if requirement.is_satisfied(&account, now) {
                return Ok(account);
            }
            // A caller that requires a newer credential does not accept the current one.
            let is_live =
                requirement == Requirement::WhenDue && !matches!(freshness(&account, now), Freshness::Expired);
            // The old refresh token is not sent while the spool holds a newer one. While another
            // process has the lease, one check per fence is enough.
            if !is_leased(&account, now) || checked_fence != Some(account.refresh_fence) {
                checked_fence = Some(account.refresh_fence);
                match self.spool.finish(&account).await {
                    Ok(true) => continue,
                    Ok(false) => {}
                    Err(_) if is_live => return Ok(account),
                    Err(error) => return Err(error),
                }
            }
            // A lifetime shorter than our own commit must not cause endless rotation.
            if has_refreshed || (is_live && is_backing_off(&account, now)) {
                return Ok(account);
            }
            if is_backing_off(&account, now) {
                return Err(backing_off(&account, now));
            }
            if is_leased(&account, now) {
                if is_live {
                    return Ok(account);
                }
                if now >= deadline {
                    return Err(still_refreshing());
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
            match self.try_refresh(&account, toolkit, is_live).await {
                Ok(Outcome::Refreshed) => has_refreshed = true,
                Ok(Outcome::LostRace) => {}
                // A valid token is good enough while the provider or the database is unavailable.
                Ok(Outcome::Later(_)) | Err(_) if is_live => return Ok(account),
                Ok(Outcome::Later(error)) | Err(error) => return Err(error),
            }
        }
    }

    async fn try_refresh(&self, account: &AccountRow, toolkit: &Toolkit, is_live: bool) -> Result<Outcome> {
        let scheme = account.scheme;
        let secrets = self.credentials.open_credential(account)?;
        let renewal = Renewal::of(toolkit, scheme).filter(|renewal| renewal.is_possible(&secrets));
        let lives = !matches!(freshness(account, self.core.now()), Freshness::Expired);
        let renewal = renewal.filter(|renewal| lives || !renewal.requires_live_token());
        if is_live && renewal.is_none() {
            // It cannot be refreshed, and it has not expired yet.
            return Ok(Outcome::Later(still_refreshing()));
        }
        // Checked before the lease: an outage costs no write.
        let mut params = with_derived_values(&account.params, toolkit, scheme);
        if matches!(renewal, Some(Renewal::OAuth(_))) && !toolkit.client_fields(scheme).is_empty() {
            // No lease if the client has moved to another host.
            let config = self.core.store.auth_config(&account.project_id, &account.auth_config_id).await?;
            let config = config.ok_or_else(|| auth_config_not_found(&account.auth_config_id))?;
            self.credentials.client_for(
                toolkit,
                scheme,
                &config,
                &params,
                IssuedTo::ClientId(params.client_id.as_deref()),
            )?;
        }
        let endpoint = renewal.map(|renewal| self.endpoint(toolkit, renewal, &params));
        if let Some(endpoint) = &endpoint
            && let Err(wait) = self.breakers.admit(endpoint, self.core.now())
        {
            return Ok(Outcome::Later(provider_down(wait)));
        }
        let now = self.core.now();
        let (lease, fence) = account.lease(now, now + LEASE);
        match self.core.store.apply(Unit::new().with(lease)).await {
            Ok(_) => {}
            Err(WriteError::Refused(_)) => return Ok(Outcome::LostRace),
            Err(error) => return Err(error.into()),
        }
        let (Some(renewal), Some(endpoint)) = (renewal, endpoint) else {
            return self.expire(account, fence, ReasonCode::TokenExpired, None).await;
        };
        match self.renew(account, toolkit, scheme, renewal, &secrets, &params).await {
            Ok((token, found)) => {
                self.breakers.record(&endpoint, Health::Answered, self.core.now());
                failpoint::hit("after_token_response");
                let mut credential = TokenCredential::new(token, &mut params, self.core.now());
                carry_over(&mut credential.secrets, &secrets, renewal);
                self.core.metrics.refresh("refreshed");
                let stored = self.store_rotated(account, fence, &credential, &params, renewal.margin()).await;
                // Only after the write: nothing may come between the provider's response and the store.
                if let Some(found) = found {
                    let actor = Actor::system(&account.project_id);
                    self.providers.store_method(&actor, &found.config, found.learned).await;
                }
                tracing::info!(account.id = %account.id, toolkit = %toolkit.slug, "refreshed");
                stored
            }
            Err(failure) => {
                let retry_after = match &failure {
                    Failure::Refused { retry_after, .. } => *retry_after,
                    _ => None,
                };
                self.breakers.record(&endpoint, failure.health(), self.core.now());
                self.refresh_failed(account, fence, renewal, failure, retry_after, is_live).await
            }
        }
    }

    async fn refresh_failed(
        &self,
        account: &AccountRow,
        fence: Fence,
        renewal: Renewal<'_>,
        failure: Failure,
        retry_after: Option<Duration>,
        is_live: bool,
    ) -> Result<Outcome> {
        let reason = failure.log_text();
        let noted = match classify_failure(account, renewal, &failure, is_live) {
            Verdict::Expired(reason) => self.expire(account, fence, reason, Some(&failure)).await,
            Verdict::ClientRefused => {
                self.record_failure(account, fence, FailureEffect::default(), failure, retry_after).await
            }
            Verdict::Later { lost, rejected } => {
                self.record_failure(account, fence, FailureEffect { lost, rejected }, failure, retry_after).await
            }
        };
        tracing::warn!(account.id = %account.id, toolkit = %account.toolkit, reason, "refresh failed");
        noted
    }
}

/// What a caller requires of a refresh.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Requirement {
    /// A valid token; refreshed when due.
    WhenDue,
    /// A credential newer than this version.
    NewerThan(CredentialVersion),
}

impl Requirement {
    fn is_satisfied(self, account: &AccountRow, now: Timestamp) -> bool {
        match self {
            Self::WhenDue => matches!(freshness(account, now), Freshness::Fresh),
            Self::NewerThan(version) => account.credential_version > version,
        }
    }
}

/// The circuit breaker of the provider is open.
fn provider_down(wait: Duration) -> Error {
    provider_paused("The provider is not answering at present", wait)
}
