//! Connecting by a code that the user enters at the provider (RFC 8628), from which no browser comes
//! back: a page of ours shows the code, and the provider is asked until the user has entered it.
//!
//! When to ask next is in the database, so that any server goes on with it, also after a restart, and
//! only one asks at a time.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use switchboard_auth::{DevicePollError, TokenSet};
use switchboard_catalog::Scheme;
use switchboard_store::attempts::{self, AttemptRow, Poll};
use switchboard_store::links::{self, LinkPurpose, LinkRow, LinkState};
use switchboard_store::{Unit, WriteError};
use switchboard_vault::{OneTimeToken, Secret, Secrets};
use tokio::sync::Semaphore;

use super::settle::Refused;
use super::visit::{Offer, Visit};
use super::{Ending, Finished};
use crate::app::Actor;
use crate::app::audit::Facts;
use crate::app::connect::Connector;
use crate::app::model::params::AccountParams;
use crate::app::provider::lease::PREPARATION;
use crate::app::provider::request::TOKEN_TIMEOUT;
use crate::app::provider::{Failure, TokenCredential, Unfinished};
use crate::error::{Code, Error, Result};
use crate::time::{Millis, millis};

/// Attempts looked at in one go.
const PAGE: i64 = 64;
/// How long one question keeps others from asking: its preparation, its deadline, and a moment for the
/// database.
const CLAIM: Duration = Duration::from_secs(PREPARATION.as_secs() + TOKEN_TIMEOUT.as_secs() + 10);
/// Longest pause that a provider may ask for, in milliseconds.
const LONGEST_ASKED: Millis = 5 * 60_000;
/// What a provider that is asked too often gets (RFC 8628 section 3.5), in milliseconds.
const SLOWER: Millis = 5_000;
/// How long a page waits for the user's word before it is shown again.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is kept until the user has entered the code, as JSON.
#[derive(Deserialize)]
pub(super) struct Waiting {
    pub device_code: Secret,
    pub user_code: String,
    pub verification_uri: String,
    pub verification_uri_complete: Option<String>,
}

impl Waiting {
    /// The form that is sealed.
    pub fn into_kept(self) -> Secret {
        let mut kept = Secrets::from([
            ("device_code", self.device_code),
            ("user_code", Secret::new(self.user_code)),
            ("verification_uri", Secret::new(self.verification_uri)),
        ]);
        if let Some(uri) = self.verification_uri_complete {
            kept.insert("verification_uri_complete", Secret::new(uri));
        }
        kept.into_json()
    }
}

/// A connection whose user is to enter a code.
pub struct DeviceCode {
    /// What the user enters, and where; none once the provider has given tokens.
    pub code: Option<UserCode>,
    /// The link that it belongs to, still open.
    pub offer: Offer,
}

/// What a user enters, and where.
pub struct UserCode {
    /// What.
    pub code: String,
    /// The page that asks for it.
    pub verification_uri: String,
    /// The same with the code filled in.
    pub verification_uri_complete: Option<String>,
}

/// What a browser that asks for its code is shown.
pub enum DevicePage {
    /// The code.
    Code(Box<DeviceCode>),
    /// Nobody knows this address, or another browser began.
    Nowhere(Finished),
    /// It is over.
    Over {
        /// How.
        finished: Finished,
        /// The attempt, whose cookie is done.
        attempt_id: String,
    },
}

impl Connector {
    /// The code of an attempt, or how that ended. `wait`: until it has, for a while. Reading changes
    /// nothing. The browser that began the attempt must be the one that asks.
    pub async fn device_page(
        &self,
        token: &str,
        cookie: impl Fn(&str) -> Option<String>,
        wait: bool,
    ) -> Result<DevicePage> {
        let mut rest = if wait { PATIENCE } else { Duration::ZERO };
        loop {
            let page = self.device_page_now(token, &cookie).await?;
            if !matches!(page, DevicePage::Code(_)) || rest.is_zero() {
                return Ok(page);
            }
            let pause = rest.min(Duration::from_millis(500));
            tokio::time::sleep(pause).await;
            rest -= pause;
        }
    }

