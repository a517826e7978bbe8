//! A fresh credential for an account: exactly one refresh per rotation (R33–R38).
//!
//! Within this process callers queue on one lock per account and find the new credential there.
//! Between processes one conditional UPDATE takes a lease with a fence; the lease outlives the
//! deadlines of all requests, and only the newest fence may write. The work runs in a task that
//! outlives its caller: a disconnect never loses a rotated token. A journal mark is written before
//! the request; if we die between the provider's answer and our commit, the next holder tries the
//! old token once, and a refusal then ends the account as `refresh_interrupted`.

pub(in crate::app) mod freshness;
pub(in crate::app) mod renewal;
pub mod scheduler;

use crate::app::base::core::Core;
use crate::app::credential::Credentials;
use crate::app::provider::Breakers;
use crate::app::provider::Providers;
use crate::app::revocation::Revocations;
use crate::app::spool::Spool;
use std::sync::Arc;
use std::time::Duration;

use switchboard_catalog::{Scheme, Toolkit};
use switchboard_store::accounts::{self, AccountRow, AccountStatus, RefreshFailure, Refreshed};
use switchboard_store::{Unit, WriteError};
use switchboard_vault::Secrets;

use super::Actor;
use super::connect::TokenCredential;
use super::provider::{Failure, Health};
use crate::app::account::params::AccountParams;
use crate::app::audit::Facts;
use crate::app::base::failpoint;
use crate::app::credential::client::Issued;
use crate::app::provider::request::TOKEN_TIMEOUT;
use crate::app::session::resolve::reauth_required;
use crate::error::{Error, Result};
use crate::time::{Millis, millis};

use crate::app::spool::rotation::Rotation;

use freshness::{
    Freshness, LEASE, MAX_BACKOFF, freshness, is_leased, is_pausing, left_alone, pausing, still_refreshing,
};
use renewal::{Renewal, Verdict, carry_over, for_caller, judge};

/// Failures in a row that are written down as events.
const TOLD_FAILURES: i64 = 3;
/// How long a caller waits for a refresh: the request's deadline and a moment for the database.
const CALLER_PATIENCE: Duration = Duration::from_secs(TOKEN_TIMEOUT.as_secs() + 5);
/// Between two refusals that nobody understands, at least, in milliseconds.
const REJECTION_PAUSE: Millis = 60_000;

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
        let app = Arc::clone(self);
        let (project, id, toolkit) = (account.project_id.clone(), account.id.clone(), Arc::clone(toolkit));
        let lock = self.core.flights.lock_of(&id);
        // Spawned: it finishes even when the caller goes away (R35).
        let task = self.core.tasks.spawn(async move {
            let _turn = lock.lock_owned().await;
            app.refreshed(&project, &id, &toolkit, wanted).await
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
            let account =
                self.core.store.account(project, id).await?.ok_or_else(|| crate::app::account::not_found(id))?;
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
                match self.spool.finish_spooled(&account).await {
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
            let config = config.ok_or_else(|| crate::app::auth_config::not_found(&account.auth_config_id))?;
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

    /// Commits the rotated credential before anyone uses it (R36).
    async fn store_rotated(
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

    async fn expire(
        &self,
        account: &AccountRow,
        fence: i64,
        reason: &str,
        failure: Option<&Failure>,
    ) -> Result<Outcome> {
        self.core.metrics.refresh("expired");
        let actor = Actor::system(&account.project_id);
        let detail = failure.map(|failure| Facts::of_failure(failure).to_value());
        let mut unit = Unit::new()
            .with(accounts::expire_refreshed(&account.project_id, &account.id, fence, reason, self.core.now()))
            .with(self.core.audit(&actor, "connected_account.expire", &account.id, reason, detail.as_ref()));
        if let Some(kept) = failure.and_then(|failure| self.credentials.keep_unread(account, failure)) {
            unit.push(kept);
        }
        match self.spool.apply_patiently(unit).await {
            Ok(()) | Err(WriteError::Refused(_)) => Ok(Outcome::LostRace),
            Err(error) => Err(error.into()),
        }
    }

    async fn give_back(
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
        let detail = Facts { next_try_ms: Some(pause), ..Facts::of_failure(&failure) }.to_value();
        let actor = Actor::system(&account.project_id);
        let mut unit = Unit::new().with(accounts::clear_lease(&account.project_id, &account.id, fence, lost));
        if let Some(kept) = self.credentials.keep_unread(account, &failure) {
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

/// How one try went.
enum Outcome {
    /// A new credential is stored.
    Refreshed,
    /// Another holder was faster, or the account changed: read it again.
    LostRace,
    /// Not now.
    Later(Error),
}

/// What is known of a try that gave no credential.
#[derive(Clone, Copy, Default)]
struct GiveBack {
    /// The provider may have acted on it, and nothing tells.
    lost: bool,
    /// It said something that nobody understands.
    rejected: bool,
}

/// The provider is down for everybody.
fn provider_down(wait: Millis) -> Error {
    left_alone("The provider is not answering at present", wait)
}
