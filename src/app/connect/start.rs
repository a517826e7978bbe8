//! The first POST of a link: it claims the link for this browser and goes to the provider.
//!
//! The claim is a random cookie of which only the hash is stored; the callback demands it (R04).
//! A new attempt gets its own state, PKCE verifier and exact redirect URI; nothing about them
//! travels in the state.

use std::collections::BTreeMap;
use std::sync::Arc;

use switchboard_store::attempts::{self, AttemptRow, Poll};
use switchboard_store::links::{self, LinkPurpose, LinkState};
use switchboard_store::{Statement, Unit, WriteError, accounts, revocations, verifications};
use switchboard_vault::{OneTimeToken, digest};
use url::Url;

use super::choose::SETTLING;
use super::visit::{Offer, Visit};
use super::{Ending, Finished};
use crate::app::explain::Facts;
use crate::app::params::AccountParams;
use crate::app::{Actor, App};
use crate::error::{Error, Result};
use crate::id::Kind;
use crate::time::{Millis, millis};

/// What the browser does next.
pub enum Started {
    /// Go to the provider, with this cookie.
    Provider {
        /// Authorization request.
        url: Url,
        /// Value of the browser cookie.
        cookie: String,
        /// How long that is needed, in milliseconds.
        lifetime: Millis,
    },
    /// Look at the form again: field → what is wrong with it.
    Form {
        /// The link, still open.
        offer: Box<Offer>,
        /// Messages by field name.
        wrong: BTreeMap<String, String>,
        /// A message about the whole.
        message: Option<String>,
    },
    /// It is over.
    Over(Finished),
}

/// Name of the cookie that binds a link to a browser; one per link, so that two tabs do not
/// disturb each other (R15). `__Host-` admits no subdomain to set it.
pub fn browser_cookie_name(link_id: &str) -> String {
    format!("__Host-sb_{link_id}")
}

/// The statement that binds the link to the browser, and the cookie's value.
struct Claim {
    statement: Statement,
    browser: String,
}

impl App {
    /// The visitor pressed Continue. `cookie` gives the value of a cookie by name.
    pub async fn start(
        self: &Arc<Self>,
        token: &str,
        form: &BTreeMap<String, String>,
        cookie: impl Fn(&str) -> Option<String>,
        request_id: &str,
    ) -> Result<Started> {
        let offer = match self.visit(token).await? {
            Visit::Open(offer) => offer,
            Visit::Over(finished) => return Ok(Started::Over(finished)),
        };
        let actor = Actor {
            project_id: offer.link.project_id.clone(),
            name: format!("link:{}", offer.link.id),
            request_id: Some(request_id.to_owned()),
            caller_request_id: None,
        };
        if !offer.scheme.is_redirect() {
            return self.enter_secrets(actor, offer, form).await;
        }
        let Some(claim) = self.claim(&offer, cookie) else {
            self.note_mismatch(&actor, &offer.account.id).await;
            return Ok(Started::Over(Finished::bare(Ending::BrowserMismatch)));
        };
        self.start_oauth(&actor, offer, form, claim).await
    }

    /// "This wasn't me": the link ends, whoever holds it may say so.
    pub async fn reject(&self, token: &str, request_id: &str) -> Result<Finished> {
        let offer = match self.visit(token).await? {
            Visit::Open(offer) => offer,
            Visit::Over(finished) => return Ok(finished),
        };
        let actor = Actor {
            project_id: offer.link.project_id.clone(),
            name: format!("link:{}", offer.link.id),
            request_id: Some(request_id.to_owned()),
            caller_request_id: None,
        };
        let finished = Finished::of(Ending::Rejected, &offer.link, &offer.account.toolkit);
        if self.end_link(&actor, &offer.link, &offer.account, "rejected", "rejected_by_user").await? {
            return Ok(finished);
        }
        // It ended otherwise in the same moment; say how, not what was wished.
        match self.visit(token).await? {
            Visit::Over(finished) => Ok(finished),
            Visit::Open(_) => Err(Error::internal("a link that neither ends nor is over")),
        }
    }

    fn claim(&self, offer: &Offer, cookie: impl Fn(&str) -> Option<String>) -> Option<Claim> {
        let now = self.now();
        if let LinkState::Claimed { browser_hash } = &offer.link.state {
            let browser = cookie(&browser_cookie_name(&offer.link.id))?;
            let is_same = OneTimeToken::matches(&browser, browser_hash);
            let statement = links::reclaim(&offer.link.id, browser_hash, now);
            return is_same.then_some(Claim { statement, browser });
        }
        // A cookie that was there before the claim is never taken over (R15).
        let browser = OneTimeToken::new(&*self.entropy, "").text().to_owned();
        let statement = links::claim(&offer.link.id, digest(&browser), now);
        Some(Claim { statement, browser })
    }