    async fn device_page_now(&self, token: &str, cookie: &impl Fn(&str) -> Option<String>) -> Result<DevicePage> {
        let invalid = || Ok(DevicePage::Nowhere(Finished::bare(Ending::Invalid)));
        let Some(id) = OneTimeToken::row_id(token) else { return invalid() };
        let Some(attempt) = self.core.store.attempt(id).await?.filter(|attempt| attempt.poll.is_some()) else {
            return invalid();
        };
        if !OneTimeToken::matches(token, &attempt.state_hash) {
            return invalid();
        }
        let Some(link) = self.core.store.link(&attempt.link_id).await? else { return invalid() };
        if !self.began(&attempt, cookie) {
            let is_over = matches!(link.state, LinkState::Finished { .. });
            let is_known = is_over && self.went_through(&link, cookie).await?;
            let finished = if is_known { self.ended(&link).await? } else { Finished::bare(Ending::BrowserMismatch) };
            return Ok(DevicePage::Nowhere(finished));
        }
        let attempt_id = attempt.id.clone();
        let is_asking = matches!(&link.state, LinkState::Exchanging { by, .. } if *by == attempt.id);
        if let LinkState::Finished { outcome } = &link.state {
            let finished = self.device_end(&link, outcome).await?;
            return Ok(DevicePage::Over { finished, attempt_id });
        }
        if attempt.consumed_at.is_some() && !is_asking && !self.core.store.is_waiting(&link.id, &attempt.id).await? {
            // The attempt is over, and the link is not.
            let mut finished = self.device_end(&link, "failed").await?;
            finished.may_retry = self.core.now() < link.expires_at;
            return Ok(DevicePage::Over { finished, attempt_id });
        }
        // Once its tokens have come, an attempt may take longer than its code lives.
        let until = if attempt.consumed_at.is_some() { Millis::MAX } else { attempt.expires_at };
        let mut offer = match self.visit_link(link, Some(until)).await? {
            Visit::Open(offer) => offer,
            // The link may be open still, for this browser, when the code is not.
            Visit::Over(finished) => return Ok(DevicePage::Over { finished, attempt_id }),
        };
        offer.go_on_with(&attempt);
        let code = self.device_waiting(&attempt, &offer)?.map(|waiting| UserCode {
            code: waiting.user_code,
            verification_uri: waiting.verification_uri,
            verification_uri_complete: waiting.verification_uri_complete,
        });
        Ok(DevicePage::Code(Box::new(DeviceCode { code, offer: *offer })))
    }

    /// How a link ended whose browser was not there.
    async fn device_end(&self, link: &LinkRow, outcome: &str) -> Result<Finished> {
        let account = self.core.store.account(&link.project_id, &link.account_id).await?;
        let Some(account) = account else { return Ok(Finished::bare(Ending::Used)) };
        // An account that works keeps its own reason, which is nothing to the visitor.
        let own = account.status_reason.clone().filter(|_| link.purpose == LinkPurpose::Connect);
        let reason = own.unwrap_or_default();
        let ending = match outcome {
            "success" => Ending::Success,
            "expired" => Ending::Expired,
            "failed" if reason.starts_with("access_denied") => Ending::Denied,
            "failed" if reason.starts_with("account_mismatch") => Ending::AccountMismatch,
            "failed" if reason.starts_with("expired_token") => Ending::Expired,
            "failed" => Ending::ProviderError,
            _ => Ending::Used,
        };
        let finished = Finished::of(ending, link, &account.toolkit);
        Ok(finished.saying((ending == Ending::ProviderError && !reason.is_empty()).then_some(reason)))
    }

    fn device_waiting(&self, attempt: &AttemptRow, offer: &Offer) -> Result<Option<Waiting>> {
        let Some(kept) = self.credentials.open_verifier(attempt, &offer.account)? else { return Ok(None) };
        serde_json::from_str(kept.expose()).map(Some).map_err(Error::internal)
    }

