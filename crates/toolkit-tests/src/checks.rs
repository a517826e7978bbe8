//! The checks of a strict provider. A failed check names the violated rule.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use switchboard_catalog::{Call, ClientAuthentication, OAuth2, Pkce, Refresh, Scheme, template};

use super::flow::AuthorizationRequest;
use super::provider::Provider;
use super::received::ReceivedRequest;
use super::routes::{Endpoint, call};

/// A rule that a request violates.
#[derive(Debug)]
pub(super) struct Violation {
    /// Error code of the response.
    pub(super) code: &'static str,
    /// Description for the author of the file.
    pub(super) reason: String,
}

pub(super) type CheckResult<T = ()> = Result<T, Violation>;

fn reject<T>(code: &'static str, reason: impl Into<String>) -> CheckResult<T> {
    Err(Violation { code, reason: reason.into() })
}

/// The provider's name for a standard parameter.
fn parameter_name<'n>(oauth: &'n OAuth2, name: &'n str) -> &'n str {
    oauth.parameter_names.get(name).map_or(name, String::as_str)
}

/// Checks a request to an endpoint.
pub(super) fn request(provider: &Provider, endpoint: Endpoint, received: &ReceivedRequest) -> CheckResult {
    match (endpoint, &provider.oauth) {
        (Endpoint::Token, Some(oauth)) => code_exchange(provider, oauth, received),
        (Endpoint::DeviceAuthorization, Some(oauth)) => {
            client_authentication(provider, Some(oauth), oauth.client_authentication, received)
        }
        (Endpoint::DeviceToken, Some(oauth)) => device_token(provider, oauth, received),
        (Endpoint::Refresh, Some(oauth)) => refresh(provider, oauth, received),
        (Endpoint::Introspection | Endpoint::Revocation, Some(oauth)) => {
            issued_token(provider, received, received.param(parameter_name(oauth, "token")))?;
            client_authentication(provider, Some(oauth), oauth.client_authentication, received)
        }
        (Endpoint::TemporaryCredentials, _) => oauth1(provider, received, &["oauth_callback"]),
        (Endpoint::TokenCredentials, _) => oauth1(provider, received, &["oauth_token", "oauth_verifier"]),
        (Endpoint::Registration, _) => match received.param("redirect_uris") {
            Some(uris) if uris.contains(&provider.flow.redirect_uri) => Ok(()),
            _ => reject("invalid_redirect_uri", "the redirect URI is not registered"),
        },
        (endpoint, _) if endpoint.uses_account_credential() => account_credential(provider, endpoint, received),
        (endpoint, oauth) => {
            let Some(call) = call(endpoint, &provider.toolkit, provider.scheme, oauth.as_ref()) else { return Ok(()) };
            if endpoint == Endpoint::RevokeCall {
                issued_token(provider, received, None)?;
            }
            if endpoint == Endpoint::RefreshCall {
                let tokens = ["refresh_token", "access_token"].map(|name| provider.flow.current(name));
                if !tokens.into_iter().flatten().any(|token| received.contains_value(&token)) {
                    return reject("invalid_grant", "it carries neither the refresh token nor the living access token");
                }
            }
            if call.assertion.is_some() && received.assertions().is_empty() {
                return reject("invalid_grant", "there is no signed assertion in it");
            }
            all_parameters(provider, call, received)?;
            call.client_authentication.map_or(Ok(()), |method| client_authentication(provider, None, method, received))
        }
    }
}

/// Checks that no parameter is missing. The server omits those with unset variables; here all are set.
fn all_parameters(provider: &Provider, call: &Call, received: &ReceivedRequest) -> CheckResult {
    if call.body.is_some() {
        return Ok(());
    }
    for (name, text) in &call.parameters {
        let has_value = template::expand(text, &|name| provider.variable(name)).is_ok_and(|value| !value.is_empty());
        if has_value && received.param(name).is_none() {
            return reject(
                "invalid_request",
                format!("the parameter `{name}` is missing: a variable of it has no value"),
            );
        }
    }
    Ok(())
}

