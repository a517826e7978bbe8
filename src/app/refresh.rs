//! A fresh credential for an account: exactly one refresh per rotation (R33–R38).
//!
//! Within this process callers queue on one lock per account and find the new credential there.
//! Between processes one conditional UPDATE takes a lease with a fence; the lease outlives the
//! token request's deadline, and only the newest fence may write. The work runs in a task that
//! outlives its caller: a disconnect never loses a rotated token. A journal mark is written before
//! the request; if we die between the provider's answer and our commit, the next holder tries the
//! old token once, and a refusal then ends the account as `refresh_interrupted`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use switchboard_auth::{ClientCredentials, TokenError, TokenErrorKind, parse_token_response, refresh_request};
use switchboard_catalog::{OAuth2, Refresh, Toolkit};
use switchboard_store::accounts::{self, AccountRow, AccountStatus, RefreshFailure, Refreshed};
use switchboard_store::{Unit, WriteError};
use switchboard_vault::Secrets;

use super::connect::TokenCredential;
use super::durable::Rotation;
use super::freshness::{Freshness, LEASE, MAX_BACKOFF, freshness, is_leased, is_pausing, pausing, still_refreshing};
use super::params::AccountParams;
use super::resolve::reauth_required;
use super::upstream::{TOKEN_TIMEOUT, egress_error};
use super::{Actor, App};
use crate::error::{Code, Error, Result};
use crate::time::{Millis, millis};

/// Refusals in a row that nobody can parse, before the account is given up (R26).
const MAX_REJECTIONS: i64 = 5;
/// How long a caller waits for a refresh: the request's deadline and a moment for the database.
const CALLER_PATIENCE: Duration = Duration::from_secs(TOKEN_TIMEOUT.as_secs() + 5);
/// Between two refusals that nobody understands, at least, in milliseconds.
const REJECTION_PAUSE: Millis = 60_000;

/// One lock per account whose refresh is under way in this process.
#[derive(Debug, Default)]
pub struct Flights(Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>);

impl Flights {
    /// The lock of one account.
    pub(super) fn lock_of(&self, account: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever is the last to leave is found here, not by a destructor.
        if flights.len() > 256 {
            flights.retain(|_, lock| Arc::strong_count(lock) > 1);
        }
        Arc::clone(flights.entry(account.to_owned()).or_default())
    }
}

impl App {
    /// The account with a credential that lives, refreshed first when needed.
    pub async fn fresh_credential(
        self: &Arc<Self>,
        account: &AccountRow,
        toolkit: &Arc<Toolkit>,
    ) -> Result<(AccountRow, Secrets)> {
        let alive = match freshness(account, self.now()) {
            Freshness::Fresh => return Ok((account.clone(), self.open_credential(account)?)),
            Freshness::Stale => true,
            Freshness::Dead => false,
        };
        let account = match self.refresh_in_turn(account, toolkit, Wanted::WhenDue).await? {
            Some(account) => account,
            None if alive => account.clone(),
            None => return Err(still_refreshing()),
        };
        let secrets = self.open_credential(&account)?;
        Ok((account, secrets))
    }

