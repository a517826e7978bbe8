//! The device authorization grant (RFC 8628): the user enters a code at the provider, and no browser
//! comes back. Our page shows the code, and the provider is polled until the user has entered it.
//!
//! The time of the next poll is in the database. Any server continues with it, also after a restart,
//! and only one polls at a time.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use switchboard_auth::{DevicePollError, TokenSet};
use switchboard_catalog::Scheme;
use switchboard_store::attempts::{self, AttemptRow, Poll};
use switchboard_store::links::{self, LinkPurpose, LinkRow, LinkState};
use switchboard_store::{Unit, WriteError};
use switchboard_types::{
    AccountParams, AuditAction, AuditOutcome, LinkOutcome, Reason, ReasonCode, Timestamp, format_compact,
};
use switchboard_vault::{OneTimeToken, Secret, Secrets};
use tokio::sync::Semaphore;

use super::complete::UnusedTokens;
use super::visit::{Offer, Visit};
use super::{Ending, Finished};
use crate::app::Actor;
use crate::app::audit::Facts;
use crate::app::connect::Connector;
use crate::app::provider::lease::PREPARATION;
use crate::app::provider::request::TOKEN_TIMEOUT;
use crate::app::provider::{FailedExchange, Failure, TokenCredential};
use crate::error::{Code, Error, Result};

/// Attempts read at a time.
const PAGE: i64 = 64;
/// How long one poll keeps others from polling: its preparation, its deadline, and time for the database.
const CLAIM_DURATION: Duration = Duration::from_secs(PREPARATION.as_secs() + TOKEN_TIMEOUT.as_secs() + 10);
/// Longest pause that a provider may ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_mins(5);
/// Added to the interval on `slow_down` (RFC 8628 section 3.5).
const SLOW_DOWN_INCREMENT: Duration = Duration::from_secs(5);
/// How long a page request waits for the user before the page is shown again.
const MAX_WAIT: Duration = Duration::from_secs(20);

/// Stored until the user has entered the code, as JSON.
#[derive(Deserialize)]
pub(super) struct PendingDeviceCode {
    pub device_code: Secret,
    pub user_code: String,
    pub verification_uri: String,
    pub verification_uri_complete: Option<String>,
}

