//! A fresh credential for an account: exactly one refresh per rotation (R33–R38).
//!
//! Within this process callers queue on one lock per account and find the new credential there.
//! Between processes one conditional UPDATE takes a lease with a fence; the lease outlives the
//! deadlines of all requests, and only the newest fence may write. The work runs in a task that
//! outlives its caller: a disconnect never loses a rotated token. A journal mark is written before
//! the request; if we die between the provider's answer and our commit, the next holder tries the
//! old token once, and a refusal then ends the account as `refresh_interrupted`.

pub(in crate::app) mod freshness;
mod outcome;
pub(in crate::app) mod renewal;
pub mod scheduler;

use std::sync::Arc;
use std::time::Duration;

use switchboard_catalog::{Scheme, Toolkit};
use switchboard_store::accounts::{self, AccountRow, AccountStatus};
use switchboard_store::{Unit, WriteError};
use switchboard_vault::Secrets;

use super::Actor;
use super::provider::{Failure, Health, TokenCredential};
use crate::app::base::core::Core;
use crate::app::base::errors::{account_not_found, auth_config_not_found, reauth_required};
use crate::app::base::failpoint;
use crate::app::credential::Credentials;
use crate::app::credential::client::Issued;
use crate::app::model::params::AccountParams;
use crate::app::provider::lease::{LEASE, is_leased, still_refreshing};
use crate::app::provider::request::TOKEN_TIMEOUT;
use crate::app::provider::{Breakers, Providers};
use crate::app::revocation::Revocations;
use crate::app::spool::Spool;
use crate::error::{Error, Result};
use crate::time::{Millis, millis};

use freshness::{Freshness, freshness, is_pausing, left_alone, pausing};
use outcome::{GiveBack, Outcome};
use renewal::{Renewal, Verdict, carry_over, judge};

/// How long a caller waits for a refresh: the request's deadline and a moment for the database.
const CALLER_PATIENCE: Duration = Duration::from_secs(TOKEN_TIMEOUT.as_secs() + 5);

