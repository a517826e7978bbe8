//! The provider's answer comes back through the browser (RFC 6749 section 4.1.2).
//!
//! In this order: the state is known, this browser began the attempt (R04), no other attempt of the
//! link is exchanging its code, the answer came on the redirect URI and from the issuer it was asked of
//! (R16, RFC 9207), the state is consumed (R02). Only then is a token request sent. A wrong browser
//! consumes nothing: the right one may still finish.

use std::sync::Arc;

use switchboard_auth::{CallbackQuery, callback_parameter, oauth1, parse_callback};
use switchboard_catalog::Scheme;
use switchboard_store::attempts::{self, AttemptRow};
use switchboard_store::links::LinkRow;
use switchboard_store::{Refusal, Unit, WriteError};
use switchboard_vault::{OneTimeToken, Secret};

use super::attempt::Free;
use super::exchange::{Grant, verifier_and_key};
use super::visit::{Offer, Visit};
use super::{Ending, Finished};
use crate::app::Actor;
use crate::app::audit::Facts;
use crate::app::connect::Connector;
use crate::error::{Error, Result};

/// Errors of the authorization response by which nobody gave access (RFC 6749 section 4.1.2.1, OpenID
/// Connect Core section 3.1.2.6).
const DENIALS: [&str; 4] = ["access_denied", "consent_required", "interaction_required", "login_required"];

/// How a return ended, and what the page needs to know of it.
#[derive(Debug)]
pub struct Arrived {
    /// How it ended.
    pub finished: Finished,
    /// The attempt, once the browser has proven to be the right one; its cookie is done unless more is
    /// asked of the browser.
    pub attempt_id: Option<String>,
}

impl Arrived {
    fn nowhere(ending: Ending) -> Self {
        Self { finished: Finished::bare(ending), attempt_id: None }
    }
}

/// A browser that came back from a provider.
pub struct Returned<'a> {
    /// Name at the end of the redirect URI's path, mostly an auth config's id; none on the shared path.
    pub name: Option<&'a str>,
    /// Raw query.
    pub query: &'a str,
    /// Of this request.
    pub request_id: &'a str,
}

/// Which parameters of a callback a toolkit reads, besides those of the standards.
#[derive(Debug, Default)]
pub struct CallbackParameters {
    names: Vec<String>,
    /// It checks a signature over all of them.
    all: bool,
}

impl CallbackParameters {
    /// Whether a parameter is read.
    pub fn admits(&self, name: &str) -> bool {
        self.all || self.names.iter().any(|it| it == name)
    }
}

/// What a browser came back with.
pub(super) struct Came {
    /// The query as it came; holds the code.
    pub(super) raw: Secret,
    pub(super) query: CallbackQuery,
    /// Name at the end of the path.
    pub(super) name: Option<String>,
}

/// What the provider says by it.
#[derive(Default)]
struct Told {
    code: Option<Secret>,
    /// Error code and words.
    refusal: Option<(String, Option<String>)>,
}

impl Told {
    fn refused(why: &str) -> Self {
        Self { code: None, refusal: Some(("invalid_callback".to_owned(), Some(why.to_owned()))) }
    }
}

impl Connector {
    /// Completes a flow. `cookie` gives the value of a cookie by name.
    pub async fn complete(
        self: &Arc<Self>,
        returned: Returned<'_>,
        cookie: impl Fn(&str) -> Option<String>,
    ) -> Result<Arrived> {
        let Ok(query) = parse_callback(returned.query) else {
            return Ok(Arrived::nowhere(Ending::Invalid));
        };
        if let (None, Some(error)) = (&query.state, &query.error) {
            // Some providers leave the state out when the user says no: nothing is known of the flow, so
            // nothing is ended, and what else the query says may be anybody's.
            let ending = if DENIALS.contains(&error.as_str()) { Ending::Denied } else { Ending::ProviderError };
            return Ok(Arrived::nowhere(ending));
        }
        let Some(attempt) = self.attempt_of(&query).await? else {
            return Ok(Arrived::nowhere(Ending::Invalid));
        };
        let actor = Actor {
            project_id: attempt.project_id.clone(),
            name: format!("link:{}", attempt.link_id),
            request_id: Some(returned.request_id.to_owned()),
            caller_request_id: None,
        };
        let is_live = attempt.consumed_at.is_none() && self.core.now() < attempt.expires_at;
        match (self.began(&attempt, &cookie), is_live) {
            (true, _) => {}
            (false, true) => {
                self.note_mismatch(&actor, &attempt.account_id).await;
                return Ok(Arrived::nowhere(Ending::BrowserMismatch));
            }
            // The cookie of an attempt is gone when that is over; the one of the link may say enough.
            (false, false) => {
                let link = self.core.store.link(&attempt.link_id).await?;
                if !link.is_some_and(|link| self.keeps(&link, &cookie)) {
                    return Ok(Arrived::nowhere(Ending::Invalid));
                }
            }
        }
        let attempt_id = Some(attempt.id.clone());
        let finished = if is_live {
            let connector = Arc::clone(self);
            let name = returned.name.map(ToOwned::to_owned);
            // From here on the state may be spent, so the rest finishes without the browser (R35).
            let came = Came { raw: Secret::from(returned.query), query, name };
            let task = self.core.tasks.spawn(async move { Box::pin(connector.arrive(actor, came, attempt)).await });
            task.await.map_err(Error::internal)??
        } else {
            self.arrive_again(&attempt).await?
        };
        Ok(Arrived { finished, attempt_id })
    }

