//! What a strict provider refuses: each check says which rule a request breaks.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use switchboard_catalog::{Call, ClientAuthentication, OAuth2, Pkce, Refresh, Scheme, template};

use super::flow::Asked;
use super::provider::Provider;
use super::received::ReceivedRequest;
use super::routes::{Endpoint, call};

/// A request that is refused.
#[derive(Debug)]
pub(super) struct Refusal {
    /// Error code of the answer.
    pub(super) code: &'static str,
    /// Which rule it breaks, for the author.
    pub(super) why: String,
}

pub(super) type Checked<T = ()> = Result<T, Refusal>;

fn refuse<T>(code: &'static str, why: impl Into<String>) -> Checked<T> {
    Err(Refusal { code, why: why.into() })
}

/// The provider's name of a standard parameter.
fn named<'n>(oauth: &'n OAuth2, name: &'n str) -> &'n str {
    oauth.parameter_names.get(name).map_or(name, String::as_str)
}

/// Whether a request may be answered.
pub(super) fn request(provider: &Provider, endpoint: Endpoint, received: &ReceivedRequest) -> Checked {
    match (endpoint, &provider.oauth) {
        (Endpoint::Token, Some(oauth)) => code_exchange(provider, oauth, received),
        (Endpoint::Device, Some(oauth)) => client(provider, Some(oauth), oauth.client_authentication, received),
        (Endpoint::DeviceToken, Some(oauth)) => device(provider, oauth, received),
        (Endpoint::Refresh, Some(oauth)) => refresh(provider, oauth, received),
        (Endpoint::Introspection | Endpoint::Revocation, Some(oauth)) => {
            issued(provider, received, received.param(named(oauth, "token")))?;
            client(provider, Some(oauth), oauth.client_authentication, received)
        }
        (Endpoint::Temporary, _) => oauth1(provider, received, &["oauth_callback"]),
        (Endpoint::Lasting, _) => oauth1(provider, received, &["oauth_token", "oauth_verifier"]),
        (Endpoint::Registration, _) => match received.param("redirect_uris") {
            Some(uris) if uris.contains(&provider.flow.redirect_uri) => Ok(()),
            _ => refuse("invalid_redirect_uri", "the redirect URI is not registered"),
        },
        (endpoint, _) if endpoint.is_about_account() => credential(provider, endpoint, received),
        (endpoint, oauth) => {
            let Some(call) = call(endpoint, &provider.toolkit, provider.scheme, oauth.as_ref()) else { return Ok(()) };
            if endpoint == Endpoint::Revoke {
                issued(provider, received, None)?;
            }
            if endpoint == Endpoint::RefreshCall {
                let held = ["refresh_token", "access_token"].map(|name| provider.flow.current(name));
                if !held.into_iter().flatten().any(|token| received.carries(&token)) {
                    return refuse("invalid_grant", "it carries neither the refresh token nor the living access token");
                }
            }
            if call.assertion.is_some() && received.assertions().is_empty() {
                return refuse("invalid_grant", "there is no signed assertion in it");
            }
            all_parameters(provider, call, received)?;
            call.client_authentication.map_or(Ok(()), |method| client(provider, None, method, received))
        }
    }
}

/// A parameter whose template has a variable without a value is left out. Here all have values.
fn all_parameters(provider: &Provider, call: &Call, received: &ReceivedRequest) -> Checked {
    if call.body.is_some() {
        return Ok(());
    }
    for (name, text) in &call.parameters {
        let is_known = template::expand(text, &|name| provider.variable(name)).is_ok_and(|value| !value.is_empty());
        if is_known && received.param(name).is_none() {
            return refuse(
                "invalid_request",
                format!("the parameter `{name}` is missing: a variable of it has no value"),
            );
        }
    }
    Ok(())
}

