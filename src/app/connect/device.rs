//! Connecting by a code that the user enters at the provider (RFC 8628), from which no browser comes
//! back: a page of ours shows the code, and the provider is asked until the user has entered it.
//!
//! When to ask next is in the database, so that any server goes on with it, also after a restart, and
//! only one asks at a time.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use switchboard_auth::{DeviceRefusal, TokenSet};
use switchboard_catalog::Scheme;
use switchboard_store::attempts::{self, AttemptRow, Poll};
use switchboard_store::links::{LinkPurpose, LinkRow, LinkState};
use switchboard_store::{Unit, WriteError};
use switchboard_vault::{OneTimeToken, Secret};
use tokio_util::sync::CancellationToken;

use super::settle::Refused;
use super::visit::{Offer, Visit};
use super::{Ending, Finished, TokenCredential, browser_cookie_name};
use crate::app::explain::Facts;
use crate::app::params::AccountParams;
use crate::app::provider::{Failure, Unfinished};
use crate::app::renewal::PREPARATION;
use crate::app::upstream::TOKEN_TIMEOUT;
use crate::app::{Actor, App};
use crate::error::{Code, Error, Result};
use crate::time::{Millis, millis};

/// Between two looks for providers to be asked.
const INTERVAL: Duration = Duration::from_secs(1);
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

/// What is kept until the user has entered the code.
#[derive(Deserialize, Serialize)]
pub(super) struct Waiting {
    pub device_code: String,
    pub user_code: String,
    pub verification_uri: String,
    pub verification_uri_complete: Option<String>,
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
        /// Whose it is.
        project_id: String,
        /// Its link, when that is over and its cookie done.
        link_id: Option<String>,
    },
}