    /// The right browser is back with a state that no longer counts: it learns how the link stands, once
    /// that is decided.
    async fn arrive_again(&self, attempt: &AttemptRow) -> Result<Finished> {
        match self.wait_for_exchange(&attempt.link_id, None).await? {
            Free::Open(link) | Free::Over(link) => self.ended(&link).await,
            Free::Busy => Ok(Finished::bare(Ending::Busy)),
        }
    }

    /// The right browser is back: the context decides, the state is consumed, the code exchanged.
    async fn arrive(self: Arc<Self>, actor: Actor, came: Came, attempt: AttemptRow) -> Result<Finished> {
        loop {
            let link = match self.wait_for_exchange(&attempt.link_id, Some(&attempt.id)).await? {
                Free::Open(link) => link,
                Free::Over(link) => return self.ended_for(&attempt, &link).await,
                Free::Busy => return Ok(Finished::bare(Ending::Busy)),
            };
            // The attempt has a time of its own: the link's is for opening it.
            let offer = match self.visit_link(link, Some(attempt.expires_at)).await? {
                Visit::Open(offer) => offer,
                Visit::Over(finished) => return Ok(finished),
            };
            if let Some(finished) = Box::pin(self.arrive_at(&actor, &came, &attempt, *offer)).await? {
                return Ok(finished);
            }
        }
    }

    /// How a live attempt ends whose link is over.
    async fn ended_for(&self, attempt: &AttemptRow, link: &LinkRow) -> Result<Finished> {
        let ended = self.ended(link).await?;
        if ended.ending != Ending::Invalid {
            return Ok(ended);
        }
        // Deleted or rejected: its state would have ended with it, but for this moment.
        match self.visit_link(link.clone(), Some(attempt.expires_at)).await? {
            Visit::Over(finished) => Ok(finished),
            Visit::Open(_) => Ok(ended),
        }
    }

    /// None when another attempt took the link's place in the same moment.
    async fn arrive_at(
        &self,
        actor: &Actor,
        came: &Came,
        attempt: &AttemptRow,
        mut offer: Offer,
    ) -> Result<Option<Finished>> {
        offer.go_on_with(attempt);
        let state = came.query.state.clone().unwrap_or_default();
        let strange = self.context_mismatch(came, attempt, &offer).await?;
        let told = if strange.is_none() { self.told(came, attempt, &mut offer)? } else { Told::default() };
        let code = told.code.filter(|_| told.refusal.is_none());
        if let (true, Some(code)) = (offer.verifier_url.is_some(), &code) {
            // No token request before the developer has said who this was (R05).
            let grant = self.grant(attempt, &offer, code.clone(), &state)?;
            return self.park_code(actor, &offer, attempt, grant).await.map(Some);
        }
        let outcome = if strange.is_none() { "ok" } else { "context_mismatch" };
        let mut unit = Unit::new().with(attempts::consume(&attempt.id, self.core.now()));
        if code.is_some() {
            unit.push(self.take_exchange(&attempt.link_id, &attempt.id));
            offer.holder = Some(attempt.id.clone());
        }
        unit.push(self.core.audit(actor, "link.callback", &attempt.account_id, outcome, None));
        match self.core.store.apply(unit).await {
            Ok(_) => {}
            Err(WriteError::Refused(Refusal::ExchangeBusy)) => return Ok(None),
            // Another request came with the same state.
            Err(WriteError::Refused(_)) => return self.arrive_again(attempt).await.map(Some),
            Err(error) => return Err(error.into()),
        }
        let finished = match (strange, told.refusal, code) {
            (Some(strange), _, _) => {
                let facts = Facts { detail: Some(strange.to_owned()), ..Facts::default() };
                self.attempt_failed(actor, &offer, (Ending::ContextMismatch, "context_mismatch"), facts).await?
            }
            (None, Some((error, description)), _) => self.refused(actor, &offer, error, description).await?,
            (None, None, None) => {
                let reason = "The provider returned neither a code nor an error";
                let ending = (Ending::ProviderError, reason);
                self.attempt_failed(actor, &offer, ending, Facts::default()).await?.finding(reason)
            }
            (None, None, Some(code)) => {
                let grant = self.grant(attempt, &offer, code, &state)?;
                self.exchange(actor, &offer, &grant).await?
            }
        };
        Ok(Some(finished))
    }