    /// Asks all providers that are due, a page at a time, and no more than so many at once.
    pub async fn ask_due_providers(self: &Arc<Self>, places: &Arc<Semaphore>) -> Result<usize> {
        let mut polled = 0;
        let mut last = (Millis::MIN, String::new());
        loop {
            let page = self.core.store.attempts_to_poll(self.core.now(), (last.0, &last.1), PAGE).await?;
            let Some(poll) = page.last().and_then(|attempt| attempt.poll.map(|poll| (poll.at, attempt.id.clone())))
            else {
                return Ok(polled);
            };
            last = poll;
            for attempt in page {
                let Some(poll) = attempt.poll else { continue };
                let place = Arc::clone(places).acquire_owned().await.map_err(Error::internal)?;
                let claim = Unit::new()
                    .with(attempts::claim_poll(&attempt.id, poll, self.core.now() + millis(CLAIM)))
                    // A question may spend the code: one attempt of a link at a time.
                    .with(self.take_exchange(&attempt.link_id, &attempt.id));
                match self.core.store.apply(claim).await {
                    Ok(_) => {}
                    Err(WriteError::Refused(_)) => continue,
                    Err(error) => return Err(error.into()),
                }
                polled += 1;
                let connector = Arc::clone(self);
                // Shutdown waits for it: what it buys is not lost.
                self.core.tasks.spawn(async move {
                    let _place = place;
                    if let Err(error) = Box::pin(connector.ask_for_device(&attempt, poll)).await {
                        tracing::error!(account.id = %attempt.account_id, error = error.message(), cause = error.causes(), "a provider could not be asked");
                    }
                });
            }
        }
    }

    /// One question, and what follows from its answer.
    async fn ask_for_device(&self, attempt: &AttemptRow, poll: Poll) -> Result<()> {
        let Some(link) = self.core.store.link(&attempt.link_id).await? else { return Ok(()) };
        // The attempt has a time of its own: the link's is for opening it.
        let Visit::Open(mut offer) = self.visit_link(link, Some(attempt.expires_at)).await? else {
            return Ok(());
        };
        offer.go_on_with(attempt);
        offer.holder = Some(attempt.id.clone());
        let actor = Actor {
            project_id: attempt.project_id.clone(),
            name: format!("link:{}", attempt.link_id),
            request_id: None,
            caller_request_id: None,
        };
        if offer.config.updated_at != attempt.auth_config_version {
            let reason = "The auth config was changed while the user was at the provider";
            return self.device_stopped(&actor, &offer, attempt, reason).await;
        }
        if offer.verifier_url.is_some() {
            // Since the user began; nobody comes back who could be confirmed (R05).
            let reason = "The project confirms who finished a connection, which a code does not admit";
            return self.device_stopped(&actor, &offer, attempt, reason).await;
        }
        let Some(waiting) = self.device_waiting(attempt, &offer)? else { return Ok(()) };
        let params = offer.params()?;
        let prepared = self.providers.provider(&offer.toolkit, offer.scheme, &offer.config, &params);
        let late = || Error::new(Code::UpstreamUnreachable, "The provider's metadata did not arrive in time");
        let prepared = tokio::time::timeout(PREPARATION, prepared).await.unwrap_or_else(|_| Err(late()));
        let provider = match prepared {
            Ok(provider) => provider,
            Err(error) => return self.device_refused(&actor, &offer, attempt, poll, Failure::Unsent(error)).await,
        };
        let token = match self.providers.device_tokens(&provider, &waiting.device_code).await {
            Ok(token) => token,
            Err(failure) => {
                self.providers.note_forgotten(&actor, &offer.config, &provider.client.client_id, &failure).await;
                return self.device_refused(&actor, &offer, attempt, poll, failure).await;
            }
        };
        // Before anything else is asked: the code is spent, and nobody asks with it again.
        let is_ours = self.consume_device(&actor, attempt, "ok").await?;
        let finished = self.providers.stepped(&provider, token, "").await;
        let mut params = params.clone();
        params.client_id = (offer.scheme == Scheme::DcrOAuth).then(|| provider.client.client_id.clone());
        match finished {
            Ok(token) if is_ours => self.exchanged(&actor, &offer, token, params).await.map(drop),
            Err(unfinished) if is_ours => self.unfinished(&actor, &offer, unfinished, &mut params).await.map(drop),
            // Others took its place, or it is over, while the provider answered.
            Ok(token) => {
                self.leave_device(attempt).await?;
                self.give_device_tokens_back(&offer, token, &mut params).await
            }
            Err(Unfinished { bought: Some(token), .. }) => {
                self.leave_device(attempt).await?;
                self.give_device_tokens_back(&offer, *token, &mut params).await
            }
            Err(Unfinished { bought: None, .. }) => self.leave_device(attempt).await,
        }
    }

