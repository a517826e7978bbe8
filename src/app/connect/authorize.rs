//! Starts an authorization: the authorization request of OAuth 2.0, the device code (RFC 8628), or the
//! temporary credentials of OAuth 1.0a, and the secrets that are stored until the browser returns.

use std::time::Duration;

use switchboard_auth::{AuthorizationRequest, PkcePair, dpop_thumbprint, new_dpop_key};
use switchboard_catalog::{Pkce, Scheme};
use switchboard_types::{AccountParams, AuditOutcome};
use switchboard_vault::{OneTimeToken, Secret};
use url::Url;

use super::device::PendingDeviceCode;
use super::exchange::kept;
use super::visit::Offer;
use crate::app::Actor;
use crate::app::base::errors::auth_config_not_found;
use crate::app::connect::Connector;
use crate::app::credential::client::IssuedTo;
use crate::app::credential::secret_addresses::verifier_not_supported;
use crate::app::provider::{Failure, build_failure};
use crate::app::session::link_scopes::LinkScopes;
use crate::error::{Code, Error, Result};

/// A started authorization.
#[derive(Debug)]
pub(super) struct AuthorizationStart {
    pub url: Url,
    /// The provider's host, shown to the user.
    pub host: Option<String>,
    /// PKCE verifier and key, temporary credentials, or a device code.
    pub kept: Option<Secret>,
    /// Polling interval and lifetime of a device code; none where the browser comes back.
    pub poll: Option<(Duration, Duration)>,
    pub scopes: Vec<String>,
    pub user_scopes: Vec<String>,
}

/// Why no authorization was started, for the page.
pub(super) type FailureMessage = String;

impl Connector {
    /// Starts the authorization. If the provider fails, the page says so, and the link is unchanged.
    #[tracing::instrument(level = "debug", skip_all)]
    pub(super) async fn begin_authorization(
        &self,
        actor: &Actor,
        offer: &mut Offer,
        entered: &AccountParams,
        redirect_uri: &str,
        state: &OneTimeToken,
    ) -> Result<std::result::Result<AuthorizationStart, FailureMessage>> {
        let mut started = self.try_begin_authorization(actor, offer, entered, redirect_uri, state).await;
        if let Err(failure) = &started
            && self.has_discarded_client(actor, offer, failure).await?
        {
            started = self.try_begin_authorization(actor, offer, entered, redirect_uri, state).await;
        }
        match started {
            Ok(authorization) => Ok(Ok(authorization)),
            Err(Failure::Unsent(error)) if !is_transient(&error) => Err(error),
            Err(failure) => {
                tracing::warn!(toolkit = %offer.toolkit.slug, reason = %failure.log_text(), "authorization could not be started");
                let facts = failure.facts();
                self.record_refusal(actor, &offer.account.id, AuditOutcome::AuthorizationRequest, &facts).await;
                let reason = failure.message().unwrap_or_else(|| "it did not accept the request".to_owned());
                Ok(Err(format!(
                    "{} could not start the connection: {reason}. Try again in a minute.",
                    offer.toolkit.name
                )))
            }
        }
    }

    async fn try_begin_authorization(
        &self,
        actor: &Actor,
        offer: &mut Offer,
        entered: &AccountParams,
        redirect_uri: &str,
        state: &OneTimeToken,
    ) -> std::result::Result<AuthorizationStart, Failure> {
        match offer.scheme {
            Scheme::OAuth1 => self.begin_oauth1(offer, entered, redirect_uri, state).await,
            scheme if offer.toolkit.uses_device_code(scheme) => {
                self.begin_device(actor, offer, entered, redirect_uri, state).await
            }
            _ => self.begin_oauth2(actor, offer, entered, redirect_uri, state).await,
        }
    }

    /// Whether the provider rejected a dynamically registered client, so that another one may be
    /// registered. Nothing has been spent yet.
    async fn has_discarded_client(&self, actor: &Actor, offer: &mut Offer, failure: &Failure) -> Result<bool> {
        if offer.scheme != Scheme::DcrOAuth || !failure.is_client_refused() {
            return Ok(false);
        }
        let client_id = self.credentials.oauth_client(&offer.config)?.client_id;
        self.providers.handle_forgotten_client(actor, &offer.config, &client_id, failure).await;
        let config = self.core.store.auth_config(&offer.config.project_id, &offer.config.id).await?;
        offer.config = config.ok_or_else(|| auth_config_not_found(&offer.config.id))?;
        Ok(true)
    }

