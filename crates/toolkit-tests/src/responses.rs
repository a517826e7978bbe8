//! Responses of the simulated provider, with values where the file expects them.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat};
use http::StatusCode;
use serde_json::{Value, json};
use switchboard_catalog::{Capture, Expiry, ExtraToken, Identity, PostConnect, Refresh, TimeUnit, TokenResponse};

use super::document::Document;
use super::provider::Provider;
use super::received::ReceivedRequest;
use super::reply::Reply;
use super::routes::{Endpoint, call, probes};

/// The user's identity at every simulated provider.
pub(super) const IDENTITY: [&str; 6] =
    ["1001", "ada@example.com", "Ada Example", "https://images.example/ada.png", "2001", "Example Ltd"];
/// Lifetime of tokens in seconds, if the file has none.
const DEFAULT_LIFETIME: u64 = 3_600;

/// The code that the user enters (RFC 8628 section 6.1).
const USER_CODE: &str = "WDJB-MJHT";
/// Seconds between two polls for the device token.
pub(super) const DEVICE_POLL_INTERVAL: u32 = 5;

/// The response to a valid request.
///
/// # Errors
/// Pointers of the file that contradict each other.
pub(super) fn response_to(
    provider: &mut Provider,
    endpoint: Endpoint,
    received: &ReceivedRequest,
) -> Result<Reply, String> {
    match endpoint {
        Endpoint::Metadata | Endpoint::ResourceMetadata | Endpoint::Api | Endpoint::Authorization => {
            Ok(Reply::json(&json!({ "played": true })))
        }
        Endpoint::Registration => {
            let client_id = provider.client_id();
            let method = received.param("token_endpoint_auth_method").unwrap_or("none").to_owned();
            let mut client = json!({ "client_id": client_id, "token_endpoint_auth_method": method });
            if method != "none" {
                client["client_secret"] = provider.values.get("client_secret").unwrap_or_default().into();
            }
            Ok(Reply { status: StatusCode::CREATED, ..Reply::json(&client) })
        }
        Endpoint::PushedAuthorization => {
            let reference = format!("urn:ietf:params:oauth:request_uri:{}", provider.issue("request_uri"));
            provider.flow.pushed_request_uri = Some(reference.clone());
            let body = json!({ "request_uri": reference, "expires_in": 60 });
            Ok(Reply { status: StatusCode::CREATED, ..Reply::json(&body) })
        }
        Endpoint::Introspection => {
            Ok(Reply::json(&json!({ "active": true, "exp": provider.now_seconds() + lifetime_seconds(provider) })))
        }
        Endpoint::Revocation | Endpoint::RevokeCall => revocation_response(provider, endpoint),
        Endpoint::TemporaryCredentials => {
            let (token, secret) = (provider.issue("temporary"), provider.issue("temporary_secret"));
            let pairs = [("oauth_token", token), ("oauth_token_secret", secret)];
            let mut pairs = pairs.map(|(name, value)| (name.to_owned(), value)).into_iter().collect::<BTreeMap<_, _>>();
            pairs.insert("oauth_callback_confirmed".to_owned(), "true".to_owned());
            Ok(Reply::form(&pairs))
        }
        Endpoint::TokenCredentials => {
            let (token, secret) = (provider.issue("oauth_token"), provider.issue("oauth_token_secret"));
            let pairs = [("oauth_token", token), ("oauth_token_secret", secret)];
            let mut pairs = pairs.map(|(name, value)| (name.to_owned(), value)).into_iter().collect::<BTreeMap<_, _>>();
            for capture in provider.toolkit.oauth1.iter().flat_map(|oauth| &oauth.capture) {
                let value = provider.values.get(&capture.name).unwrap_or_default();
                pairs.insert(capture.at.trim_start_matches('/').to_owned(), value);
            }
            Ok(Reply::form(&pairs))
        }
        Endpoint::DeviceAuthorization => {
            let code = provider.issue("device_code");
            provider.flow.code = Some(code.clone());
            let page = format!("https://{}/device", received.url.authority());
            Ok(Reply::json(&json!({ "device_code": code, "user_code": USER_CODE, "verification_uri": page,
                "expires_in": 600, "interval": DEVICE_POLL_INTERVAL })))
        }
        Endpoint::Token
        | Endpoint::DeviceToken
        | Endpoint::Refresh
        | Endpoint::Step(_)
        | Endpoint::RefreshCall
        | Endpoint::TokenStep(_) => match provider.requested_extra_token(received) {
            Some(name) => extra_token_response(provider, &name),
            None => token_response(provider, endpoint),
        },
        Endpoint::Verify | Endpoint::PostConnect(_) | Endpoint::Identity => account_response(provider, received),
    }
}