/// An authorization request: in the browser's URL, or pushed.
pub(super) fn authorization(provider: &Provider, oauth: &OAuth2, received: &ReceivedRequest) -> Checked<Asked> {
    let takes = |name: &str| !oauth.authorization_omit.iter().any(|omitted| omitted == name);
    let param = |name: &str| received.param(named(oauth, name));
    if takes("response_type") && param("response_type") != Some("code") {
        return refuse("unsupported_response_type", "`response_type` is not `code`");
    }
    if takes("client_id") && param("client_id") != Some(&provider.client_id()) && received.basic().is_none() {
        return refuse("invalid_client", format!("`{}` is not the client's identifier", named(oauth, "client_id")));
    }
    if takes("redirect_uri") && param("redirect_uri") != Some(&provider.flow.redirect_uri) {
        return refuse("invalid_request", "`redirect_uri` is not the registered one");
    }
    let Some(state) = param("state").filter(|state| !state.is_empty()) else {
        return refuse("invalid_request", "there is no `state`, so the answer cannot be told from another's");
    };
    let challenge = param("code_challenge");
    let is_s256 = challenge.is_some_and(|it| it.len() == 43) && param("code_challenge_method") == Some("S256");
    if oauth.pkce == Pkce::S256 && takes("code_challenge") && !is_s256 {
        return refuse("invalid_request", "there is no PKCE challenge with S256");
    }
    for name in oauth.authorization_parameters.keys().filter(|name| takes(name)) {
        if received.param(named(oauth, name)).is_none() {
            return refuse("invalid_request", format!("`{name}` of the file is not sent"));
        }
    }
    Ok(Asked {
        state: state.to_owned(),
        challenge: challenge.map(str::to_owned),
        scope: param(&oauth.scope_parameter).map(str::to_owned),
        nonce: param("nonce").map(str::to_owned),
    })
}

fn code_exchange(provider: &Provider, oauth: &OAuth2, received: &ReceivedRequest) -> Checked {
    let takes = |name: &str| !oauth.token_omit.iter().any(|omitted| omitted == name);
    let param = |name: &str| received.param(named(oauth, name));
    if takes("grant_type") && param("grant_type") != Some("authorization_code") {
        return refuse("unsupported_grant_type", "`grant_type` is not `authorization_code`");
    }
    let Some(code) = provider.flow.code.as_deref().filter(|code| param("code") == Some(code)) else {
        return refuse("invalid_grant", "the code is not the one that was given");
    };
    if provider.flow.spent.iter().any(|spent| spent == code) {
        return refuse("invalid_grant", "the code was used before");
    }
    if takes("redirect_uri") && param("redirect_uri") != Some(&provider.flow.redirect_uri) {
        return refuse("invalid_grant", "`redirect_uri` is not the authorization request's");
    }
    if let (true, Some(challenge)) = (takes("code_verifier"), provider.flow.asked.challenge.as_deref()) {
        let verifier = param("code_verifier").unwrap_or_default();
        if URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes())) != challenge {
            return refuse("invalid_grant", "`code_verifier` does not belong to the challenge");
        }
    }
    client(provider, Some(oauth), oauth.client_authentication, received)
}

/// RFC 8628 section 3.4.
fn device(provider: &Provider, oauth: &OAuth2, received: &ReceivedRequest) -> Checked {
    let takes = |name: &str| !oauth.token_omit.iter().any(|omitted| omitted == name);
    let grant = "urn:ietf:params:oauth:grant-type:device_code";
    if takes("grant_type") && received.param(named(oauth, "grant_type")) != Some(grant) {
        return refuse("unsupported_grant_type", format!("`grant_type` is not `{grant}`"));
    }
    let Some(code) = provider.flow.code.as_deref().filter(|code| received.param("device_code") == Some(code)) else {
        return refuse("invalid_grant", "the device code is not the one that was given");
    };
    if provider.flow.spent.iter().any(|spent| spent == code) {
        return refuse("invalid_grant", "the device code was used before");
    }
    client(provider, Some(oauth), oauth.client_authentication, received)
}

fn refresh(provider: &Provider, oauth: &OAuth2, received: &ReceivedRequest) -> Checked {
    let takes = |name: &str| !oauth.token_omit.iter().any(|omitted| omitted == name);
    if takes("grant_type") && received.param(named(oauth, "grant_type")) != Some("refresh_token") {
        return refuse("unsupported_grant_type", "`grant_type` is not `refresh_token`");
    }
    let token = received.param(named(oauth, "refresh_token")).unwrap_or_default();
    if provider.flow.spent.iter().any(|spent| spent == token) {
        return refuse("invalid_grant", "the refresh token was used before, and each works once");
    }
    if provider.flow.current("refresh_token").as_deref() != Some(token) && provider.further(received).is_none() {
        return refuse("invalid_grant", "the refresh token is not the account's");
    }
    if oauth.refresh == Refresh::None {
        return refuse("unsupported_grant_type", "the file says that tokens are never refreshed");
    }
    client(provider, Some(oauth), oauth.client_authentication, received)
}