/// Checks an authorization request, from the browser or pushed.
pub(super) fn authorization(
    provider: &Provider,
    oauth: &OAuth2,
    received: &ReceivedRequest,
) -> CheckResult<AuthorizationRequest> {
    let requires = |name: &str| !oauth.authorization_omit.iter().any(|omitted| omitted == name);
    let param = |name: &str| received.param(parameter_name(oauth, name));
    if requires("response_type") && param("response_type") != Some("code") {
        return reject("unsupported_response_type", "`response_type` is not `code`");
    }
    if requires("client_id") && param("client_id") != Some(&provider.client_id()) && received.basic().is_none() {
        return reject(
            "invalid_client",
            format!("`{}` is not the client's identifier", parameter_name(oauth, "client_id")),
        );
    }
    if requires("redirect_uri") && param("redirect_uri") != Some(&provider.flow.redirect_uri) {
        return reject("invalid_request", "`redirect_uri` is not the registered one");
    }
    let Some(state) = param("state").filter(|state| !state.is_empty()) else {
        return reject("invalid_request", "there is no `state`, so the answer cannot be told from another's");
    };
    let challenge = param("code_challenge");
    let is_s256 =
        challenge.is_some_and(|challenge| challenge.len() == 43) && param("code_challenge_method") == Some("S256");
    if oauth.pkce == Pkce::S256 && requires("code_challenge") && !is_s256 {
        return reject("invalid_request", "there is no PKCE challenge with S256");
    }
    for name in oauth.authorization_parameters.keys().filter(|name| requires(name)) {
        if received.param(parameter_name(oauth, name)).is_none() {
            return reject("invalid_request", format!("`{name}` of the file is not sent"));
        }
    }
    Ok(AuthorizationRequest {
        state: state.to_owned(),
        challenge: challenge.map(str::to_owned),
        scope: param(&oauth.scope_parameter).map(str::to_owned),
        nonce: param("nonce").map(str::to_owned),
    })
}

/// Checks an access token request (RFC 6749 section 4.1.3).
fn code_exchange(provider: &Provider, oauth: &OAuth2, received: &ReceivedRequest) -> CheckResult {
    let requires = |name: &str| !oauth.token_omit.iter().any(|omitted| omitted == name);
    let param = |name: &str| received.param(parameter_name(oauth, name));
    if requires("grant_type") && param("grant_type") != Some("authorization_code") {
        return reject("unsupported_grant_type", "`grant_type` is not `authorization_code`");
    }
    let Some(code) = provider.flow.code.as_deref().filter(|code| param("code") == Some(code)) else {
        return reject("invalid_grant", "the code is not the one that was given");
    };
    if provider.flow.used_grants.iter().any(|used| used == code) {
        return reject("invalid_grant", "the code was used before");
    }
    if requires("redirect_uri") && param("redirect_uri") != Some(&provider.flow.redirect_uri) {
        return reject("invalid_grant", "`redirect_uri` is not the authorization request's");
    }
    if let (true, Some(challenge)) =
        (requires("code_verifier"), provider.flow.authorization_request.challenge.as_deref())
    {
        let verifier = param("code_verifier").unwrap_or_default();
        if URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes())) != challenge {
            return reject("invalid_grant", "`code_verifier` does not belong to the challenge");
        }
    }
    client_authentication(provider, Some(oauth), oauth.client_authentication, received)
}