impl PendingDeviceCode {
    /// The JSON that is sealed.
    pub fn into_secret(self) -> Secret {
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

/// A connection that waits for its user to enter a code.
pub struct DeviceCode {
    /// What the user enters, and where; none once the provider has issued tokens.
    pub code: Option<UserCode>,
    /// The link, still open.
    pub offer: Offer,
}

/// A user code and where to enter it.
pub struct UserCode {
    /// The user code.
    pub code: String,
    /// The page to enter it on.
    pub verification_uri: String,
    /// The same with the code filled in.
    pub verification_uri_complete: Option<String>,
}

/// What a browser that waits for its device code is shown.
pub enum DevicePage {
    /// The code.
    Code(Box<DeviceCode>),
    /// The token is unknown, or another browser started the attempt.
    Rejected(Finished),
    /// The attempt has ended.
    Ended {
        /// How it ended.
        finished: Finished,
        /// The attempt, whose cookie is cleared.
        attempt_id: String,
    },
}

impl Connector {
    /// The code of an attempt, or how it ended. With `wait`, waits a while for the end. Reads only. The
    /// browser must be the one that started the attempt.
    pub async fn device_page(
        &self,
        token: &str,
        cookie: impl Fn(&str) -> Option<String>,
        wait: bool,
    ) -> Result<DevicePage> {
        let mut rest = if wait { MAX_WAIT } else { Duration::ZERO };
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
        let invalid = || Ok(DevicePage::Rejected(Finished::without_link(Ending::Invalid)));
        let Some(id) = OneTimeToken::row_id(token) else { return invalid() };
        let Some(attempt) = self.core.store.attempt(id).await?.filter(|attempt| attempt.poll.is_some()) else {
            return invalid();
        };
        if !OneTimeToken::matches(token, &attempt.state_hash) {
            return invalid();
        }
        let Some(link) = self.core.store.link(&attempt.link_id).await? else { return invalid() };
        if !self.is_attempt_browser(&attempt, cookie) {
            let is_over = matches!(link.state, LinkState::Finished { .. });
            let is_known = is_over && self.has_used_link(&link, cookie).await?;
            let finished = if is_known {
                self.link_outcome(&link).await?
            } else {
                Finished::without_link(Ending::BrowserMismatch)
            };
            return Ok(DevicePage::Rejected(finished));
        }
        let attempt_id = attempt.id.clone();
        let is_asking = matches!(&link.state, LinkState::Exchanging { by, .. } if *by == attempt.id);
        if let LinkState::Finished { outcome } = &link.state {
            let finished = self.device_outcome(&link, *outcome).await?;
            return Ok(DevicePage::Ended { finished, attempt_id });
        }
        if attempt.consumed_at.is_some() && !is_asking && !self.core.store.is_waiting(&link.id, &attempt.id).await? {
            // The attempt has ended, the link has not.
            let mut finished = self.device_outcome(&link, LinkOutcome::Failed).await?;
            finished.may_retry = self.core.now() < link.expires_at;
            return Ok(DevicePage::Ended { finished, attempt_id });
        }
        // Once its tokens have been issued, an attempt may take longer than its code is valid.
        let until = if attempt.consumed_at.is_some() { Timestamp::MAX } else { attempt.expires_at };
        let mut offer = match self.visit_link(link, Some(until)).await? {
            Visit::Open(offer) => offer,
            // The link may still be open for this browser when the code has expired.
            Visit::Ended(finished) => return Ok(DevicePage::Ended { finished, attempt_id }),
        };
        offer.resume_attempt(&attempt);
        let code = self.pending_device_code(&attempt, &offer)?.map(|waiting| UserCode {
            code: waiting.user_code,
            verification_uri: waiting.verification_uri,
            verification_uri_complete: waiting.verification_uri_complete,
        });
        Ok(DevicePage::Code(Box::new(DeviceCode { code, offer: *offer })))
    }

    /// How a link ended without its browser.
    async fn device_outcome(&self, link: &LinkRow, outcome: LinkOutcome) -> Result<Finished> {
        let account = self.core.store.account(&link.project_id, &link.account_id).await?;
        let Some(account) = account else { return Ok(Finished::without_link(Ending::Used)) };
        // On a reconnect, the account's own reason does not concern the visitor.
        let reason = account.status_reason.filter(|_| link.purpose == LinkPurpose::Connect);
        let ending = match outcome {
            LinkOutcome::Success => Ending::Success,
            LinkOutcome::Expired => Ending::Expired,
            LinkOutcome::Failed => {
                reason.as_ref().map_or(Ending::ProviderError, |reason| Ending::of_failure(reason.code()))
            }
            LinkOutcome::Rejected | LinkOutcome::Replaced | LinkOutcome::Deleted => Ending::Used,
        };
        let finished = Finished::of(ending, link, &account.toolkit);
        Ok(finished.with_detail(reason.filter(|_| ending == Ending::ProviderError).map(|reason| reason.to_string())))
    }

    fn pending_device_code(&self, attempt: &AttemptRow, offer: &Offer) -> Result<Option<PendingDeviceCode>> {
        let Some(kept) = self.credentials.open_verifier(attempt, &offer.account)? else { return Ok(None) };
        serde_json::from_str(kept.expose()).map(Some).map_err(Error::internal)
    }

    /// Polls all providers that are due, a page at a time, with bounded concurrency. Returns how many.
    pub async fn poll_due_attempts(self: &Arc<Self>, permits: &Arc<Semaphore>) -> Result<usize> {
        let mut polled = 0;
        let mut last = (Timestamp::MIN, String::new());
        loop {
            let page = self.core.store.attempts_to_poll(self.core.now(), (last.0, &last.1), PAGE).await?;
            let Some(poll) = page.last().and_then(|attempt| attempt.poll.map(|poll| (poll.at, attempt.id.clone())))
            else {
                return Ok(polled);
            };
            last = poll;
            for attempt in page {
                let Some(poll) = attempt.poll else { continue };
                let permit = Arc::clone(permits).acquire_owned().await.map_err(Error::internal)?;
                let claim = Unit::new()
                    .with(attempts::claim_poll(&attempt.id, poll, self.core.now() + CLAIM_DURATION))
                    // A poll may spend the code: one attempt of a link at a time.
                    .with(self.claim_exchange(&attempt.link_id, &attempt.id));
                match self.core.store.apply(claim).await {
                    Ok(_) => {}
                    Err(WriteError::Refused(_)) => continue,
                    Err(error) => return Err(error.into()),
                }
                polled += 1;
                let connector = Arc::clone(self);
                // Tracked: shutdown waits for it, so that issued tokens are not lost.
                self.core.tasks.spawn(async move {
                    let _permit = permit;
                    if let Err(error) = Box::pin(connector.poll_for_tokens(&attempt, poll)).await {
                        tracing::error!(account.id = %attempt.account_id, error = error.message(), cause = error.causes(), "device authorization could not be polled");
                    }
                });
            }
        }
    }

    /// One poll, and the handling of its response.
    #[tracing::instrument(level = "debug", skip_all)]
    async fn poll_for_tokens(&self, attempt: &AttemptRow, poll: Poll) -> Result<()> {
        let Some(link) = self.core.store.link(&attempt.link_id).await? else { return Ok(()) };
        // The attempt has its own expiry; the link's is for opening it.
        let Visit::Open(mut offer) = self.visit_link(link, Some(attempt.expires_at)).await? else {
            return Ok(());
        };
        offer.resume_attempt(attempt);
        offer.holder = Some(attempt.id.clone());
        let actor = Actor {
            project_id: attempt.project_id.clone(),
            name: format_compact!("link:{}", attempt.link_id),
            request_id: None,
            caller_request_id: None,
        };
        if offer.config.updated_at != attempt.auth_config_version {
            let reason = ReasonCode::AuthConfigChanged;
            return self.stop_device_attempt(&actor, &offer, attempt, reason).await;
        }
        if offer.verifier_url.is_some() {
            // Set since the attempt started. No browser comes back whose user could be confirmed (R05).
            let reason = ReasonCode::ConfirmationRequired;
            return self.stop_device_attempt(&actor, &offer, attempt, reason).await;
        }
        let Some(waiting) = self.pending_device_code(attempt, &offer)? else { return Ok(()) };
        let params = offer.params()?;
        let prepared = self.providers.provider(&offer.toolkit, offer.scheme, &offer.config, &params);
        let late = || Error::new(Code::UpstreamUnreachable, "The provider's metadata did not arrive in time");
        let prepared = tokio::time::timeout(PREPARATION, prepared).await.unwrap_or_else(|_| Err(late()));
        let provider = match prepared {
            Ok(provider) => provider,
            Err(error) => {
                return self.handle_device_refusal(&actor, &offer, attempt, poll, Failure::Unsent(error)).await;
            }
        };
        let token = match self.providers.device_tokens(&provider, &waiting.device_code).await {
            Ok(token) => token,
            Err(failure) => {
                self.providers
                    .handle_forgotten_client(&actor, &offer.config, &provider.client.client_id, &failure)
                    .await;
                return self.handle_device_refusal(&actor, &offer, attempt, poll, failure).await;
            }
        };
        // Before any further request: the code is spent and must not be used again.
        let is_ours = self.consume_device_attempt(&actor, attempt, AuditOutcome::Ok).await?;
        let finished = self.providers.run_followup_requests(&provider, token, "").await;
        let mut params = params.clone();
        params.client_id = (offer.scheme == Scheme::DcrOAuth).then(|| provider.client.client_id.clone());
        match finished {
            Ok(token) if is_ours => self.complete_with_tokens(&actor, &offer, token, params).await.map(drop),
            Err(unfinished) if is_ours => {
                self.abandon_exchange(&actor, &offer, unfinished, &mut params).await.map(drop)
            }
            // Another attempt took over, or the link ended, while the provider responded.
            Ok(token) => {
                self.release_device_claim(attempt).await?;
                self.revoke_unused_device_tokens(&offer, token, &mut params).await
            }
            Err(FailedExchange { issued: Some(token), .. }) => {
                self.release_device_claim(attempt).await?;
                self.revoke_unused_device_tokens(&offer, *token, &mut params).await
            }
            Err(FailedExchange { issued: None, .. }) => self.release_device_claim(attempt).await,
        }
    }

    /// Releases the link's exchange claim.
    async fn release_device_claim(&self, attempt: &AttemptRow) -> Result<()> {
        self.core.store.apply(Unit::new().with(links::release_exchange(&attempt.link_id, &attempt.id))).await?;
        Ok(())
    }

    /// Ends an attempt that can no longer be finished.
    async fn stop_device_attempt(
        &self,
        actor: &Actor,
        offer: &Offer,
        attempt: &AttemptRow,
        reason: ReasonCode,
    ) -> Result<()> {
        if self.consume_device_attempt(actor, attempt, AuditOutcome::Stopped).await? {
            let reason = Reason::new(reason);
            let ending = (Ending::ProviderError, &reason);
            self.attempt_failed(actor, offer, ending, Facts::default()).await?;
        }
        Ok(())
    }

    /// Consumes the attempt; false when it was consumed before.
    async fn consume_device_attempt(&self, actor: &Actor, attempt: &AttemptRow, outcome: AuditOutcome) -> Result<bool> {
        let unit = Unit::new().with(attempts::consume(&attempt.id, self.core.now())).with(self.core.audit(
            actor,
            AuditAction::LinkCode,
            &attempt.account_id,
            outcome,
            None,
        ));
        match self.spool.apply_with_retry(unit).await {
            Ok(()) => Ok(true),
            Err(WriteError::Refused(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn revoke_unused_device_tokens(
        &self,
        offer: &Offer,
        token: TokenSet,
        params: &mut AccountParams,
    ) -> Result<()> {
        let secrets = TokenCredential::new(token, params, self.core.now()).secrets;
        self.revoke_unused_tokens(offer, UnusedTokens { secrets: &secrets, verification_id: None, identity: None })
            .await
    }

    async fn handle_device_refusal(
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
            DevicePollError::SlowDown => poll.interval.saturating_add(SLOW_DOWN_INCREMENT),
            // Another question may have got the tokens: its code is spent then, and ours refused.
            DevicePollError::Final if self.consume_device_attempt(actor, attempt, AuditOutcome::Refused).await? => {
                return self.end_device_attempt(actor, offer, &failure).await;
            }
            DevicePollError::Final => return self.release_device_claim(attempt).await,
        };
        let retry_after = match &failure {
            Failure::Refused { retry_after, .. } => retry_after.unwrap_or_default().min(MAX_RETRY_AFTER),
            Failure::Lost(_) | Failure::Unsent(_) => Duration::ZERO,
        };
        // Double the interval for a failing provider (RFC 8628 section 3.5).
        let pause =
            if refusal == DevicePollError::Transient { interval.saturating_mul(2).max(retry_after) } else { interval };
        let poll = Poll { at: self.core.now() + pause, interval };
        let unit = Unit::new().with(attempts::set_poll(&attempt.id, poll));
        self.core.store.apply(unit.with(links::release_exchange(&attempt.link_id, &attempt.id))).await?;
        Ok(())
    }

    async fn end_device_attempt(&self, actor: &Actor, offer: &Offer, failure: &Failure) -> Result<()> {
        let code = match failure {
            Failure::Refused { error, .. } => error.code.as_deref(),
            _ => None,
        };
        let facts = failure.facts();
        let (ending, reason) = match code {
            Some("access_denied") => {
                (Ending::Denied, Reason::with_detail(ReasonCode::AccessDenied, failure.message().unwrap_or_default()))
            }
            Some("expired_token") => (Ending::Expired, ReasonCode::DeviceCodeExpired.into()),
            _ => return self.fail_exchange(actor, offer, failure).await.map(drop),
        };
        self.attempt_failed(actor, offer, (ending, &reason), facts).await.map(drop)
    }
}

crate::redacted_debug!(PendingDeviceCode, UserCode, DeviceCode, DevicePage);

#[cfg(test)]
mod tests;