/// Who asks (RFC 6749 section 2.3). `oauth` says where parameters have other names.
fn client(
    provider: &Provider,
    oauth: Option<&OAuth2>,
    method: ClientAuthentication,
    received: &ReceivedRequest,
) -> Checked {
    let name = |standard: &'static str| oauth.map_or(standard, |oauth| named(oauth, standard));
    let takes = |name: &str| oauth.is_none_or(|oauth| !oauth.token_omit.iter().any(|omitted| omitted == name));
    let (id, secret) = (provider.client_id(), provider.values.get("client_secret").unwrap_or_default());
    let is_public = provider.scheme == Scheme::CimdOAuth;
    let method = if is_public && oauth.is_some() { ClientAuthentication::None } else { method };
    let is = |name: &str, value: &str| received.param(name) == Some(value);
    let has_id = !takes("client_id") || is(name("client_id"), &id);
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let (holds, rule) = match method {
        ClientAuthentication::ClientSecretPost => (
            has_id && (!takes("client_secret") || is(name("client_secret"), &secret)),
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
            let is_ours = |(_, _, claims): &(String, Value, Value)| claims["sub"] == id.as_str();
            let is_sent = received.param("client_assertion").is_some();
            (is_sent && received.assertions().iter().any(is_ours), "the client is to prove itself by an assertion")
        }
        ClientAuthentication::None => (has_id, "the client's identifier is to be in the body"),
    };
    if holds { Ok(()) } else { refuse("invalid_client", rule) }
}

/// Something is asked of a token: it must be one that was given.
fn issued(provider: &Provider, received: &ReceivedRequest, token: Option<&str>) -> Checked {
    let is_ours = |known: &String| match token {
        Some(token) => token == known,
        None => received.carries(known),
    };
    if provider.flow.tokens().any(is_ours) {
        Ok(())
    } else {
        refuse("invalid_token", "it names no token of the account")
    }
}

fn oauth1(provider: &Provider, received: &ReceivedRequest, more: &[&str]) -> Checked {
    for name in ["oauth_consumer_key", "oauth_signature", "oauth_timestamp", "oauth_nonce"].iter().chain(more) {
        let Some(value) = received.param(name) else {
            return refuse("parameter_absent", format!("there is no `{name}`"));
        };
        let expected = match *name {
            "oauth_consumer_key" => Some(provider.client_id()),
            "oauth_token" => provider.flow.current("temporary"),
            "oauth_verifier" => provider.flow.code.clone(),
            _ => None,
        };
        if expected.is_some_and(|expected| expected != value) {
            return refuse("token_rejected", format!("`{name}` is not the one that was given"));
        }
    }
    Ok(())
}

/// A request with the account's credential must have it.
fn credential(provider: &Provider, endpoint: Endpoint, received: &ReceivedRequest) -> Checked {
    let toolkit = &provider.toolkit;
    if toolkit.token_scheme(provider.scheme).is_some_and(|tokens| tokens.assertion.is_some()) {
        let is_signed = !received.assertions().is_empty();
        return if is_signed { Ok(()) } else { refuse("invalid_token", "there is no signed assertion in it") };
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
        if is_signed || secrets.peek().is_none() || secrets.any(|(_, secret)| received.carries(secret)) {
            return Ok(());
        }
        return refuse("invalid_token", "it carries nothing of what was entered");
    };
    match expected {
        Some(token) if received.carries(&token) => Ok(()),
        _ if endpoint == Endpoint::Api => refuse("invalid_token", "the call does not carry the account's living token"),
        _ => refuse("invalid_token", "it does not carry the account's token"),
    }
}

/// Whether a request is the call that it could be: the fixed parameters of the file are in it.
pub(super) fn fits(provider: &Provider, endpoint: Endpoint, received: &ReceivedRequest) -> bool {
    match endpoint {
        Endpoint::Token | Endpoint::DeviceToken => {
            provider.flow.code.as_ref().is_some_and(|code| received.carries(code))
        }
        Endpoint::Refresh => {
            let has_code = provider.flow.code.as_ref().is_some_and(|code| received.carries(code));
            !has_code && provider.flow.current("access_token").is_some()
        }
        _ => {
            let Some(call) = call(endpoint, &provider.toolkit, provider.scheme, provider.oauth.as_ref()) else {
                return true;
            };
            let fixed =
                call.parameters.iter().filter(|(_, text)| template::variables(text).is_ok_and(|it| it.is_empty()));
            fixed.into_iter().all(|(name, text)| received.params().any(|(known, value)| known == name && value == text))
        }
    }
}