/// Checks a device access token request (RFC 8628 section 3.4).
fn device_token(provider: &Provider, oauth: &OAuth2, received: &ReceivedRequest) -> CheckResult {
    let requires = |name: &str| !oauth.token_omit.iter().any(|omitted| omitted == name);
    let grant = "urn:ietf:params:oauth:grant-type:device_code";
    if requires("grant_type") && received.param(parameter_name(oauth, "grant_type")) != Some(grant) {
        return reject("unsupported_grant_type", format!("`grant_type` is not `{grant}`"));
    }
    let Some(code) = provider.flow.code.as_deref().filter(|code| received.param("device_code") == Some(code)) else {
        return reject("invalid_grant", "the device code is not the one that was given");
    };
    if provider.flow.used_grants.iter().any(|used| used == code) {
        return reject("invalid_grant", "the device code was used before");
    }
    client_authentication(provider, Some(oauth), oauth.client_authentication, received)
}

/// Checks a refresh request (RFC 6749 section 6).
fn refresh(provider: &Provider, oauth: &OAuth2, received: &ReceivedRequest) -> CheckResult {
    let requires = |name: &str| !oauth.token_omit.iter().any(|omitted| omitted == name);
    if requires("grant_type") && received.param(parameter_name(oauth, "grant_type")) != Some("refresh_token") {
        return reject("unsupported_grant_type", "`grant_type` is not `refresh_token`");
    }
    let token = received.param(parameter_name(oauth, "refresh_token")).unwrap_or_default();
    if provider.flow.used_grants.iter().any(|used| used == token) {
        return reject("invalid_grant", "the refresh token was used before, and each works once");
    }
    if provider.flow.current("refresh_token").as_deref() != Some(token)
        && provider.requested_extra_token(received).is_none()
    {
        return reject("invalid_grant", "the refresh token is not the account's");
    }
    if oauth.refresh == Refresh::None {
        return reject("unsupported_grant_type", "the file says that tokens are never refreshed");
    }
    client_authentication(provider, Some(oauth), oauth.client_authentication, received)
}

/// Checks the client authentication (RFC 6749 section 2.3). `oauth` has the provider's parameter names.
fn client_authentication(
    provider: &Provider,
    oauth: Option<&OAuth2>,
    method: ClientAuthentication,
    received: &ReceivedRequest,
) -> CheckResult {
    let name = |standard: &'static str| oauth.map_or(standard, |oauth| parameter_name(oauth, standard));
    let requires = |name: &str| oauth.is_none_or(|oauth| !oauth.token_omit.iter().any(|omitted| omitted == name));
    let (id, secret) = (provider.client_id(), provider.values.get("client_secret").unwrap_or_default());
    let is_public = provider.scheme == Scheme::CimdOAuth;
    let method = if is_public && oauth.is_some() { ClientAuthentication::None } else { method };
    let is = |name: &str, value: &str| received.param(name) == Some(value);
    let has_id = !requires("client_id") || is(name("client_id"), &id);
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let (is_valid, rule) = match method {
        ClientAuthentication::ClientSecretPost => (
            has_id && (!requires("client_secret") || is(name("client_secret"), &secret)),
            "identifier and secret are to be in the body",
        ),
        ClientAuthentication::ClientSecretBasic => (
            received.basic() == Some((encoded(&id), encoded(&secret))),
            "identifier and secret are to be in HTTP Basic",
        ),
        ClientAuthentication::ClientSecretBasicUnencoded => {
            (received.basic() == Some((id, secret)), "identifier and secret are to be in HTTP Basic, as they are")
        }
        ClientAuthentication::ClientSecretAsUsername => {
            (received.basic() == Some((secret, String::new())), "the secret is to be the user name of HTTP Basic")
        }
        ClientAuthentication::PrivateKeyJwt | ClientAuthentication::ClientSecretJwt => {
            let is_match = |(_, _, claims): &(String, Value, Value)| claims["sub"] == id.as_str();
            let has_assertion = received.param("client_assertion").is_some();
            (
                has_assertion && received.assertions().iter().any(is_match),
                "the client is to prove itself by an assertion",
            )
        }
        ClientAuthentication::None => (has_id, "the client's identifier is to be in the body"),
    };
    if is_valid { Ok(()) } else { reject("invalid_client", rule) }
}