/// A token response in the format of the file, with all values that the file captures.
fn token_response(provider: &mut Provider, endpoint: Endpoint) -> Result<Reply, String> {
    let toolkit = std::sync::Arc::clone(&provider.toolkit);
    let oauth = provider.oauth.clone();
    let call_response = call(endpoint, &toolkit, provider.scheme, oauth.as_ref()).map(|call| &call.response);
    let standard = TokenResponse::default();
    let format = call_response.or_else(|| oauth.as_ref().map(|oauth| &oauth.response)).unwrap_or(&standard);
    let mut builder = TokenResponseBuilder { document: Document::default(), headers: Vec::new() };
    if let (Some(pointer), Some(value)) = (&format.ok_pointer, &format.ok_value) {
        builder.document.insert(pointer, value.clone())?;
    }
    builder.put_captures(provider, &format.capture)?;
    let seconds = lifetime_seconds(provider);
    let expires_at = provider.now_seconds() + seconds;
    let is_jwt = oauth.as_ref().is_some_and(|oauth| oauth.expiry == Expiry::Jwt);
    let access_token =
        if is_jwt { provider.issue_jwt("access_token", expires_at) } else { provider.issue("access_token") };
    builder.put(&format.access_token, access_token)?;
    if let Some(code) =
        provider.flow.code.clone().filter(|_| matches!(endpoint, Endpoint::Token | Endpoint::DeviceToken))
    {
        provider.flow.used_grants.push(code);
    }
    if let Some(token) = next_refresh_token(provider, endpoint) {
        builder.put(&format.refresh_token, token)?;
    }
    if !oauth.as_ref().is_some_and(|oauth| oauth.expiry == Expiry::Never) {
        let factor = if format.time_unit == TimeUnit::Milliseconds { 1_000 } else { 1 };
        match &format.expires_at {
            Some(pointer) => builder.document.insert(pointer, rfc3339(expires_at).into())?,
            None => builder.document.insert(&format.expires_in, (seconds * factor).into())?,
        }
    }
    let is_bound = oauth.as_ref().is_some_and(|oauth| oauth.dpop);
    builder.document.insert(&format.token_type, if is_bound { "DPoP" } else { "Bearer" }.into())?;
    if let Some(oauth) = &oauth {
        let separator = &oauth.scope_separator;
        let scope = provider.flow.authorization_request.scope.clone().unwrap_or_else(|| oauth.scopes.join(separator));
        if scope.split(separator.as_str()).any(|scope| scope == "openid") {
            let token = provider.issue_jwt("id_token", expires_at);
            builder.document.insert("/id_token", token.into())?;
        }
        if !scope.is_empty() {
            builder.document.insert(&format.scope, scope.into())?;
        }
        let is_new = !matches!(endpoint, Endpoint::Refresh | Endpoint::RefreshCall);
        for ExtraToken { name, access_token, refresh_token, .. } in &oauth.tokens {
            let refresh_pointer = refresh_token.as_ref().filter(|_| is_new);
            if is_new || refresh_token.is_none() {
                let token = provider.issue(&format!("{name}_access_token"));
                builder.put(access_token, token)?;
            }
            if let Some(pointer) = refresh_pointer {
                let token = provider.issue(&format!("{name}_refresh_token"));
                builder.put(pointer, token)?;
            }
        }
        if let Some(identity) = toolkit.identity_of(provider.scheme).filter(|identity| identity.request.is_none()) {
            put_identity(&mut builder.document, identity)?;
        }
    }
    let mut reply = Reply::json(&builder.document.into_value());
    reply.headers.extend(builder.headers);
    Ok(reply)
}

