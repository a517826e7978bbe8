//! The authorization response arrives through the browser (RFC 6749 section 4.1.2).
//!
//! The checks run in this order: the state is known; this browser started the attempt (R04); no other
//! attempt of the link is exchanging its code; the response came to the expected redirect URI and from
//! the expected issuer (R16, RFC 9207); the state is consumed (R02). Only then is a token request sent.
//! A wrong browser consumes nothing: the right one may still finish.

use std::sync::Arc;

use switchboard_auth::{CallbackQuery, callback_parameter, oauth1, parse_callback};
use switchboard_catalog::Scheme;
use switchboard_store::attempts::{self, AttemptRow};
use switchboard_store::links::LinkRow;
use switchboard_store::{Refusal, Unit, WriteError};
use switchboard_types::{AuditAction, AuditOutcome, Reason, ReasonCode, format_compact};
use switchboard_vault::{OneTimeToken, Secret};

use super::attempt::ExchangeWait;
use super::exchange::{Grant, verifier_and_key};
use super::visit::{Offer, Visit};
use super::{Ending, Finished};
use crate::app::Actor;
use crate::app::audit::Facts;
use crate::app::connect::Connector;
use crate::error::{Error, Result};

/// Error codes of the authorization response that mean that the user did not grant access (RFC 6749
/// section 4.1.2.1, OpenID Connect Core section 3.1.2.6).
const DENIALS: [&str; 4] = ["access_denied", "consent_required", "interaction_required", "login_required"];

/// How a callback ended, and what the page needs to know about it.
#[derive(Debug)]
pub struct CallbackOutcome {
    /// How it ended.
    pub finished: Finished,
    /// The attempt, once the browser has proven that it started it. Its cookie is cleared unless the
    /// browser has another step to do.
    pub attempt_id: Option<String>,
}

impl CallbackOutcome {
    fn without_attempt(ending: Ending) -> Self {
        Self { finished: Finished::without_link(ending), attempt_id: None }
    }
}

/// A browser request to the redirect URI.
pub struct CallbackRequest<'a> {
    /// Last segment of the redirect URI's path, usually an auth config's id; none on the shared path.
    pub name: Option<&'a str>,
    /// Raw query.
    pub query: &'a str,
    /// Id of this request.
    pub request_id: &'a str,
}

/// The callback parameters that a toolkit reads in addition to the standard ones.
#[derive(Debug, Default)]
pub struct CallbackParameters {
    names: Vec<String>,
    /// The toolkit checks a signature over all of them.
    all: bool,
}

impl CallbackParameters {
    /// Whether a parameter is read.
    pub fn admits(&self, name: &str) -> bool {
        self.all || self.names.iter().any(|known| known == name)
    }
}

/// A parsed callback.
pub(super) struct ParsedCallback {
    /// The raw query; contains the code.
    pub(super) raw: Secret,
    pub(super) query: CallbackQuery,
    /// Last segment of the path.
    pub(super) name: Option<String>,
}

/// The authorization response: a code, or an error.
#[derive(Default)]
struct AuthorizationResponse {
    code: Option<Secret>,
    /// Error code and description.
    refusal: Option<(String, Option<String>)>,
    /// The toolkit captured values of the callback.
    has_captures: bool,
}

impl AuthorizationResponse {
    fn refused(why: &str) -> Self {
        Self { refusal: Some(("invalid_callback".to_owned(), Some(why.to_owned()))), ..Self::default() }
    }
}