    async fn begin_oauth2(
        &self,
        actor: &Actor,
        offer: &mut Offer,
        entered: &AccountParams,
        redirect_uri: &str,
        state: &OneTimeToken,
    ) -> std::result::Result<AuthorizationStart, Failure> {
        let config = offer.config.clone();
        offer.config = self
            .providers
            .ensure_registered(actor, config, &offer.toolkit, entered, redirect_uri)
            .await
            .map_err(Failure::Unsent)?;
        let provider = self.providers.provider(&offer.toolkit, offer.scheme, &offer.config, entered).await;
        let provider = provider.map_err(Failure::Unsent)?;
        let oauth = &provider.oauth;
        let pkce = (oauth.pkce == Pkce::S256).then(|| PkcePair::new(&*self.core.entropy));
        let key = oauth.dpop.then(new_dpop_key).transpose().map_err(build_failure)?;
        let thumbprint = key.as_ref().map(dpop_thumbprint).transpose().map_err(build_failure)?;
        let resource = self.providers.resource(oauth, entered).map_err(Failure::Unsent)?;
        let LinkScopes { scopes, user_scopes } = offer.asked.clone();
        let request = AuthorizationRequest {
            oauth,
            client_id: &provider.client.client_id,
            redirect_uri,
            state: state.text(),
            scopes: &scopes,
            user_scopes: &user_scopes,
            code_challenge: pkce.as_ref().map(|pair| pair.challenge.as_str()),
            resource: resource.as_deref(),
            dpop_jkt: thumbprint.as_deref(),
            variables: &|name| self.core.variable(entered, name),
        };
        let url = Box::pin(self.providers.authorization_url(&provider, &request, key.as_ref())).await?;
        if let Some(found) = self.providers.discovered_method(&provider) {
            self.providers.store_method(actor, &offer.config, found).await;
        }
        let host = url.host_str().map(ToOwned::to_owned);
        Ok(AuthorizationStart {
            url,
            host,
            kept: kept(pkce.map(|pair| pair.verifier), key.as_ref()),
            poll: None,
            scopes,
            user_scopes,
        })
    }

    /// The user enters a code at the provider (RFC 8628). The browser stays on our page, which shows
    /// the code.
    async fn begin_device(
        &self,
        actor: &Actor,
        offer: &mut Offer,
        entered: &AccountParams,
        redirect_uri: &str,
        state: &OneTimeToken,
    ) -> std::result::Result<AuthorizationStart, Failure> {
        if offer.verifier_url.is_some() {
            return Err(Failure::Unsent(verifier_not_supported()));
        }
        let config = offer.config.clone();
        offer.config = self
            .providers
            .ensure_registered(actor, config, &offer.toolkit, entered, redirect_uri)
            .await
            .map_err(Failure::Unsent)?;
        let provider = self.providers.provider(&offer.toolkit, offer.scheme, &offer.config, entered).await;
        let provider = provider.map_err(Failure::Unsent)?;
        let scopes = offer.asked.scopes.clone();
        let code = self.providers.device_code(&provider, &scopes).await?;
        if let Some(found) = self.providers.discovered_method(&provider) {
            self.providers.store_method(actor, &offer.config, found).await;
        }
        let page = format!("{}/link/device/{}", self.core.settings.public_url, state.text());
        let url = Url::parse(&page).map_err(|error| Failure::Unsent(Error::internal(error)))?;
        let host = code.verification_uri.host_str().map(ToOwned::to_owned);
        let poll = (code.interval, code.expires_in);
        let waiting = PendingDeviceCode {
            device_code: code.device_code,
            user_code: code.user_code,
            verification_uri: code.verification_uri.into(),
            verification_uri_complete: code.verification_uri_complete.map(String::from),
        };
        let (interval, life) = (Duration::from_secs(poll.0), Duration::from_secs(poll.1));
        Ok(AuthorizationStart {
            url,
            host,
            kept: Some(waiting.into_secret()),
            poll: Some((interval, life)),
            scopes,
            user_scopes: Vec::new(),
        })
    }

    /// OAuth 1.0a has no `state`; it is passed in the callback URL's query (R28).
    async fn begin_oauth1(
        &self,
        offer: &Offer,
        entered: &AccountParams,
        redirect_uri: &str,
        state: &OneTimeToken,
    ) -> std::result::Result<AuthorizationStart, Failure> {
        let lost = || Failure::Unsent(Error::internal("auth config of a scheme that the toolkit lost"));
        let oauth = offer.toolkit.oauth1.as_ref().ok_or_else(lost)?;
        let client = self
            .credentials
            .client_for(&offer.toolkit, offer.scheme, &offer.config, entered, IssuedTo::CurrentClient)
            .map_err(Failure::Unsent)?;
        let mut callback = Url::parse(redirect_uri).map_err(|error| Failure::Unsent(Error::internal(error)))?;
        callback.query_pairs_mut().append_pair("state", state.text());
        let (url, kept) = self.providers.oauth1_start(oauth, &client, callback.as_str(), entered).await?;
        let host = url.host_str().map(ToOwned::to_owned);
        Ok(AuthorizationStart { url, host, kept: Some(kept), poll: None, scopes: Vec::new(), user_scopes: Vec::new() })
    }
}

/// Whether a retry may help: the fault is the provider's, not ours or the caller's.
fn is_transient(error: &Error) -> bool {
    matches!(error.code(), Code::UpstreamUnreachable | Code::UpstreamTimeout | Code::UpstreamTls | Code::EgressDenied)
}
