//! The provider's answer comes back through the browser (RFC 6749 section 4.1.2).
//!
//! In this order: the state is known, this browser started it (R04), the answer came on the
//! redirect URI and from the issuer it was asked of (R16, RFC 9207), the state is consumed (R02).
//! Only then is a token request sent. A wrong browser consumes nothing: the right one may still
//! finish.

use std::sync::Arc;

use switchboard_auth::{CallbackQuery, check_issuer, parse_callback};
use switchboard_store::attempts::{self, AttemptRow};
use switchboard_store::links::LinkRow;
use switchboard_store::{Unit, WriteError};
use switchboard_vault::{OneTimeToken, Secret};

use super::exchange::Grant;
use super::visit::{Offer, Visit};
use super::{Ending, Finished, browser_cookie_name};
use crate::app::params::AccountParams;
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
        let task = self.tasks.spawn(async move { app.arrive(actor, auth_config_id, query, attempt).await });
        let finished = task.await.map_err(Error::internal)??;
        Ok(Arrived { finished, project_id, link_id })
    }

    /// The right browser is back: the context decides, the state is consumed, the code exchanged.
    async fn arrive(
        self: Arc<Self>,
        actor: Actor,
        auth_config_id: Option<String>,
        query: CallbackQuery,
        attempt: AttemptRow,
    ) -> Result<Finished> {
        let link = self.store.link(&attempt.link_id).await?;
        let link = link.ok_or_else(|| Error::internal("attempt without its link"))?;
        // The attempt has a time of its own: the link's is for opening it.
        let link = LinkRow { expires_at: attempt.expires_at, ..link };
        let offer = match self.visit_link(link).await? {
            Visit::Open(offer) => offer,
            Visit::Over(finished) => return Ok(finished),
        };
        let state = query.state.clone().unwrap_or_default();
        let is_ours = self.context_matches(auth_config_id.as_deref(), &query, &attempt, &offer).await?;
        let code = query.code.filter(|code| !code.is_empty());
        if is_ours
            && query.error.is_none()
            && offer.verifier_url.is_some()
            && let Some(code) = code
        {
            // No token request before the developer has said who this was (R05).
            let grant = self.grant(&attempt, code, &state)?;
            return self.park_code(&actor, &offer, &attempt, grant).await;
        }
        if !self.consume(&actor, &attempt, if is_ours { "ok" } else { "context_mismatch" }).await? {
            return Ok(Finished::bare(Ending::Invalid));
        }
        if !is_ours {
            self.end_link(&actor, &offer.link, &offer.account, "failed", "context_mismatch").await?;
            return Ok(Finished::of(Ending::ContextMismatch, &offer.link, &offer.account.toolkit));
        }
        if let Some(error) = query.error {
            return self.refused(&actor, &offer, error, query.error_description).await;
        }
        let Some(code) = code else {
            let reason = "The provider returned neither a code nor an error";
            self.end_link(&actor, &offer.link, &offer.account, "failed", reason).await?;
            return Ok(Finished::of(Ending::ProviderError, &offer.link, &offer.account.toolkit));
        };
        let grant = self.grant(&attempt, code, &state)?;
        self.exchange(&actor, &offer, &grant).await
    }

    /// What a token request needs, from the attempt as it was read before its state was consumed.
    fn grant(&self, attempt: &AttemptRow, code: Secret, state: &str) -> Result<Grant> {
        let verifier = match &attempt.verifier_sealed {
            Some(sealed) => Some(self.open_verifier(&attempt.project_id, &attempt.id, sealed)?),
            None => None,
        };
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
            None => error,
        };
        self.end_link(actor, &offer.link, &offer.account, "failed", &detail).await?;
        let finished = Finished::of(ending, &offer.link, &offer.account.toolkit);
        Ok(finished.saying((ending == Ending::ProviderError).then_some(detail)))
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
                && self.now() < attempt.expires_at
        }))
    }

    async fn context_matches(
        &self,
        auth_config_id: Option<&str>,
        query: &CallbackQuery,
        attempt: &AttemptRow,
        offer: &Offer,
    ) -> Result<bool> {
        let path_matches = match auth_config_id {
            Some(id) => id == attempt.auth_config_id,
            // The shared path serves auth configs with a redirect URI of their own.
            None => offer.settings.oauth_redirect_uri.is_some(),
        };
        let config_unchanged = offer.config.updated_at == attempt.auth_config_version;
        let params = AccountParams::parse(&offer.account.params)?;
        let provider = self.provider(&offer.toolkit, offer.scheme, &offer.config, &params).await?;
        let oauth = &provider.oauth;
        let issuer = oauth.issuer.as_deref().map(|issuer| self.expand(issuer, &params)).transpose()?;
        let issuer_matches = check_issuer(issuer.as_deref(), oauth.iss_required, query.iss.as_deref()).is_ok();
        Ok(path_matches && config_unchanged && issuer_matches)
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