/// Credentials that are refreshed before they end.
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
    /// With the services that it calls.
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
    /// The account with a credential that lives, refreshed first when needed.
    pub async fn fresh_credential(
        self: &Arc<Self>,
        account: &AccountRow,
        toolkit: &Arc<Toolkit>,
    ) -> Result<(AccountRow, Secrets)> {
        let alive = match freshness(account, self.core.now()) {
            Freshness::Fresh => return Ok((account.clone(), self.credentials.open_credential(account)?)),
            Freshness::Stale => true,
            Freshness::Dead => false,
        };
        let account = match self.refresh_in_turn(account, toolkit, Wanted::WhenDue).await? {
            Some(account) => account,
            None if alive => account.clone(),
            None => return Err(still_refreshing()),
        };
        let secrets = self.credentials.open_credential(&account)?;
        Ok((account, secrets))
    }

    /// The account with a credential that is newer than the one it has now. When the provider is
    /// away the account is as it was, and the error says so.
    pub async fn refresh_now(self: &Arc<Self>, account: &AccountRow, toolkit: &Arc<Toolkit>) -> Result<AccountRow> {
        let wanted = Wanted::NewerThan(account.credential_version);
        self.refresh_in_turn(account, toolkit, wanted).await?.ok_or_else(still_refreshing)
    }

    /// Refreshes an account that is due, for nobody in particular. Whether it has a newer credential
    /// now.
    pub async fn refresh_when_due(self: &Arc<Self>, account: &AccountRow, toolkit: &Arc<Toolkit>) -> Result<bool> {
        let now = self.refresh_in_turn(account, toolkit, Wanted::WhenDue).await?;
        Ok(now.is_some_and(|now| now.credential_version > account.credential_version))
    }

    /// Refreshes when it is this caller's turn; none when that takes longer than a caller waits.
    async fn refresh_in_turn(
        self: &Arc<Self>,
        account: &AccountRow,
        toolkit: &Arc<Toolkit>,
        wanted: Wanted,
    ) -> Result<Option<AccountRow>> {
        let refresher = Arc::clone(self);
        let (project, id, toolkit) = (account.project_id.clone(), account.id.clone(), Arc::clone(toolkit));
        let lock = self.core.flights.lock_of(&id);
        // Spawned: it finishes even when the caller goes away (R35).
        let task = self.core.tasks.spawn(async move {
            let _turn = lock.lock_owned().await;
            refresher.refreshed(&project, &id, &toolkit, wanted).await
        });
        match tokio::time::timeout(CALLER_PATIENCE, task).await {
            Ok(joined) => joined.map_err(Error::internal)?.map(Some),
            // The task goes on; only this caller stops waiting.
            Err(_) => Ok(None),
        }
    }

    /// Reads the account again, now that it is our turn, and refreshes it unless another did.
    async fn refreshed(&self, project: &str, id: &str, toolkit: &Toolkit, wanted: Wanted) -> Result<AccountRow> {
        let deadline = self.core.now() + millis(LEASE);
        let mut has_refreshed = false;
        let mut looked_under = None;
        loop {
            let account = self.core.store.account(project, id).await?.ok_or_else(|| account_not_found(id))?;
            if account.status != AccountStatus::Active {
                return Err(reauth_required(&account));
            }
            let now = self.core.now();
            if wanted.is_satisfied(&account, now) {
                return Ok(account);
            }
            // Whoever wants a newer one is not served with what there is.
            let alive = wanted == Wanted::WhenDue && !matches!(freshness(&account, now), Freshness::Dead);
            // The old refresh token is not sent while a newer one waits in a file. While another holds the
            // lease, one look is enough; there is another when it is over.
            if !is_leased(&account, now) || looked_under != Some(account.refresh_fence) {
                looked_under = Some(account.refresh_fence);
                match self.spool.finish(&account).await {
                    Ok(true) => continue,
                    Ok(false) => {}
                    Err(_) if alive => return Ok(account),
                    Err(error) => return Err(error),
                }
            }
            // A lifetime shorter than our own commit must not rotate without end.
            if has_refreshed || (alive && is_pausing(&account, now)) {
                return Ok(account);
            }
            if is_pausing(&account, now) {
                return Err(pausing(&account, now));
            }
            if is_leased(&account, now) {
                if alive {
                    return Ok(account);
                }
                if now >= deadline {
                    return Err(still_refreshing());
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
            match self.refresh_once(&account, toolkit, alive).await {
                Ok(Outcome::Refreshed) => has_refreshed = true,
                Ok(Outcome::LostRace) => {}
                // A token that lives is good enough while the provider or the database is not.
                Ok(Outcome::Later(_)) | Err(_) if alive => return Ok(account),
                Ok(Outcome::Later(error)) | Err(error) => return Err(error),
            }
        }
    }

    async fn refresh_once(&self, account: &AccountRow, toolkit: &Toolkit, alive: bool) -> Result<Outcome> {
        let scheme: Scheme = account.scheme.parse().map_err(Error::internal)?;
        let secrets = self.credentials.open_credential(account)?;
        let renewal = Renewal::of(toolkit, scheme).filter(|renewal| renewal.is_possible(&secrets));
        let lives = !matches!(freshness(account, self.core.now()), Freshness::Dead);
        let renewal = renewal.filter(|renewal| lives || !renewal.needs_life());
        if alive && renewal.is_none() {
            // Nothing to refresh with, and nothing wrong yet.
            return Ok(Outcome::Later(still_refreshing()));
        }
        // Asked before the lease: an outage costs no write.
        let mut params = AccountParams::parse(&account.params)?.completed(toolkit, scheme);
        if matches!(renewal, Some(Renewal::OAuth(_))) && !toolkit.client_fields(scheme).is_empty() {
            // Nothing is leased for a client that is for another place by now.
            let config = self.core.store.auth_config(&account.project_id, &account.auth_config_id).await?;
            let config = config.ok_or_else(|| auth_config_not_found(&account.auth_config_id))?;
            self.credentials.client_for(
                toolkit,
                scheme,
                &config,
                &params,
                Issued::Earlier(params.client_id.as_deref()),
            )?;
        }
        let endpoint = renewal.map(|renewal| self.endpoint(toolkit, renewal, &params));
        if let Some(endpoint) = &endpoint
            && let Err(wait) = self.breakers.admit(endpoint, self.core.now())
        {
            return Ok(Outcome::Later(provider_down(wait)));
        }
        let now = self.core.now();
        let lease = accounts::lease(
            &account.project_id,
            &account.id,
            account.credential_version,
            account.refresh_fence,
            now,
            now + millis(LEASE),
        );
        match self.core.store.apply(Unit::new().with(lease)).await {
            Ok(_) => {}
            Err(WriteError::Refused(_)) => return Ok(Outcome::LostRace),
            Err(error) => return Err(error.into()),
        }
        let fence = account.refresh_fence + 1;
        let (Some(renewal), Some(endpoint)) = (renewal, endpoint) else {
            let reason = "The access token expired and the provider gave no refresh token";
            return self.expire(account, fence, reason, None).await;
        };
        match self.renew(account, toolkit, scheme, renewal, &secrets, &params).await {
            Ok((token, found)) => {
                self.breakers.note(&endpoint, Health::Answered, self.core.now());
                failpoint::hit("after_token_response");
                let mut credential = TokenCredential::new(token, &mut params, self.core.now());
                carry_over(&mut credential.secrets, &secrets, renewal);
                self.core.metrics.refresh("refreshed");
                let stored = self.store_rotated(account, fence, &credential, &params, renewal.margin()).await;
                // Not before the write: nothing may stand between the provider's answer and the store.
                if let Some(found) = found {
                    let actor = Actor::system(&account.project_id);
                    self.providers.keep_method(&actor, &found.config, found.learned).await;
                }
                tracing::info!(account.id = %account.id, toolkit = %toolkit.slug, "refreshed");
                stored
            }
            Err(failure) => {
                let asked = match &failure {
                    Failure::Refused { retry_after, .. } => *retry_after,
                    _ => None,
                };
                self.breakers.note(&endpoint, failure.health(), self.core.now());
                self.refresh_failed(account, fence, renewal, failure, asked, alive).await
            }
        }
    }

    async fn refresh_failed(
        &self,
        account: &AccountRow,
        fence: i64,
        renewal: Renewal<'_>,
        failure: Failure,
        asked: Option<Millis>,
        alive: bool,
    ) -> Result<Outcome> {
        let reason = failure.logged();
        let noted = match judge(account, renewal, &failure, alive) {
            Verdict::Dead(reason) => self.expire(account, fence, reason, Some(&failure)).await,
            Verdict::ClientRefused => self.give_back(account, fence, GiveBack::default(), failure, asked).await,
            Verdict::Later { lost, rejected } => {
                self.give_back(account, fence, GiveBack { lost, rejected }, failure, asked).await
            }
        };
        tracing::warn!(account.id = %account.id, toolkit = %account.toolkit, reason, "refresh failed");
        noted
    }
}

/// What a caller wants of a refresh.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// A token that lives; refreshed when it is due.
    WhenDue,
    /// Another credential than this version.
    NewerThan(i64),
}

impl Wanted {
    fn is_satisfied(self, account: &AccountRow, now: Millis) -> bool {
        match self {
            Self::WhenDue => matches!(freshness(account, now), Freshness::Fresh),
            Self::NewerThan(version) => account.credential_version > version,
        }
    }
}

/// The provider is down for everybody.
fn provider_down(wait: Millis) -> Error {
    left_alone("The provider is not answering at present", wait)
}