impl Connector {
    /// Completes a flow. `cookie` gives the value of a cookie by name.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn complete(
        self: &Arc<Self>,
        returned: CallbackRequest<'_>,
        cookie: impl Fn(&str) -> Option<String>,
    ) -> Result<CallbackOutcome> {
        let Ok(query) = parse_callback(returned.query) else {
            return Ok(CallbackOutcome::without_attempt(Ending::Invalid));
        };
        if let (None, Some(error)) = (&query.state, &query.error) {
            // Some providers omit the state when the user denies access. The flow is unknown then, so
            // nothing is ended, and the rest of the query is not trusted.
            let ending = if DENIALS.contains(&error.as_str()) { Ending::Denied } else { Ending::ProviderError };
            return Ok(CallbackOutcome::without_attempt(ending));
        }
        let Some(attempt) = self.attempt_of(&query).await? else {
            return Ok(CallbackOutcome::without_attempt(Ending::Invalid));
        };
        let actor = Actor {
            project_id: attempt.project_id.clone(),
            name: format_compact!("link:{}", attempt.link_id),
            request_id: Some(returned.request_id.into()),
            caller_request_id: None,
        };
        let is_live = attempt.consumed_at.is_none() && self.core.now() < attempt.expires_at;
        match (self.is_attempt_browser(&attempt, &cookie), is_live) {
            (true, _) => {}
            (false, true) => {
                self.record_browser_mismatch(&actor, &attempt.account_id).await;
                return Ok(CallbackOutcome::without_attempt(Ending::BrowserMismatch));
            }
            // The cookie of an attempt is cleared when the attempt ends; the link's cookie may still
            // identify the browser.
            (false, false) => {
                let link = self.core.store.link(&attempt.link_id).await?;
                if !link.is_some_and(|link| self.has_link_cookie(&link, &cookie)) {
                    return Ok(CallbackOutcome::without_attempt(Ending::Invalid));
                }
            }
        }
        let attempt_id = Some(attempt.id.clone());
        let finished = if is_live {
            let connector = Arc::clone(self);
            let name = returned.name.map(ToOwned::to_owned);
            // From here on the state may be consumed, so the rest runs without the browser (R35).
            let callback = ParsedCallback { raw: Secret::from(returned.query), query, name };
            let task = self
                .core
                .tasks
                .spawn(async move { Box::pin(connector.handle_callback(actor, callback, attempt)).await });
            task.await.map_err(Error::internal)??
        } else {
            self.handle_repeated_callback(&attempt).await?
        };
        Ok(CallbackOutcome { finished, attempt_id })
    }

    /// The right browser returned with a state that is no longer valid. It is shown the outcome of the
    /// link, once that is decided.
    async fn handle_repeated_callback(&self, attempt: &AttemptRow) -> Result<Finished> {
        match self.wait_for_exchange(&attempt.link_id, None).await? {
            ExchangeWait::Open(link) | ExchangeWait::Ended(link) => self.link_outcome(&link).await,
            ExchangeWait::Busy => Ok(Finished::without_link(Ending::Busy)),
        }
    }

    /// The right browser returned: check the context, consume the state, exchange the code.
    #[tracing::instrument(level = "debug", skip_all)]
    async fn handle_callback(
        self: Arc<Self>,
        actor: Actor,
        callback: ParsedCallback,
        attempt: AttemptRow,
    ) -> Result<Finished> {
        loop {
            let link = match self.wait_for_exchange(&attempt.link_id, Some(&attempt.id)).await? {
                ExchangeWait::Open(link) => link,
                ExchangeWait::Ended(link) => return self.attempt_outcome(&attempt, &link).await,
                ExchangeWait::Busy => return Ok(Finished::without_link(Ending::Busy)),
            };
            // The attempt has its own expiry; the link's is for opening it.
            let offer = match self.visit_link(link, Some(attempt.expires_at)).await? {
                Visit::Open(offer) => offer,
                Visit::Ended(finished) => return Ok(finished),
            };
            if let Some(finished) = Box::pin(self.process_callback(&actor, &callback, &attempt, *offer)).await? {
                return Ok(finished);
            }
        }
    }

    /// The outcome of a live attempt whose link has ended.
    async fn attempt_outcome(&self, attempt: &AttemptRow, link: &LinkRow) -> Result<Finished> {
        let ended = self.link_outcome(link).await?;
        if ended.ending != Ending::Invalid {
            return Ok(ended);
        }
        // Deleted or rejected at the same time.
        match self.visit_link(link.clone(), Some(attempt.expires_at)).await? {
            Visit::Ended(finished) => Ok(finished),
            Visit::Open(_) => Ok(ended),
        }
    }

    /// The steps of a callback: check that the response belongs to its request, read it, consume the state, and
    /// exchange the code. None when another attempt claimed the exchange at the same time.
    async fn process_callback(
        &self,
        actor: &Actor,
        callback: &ParsedCallback,
        attempt: &AttemptRow,
        mut offer: Offer,
    ) -> Result<Option<Finished>> {
        offer.resume_attempt(attempt);
        let state = callback.query.state.clone().unwrap_or_default();
        let mut mismatch = self.address_mismatch(callback, attempt, &offer).await?;
        // The provider is resolved once: for the check of the sender and for the exchange.
        let (toolkit, params, mut provider) = (Arc::clone(&offer.toolkit), offer.params()?, None);
        if mismatch.is_none() && offer.scheme != Scheme::OAuth1 {
            let resolved = self.providers.provider(&toolkit, offer.scheme, &offer.config, &params).await?;
            mismatch = self.sender_mismatch(callback, &offer, &resolved, &params).await?;
            provider = Some(resolved);
        }
        let response = if mismatch.is_none() {
            self.response(callback, attempt, &mut offer)?
        } else {
            AuthorizationResponse::default()
        };
        let code = response.code.filter(|_| response.refusal.is_none());
        if let (true, Some(code)) = (offer.verifier_url.is_some(), &code) {
            // No token request before the developer has confirmed the user (R05).
            let grant = self.grant(attempt, &offer, code.clone(), &state)?;
            return self.store_pending_code(actor, &offer, attempt, grant).await.map(Some);
        }
        let outcome = if mismatch.is_none() { AuditOutcome::Ok } else { AuditOutcome::ContextMismatch };
        let mut unit = Unit::new().with(attempts::consume(&attempt.id, self.core.now()));
        if code.is_some() {
            unit.push(self.claim_exchange(&attempt.link_id, &attempt.id));
            offer.holder = Some(attempt.id.clone());
        }
        unit.push(self.core.audit(actor, AuditAction::LinkCallback, &attempt.account_id, outcome, None));
        match self.core.store.apply(unit).await {
            Ok(_) => {}
            Err(WriteError::Refused(Refusal::ExchangeBusy)) => return Ok(None),
            // Another request came with the same state.
            Err(WriteError::Refused(_)) => return self.handle_repeated_callback(attempt).await.map(Some),
            Err(error) => return Err(error.into()),
        }
        let finished = match (mismatch, response.refusal, code) {
            (Some(mismatch), _, _) => {
                let facts = Facts { detail: Some(mismatch.to_owned()), ..Facts::default() };
                self.attempt_failed(
                    actor,
                    &offer,
                    (Ending::ContextMismatch, &ReasonCode::ContextMismatch.into()),
                    facts,
                )
                .await?
            }
            (None, Some((error, description)), _) => self.refused(actor, &offer, error, description).await?,
            (None, None, None) => {
                let reason = Reason::new(ReasonCode::NoCode);
                let ending = (Ending::ProviderError, &reason);
                let finished = self.attempt_failed(actor, &offer, ending, Facts::default()).await?;
                finished.with_finding(reason.to_string())
            }
            (None, None, Some(code)) => {
                let grant = self.grant(attempt, &offer, code, &state)?;
                // Captured values may change its addresses.
                let provider = provider.filter(|_| !response.has_captures);
                Box::pin(self.exchange(actor, &offer, &grant, provider)).await?
            }
        };
        Ok(Some(finished))
    }

    /// Reads the code or the error from the callback. Values that the toolkit captures are added to the
    /// account's parameters.
    fn response(
        &self,
        callback: &ParsedCallback,
        attempt: &AttemptRow,
        offer: &mut Offer,
    ) -> Result<AuthorizationResponse> {
        let unreadable = || AuthorizationResponse::refused("the callback cannot be read");
        let Some(oauth) = offer.toolkit.oauth(offer.scheme) else {
            // OAuth 1.0a: the token must be the one that this flow started with (R28).
            let Ok(answer) = oauth1::parse_callback(callback.raw.expose()) else { return Ok(unreadable()) };
            if let Some(error) = answer.refusal {
                return Ok(AuthorizationResponse { refusal: Some((error, None)), ..Default::default() });
            }
            let kept = self.credentials.open_verifier(attempt, &offer.account)?;
            let is_same =
                answer.token.zip(kept).is_some_and(|(token, kept)| self.providers.oauth1_matches(&kept, &token));
            return Ok(if is_same {
                AuthorizationResponse { code: answer.verifier, ..Default::default() }
            } else {
                AuthorizationResponse::refused("it came back with another token than it was sent with")
            });
        };
        if let Some(error) = &callback.query.error {
            let refusal = Some((error.clone(), callback.query.error_description.clone()));
            return Ok(AuthorizationResponse { refusal, ..Default::default() });
        }
        let code = match &oauth.callback.code {
            None => callback.query.code.clone(),
            Some(name) => match callback_parameter(callback.raw.expose(), name) {
                Ok(code) => code.map(Secret::new),
                Err(_) => return Ok(unreadable()),
            },
        };
        let mut params = self.core.params_of(&offer.account);
        for capture in &oauth.callback.capture {
            let found = callback_parameter(callback.raw.expose(), &capture.at).ok().flatten();
            match found.filter(|value| capture.check(value).is_ok()) {
                Some(value) => {
                    params.captured.insert(capture.name.clone(), value);
                }
                None if capture.required => {
                    return Ok(AuthorizationResponse::refused(&format!("the callback holds no usable {}", capture.at)));
                }
                None => {}
            }
        }
        *offer.account.params = params.stored();
        let has_captures = !oauth.callback.capture.is_empty();
        Ok(AuthorizationResponse { code: code.filter(|code| !code.is_empty()), refusal: None, has_captures })
    }

    /// What a token request needs, from the attempt as it was read before its state was consumed.
    fn grant(&self, attempt: &AttemptRow, offer: &Offer, code: Secret, state: &str) -> Result<Grant> {
        let kept = self.credentials.open_verifier(attempt, &offer.account)?;
        // The temporary credentials of OAuth 1.0a are a single string.
        let (verifier, dpop_key) = if offer.scheme == Scheme::OAuth1 { (kept, None) } else { verifier_and_key(kept) };
        Ok(Grant { code, verifier, dpop_key, redirect_uri: attempt.redirect_uri.clone(), state: state.to_owned() })
    }

    /// The provider sent an error instead of a code (RFC 6749 section 4.1.2.1).
    async fn refused(
        &self,
        actor: &Actor,
        offer: &Offer,
        error: String,
        description: Option<String>,
    ) -> Result<Finished> {
        let ending = if is_denial(offer, &error) { Ending::Denied } else { Ending::ProviderError };
        let detail = match description {
            Some(description) => format!("{error}: {description}"),
            None => error.clone(),
        };
        let code = if error == "access_denied" { ReasonCode::AccessDenied } else { ReasonCode::AuthorizationRefused };
        let reason = Reason::with_detail(code, detail.as_str());
        let facts = Facts { provider: Some(detail.clone()), code: Some(error), ..Facts::default() };
        let finished = self.attempt_failed(actor, offer, (ending, &reason), facts).await?;
        Ok(finished.with_detail((ending == Ending::ProviderError).then_some(detail)))
    }

    /// The callback parameters that the toolkit of a flow reads; none for an unknown state.
    pub async fn callback_parameters(&self, state: &str) -> Result<CallbackParameters> {
        let query = CallbackQuery { state: Some(state.to_owned()), ..CallbackQuery::default() };
        let Some(attempt) = self.attempt_of(&query).await? else { return Ok(CallbackParameters::default()) };
        let config = self.core.store.auth_config(&attempt.project_id, &attempt.auth_config_id).await?;
        let toolkit = config.as_ref().and_then(|config| self.core.toolkit(&config.toolkit));
        let Some((config, toolkit)) = config.zip(toolkit) else { return Ok(CallbackParameters::default()) };
        let scheme = config.scheme;
        let Some(callback) = toolkit.oauth(scheme).map(|oauth| &oauth.callback) else {
            return Ok(CallbackParameters {
                names: vec!["oauth_token".to_owned(), "oauth_verifier".to_owned()],
                all: false,
            });
        };
        let captured = callback.capture.iter().map(|capture| capture.at.clone());
        let names = captured.chain(callback.code.clone()).collect();
        Ok(CallbackParameters { names, all: callback.hmac.is_some() })
    }

    /// The attempt that a state belongs to, live or not. Unknown, used, expired and malformed states
    /// look the same to anyone who did not start it (R02).
    async fn attempt_of(&self, query: &CallbackQuery) -> Result<Option<AttemptRow>> {
        let Some(state) = query.state.as_deref() else { return Ok(None) };
        let Some(id) = OneTimeToken::row_id(state) else { return Ok(None) };
        let found = self.core.store.attempt(id).await?;
        Ok(found.filter(|attempt| {
            // A device code flow has no callback.
            OneTimeToken::matches(state, &attempt.state_hash) && attempt.poll.is_none()
        }))
    }
}

/// Whether an error of the authorization response means that the user, or an administrator, denied
/// access: a standard code, or one that the toolkit lists.
fn is_denial(offer: &Offer, error: &str) -> bool {
    let own = offer.toolkit.oauth(offer.scheme).map(|oauth| oauth.callback.denied.as_slice());
    DENIALS.contains(&error) || own.is_some_and(|own| own.iter().any(|code| code == error))
}

crate::redacted_debug!(CallbackRequest<'a>);
