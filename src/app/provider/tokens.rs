//! Gets tokens in every way: from a code, a refresh token, a device code, or a call of the toolkit file.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, StatusCode};
use switchboard_auth::{
    AuthorizationRequest, BuildError, ClientCredentials, ClientKey, CodeGrant, DeviceAuthorization, Moment,
    ParseOptions, ProviderResponse, RequestSecrets, TokenError, TokenErrorKind, TokenSet, call_request,
    client_assertion, code_request, device_request, device_token_request, nonce_matches, parse_device_response,
    parse_pushed_response, pushed_request, refresh_request,
};
use switchboard_catalog::{Call, OAuth2, Scheme, Toolkit};
use switchboard_store::auth_configs::AuthConfigRow;
use switchboard_vault::{OneTimeToken, Secret, Secrets};
use url::Url;

use super::method::{Endpoint, learned, select_method};
use super::token_request::parts;
use super::{Failure, retry_after};
use crate::app::credential::client::{Client, IssuedTo};
use crate::app::provider::Providers;
use crate::error::{Error, Result};
use switchboard_types::AccountParams;

/// Timeout for introspecting a new token. It is not stored meanwhile and is protected by the lease.
pub const INTROSPECTION_TIMEOUT: Duration = Duration::from_secs(3);
/// How long after its first request a refresh may request an additional token. The lease then covers that
/// request, because the time for introspection is included.
pub const EXTRA_TOKEN_DEADLINE: Duration = INTROSPECTION_TIMEOUT;

/// An OAuth 2.0 provider in the context of an account.
#[derive(Debug)]
pub struct Provider<'a> {
    /// The toolkit's OAuth section, completed from metadata.
    pub oauth: Cow<'a, OAuth2>,
    /// The OAuth client of the account's auth config.
    pub client: Client,
    /// The account's values for templates.
    pub params: &'a AccountParams,
}

pub(super) type Tokens = std::result::Result<TokenSet, Failure>;

/// A failed code exchange.
#[derive(Debug)]
pub struct FailedExchange {
    /// The failure.
    pub failure: Failure,
    /// The tokens that had been issued by then.
    pub issued: Option<Box<TokenSet>>,
}

impl From<Failure> for FailedExchange {
    fn from(failure: Failure) -> Self {
        Self { failure, issued: None }
    }
}