    /// What the provider says by the callback: a code, or why there is none. What the toolkit keeps of
    /// it goes into the account's parameters.
    fn told(&self, came: &Came, attempt: &AttemptRow, offer: &mut Offer) -> Result<Told> {
        let unreadable = || Told::refused("the callback cannot be read");
        let Some(oauth) = offer.toolkit.oauth(offer.scheme) else {
            // OAuth 1.0a: the token must be the one that this flow began with (R28).
            let Ok(answer) = oauth1::parse_callback(came.raw.expose()) else { return Ok(unreadable()) };
            if let Some(error) = answer.refusal {
                return Ok(Told { code: None, refusal: Some((error, None)) });
            }
            let kept = self.credentials.open_verifier(attempt, &offer.account)?;
            let is_same =
                answer.token.zip(kept).is_some_and(|(token, kept)| self.providers.oauth1_matches(&kept, &token));
            return Ok(if is_same {
                Told { code: answer.verifier, refusal: None }
            } else {
                Told::refused("it came back with another token than it was sent with")
            });
        };
        if let Some(error) = &came.query.error {
            return Ok(Told { code: None, refusal: Some((error.clone(), came.query.error_description.clone())) });
        }
        let code = match &oauth.callback.code {
            None => came.query.code.clone(),
            Some(name) => match callback_parameter(came.raw.expose(), name) {
                Ok(code) => code.map(Secret::new),
                Err(_) => return Ok(unreadable()),
            },
        };
        let mut params = self.core.params_of(&offer.account)?;
        for capture in &oauth.callback.capture {
            let found = callback_parameter(came.raw.expose(), &capture.at).ok().flatten();
            match found.filter(|value| capture.check(value).is_ok()) {
                Some(value) => {
                    params.captured.insert(capture.name.clone(), value);
                }
                None if capture.required => {
                    return Ok(Told::refused(&format!("the callback holds no usable {}", capture.at)));
                }
                None => {}
            }
        }
        offer.account.params = params.to_text();
        Ok(Told { code: code.filter(|code| !code.is_empty()), refusal: None })
    }

    /// What a token request needs, from the attempt as it was read before its state was consumed.
    fn grant(&self, attempt: &AttemptRow, offer: &Offer, code: Secret, state: &str) -> Result<Grant> {
        let kept = self.credentials.open_verifier(attempt, &offer.account)?;
        // Temporary credentials of OAuth 1.0a are one text.
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
        let facts = Facts { provider: Some(detail.clone()), code: Some(error), ..Facts::default() };
        let finished = self.attempt_failed(actor, offer, (ending, &detail), facts).await?;
        Ok(finished.saying((ending == Ending::ProviderError).then_some(detail)))
    }

    /// What the toolkit of a flow reads of its callback; nothing for a state that nobody knows.
    pub async fn callback_parameters(&self, state: &str) -> Result<CallbackParameters> {
        let query = CallbackQuery { state: Some(state.to_owned()), ..CallbackQuery::default() };
        let Some(attempt) = self.attempt_of(&query).await? else { return Ok(CallbackParameters::default()) };
        let config = self.core.store.auth_config(&attempt.project_id, &attempt.auth_config_id).await?;
        let toolkit = config.as_ref().and_then(|config| self.core.toolkit(&config.toolkit));
        let Some((config, toolkit)) = config.zip(toolkit) else { return Ok(CallbackParameters::default()) };
        let scheme: Scheme = config.scheme.parse().map_err(Error::internal)?;
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

    /// The attempt that a state belongs to, live or not. Unknown, used, old and misshapen states are the
    /// same to whoever did not begin it (R02).
    async fn attempt_of(&self, query: &CallbackQuery) -> Result<Option<AttemptRow>> {
        let Some(state) = query.state.as_deref() else { return Ok(None) };
        let Some(id) = OneTimeToken::row_id(state) else { return Ok(None) };
        let found = self.core.store.attempt(id).await?;
        Ok(found.filter(|attempt| {
            // Nobody comes back from where a code is entered.
            OneTimeToken::matches(state, &attempt.state_hash) && attempt.poll.is_none()
        }))
    }
}

/// Whether an error of the authorization response says that the user, or somebody for him, did not agree:
/// the standards' own codes, and those that the toolkit names.
fn is_denial(offer: &Offer, error: &str) -> bool {
    let own = offer.toolkit.oauth(offer.scheme).map(|oauth| oauth.callback.denied.as_slice());
    DENIALS.contains(&error) || own.is_some_and(|own| own.iter().any(|code| code == error))
}

crate::redacted_debug!(Returned<'a>);
