//! The POST of a link's page: starts an attempt and sends the browser to the provider.
//!
//! A link may be started several times: in an in-app browser that the provider rejects, by a mail
//! scanner that submits forms, in a second tab. Each attempt has its own random cookie, which the
//! callback requires and of which only the hash is stored (R04). Each has its own state, PKCE verifier
//! and exact redirect URI; the state reveals none of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use switchboard_store::attempts::{self, AttemptRow, Poll};
use switchboard_store::links::{self, LinkPurpose};
use switchboard_store::{Unit, WriteError, accounts, revocations};
use switchboard_types::{AccountId, AccountParams, AuditAction, AuditOutcome, LinkOutcome, ReasonCode, format_compact};
use switchboard_vault::{OneTimeToken, Secrets, digest};
use url::Url;

use super::choose::COMPLETION_TIMEOUT;
use super::visit::{Offer, Visit};
use super::{Ending, Finished};
use crate::app::Actor;
use crate::app::audit::Facts;
use crate::app::connect::Connector;
use crate::app::model::params::with_derived_values;
use crate::error::{Error, Result};
use crate::id::Kind;

/// What the browser does next.
pub enum Started {
    /// Go to the provider, with this cookie.
    Provider {
        /// Authorization request.
        url: Url,
        /// The new attempt.
        attempt_id: String,
        /// Value of its cookie.
        cookie: String,
        /// Lifetime of the cookie.
        lifetime: Duration,
    },
    /// Show the form again, with errors by field.
    Form {
        /// The link, still open.
        offer: Box<Offer>,
        /// Messages by field name.
        wrong: BTreeMap<String, String>,
        /// A message about the whole form.
        message: Option<String>,
    },
    /// The link has ended.
    Ended(Finished),
}

/// Maximum concurrent attempts of a link. One more replaces the oldest, so that a scanner cannot lock
/// the user out.
const MAX_ATTEMPTS: i64 = 5;