impl App {
    /// The code of an attempt, or how that ended. `wait`: until it has, for a while. Reading changes
    /// nothing. The browser that claimed the link must be the one that asks.
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
        let Some(attempt) = self.store.attempt(id).await?.filter(|attempt| attempt.poll.is_some()) else {
            return invalid();
        };
        if !OneTimeToken::matches(token, &attempt.state_hash) {
            return invalid();
        }
        let browser = cookie(&browser_cookie_name(&attempt.link_id));
        if !browser.is_some_and(|browser| OneTimeToken::matches(&browser, &attempt.browser_hash)) {
            return Ok(DevicePage::Nowhere(Finished::bare(Ending::BrowserMismatch)));
        }
        let Some(link) = self.store.link(&attempt.link_id).await? else { return invalid() };
        let (project_id, link_id) = (link.project_id.clone(), link.id.clone());
        if let LinkState::Finished { outcome } = &link.state {
            let finished = self.device_end(&link, outcome).await?;
            return Ok(DevicePage::Over { finished, project_id, link_id: Some(link_id) });
        }
        // Once its tokens have come, an attempt may take longer than its code lives.
        let expires_at = if attempt.consumed_at.is_some() { Millis::MAX } else { attempt.expires_at };
        let offer = match self.visit_link(LinkRow { expires_at, ..link }).await? {
            Visit::Open(offer) => offer,
            // The link may be open still, for this browser, when the code is not.
            Visit::Over(finished) => return Ok(DevicePage::Over { finished, project_id, link_id: None }),
        };
        let code = self.device_waiting(&attempt, &offer)?.map(|waiting| UserCode {
            code: waiting.user_code,
            verification_uri: waiting.verification_uri,
            verification_uri_complete: waiting.verification_uri_complete,
        });
        Ok(DevicePage::Code(Box::new(DeviceCode { code, offer: *offer })))
    }

    /// How a link ended whose browser was not there.
    async fn device_end(&self, link: &LinkRow, outcome: &str) -> Result<Finished> {
        let account = self.store.account(&link.project_id, &link.account_id).await?;
        let Some(account) = account else { return Ok(Finished::bare(Ending::Used)) };
        // An account that works keeps its own reason, which is nothing to the visitor.
        let own = account.status_reason.clone().filter(|_| link.purpose == LinkPurpose::Connect);
        let reason = own.unwrap_or_default();
        let ending = match outcome {
            "success" => Ending::Success,
            "expired" => Ending::Expired,
            "failed" if reason.starts_with("access_denied") => Ending::Denied,
            "failed" => Ending::ProviderError,
            _ => Ending::Used,
        };
        let finished = Finished::of(ending, link, &account.toolkit);
        Ok(finished.saying((ending == Ending::ProviderError && !reason.is_empty()).then_some(reason)))
    }

    fn device_waiting(&self, attempt: &AttemptRow, offer: &Offer) -> Result<Option<Waiting>> {
        let Some(kept) = self.open_verifier(attempt, &offer.account)? else { return Ok(None) };
        serde_json::from_str(kept.expose()).map(Some).map_err(Error::internal)
    }

    async fn ask_due_providers(self: &Arc<Self>) -> Result<()> {
        for attempt in self.store.attempts_to_poll(self.now(), PAGE).await? {
            let Some(poll) = attempt.poll else { continue };
            let claim = attempts::claim_poll(&attempt.id, poll, self.now() + millis(CLAIM));
            match self.store.apply(Unit::new().with(claim)).await {
                Ok(_) => {}
                Err(WriteError::Refused(_)) => continue,
                Err(error) => return Err(error.into()),
            }
            let app = Arc::clone(self);
            // Shutdown waits for it: what it buys is not lost.
            self.tasks.spawn(async move {
                if let Err(error) = Box::pin(app.ask_for_device(&attempt, poll)).await {
                    tracing::error!(account.id = %attempt.account_id, error = error.message(), cause = error.causes(), "a provider could not be asked");
                }
            });
        }
        Ok(())
    }

    /// One question, and what follows from its answer.
    async fn ask_for_device(&self, attempt: &AttemptRow, poll: Poll) -> Result<()> {
        let Some(link) = self.store.link(&attempt.link_id).await? else { return Ok(()) };
        // The attempt has a time of its own: the link's is for opening it.
        let Visit::Open(offer) = self.visit_link(LinkRow { expires_at: attempt.expires_at, ..link }).await? else {
            return Ok(());
        };
        let actor = Actor {
            project_id: attempt.project_id.clone(),
            name: format!("link:{}", attempt.link_id),
            request_id: None,
            caller_request_id: None,
        };
        if offer.config.updated_at != attempt.auth_config_version {
            let reason = "The auth config was changed while the user was at the provider";
            return self.end_link(&actor, &offer.link, &offer.account, "failed", reason).await.map(drop);
        }
        if offer.verifier_url.is_some() {
            // Since the user began; nobody comes back who could be confirmed (R05).
            let reason = "The project confirms who finished a connection, which a code does not admit";
            return self.end_link(&actor, &offer.link, &offer.account, "failed", reason).await.map(drop);
        }
        let Some(waiting) = self.device_waiting(attempt, &offer)? else { return Ok(()) };
        let params = offer.params()?;
        let prepared = self.provider(&offer.toolkit, offer.scheme, &offer.config, &params);
        let late = || Error::new(Code::UpstreamUnreachable, "The provider's metadata did not arrive in time");
        let prepared = tokio::time::timeout(PREPARATION, prepared).await.unwrap_or_else(|_| Err(late()));
        let provider = match prepared {
            Ok(provider) => provider,
            Err(error) => return self.device_refused(&actor, &offer, attempt, poll, Failure::Unsent(error)).await,
        };
        let token = match self.device_tokens(&provider, &Secret::new(waiting.device_code)).await {
            Ok(token) => token,
            Err(failure) => {
                self.note_forgotten(&actor, &offer.config, &provider.client.client_id, &failure).await;
                return self.device_refused(&actor, &offer, attempt, poll, failure).await;
            }
        };
        // Before anything else is asked: the code is spent, and nobody asks with it again.
        let is_ours = self.consume_device(&actor, attempt, "ok").await?;
        let finished = self.stepped(&provider, token, "").await;
        let mut params = params.clone();
        params.client_id = (offer.scheme == Scheme::DcrOAuth).then(|| provider.client.client_id.clone());
        match finished {
            Ok(token) if is_ours => self.exchanged(&actor, &offer, token, params).await.map(drop),
            Err(unfinished) if is_ours => self.unfinished(&actor, &offer, unfinished, &mut params).await.map(drop),
            // The user began again, or it is over, while the provider answered.
            Ok(token) => self.give_device_tokens_back(&offer, token, &mut params).await,
            Err(Unfinished { bought: Some(token), .. }) => {
                self.give_device_tokens_back(&offer, *token, &mut params).await
            }
            Err(Unfinished { bought: None, .. }) => Ok(()),
        }
    }

    /// The attempt is over; false when it was before.
    async fn consume_device(&self, actor: &Actor, attempt: &AttemptRow, outcome: &str) -> Result<bool> {
        let unit = Unit::new().with(attempts::consume(&attempt.id, self.now())).with(self.audit(
            actor,
            "link.code",
            &attempt.account_id,
            outcome,
            None,
        ));
        match self.apply_patiently(unit).await {
            Ok(()) => Ok(true),
            Err(WriteError::Refused(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn give_device_tokens_back(&self, offer: &Offer, token: TokenSet, params: &mut AccountParams) -> Result<()> {
        let secrets = TokenCredential::new(token, params, self.now()).secrets;
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
            Failure::Refused { error, .. } => DeviceRefusal::of(error),
            Failure::Lost(_) | Failure::Unsent(_) => DeviceRefusal::Passing,
        };
        let interval = match refusal {
            DeviceRefusal::Pending | DeviceRefusal::Passing => poll.interval,
            DeviceRefusal::SlowDown => poll.interval + SLOWER,
            // Another question may have got the tokens: its code is spent then, and ours refused.
            DeviceRefusal::Final if self.consume_device(actor, attempt, "refused").await? => {
                return self.device_over(actor, offer, &failure).await;
            }
            DeviceRefusal::Final => return Ok(()),
        };
        let asked = match &failure {
            Failure::Refused { retry_after, .. } => retry_after.unwrap_or(0).clamp(0, LONGEST_ASKED),
            Failure::Lost(_) | Failure::Unsent(_) => 0,
        };
        // A provider that is unwell is asked half as often (RFC 8628 section 3.5).
        let pause = if refusal == DeviceRefusal::Passing { (interval * 2).max(asked) } else { interval };
        let poll = Poll { at: self.now() + pause, interval };
        self.store.apply(Unit::new().with(attempts::set_poll(&attempt.id, poll))).await?;
        Ok(())
    }

    async fn device_over(&self, actor: &Actor, offer: &Offer, failure: &Failure) -> Result<()> {
        let code = match failure {
            Failure::Refused { error, .. } => error.code.as_deref(),
            _ => None,
        };
        let facts = Facts::of_failure(failure);
        let (outcome, reason) = match code {
            Some("access_denied") => ("failed", failure.shown().unwrap_or_default()),
            Some("expired_token") => ("expired", "expired_token: the code was not entered in time".to_owned()),
            _ => return self.exchange_failed(actor, offer, failure).await.map(drop),
        };
        self.end_link_noting(actor, &offer.link, &offer.account, (outcome, &reason), facts).await.map(drop)
    }
}

/// Asks providers whether their users have entered the code, until told to stop.
pub async fn run(app: Arc<App>, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(INTERVAL)).await.is_some() {
        if let Err(error) = app.ask_due_providers().await {
            tracing::error!(error = error.message(), cause = error.causes(), "attempts could not be looked up");
        }
    }
}

crate::redacted_debug!(Waiting, UserCode, DeviceCode, DevicePage);
