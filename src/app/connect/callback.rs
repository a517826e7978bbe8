//! The provider's answer comes back through the browser (RFC 6749 section 4.1.2).
//!
//! In this order: the state is known, this browser started it (R04), the answer came on the
//! redirect URI and from the issuer it was asked of (R16, RFC 9207), the state is consumed (R02).
//! Only then is a token request sent. A wrong browser consumes nothing: the right one may still
//! finish.

use std::sync::Arc;

use switchboard_auth::{CallbackQuery, callback_parameter, check_issuer, oauth1, parse_callback, verify_query_hmac};
use switchboard_catalog::Scheme;
use switchboard_store::attempts::{self, AttemptRow};
use switchboard_store::links::LinkRow;
use switchboard_store::{Unit, WriteError};
use switchboard_vault::{OneTimeToken, Secret};

use super::exchange::Grant;
use super::visit::{Offer, Visit};
use super::{Ending, Finished, browser_cookie_name};
use crate::app::explain::Facts;
use crate::app::{Actor, App};
use crate::error::{Error, Result};

/// How a return ended, and what the page needs to know of it.
#[derive(Debug)]
pub struct Arrived {
    /// How it ended.
    pub finished: Finished,
    /// Whose flow it was, once the browser has proven to be the right one.
    pub project_id: Option<String>,
    /// Its link, whose cookie is done.
    pub link_id: Option<String>,
}

impl Arrived {
    fn nowhere(ending: Ending) -> Self {
        Self { finished: Finished::bare(ending), project_id: None, link_id: None }
    }
}

/// A browser that came back from a provider.
pub struct Returned<'a> {
    /// Auth config of the redirect URI's path; none on the shared path.
    pub auth_config_id: Option<&'a str>,
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
struct Came {
    /// The query as it came; holds the code.
    raw: Secret,
    query: CallbackQuery,
    /// Auth config of the path.
    auth_config_id: Option<String>,
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

impl App {
    /// Completes a flow. `cookie` gives the value of a cookie by name.
    pub async fn complete(
        self: &Arc<Self>,
        returned: Returned<'_>,
        cookie: impl Fn(&str) -> Option<String>,
    ) -> Result<Arrived> {
        let Ok(query) = parse_callback(returned.query) else {
            return Ok(Arrived::nowhere(Ending::Invalid));
        };
        let Some(attempt) = self.attempt_of(&query).await? else {
            return Ok(Arrived::nowhere(Ending::Invalid));
        };
        let actor = Actor {
            project_id: attempt.project_id.clone(),
            name: format!("link:{}", attempt.link_id),
            request_id: Some(returned.request_id.to_owned()),
            caller_request_id: None,
        };
        let browser = cookie(&browser_cookie_name(&attempt.link_id));
        if !browser.is_some_and(|browser| OneTimeToken::matches(&browser, &attempt.browser_hash)) {
            self.note_mismatch(&actor, &attempt.account_id).await;
            return Ok(Arrived::nowhere(Ending::BrowserMismatch));
        }
        let (project_id, link_id) = (Some(attempt.project_id.clone()), Some(attempt.link_id.clone()));
        let app = Arc::clone(self);
        let auth_config_id = returned.auth_config_id.map(ToOwned::to_owned);
        // From here on the state may be spent, so the rest finishes without the browser (R35).
        let came = Came { raw: Secret::from(returned.query), query, auth_config_id };
        let task = self.tasks.spawn(async move { app.arrive(actor, came, attempt).await });
        let finished = task.await.map_err(Error::internal)??;
        Ok(Arrived { finished, project_id, link_id })
    }

    /// The right browser is back: the context decides, the state is consumed, the code exchanged.
    async fn arrive(self: Arc<Self>, actor: Actor, came: Came, attempt: AttemptRow) -> Result<Finished> {
        let link = self.store.link(&attempt.link_id).await?;
        let link = link.ok_or_else(|| Error::internal("attempt without its link"))?;
        // The attempt has a time of its own: the link's is for opening it.
        let link = LinkRow { expires_at: attempt.expires_at, ..link };
        let mut offer = match self.visit_link(link).await? {
            Visit::Open(offer) => offer,
            Visit::Over(finished) => return Ok(finished),
        };
        let state = came.query.state.clone().unwrap_or_default();
        let strange = self.context_mismatch(&came, &attempt, &offer).await?;
        let is_ours = strange.is_none();
        let told = if is_ours { self.told(&came, &attempt, &mut offer)? } else { Told::default() };
        if let (true, Some(code), None) = (offer.verifier_url.is_some(), &told.code, &told.refusal) {
            // No token request before the developer has said who this was (R05).
            let grant = self.grant(&attempt, &offer, code.clone(), &state)?;
            return self.park_code(&actor, &offer, &attempt, grant).await;
        }
        if !self.consume(&actor, &attempt, if is_ours { "ok" } else { "context_mismatch" }).await? {
            return Ok(Finished::bare(Ending::Invalid));
        }
        if !is_ours {
            let facts = Facts { detail: strange.map(ToOwned::to_owned), ..Facts::default() };
            self.end_link_noting(&actor, &offer.link, &offer.account, ("failed", "context_mismatch"), facts).await?;
            return Ok(Finished::of(Ending::ContextMismatch, &offer.link, &offer.account.toolkit));
        }
        if let Some((error, description)) = told.refusal {
            return self.refused(&actor, &offer, error, description).await;
        }
        let Some(code) = told.code else {
            let reason = "The provider returned neither a code nor an error";
            self.end_link(&actor, &offer.link, &offer.account, "failed", reason).await?;
            return Ok(Finished::of(Ending::ProviderError, &offer.link, &offer.account.toolkit));
        };
        let grant = self.grant(&attempt, &offer, code, &state)?;
        self.exchange(&actor, &offer, &grant).await
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
            let kept = self.open_verifier(attempt, &offer.account)?;
            let is_same = answer.token.zip(kept).is_some_and(|(token, kept)| self.oauth1_matches(&kept, &token));
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
        let mut params = self.params_of(&offer.account)?;
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
        let verifier = self.open_verifier(attempt, &offer.account)?;
        Ok(Grant { code, verifier, redirect_uri: attempt.redirect_uri.clone(), state: state.to_owned() })
    }