    /// Gives the link's place for an exchange back.
    async fn leave_device(&self, attempt: &AttemptRow) -> Result<()> {
        self.core.store.apply(Unit::new().with(links::release_exchange(&attempt.link_id, &attempt.id))).await?;
        Ok(())
    }

    /// Nobody can finish the attempt any more.
    async fn device_stopped(&self, actor: &Actor, offer: &Offer, attempt: &AttemptRow, reason: &str) -> Result<()> {
        if self.consume_device(actor, attempt, "stopped").await? {
            let ending = (Ending::ProviderError, reason);
            self.attempt_failed(actor, offer, ending, Facts::default()).await?;
        }
        Ok(())
    }

    /// The attempt is over; false when it was before.
    async fn consume_device(&self, actor: &Actor, attempt: &AttemptRow, outcome: &str) -> Result<bool> {
        let unit = Unit::new().with(attempts::consume(&attempt.id, self.core.now())).with(self.core.audit(
            actor,
            "link.code",
            &attempt.account_id,
            outcome,
            None,
        ));
        match self.spool.apply_patiently(unit).await {
            Ok(()) => Ok(true),
            Err(WriteError::Refused(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn give_device_tokens_back(&self, offer: &Offer, token: TokenSet, params: &mut AccountParams) -> Result<()> {
        let secrets = TokenCredential::new(token, params, self.core.now()).secrets;
        self.give_tokens_back(offer, Refused { secrets: &secrets, waited_in: None, identity: None }).await
    }

    async fn device_refused(
        &self,
        actor: &Actor,
        offer: &Offer,
        attempt: &AttemptRow,
        poll: Poll,
        failure: Failure,
    ) -> Result<()> {
        let refusal = match &failure {
            Failure::Refused { error, .. } => DevicePollError::of(error),
            Failure::Lost(_) | Failure::Unsent(_) => DevicePollError::Transient,
        };
        let interval = match refusal {
            DevicePollError::Pending | DevicePollError::Transient => poll.interval,
            DevicePollError::SlowDown => poll.interval + SLOWER,
            // Another question may have got the tokens: its code is spent then, and ours refused.
            DevicePollError::Final if self.consume_device(actor, attempt, "refused").await? => {
                return self.device_over(actor, offer, &failure).await;
            }
            DevicePollError::Final => return self.leave_device(attempt).await,
        };
        let asked = match &failure {
            Failure::Refused { retry_after, .. } => retry_after.unwrap_or(0).clamp(0, LONGEST_ASKED),
            Failure::Lost(_) | Failure::Unsent(_) => 0,
        };
        // A provider that is unwell is asked half as often (RFC 8628 section 3.5).
        let pause = if refusal == DevicePollError::Transient { (interval * 2).max(asked) } else { interval };
        let poll = Poll { at: self.core.now() + pause, interval };
        let unit = Unit::new().with(attempts::set_poll(&attempt.id, poll));
        self.core.store.apply(unit.with(links::release_exchange(&attempt.link_id, &attempt.id))).await?;
        Ok(())
    }

    async fn device_over(&self, actor: &Actor, offer: &Offer, failure: &Failure) -> Result<()> {
        let code = match failure {
            Failure::Refused { error, .. } => error.code.as_deref(),
            _ => None,
        };
        let facts = failure.facts();
        let (ending, reason) = match code {
            Some("access_denied") => (Ending::Denied, failure.shown().unwrap_or_default()),
            Some("expired_token") => (Ending::Expired, "expired_token: the code was not entered in time".to_owned()),
            _ => return self.exchange_failed(actor, offer, failure).await.map(drop),
        };
        self.attempt_failed(actor, offer, (ending, &reason), facts).await.map(drop)
    }
}

crate::redacted_debug!(Waiting, UserCode, DeviceCode, DevicePage);

#[cfg(test)]
mod tests;