/// Checks that a request is about an issued token.
fn issued_token(provider: &Provider, received: &ReceivedRequest, token: Option<&str>) -> CheckResult {
    let is_match = |issued: &String| match token {
        Some(token) => token == issued,
        None => received.contains_value(issued),
    };
    if provider.flow.tokens().any(is_match) {
        Ok(())
    } else {
        reject("invalid_token", "it names no token of the account")
    }
}

/// Checks the parameters of an OAuth 1.0a request (RFC 5849).
fn oauth1(provider: &Provider, received: &ReceivedRequest, extra: &[&str]) -> CheckResult {
    for name in ["oauth_consumer_key", "oauth_signature", "oauth_timestamp", "oauth_nonce"].iter().chain(extra) {
        let Some(value) = received.param(name) else {
            return reject("parameter_absent", format!("there is no `{name}`"));
        };
        let expected = match *name {
            "oauth_consumer_key" => Some(provider.client_id()),
            "oauth_token" => provider.flow.current("temporary"),
            "oauth_verifier" => provider.flow.code.clone(),
            _ => None,
        };
        if expected.is_some_and(|expected| expected != value) {
            return reject("token_rejected", format!("`{name}` is not the one that was given"));
        }
    }
    Ok(())
}

/// Checks that a request carries the account's credential.
fn account_credential(provider: &Provider, endpoint: Endpoint, received: &ReceivedRequest) -> CheckResult {
    let toolkit = &provider.toolkit;
    if toolkit.token_scheme(provider.scheme).is_some_and(|tokens| tokens.assertion.is_some()) {
        let is_signed = !received.assertions().is_empty();
        return if is_signed { Ok(()) } else { reject("invalid_token", "there is no signed assertion in it") };
    }
    let expected = if provider.scheme.is_redirect() || toolkit.token_scheme(provider.scheme).is_some() {
        provider.token_for(&received.url)
    } else {
        let is_signed = match provider.scheme {
            Scheme::ApiKey => toolkit.api_key.as_ref().is_some_and(|key| key.sign.is_some()),
            Scheme::BearerToken => toolkit.bearer_token.as_ref().is_some_and(|key| key.sign.is_some()),
            _ => false,
        };
        let mut secrets = provider.values.secrets().peekable();
        if is_signed || secrets.peek().is_none() || secrets.any(|(_, secret)| received.contains_value(secret)) {
            return Ok(());
        }
        return reject("invalid_token", "it carries nothing of what was entered");
    };
    match expected {
        Some(token) if received.contains_value(&token) => Ok(()),
        _ if endpoint == Endpoint::Api => reject("invalid_token", "the call does not carry the account's living token"),
        _ => reject("invalid_token", "it does not carry the account's token"),
    }
}

/// Whether a request belongs to this endpoint and not to another with the same URL: it must have the fixed
/// parameters of the file.
pub(super) fn matches_endpoint(provider: &Provider, endpoint: Endpoint, received: &ReceivedRequest) -> bool {
    match endpoint {
        Endpoint::Token | Endpoint::DeviceToken => {
            provider.flow.code.as_ref().is_some_and(|code| received.contains_value(code))
        }
        Endpoint::Refresh => {
            let has_code = provider.flow.code.as_ref().is_some_and(|code| received.contains_value(code));
            !has_code && provider.flow.current("access_token").is_some()
        }
        _ => {
            let Some(call) = call(endpoint, &provider.toolkit, provider.scheme, provider.oauth.as_ref()) else {
                return true;
            };
            let fixed_parameters = call
                .parameters
                .iter()
                .filter(|(_, text)| template::variables(text).is_ok_and(|variables| variables.is_empty()));
            fixed_parameters
                .into_iter()
                .all(|(name, text)| received.params().any(|(known, value)| known == name && value == text))
        }
    }
}