impl Connector {
    /// The visitor of an open link submitted its form.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn start(self: &Arc<Self>, offer: Box<Offer>, form: &Secrets, request_id: &str) -> Result<Started> {
        let actor = Actor {
            project_id: offer.link.project_id.clone(),
            name: format_compact!("link:{}", offer.link.id),
            request_id: Some(request_id.into()),
            caller_request_id: None,
        };
        if !offer.scheme.is_redirect() {
            return self.enter_secrets(actor, offer, form).await;
        }
        self.start_oauth(&actor, offer, form).await
    }

    /// "This wasn't me": ends the link. Anyone who has the link may do this.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn reject(
        &self,
        token: &str,
        cookie: impl Fn(&str) -> Option<String>,
        request_id: &str,
    ) -> Result<Finished> {
        let offer = match self.visit(token, &cookie).await? {
            Visit::Open(offer) => offer,
            Visit::Ended(finished) => return Ok(finished),
        };
        let actor = Actor {
            project_id: offer.link.project_id.clone(),
            name: format_compact!("link:{}", offer.link.id),
            request_id: Some(request_id.into()),
            caller_request_id: None,
        };
        let finished = offer.finished(Ending::Rejected);
        if self
            .end_link(&actor, &offer.link, &offer.account, LinkOutcome::Rejected, &ReasonCode::RejectedByUser.into())
            .await?
        {
            return Ok(finished);
        }
        // It ended differently at the same time: show that outcome.
        match self.visit(token, &cookie).await? {
            Visit::Ended(finished) => Ok(finished),
            Visit::Open(_) => Err(Error::internal("a link that neither ends nor is over")),
        }
    }

    async fn start_oauth(&self, actor: &Actor, mut offer: Box<Offer>, form: &Secrets) -> Result<Started> {
        let fields = match offer.read(form) {
            Ok(entered) => entered.fields,
            Err(wrong) => return Ok(Started::Form { offer, wrong, message: None }),
        };
        let redirect_uri = self.redirect_uris.of(&offer.config, &offer.settings);
        if self.redirect_uris.is_shared(&offer.config).await? {
            let facts = Facts { redirect_uri: Some(redirect_uri), ..Facts::default() };
            self.record_refusal(actor, &offer.account.id, AuditOutcome::RedirectUriShared, &facts).await;
            let message = "This connection is not set up safely, so you were not sent on. The app's developer can find \
                           the reason with this link's explain operation.";
            return Ok(Started::Form { offer, wrong: BTreeMap::new(), message: Some(message.to_owned()) });
        }
        // Each start may send requests to the provider before the user is known.
        self.limits.count_link_start(&offer.link.id)?;
        let entered = with_derived_values(&AccountParams::from_fields(fields), &offer.toolkit, offer.scheme);
        let now = self.core.now();
        // A cookie that already exists is never reused (R15).
        let browser = OneTimeToken::new(&*self.core.entropy, "").text().to_owned();
        let attempt_id = self.core.mint(Kind::Attempt);
        let state = OneTimeToken::new(&*self.core.entropy, &attempt_id);
        let authorization = match self.begin_authorization(actor, &mut offer, &entered, &redirect_uri, &state).await? {
            Ok(authorization) => authorization,
            Err(message) => return Ok(Started::Form { offer, wrong: BTreeMap::new(), message: Some(message) }),
        };
        let facts = Facts {
            host: authorization.host,
            redirect_uri: authorization.poll.is_none().then(|| redirect_uri.clone()),
            scopes: authorization.scopes.iter().chain(&authorization.user_scopes).cloned().collect(),
            ..Facts::default()
        };
        let mut attempt = AttemptRow {
            project_id: actor.project_id.clone(),
            link_id: offer.link.id.clone(),
            account_id: offer.account.id.clone(),
            auth_config_id: offer.config.id.clone(),
            auth_config_version: offer.config.updated_at,
            state_hash: state.digest().to_vec(),
            browser_hash: digest(&browser).to_vec(),
            redirect_uri,
            verifier_sealed: None,
            created_at: now,
            expires_at: now + authorization.poll.map_or(self.core.settings.link_ttl, |(_, life)| life),
            consumed_at: None,
            poll: authorization.poll.map(|(interval, _)| Poll { at: now + interval, interval }),
            params: None,
            id: attempt_id.into(),
        };
        let params = AccountParams {
            fields: entered.fields.clone(),
            requested_scopes: authorization.scopes,
            requested_user_scopes: authorization.user_scopes,
            // An account that was connected before keeps its identity.
            identity: offer.account.params.identity.clone(),
            ..AccountParams::default()
        };
        let params = params.stored();
        attempt.params = Some(params.clone());
        // On a reconnect, the account keeps its parameters until it has its new credential.
        let meanwhile = if offer.is_reconnect() { &offer.account.params } else { &params };
        let seal = |kept| self.credentials.seal_verifier(&attempt, &offer.account, meanwhile, kept);
        attempt.verifier_sealed = authorization.kept.as_ref().map(seal);
        let unit = Unit::new()
            .with(links::start(&offer.link.id, now))
            .with(attempts::cancel_oldest(&offer.link.id, MAX_ATTEMPTS - 1, now))
            .with(attempts::insert(&attempt))
            .with(revocations::postpone_of_account(
                &actor.project_id,
                &offer.account.id,
                attempt.expires_at + COMPLETION_TIMEOUT,
            ))
            .with(self.core.audit(
                actor,
                AuditAction::LinkOpen,
                &offer.account.id,
                AuditOutcome::Ok,
                Some(facts.to_text()),
            ));
        let unit = match offer.link.purpose {
            LinkPurpose::Connect => unit.with(accounts::initiate(&actor.project_id, &offer.account.id, &params, now)),
            // On a reconnect, the account is unchanged until it has its new credential.
            LinkPurpose::Reconnect => unit,
        };
        match self.core.store.apply(unit).await {
            Ok(_) => {
                // The link's lifetime plus that of an attempt that starts at its end.
                let link_ttl = self.core.settings.link_ttl;
                let lifetime = link_ttl + attempt.expires_at.since(now).max(link_ttl);
                Ok(Started::Provider { url: authorization.url, attempt_id: attempt.id, cookie: browser, lifetime })
            }
            Err(WriteError::Refused(_)) => self.start_conflict(&offer).await,
            Err(error) => Err(error.into()),
        }
    }

    /// Another request ended the link at the same time.
    async fn start_conflict(&self, offer: &Offer) -> Result<Started> {
        let link = self.core.store.link(&offer.link.id).await?;
        let link = link.ok_or_else(|| Error::internal("a link that was there is gone"))?;
        match self.visit_link(link, None).await? {
            Visit::Ended(finished) => Ok(Started::Ended(finished)),
            Visit::Open(_) => Err(Error::internal("a link that neither takes an attempt nor is over")),
        }
    }

    pub(super) async fn record_browser_mismatch(&self, actor: &Actor, account: &AccountId) {
        self.record_refusal(actor, account, AuditOutcome::BrowserMismatch, &Facts::default()).await;
    }

    /// Records why a visitor could not continue; the link is unchanged.
    pub(super) async fn record_refusal(&self, actor: &Actor, account: &AccountId, why: AuditOutcome, facts: &Facts) {
        let audit = self.core.audit(actor, AuditAction::LinkRefuse, account, why, Some(facts.to_text()));
        if let Err(error) = self.core.store.apply(Unit::new().with(audit)).await {
            tracing::warn!(error = %error, why = why.as_str(), "refused visit could not be recorded");
        }
    }
}

crate::redacted_debug!(Started);