/// The response to a refresh of an extra token. It has the format of the standard token response.
fn extra_token_response(provider: &mut Provider, name: &str) -> Result<Reply, String> {
    let format = provider.oauth.as_ref().map(|oauth| oauth.response.clone()).unwrap_or_default();
    let mut builder = TokenResponseBuilder { document: Document::default(), headers: Vec::new() };
    if let (Some(pointer), Some(value)) = (&format.ok_pointer, &format.ok_value) {
        builder.document.insert(pointer, value.clone())?;
    }
    if let Some(old) = provider.flow.current(&format!("{name}_refresh_token")) {
        provider.flow.used_grants.push(old);
    }
    let (token, next) =
        (provider.issue(&format!("{name}_access_token")), provider.issue(&format!("{name}_refresh_token")));
    builder.put(&format.access_token, token)?;
    builder.put(&format.refresh_token, next)?;
    builder.document.insert(&format.expires_in, lifetime_seconds(provider).into())?;
    let mut reply = Reply::json(&builder.document.into_value());
    reply.headers.extend(builder.headers);
    Ok(reply)
}

/// The refresh token of a token response, according to `refresh` in the file.
fn next_refresh_token(provider: &mut Provider, endpoint: Endpoint) -> Option<String> {
    let Some(refresh) = provider.oauth.as_ref().map(|oauth| oauth.refresh) else {
        // A token step may return a refresh token for a later step.
        let tokens = provider.toolkit.token_scheme(provider.scheme)?;
        let mut used = tokens.steps.iter().flat_map(|step| step.parameters.values().chain(step.headers.values()));
        return used.any(|text| text.contains("{refresh_token}")).then(|| provider.issue("refresh_token"));
    };
    let current = provider.flow.current("refresh_token");
    match (refresh, current) {
        (Refresh::None, _) => None,
        (_, None) => Some(provider.issue("refresh_token")),
        (Refresh::Rotating, Some(old)) if matches!(endpoint, Endpoint::Refresh | Endpoint::RefreshCall) => {
            provider.flow.used_grants.push(old);
            Some(provider.issue("refresh_token"))
        }
        // The refresh token stays valid and is not repeated.
        (_, Some(_)) => None,
    }
}

/// A token response in the making.
struct TokenResponseBuilder {
    document: Document,
    headers: Vec<(String, String)>,
}

impl TokenResponseBuilder {
    /// Adds a value at a location: a JSON pointer, a header or a cookie.
    fn put(&mut self, location: &str, value: String) -> Result<(), String> {
        match location.split_once(':') {
            Some(("header", name)) => self.headers.push((name.to_ascii_lowercase(), value)),
            Some(("cookie", name)) => self.headers.push(("set-cookie".to_owned(), format!("{name}={value}; Path=/"))),
            _ => self.document.insert(location, value.into())?,
        }
        Ok(())
    }

    fn put_captures(&mut self, provider: &Provider, captures: &[Capture]) -> Result<(), String> {
        for capture in captures {
            self.put(&capture.at, provider.values.get(&capture.name).unwrap_or_default())?;
        }
        Ok(())
    }
}

/// The lifetime of a token in seconds.
fn lifetime_seconds(provider: &Provider) -> i64 {
    let configured = match &provider.oauth {
        Some(oauth) => oauth.expires_in.map(|seconds| seconds.min(oauth.max_expires_in.unwrap_or(seconds))),
        None => provider.toolkit.token_scheme(provider.scheme).and_then(|tokens| tokens.expires_in),
    };
    i64::try_from(configured.unwrap_or(DEFAULT_LIFETIME)).unwrap_or(i64::MAX)
}