    async fn start_oauth(
        &self,
        actor: &Actor,
        mut offer: Box<Offer>,
        form: &BTreeMap<String, String>,
        claim: Claim,
    ) -> Result<Started> {
        let fields = match offer.read(form) {
            Ok(entered) => entered.fields,
            Err(wrong) => return Ok(Started::Form { offer, wrong, message: None }),
        };
        let entered = AccountParams::of_fields(fields).completed(&offer.toolkit, offer.scheme);
        let now = self.now();
        let attempt_id = self.mint(Kind::Attempt);
        let state = OneTimeToken::new(&*self.entropy, &attempt_id);
        let redirect_uri = self.redirect_uri(&offer);
        let departure = match self.depart(actor, &mut offer, &entered, &redirect_uri, &state).await? {
            Ok(departure) => departure,
            Err(hindrance) => return Ok(Started::Form { offer, wrong: BTreeMap::new(), message: Some(hindrance) }),
        };
        let facts = Facts {
            host: departure.host,
            redirect_uri: departure.poll.is_none().then(|| redirect_uri.clone()),
            scopes: departure.scopes.iter().chain(&departure.user_scopes).cloned().collect(),
            ..Facts::default()
        };
        let mut attempt = AttemptRow {
            project_id: actor.project_id.clone(),
            link_id: offer.link.id.clone(),
            account_id: offer.account.id.clone(),
            auth_config_id: offer.config.id.clone(),
            auth_config_version: offer.config.updated_at,
            state_hash: state.digest().to_vec(),
            browser_hash: digest(&claim.browser).to_vec(),
            redirect_uri,
            verifier_sealed: None,
            created_at: now,
            expires_at: now + departure.poll.map_or(millis(self.settings.link_ttl), |(_, life)| life),
            consumed_at: None,
            poll: departure.poll.map(|(interval, _)| Poll { at: now + interval, interval }),
            id: attempt_id,
        };
        let params = AccountParams {
            fields: entered.fields.clone(),
            requested_scopes: departure.scopes,
            requested_user_scopes: departure.user_scopes,
            // An account that was connected before still belongs to whom it belonged.
            identity: AccountParams::parse(&offer.account.params)?.identity,
            ..AccountParams::default()
        };
        let params = params.to_text();
        // A working account keeps its parameters until it has its new credential.
        let meanwhile = if offer.is_reconnect() { &offer.account.params } else { &params };
        attempt.verifier_sealed = match &departure.kept {
            Some(kept) => Some(self.seal_verifier(&attempt, &offer.account, meanwhile, kept)?),
            None => None,
        };
        let unit = Unit::new()
            .with(claim.statement)
            .with(attempts::cancel_of_link(&offer.link.id, now))
            .with(verifications::cancel_of_link(&offer.link.id, now))
            .with(attempts::insert(&attempt))
            .with(revocations::postpone_of_account(
                &actor.project_id,
                &offer.account.id,
                attempt.expires_at + millis(SETTLING),
            ))
            .with(self.audit(actor, "link.open", &offer.account.id, "ok", Some(&facts.to_value())));
        let unit = match offer.link.purpose {
            LinkPurpose::Connect => unit.with(accounts::initiate(&actor.project_id, &offer.account.id, &params, now)),
            // A working account stays as it is until it has its new credential.
            LinkPurpose::Reconnect => unit,
        };
        match self.store.apply(unit).await {
            Ok(_) => {
                // The link's time, and that of an attempt that starts at its end.
                let link_ttl = millis(self.settings.link_ttl);
                let lifetime = link_ttl + (attempt.expires_at - now).max(link_ttl);
                Ok(Started::Provider { url: departure.url, cookie: claim.browser, lifetime })
            }
            Err(WriteError::Refused(_)) => self.lost_start(&offer).await,
            Err(error) => Err(error.into()),
        }
    }

    /// Another request changed the link in the same moment: it is over, or another browser's.
    async fn lost_start(&self, offer: &Offer) -> Result<Started> {
        let link = self.store.link(&offer.link.id).await?;
        let link = link.ok_or_else(|| Error::internal("a link that was there is gone"))?;
        match self.visit_link(link).await? {
            Visit::Over(finished) => Ok(Started::Over(finished)),
            Visit::Open(_) => Ok(Started::Over(Finished::bare(Ending::BrowserMismatch))),
        }
    }

    /// One redirect URI per auth config (R16), from the configured public URL only (R24).
    fn redirect_uri(&self, offer: &Offer) -> String {
        offer.settings.oauth_redirect_uri.clone().unwrap_or_else(|| {
            format!("{}/api/v3.1/toolkits/auth/callback/{}", self.settings.public_url, offer.config.id)
        })
    }

    pub(super) async fn note_mismatch(&self, actor: &Actor, account: &str) {
        self.note_refusal(actor, account, "browser_mismatch", &Facts::default()).await;
    }

    /// Records that a visitor did not get on, and why; the link stays as it is.
    pub(super) async fn note_refusal(&self, actor: &Actor, account: &str, why: &str, facts: &Facts) {
        let audit = self.audit(actor, "link.refuse", account, why, Some(&facts.to_value()));
        if let Err(error) = self.store.apply(Unit::new().with(audit)).await {
            tracing::warn!(error = %error, why, "a refused visit was not recorded");
        }
    }
}

crate::redacted_debug!(Started);