impl Providers {
    /// The provider of a new account.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn provider<'a>(
        &self,
        toolkit: &'a Toolkit,
        scheme: Scheme,
        config: &AuthConfigRow,
        params: &'a AccountParams,
    ) -> Result<Provider<'a>> {
        let oauth =
            toolkit.oauth(scheme).ok_or_else(|| Error::internal("auth config of a scheme that the toolkit lost"))?;
        // This comes first: nothing is sent to an address that the client is not for.
        let client = self.credentials.client_for(toolkit, scheme, config, params, IssuedTo::CurrentClient)?;
        let learned = learned(config, &client.client_id)?;
        let mut oauth = self.complete_oauth(oauth, params).await?;
        select_method(&mut oauth, scheme, &client, learned.and_then(|learned| learned.next.or(learned.works)));
        Ok(Provider { oauth, client, params })
    }

    /// The provider of an account that was connected earlier, possibly with the previous client.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn provider_for_account<'a>(
        &self,
        toolkit: &'a Toolkit,
        scheme: Scheme,
        config: &AuthConfigRow,
        params: &'a AccountParams,
    ) -> Result<Provider<'a>> {
        let oauth =
            toolkit.oauth(scheme).ok_or_else(|| Error::internal("auth config of a scheme that the toolkit lost"))?;
        let issued = IssuedTo::ClientId(params.client_id.as_deref());
        let client = self.credentials.client_for(toolkit, scheme, config, params, issued)?;
        let learned = learned(config, &client.client_id)?;
        let mut oauth = self.complete_oauth(oauth, params).await?;
        select_method(&mut oauth, scheme, &client, learned.and_then(|learned| learned.works));
        Ok(Provider { oauth, client, params })
    }

    /// The resource that tokens are requested for (RFC 8707).
    pub fn resource(&self, oauth: &OAuth2, params: &AccountParams) -> Result<Option<String>> {
        oauth.resource.as_deref().map(|resource| self.expand(resource, params)).transpose()
    }

    /// Exchanges a code and sends the follow-up requests of the toolkit file. `key` is the `DPoP` key that the
    /// code is bound to.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn exchange_code(
        &self,
        provider: &Provider<'_>,
        code: &Secret,
        redirect_uri: &str,
        verifier: Option<&Secret>,
        state: &str,
        key: Option<&Secret>,
    ) -> std::result::Result<TokenSet, FailedExchange> {
        let oauth = &provider.oauth;
        let resource = self.resource(oauth, provider.params).map_err(Failure::Unsent)?;
        let grant = CodeGrant {
            code: code.expose(),
            redirect_uri,
            verifier: verifier.map(Secret::expose),
            state,
            resource: resource.as_deref(),
        };
        let request =
            self.authenticated(provider, oauth, |client, variables| code_request(oauth, client, &grant, variables))?;
        let key = key.map(Secret::expose);
        let tokens = self.request_bound_tokens(provider, request, oauth.as_ref().into(), &[], key).await?;
        if tokens.id_token.as_ref().is_some_and(|token| !nonce_matches(oauth, state, token.expose())) {
            let description = "the ID token is not for this authorization request: its nonce is another".to_owned();
            let error = TokenError { kind: TokenErrorKind::Unusable, code: None, description: Some(description) };
            let failure = Failure::Refused { error, status: StatusCode::OK, retry_after: None, unread: None };
            return Err(FailedExchange { failure, issued: Some(Box::new(tokens)) });
        }
        self.run_followup_requests(provider, tokens, redirect_uri).await
    }

    /// Requests a code that the user enters at the provider (RFC 8628).
    pub async fn device_code(
        &self,
        provider: &Provider<'_>,
        scopes: &[String],
    ) -> std::result::Result<DeviceAuthorization, Failure> {
        let (started_at, used) = (Instant::now(), self.with_known_method(provider, Endpoint::Token));
        let result = Box::pin(self.request_device_code(provider, &used, scopes)).await;
        let Some(other) = self.alternative_method_after(provider, &used, &result, started_at) else { return result };
        let retried = Box::pin(self.request_device_code(provider, &other, scopes)).await;
        self.record_method_after(provider, &other, &retried);
        retried
    }

    async fn request_device_code(
        &self,
        provider: &Provider<'_>,
        oauth: &OAuth2,
        scopes: &[String],
    ) -> std::result::Result<DeviceAuthorization, Failure> {
        let resource = self.resource(oauth, provider.params).map_err(Failure::Unsent)?;
        let request = self.authenticated(provider, oauth, |client, variables| {
            device_request(oauth, client, scopes, resource.as_deref(), variables).unwrap_or(Err(BuildError::Body))
        })?;
        let sent = RequestSecrets::of(&request);
        let (status, headers, body) = self.send_parts(request).await?;
        let answer = ProviderResponse {
            status: status.as_u16(),
            headers: &headers,
            body: &body,
            now: self.core.now().as_secs(),
        };
        parse_device_response(&answer).map_err(|error| Failure::Refused {
            error: sent.mask(error),
            status,
            retry_after: retry_after(&headers, self.core.now()),
            unread: None,
        })
    }

    /// Polls for tokens after a device authorization.
    pub async fn device_tokens(&self, provider: &Provider<'_>, device_code: &Secret) -> Tokens {
        let oauth = &provider.oauth;
        let request = self.authenticated(provider, oauth, |client, variables| {
            device_token_request(oauth, client, device_code, variables)
        })?;
        self.request_bound_tokens(provider, request, oauth.as_ref().into(), &[], None).await
    }

    /// Sends the follow-up requests of the toolkit file after the first tokens.
    pub async fn run_followup_requests(
        &self,
        provider: &Provider<'_>,
        mut tokens: TokenSet,
        redirect_uri: &str,
    ) -> std::result::Result<TokenSet, FailedExchange> {
        for followup in &provider.oauth.steps {
            match self.followup(provider, followup, &tokens, redirect_uri).await {
                Ok(next) => tokens = merge_tokens(tokens, next),
                Err(failure) => return Err(FailedExchange { failure, issued: Some(Box::new(tokens)) }),
            }
        }
        Ok(self.with_introspected_expiry(provider, tokens).await)
    }

    /// The URL that the user's browser is sent to: the request itself, or a reference to it if the provider
    /// requires pushed authorization requests (RFC 9126). `key` is the `DPoP` key that the code will be bound to.
    pub async fn authorization_url(
        &self,
        provider: &Provider<'_>,
        request: &AuthorizationRequest<'_>,
        key: Option<&Secret>,
    ) -> std::result::Result<Url, Failure> {
        if provider.oauth.pushed_authorization_request_url.is_none() {
            return request.url().map_err(build_failure);
        }
        let (started_at, used) = (Instant::now(), self.with_known_method(provider, Endpoint::Token));
        let mut pushed = Box::pin(self.push(provider, &used, request, key)).await;
        if let Some(other) = self.alternative_method_after(provider, &used, &pushed, started_at) {
            pushed = Box::pin(self.push(provider, &other, request, key)).await;
            self.record_method_after(provider, &other, &pushed);
        }
        request.pushed_url(&pushed?).map_err(build_failure)
    }

    /// Pushes an authorization request. Returns its reference.
    async fn push(
        &self,
        provider: &Provider<'_>,
        oauth: &OAuth2,
        request: &AuthorizationRequest<'_>,
        key: Option<&Secret>,
    ) -> std::result::Result<String, Failure> {
        let pushed = self.authenticated(provider, oauth, |client, _| {
            pushed_request(oauth, client, request).unwrap_or(Err(BuildError::Body))
        })?;
        let sent = RequestSecrets::of(&pushed);
        let (status, headers, body) = parts(self.send_proven(provider, pushed, key).await?);
        let answer = ProviderResponse {
            status: status.as_u16(),
            headers: &headers,
            body: &body,
            now: self.core.now().as_secs(),
        };
        parse_pushed_response(&answer).map_err(|error| Failure::Refused {
            error: sent.mask(error),
            status,
            retry_after: retry_after(&headers, self.core.now()),
            unread: None,
        })
    }

    /// Gets new tokens with the account's credential, in the way that the toolkit file defines.
    pub async fn refresh_tokens(&self, provider: &Provider<'_>, secrets: &Secrets) -> Tokens {
        let oauth = &provider.oauth;
        let started_at = Instant::now();
        let masked: Vec<&str> = secrets.iter().map(|(_, secret)| secret.expose()).collect();
        let tokens = if let Some(call) = &oauth.refresh_call {
            let request = self.authenticated(provider, oauth, |client, variables| {
                let known = |name: &str| match name {
                    "redirect_uri" => provider.params.redirect_uri.clone(),
                    _ => secrets.get(name).map(str::to_owned).or_else(|| variables(name)),
                };
                call_request(call, Some(client), self.moment(&self.unique()), &known)
            })?;
            let reading = ParseOptions { response: &call.response, ..oauth.as_ref().into() };
            self.request_bound_tokens(provider, request, reading, &masked, secrets.get("dpop_key")).await?
        } else {
            self.refresh_with(provider, secrets.get("refresh_token").unwrap_or_default(), secrets).await?
        };
        let mut tokens = self.with_introspected_expiry(provider, tokens).await;
        self.refresh_extra_tokens(provider, secrets, started_at, &mut tokens).await;
        Ok(tokens)
    }

    /// Gets a new token with a refresh token. Errors contain none of the secrets in `masked`.
    pub async fn refresh_with(&self, provider: &Provider<'_>, token: &str, masked: &Secrets) -> Tokens {
        let (started_at, used) = (Instant::now(), self.with_known_method(provider, Endpoint::Token));
        let result = Box::pin(self.refresh_with_method(provider, &used, token, masked)).await;
        let Some(other) = self.alternative_method_after(provider, &used, &result, started_at) else { return result };
        let retried = Box::pin(self.refresh_with_method(provider, &other, token, masked)).await;
        self.record_method_after(provider, &other, &retried);
        retried
    }

    async fn refresh_with_method(
        &self,
        provider: &Provider<'_>,
        oauth: &OAuth2,
        token: &str,
        masked: &Secrets,
    ) -> Tokens {
        let key = masked.get("dpop_key");
        let masked: Vec<&str> = masked.iter().map(|(_, secret)| secret.expose()).collect();
        let resource = self.resource(oauth, provider.params).map_err(Failure::Unsent)?;
        let request = self.authenticated(provider, oauth, |client, variables| {
            let known = |name: &str| match name {
                "redirect_uri" => provider.params.redirect_uri.clone(),
                _ => variables(name),
            };
            refresh_request(oauth, client, token, &[], resource.as_deref(), &known)
        })?;
        self.request_bound_tokens(provider, request, oauth.into(), &masked, key).await
    }

    /// One follow-up request after the code exchange.
    async fn followup(
        &self,
        provider: &Provider<'_>,
        followup: &Call,
        tokens: &TokenSet,
        redirect_uri: &str,
    ) -> Tokens {
        let request = self.authenticated(provider, &provider.oauth, |client, variables| {
            let known = |name: &str| match name {
                "access_token" => Some(tokens.access_token.expose().to_owned()),
                "refresh_token" => tokens.refresh_token.as_ref().map(|token| token.expose().to_owned()),
                "redirect_uri" => Some(redirect_uri.to_owned()),
                _ => tokens.captured.get(name).cloned().or_else(|| variables(name)),
            };
            call_request(followup, Some(client), self.moment(&self.unique()), &known)
        })?;
        let reading = ParseOptions { response: &followup.response, ..provider.oauth.as_ref().into() };
        self.request_tokens(request, reading, &[]).await
    }

    /// Builds a request with client authentication as defined in `oauth`, including an assertion if it is
    /// needed.
    pub fn authenticated(
        &self,
        provider: &Provider<'_>,
        oauth: &OAuth2,
        build: impl FnOnce(
            &ClientCredentials<'_>,
            switchboard_auth::Variables<'_>,
        ) -> std::result::Result<Request<Bytes>, BuildError>,
    ) -> std::result::Result<Request<Bytes>, Failure> {
        let client = &provider.client;
        let variables = |name: &str| self.core.variable(provider.params, name);
        let unique = self.unique();
        let key = client.private_key.as_ref().or(client.client_secret.as_ref()).map(|key| ClientKey {
            key,
            key_id: client.key_id.as_deref(),
            certificate: client.certificate.as_deref(),
        });
        let assertion = match key {
            Some(key) => client_assertion(oauth, &client.client_id, key, self.moment(&unique), &variables)
                .map_err(build_failure)?,
            None => None,
        };
        let credentials = ClientCredentials {
            client_id: &client.client_id,
            client_secret: client.client_secret.as_ref().map(Secret::expose),
            assertion: assertion.as_ref().map(Secret::expose),
        };
        build(&credentials, &variables).map_err(build_failure)
    }

    /// The current time and a unique value.
    pub fn moment<'u>(&self, unique: &'u str) -> Moment<'u> {
        Moment { now: self.core.now().as_secs(), unique }
    }

    /// A unique value.
    pub fn unique(&self) -> String {
        OneTimeToken::new(&*self.core.entropy, "").text().to_owned()
    }
}

/// Merges a later token response into an earlier one. Values that the later one lacks are kept.
fn merge_tokens(earlier: TokenSet, later: TokenSet) -> TokenSet {
    let mut captured = earlier.captured;
    captured.extend(later.captured);
    TokenSet {
        refresh_token: later.refresh_token.or(earlier.refresh_token),
        refresh_token_expires_in: later.refresh_token_expires_in.or(earlier.refresh_token_expires_in),
        scope: later.scope.or(earlier.scope),
        id_token: later.id_token.or(earlier.id_token),
        dpop_key: later.dpop_key.or(earlier.dpop_key),
        captured,
        ..later
    }
}

pub(in crate::app) fn build_failure(error: BuildError) -> Failure {
    use BuildError::{Key, MissingAssertion, MissingClientSecret};
    Failure::Unsent(match error {
        Key { .. } | MissingAssertion | MissingClientSecret => {
            Error::new(crate::error::Code::AuthConfigBadRequest, format!("The request cannot be made: {error}"))
        }
        other => Error::internal(other),
    })
}