/// Formats a time in seconds since 1970 (RFC 3339).
fn rfc3339(seconds: i64) -> String {
    DateTime::from_timestamp(seconds, 0).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn revocation_response(provider: &Provider, endpoint: Endpoint) -> Result<Reply, String> {
    let call_response =
        call(endpoint, &provider.toolkit, provider.scheme, provider.oauth.as_ref()).map(|call| &call.response);
    let response = call_response.or_else(|| provider.oauth.as_ref().map(|oauth| &oauth.response));
    let mut document = Document::default();
    if let Some((pointer, value)) =
        response.and_then(|response| response.ok_pointer.as_ref().zip(response.ok_value.as_ref()))
    {
        document.insert(pointer, value.clone())?;
    }
    Ok(Reply::json(&document.into_value()))
}

/// The response to a probe, with the values for all probes that share its URL.
fn account_response(provider: &Provider, received: &ReceivedRequest) -> Result<Reply, String> {
    let mut document = Document::default();
    let probes_here = probes(&provider.toolkit, provider.scheme)
        .into_iter()
        .filter(|(endpoint, _)| provider.is_request_to(*endpoint, received));
    let probes_here: Vec<_> = probes_here.collect();
    for (_, probe) in &probes_here {
        if let (Some(pointer), Some(value)) = (&probe.ok_pointer, &probe.ok_value) {
            document.insert(pointer, value.clone())?;
        }
    }
    for (endpoint, _) in &probes_here {
        match endpoint {
            Endpoint::PostConnect(number) => {
                let step = provider.toolkit.post_connect.get(*number);
                step.map_or(Ok(()), |step| put_items(&mut document, provider, step))?;
            }
            Endpoint::Identity => {
                let identity = provider.toolkit.identity_of(provider.scheme);
                identity.map_or(Ok(()), |identity| put_identity(&mut document, identity))?;
            }
            _ => {}
        }
    }
    Ok(Reply::json(&document.into_value()))
}

/// Adds the captured values, or a list of two items of which the user chooses the first.
fn put_items(document: &mut Document, provider: &Provider, step: &PostConnect) -> Result<(), String> {
    let Some((items, choose)) = step.items.as_ref().zip(step.choose.as_ref()) else {
        for capture in &step.capture {
            document.insert(&capture.at, provider.values.get(&capture.name).unwrap_or_default().into())?;
        }
        return Ok(());
    };
    let item = |other: Option<&str>| {
        let mut item = Document::default();
        if let Some(other) = other {
            item.insert(&choose.id, other.into())?;
        }
        for capture in &step.capture {
            item.insert(&capture.at, provider.values.get(&capture.name).unwrap_or_default().into())?;
        }
        for filter in &step.filter {
            let value = filter.is.first().map(|value| value.trim_matches('*')).unwrap_or_default();
            item.insert(&filter.at, value.into())?;
        }
        item.insert(&choose.id, "first".into())?;
        item.insert(&choose.label, if other.is_some() { "The other" } else { "The first" }.into())?;
        if let Some(detail) = &choose.detail {
            item.insert(detail, "made up".into())?;
        }
        Ok::<Value, String>(item.into_value())
    };
    document.insert(items, json!([item(None)?, item(Some("other"))?]))
}

fn put_identity(document: &mut Document, identity: &Identity) -> Result<(), String> {
    let pointers = [
        Some(&identity.id),
        identity.email.as_ref(),
        identity.name.as_ref(),
        identity.avatar.as_ref(),
        identity.tenant.as_ref(),
        identity.tenant_name.as_ref(),
    ];
    for (pointer, value) in pointers.into_iter().zip(IDENTITY) {
        pointer.map_or(Ok(()), |pointer| document.insert(pointer, value.into()))?;
    }
    Ok(())
}