    /// The provider sent an error instead of a code (RFC 6749 section 4.1.2.1).
    async fn refused(
        &self,
        actor: &Actor,
        offer: &Offer,
        error: String,
        description: Option<String>,
    ) -> Result<Finished> {
        let ending = if error == "access_denied" { Ending::Denied } else { Ending::ProviderError };
        let detail = match description {
            Some(description) => format!("{error}: {description}"),
            None => error.clone(),
        };
        let facts = Facts { provider: Some(detail.clone()), code: Some(error), ..Facts::default() };
        self.end_link_noting(actor, &offer.link, &offer.account, ("failed", &detail), facts).await?;
        let finished = Finished::of(ending, &offer.link, &offer.account.toolkit);
        Ok(finished.saying((ending == Ending::ProviderError).then_some(detail)))
    }

    /// What the toolkit of a flow reads of its callback; nothing for a state that nobody knows.
    pub async fn callback_parameters(&self, state: &str) -> Result<CallbackParameters> {
        let query = CallbackQuery { state: Some(state.to_owned()), ..CallbackQuery::default() };
        let Some(attempt) = self.attempt_of(&query).await? else { return Ok(CallbackParameters::default()) };
        let config = self.store.auth_config(&attempt.project_id, &attempt.auth_config_id).await?;
        let toolkit = config.as_ref().and_then(|config| self.toolkit(&config.toolkit));
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

    /// The attempt that a state belongs to. Unknown, used, old and misshapen states are the same
    /// to the visitor (R02).
    async fn attempt_of(&self, query: &CallbackQuery) -> Result<Option<AttemptRow>> {
        let Some(state) = query.state.as_deref() else { return Ok(None) };
        let Some(id) = OneTimeToken::row_id(state) else { return Ok(None) };
        let found = self.store.attempt(id).await?;
        Ok(found.filter(|attempt| {
            OneTimeToken::matches(state, &attempt.state_hash)
                && attempt.consumed_at.is_none()
                // Nobody comes back from where a code is entered.
                && attempt.poll.is_none()
                && self.now() < attempt.expires_at
        }))
    }

    /// What the answer does not fit to; none when it fits.
    async fn context_mismatch(&self, came: &Came, attempt: &AttemptRow, offer: &Offer) -> Result<Option<&'static str>> {
        let path_matches = match came.auth_config_id.as_deref() {
            Some(id) => id == attempt.auth_config_id,
            // The shared path serves auth configs with a redirect URI of their own.
            None => offer.settings.oauth_redirect_uri.is_some(),
        };
        let config_unchanged = offer.config.updated_at == attempt.auth_config_version;
        if !path_matches {
            return Ok(Some("It came to another redirect URI than the one that was asked for."));
        }
        if !config_unchanged {
            return Ok(Some("The auth config was changed while the user was at the provider."));
        }
        if offer.scheme == Scheme::OAuth1 {
            return Ok(None);
        }
        let params = offer.params()?;
        let provider = self.provider(&offer.toolkit, offer.scheme, &offer.config, &params).await?;
        let oauth = &provider.oauth;
        let issuer = oauth.issuer.as_deref().map(|issuer| self.expand(issuer, &params)).transpose()?;
        let issuer_matches = check_issuer(issuer.as_deref(), oauth.iss_required, came.query.iss.as_deref()).is_ok();
        let is_signed = oauth.callback.hmac.as_deref().is_none_or(|name| {
            let secret = provider.client.client_secret.as_ref();
            secret.is_some_and(|secret| verify_query_hmac(came.raw.expose(), name, secret))
        });
        Ok(match (issuer_matches, is_signed) {
            (true, true) => None,
            (false, _) => Some("It names another issuer than the one that was asked, or none."),
            (_, false) => Some("Its signature is missing or wrong."),
        })
    }

    /// Consumes the state; false when another request was faster.
    async fn consume(&self, actor: &Actor, attempt: &AttemptRow, outcome: &str) -> Result<bool> {
        let unit = Unit::new().with(attempts::consume(&attempt.id, self.now())).with(self.audit(
            actor,
            "link.callback",
            &attempt.account_id,
            outcome,
            None,
        ));
        match self.store.apply(unit).await {
            Ok(_) => Ok(true),
            Err(WriteError::Refused(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

crate::redacted_debug!(Returned<'a>);