    /// The account with a credential that is newer than the one it has now. When the provider is
    /// away the account is as it was, and the error says so.
    pub async fn refresh_now(self: &Arc<Self>, account: &AccountRow, toolkit: &Arc<Toolkit>) -> Result<AccountRow> {
        let wanted = Wanted::NewerThan(account.credential_version);
        self.refresh_in_turn(account, toolkit, wanted).await?.ok_or_else(still_refreshing)
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
        let lock = self.flights.lock_of(&id);
        // Spawned: it finishes even when the caller goes away (R35).
        let task = self.tasks.spawn(async move {
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
        let oauth =
            toolkit.oauth2.as_ref().ok_or_else(|| Error::internal("account of a scheme that the toolkit lost"))?;
        let deadline = self.now() + millis(LEASE);
        let mut has_refreshed = false;
        loop {
            let spooled = self.finish_spooled(id).await;
            let account = self.store.account(project, id).await?.ok_or_else(|| super::accounts::not_found(id))?;
            if account.status != AccountStatus::Active {
                return Err(reauth_required(&account));
            }
            let now = self.now();
            if wanted.is_satisfied(&account, now) {
                return Ok(account);
            }
            // Whoever wants a newer one is not served with what there is.
            let alive = wanted == Wanted::WhenDue && !matches!(freshness(&account, now), Freshness::Dead);
            // The old refresh token is not sent while a newer one waits in a file.
            match spooled {
                Err(_) if alive => return Ok(account),
                other => other?,
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
            match self.refresh_once(&account, toolkit, oauth, alive).await {
                Ok(Outcome::Refreshed) => has_refreshed = true,
                Ok(Outcome::LostRace) => {}
                // A token that lives is good enough while the provider or the database is not.
                Ok(Outcome::Later(_)) | Err(_) if alive => return Ok(account),
                Ok(Outcome::Later(error)) | Err(error) => return Err(error),
            }
        }
    }

    async fn refresh_once(
        &self,
        account: &AccountRow,
        toolkit: &Toolkit,
        oauth: &OAuth2,
        alive: bool,
    ) -> Result<Outcome> {
        let mut secrets = self.open_credential(account)?;
        let refresh_token = secrets.remove("refresh_token").filter(|_| oauth.refresh != Refresh::None);
        if alive && refresh_token.is_none() {
            // Nothing to refresh with, and nothing wrong yet.
            return Ok(Outcome::Later(still_refreshing()));
        }
        let now = self.now();
        let lease = accounts::lease(
            &account.project_id,
            &account.id,
            account.credential_version,
            account.refresh_fence,
            now,
            now + millis(LEASE),
        );
        match self.store.apply(Unit::new().with(lease)).await {
            Ok(_) => {}
            Err(WriteError::Refused(_)) => return Ok(Outcome::LostRace),
            Err(error) => return Err(error.into()),
        }
        let fence = account.refresh_fence + 1;
        let Some(refresh_token) = refresh_token else {
            let reason = "The access token expired and the provider gave no refresh token";
            return self.expire(account, fence, reason).await;
        };
        let request = match self.token_refresh_request(account, oauth, refresh_token.expose()).await {
            Ok(request) => request,
            // Nothing was sent: the auth config is at fault, the account stays.
            Err(error) => return self.give_back(account, fence, GiveBack::Unsent, error).await,
        };
        let answer = match self.send_protocol(request).await {
            Ok(answer) => answer,
            Err(error) => {
                let how = if error.may_have_arrived() { GiveBack::AnswerLost } else { GiveBack::Unsent };
                return self.give_back(account, fence, how, egress_error(&error)).await;
            }
        };
        let status = answer.status();
        let content_type = answer.headers().get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        match parse_token_response(oauth, status.as_u16(), content_type, answer.body()) {
            Ok(token) => {
                let mut params = AccountParams::parse(&account.params)?;
                let mut credential = TokenCredential::new(token, &mut params, self.now());
                if credential.secrets.get("refresh_token").is_none() {
                    // R27: an answer without a refresh token keeps the old one.
                    credential.secrets.insert("refresh_token", refresh_token);
                }
                self.metrics.refresh("refreshed");
                tracing::info!(account.id = %account.id, toolkit = %toolkit.slug, "refreshed");
                self.store_rotated(account, fence, &credential, &params).await
            }
            Err(error) => self.refresh_refused(account, fence, &error, status, alive).await,
        }
    }

    /// What a refusal means (R26): only the provider's clear word ends an account.
    async fn refresh_refused(
        &self,
        account: &AccountRow,
        fence: i64,
        error: &TokenError,
        status: http::StatusCode,
        alive: bool,
    ) -> Result<Outcome> {
        let code = error.code.as_deref().unwrap_or("no code");
        tracing::warn!(account.id = %account.id, error.kind = ?error.kind, error.code = code, "refresh refused");
        let is_client = error.kind == TokenErrorKind::InvalidClient || code == "unauthorized_client";
        if is_client {
            let message = "The provider refused the auth config's client credentials";
            let error = Error::new(Code::AuthConfigBadRequest, message)
                .fix("Correct client_id and client_secret of the auth config; the account itself is intact.");
            return self.give_back(account, fence, GiveBack::Refused, error).await;
        }
        let unreachable =
            Error::new(Code::UpstreamUnreachable, format!("The provider did not refresh the token ({code})"));
        match error.kind {
            TokenErrorKind::InvalidGrant if account.refresh_started_at.is_some() => {
                let reason = "refresh_interrupted: the answer to an earlier refresh was lost, and the provider no \
                              longer accepts the old token";
                self.expire(account, fence, reason).await
            }
            TokenErrorKind::InvalidGrant => {
                self.expire(account, fence, "Permanent auth error during token refresh").await
            }
            TokenErrorKind::Unclassified if !alive && account.refresh_rejections + 1 >= MAX_REJECTIONS => {
                let reason = "unclassified_rejections: the provider refused the refresh repeatedly";
                self.expire(account, fence, reason).await
            }
            TokenErrorKind::Unclassified if !alive => {
                self.give_back(account, fence, GiveBack::Rejected, unreachable).await
            }
            // A success that cannot be read may hide a rotation (R38).
            _ if status.is_success() => self.give_back(account, fence, GiveBack::AnswerLost, unreachable).await,
            _ => self.give_back(account, fence, GiveBack::Refused, unreachable).await,
        }
    }

    async fn token_refresh_request(
        &self,
        account: &AccountRow,
        oauth: &OAuth2,
        refresh_token: &str,
    ) -> Result<http::Request<bytes::Bytes>> {
        let config = self.store.auth_config(&account.project_id, &account.auth_config_id).await?;
        let config = config.ok_or_else(|| super::auth_configs::not_found(&account.auth_config_id))?;
        let client = self.oauth_client(&config)?;
        let credentials = ClientCredentials {
            client_id: &client.client_id,
            client_secret: client.client_secret.as_ref().map(switchboard_vault::Secret::expose),
        };
        let params = AccountParams::parse(&account.params)?;
        refresh_request(oauth, &credentials, refresh_token, &[], &|name| self.variable(&params.fields, name))
            .map_err(Error::internal)
    }

    /// Commits the rotated credential before anyone uses it (R36).
    async fn store_rotated(
        &self,
        account: &AccountRow,
        fence: i64,
        credential: &TokenCredential,
        params: &AccountParams,
    ) -> Result<Outcome> {
        let refreshed = Refreshed {
            credential: self.seal_credential(&account.project_id, &account.id, &credential.secrets),
            params: params.to_text(),
            expires_at: credential.expires_at,
            now: self.now(),
        };
        let rotation = Rotation::new(&account.project_id, &account.id, fence, &refreshed);
        match self.store_rotation(&rotation).await {
            Ok(()) => Ok(Outcome::Refreshed),
            // Deleted, or refreshed by another holder: what is stored now decides.
            Err(WriteError::Refused(_)) => {
                self.revoke_orphan(account, &credential.secrets).await?;
                Ok(Outcome::LostRace)
            }
            Err(error) => Err(still_refreshing().because(error)),
        }
    }

    async fn expire(&self, account: &AccountRow, fence: i64, reason: &str) -> Result<Outcome> {
        self.metrics.refresh("expired");
        let actor = Actor::system(&account.project_id);
        let unit = Unit::new()
            .with(accounts::expire_refreshed(&account.project_id, &account.id, fence, reason, self.now()))
            .with(self.audit(&actor, "connected_account.expire", &account.id, reason, None));
        match self.apply_patiently(unit).await {
            Ok(()) | Err(WriteError::Refused(_)) => Ok(Outcome::LostRace),
            Err(error) => Err(error.into()),
        }
    }

    async fn give_back(&self, account: &AccountRow, fence: i64, how: GiveBack, error: Error) -> Result<Outcome> {
        self.metrics.refresh("later");
        let now = self.now();
        let rejected = how == GiveBack::Rejected;
        let pause = self.backoff(account.refresh_failures).max(if rejected { REJECTION_PAUSE } else { 0 });
        let started_at = match how {
            GiveBack::AnswerLost => account.refresh_started_at.or(Some(now)),
            // This try changed nothing; an earlier lost answer stays lost.
            GiveBack::Unsent | GiveBack::Refused | GiveBack::Rejected => account.refresh_started_at,
        };
        let failure = RefreshFailure { started_at, rejected, retry_at: now + pause };
        let statement = accounts::clear_lease(&account.project_id, &account.id, fence, failure);
        match self.store.apply(Unit::new().with(statement)).await {
            Ok(_) | Err(WriteError::Refused(_)) => Ok(Outcome::Later(error)),
            Err(failed) => Err(failed.into()),
        }
    }

    /// 1 s, 2 s, 4 s … up to five minutes, half of it by chance.
    fn backoff(&self, failures: i64) -> Millis {
        let exponent = u32::try_from(failures.clamp(0, 16)).unwrap_or(16);
        let longest = (1_000_i64 << exponent).min(MAX_BACKOFF);
        let mut byte = [0];
        self.entropy.fill(&mut byte);
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
#[derive(Clone, Copy, PartialEq, Eq)]
enum GiveBack {
    /// The provider never saw it.
    Unsent,
    /// The provider may have acted on it.
    AnswerLost,
    /// The provider said no, for now.
    Refused,
    /// The provider said something that nobody understands.
    Rejected,
}
