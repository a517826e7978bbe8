//! What the simulated provider answers, so that the pointers of the file find what they look for.

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

/// Who the user is at every simulated provider.
pub(super) const IDENTITY: [&str; 6] =
    ["1001", "ada@example.com", "Ada Example", "https://images.example/ada.png", "2001", "Example Ltd"];
/// Seconds that tokens live whose file does not say.
const LIFETIME: u64 = 3_600;

/// What the user enters (RFC 8628 section 6.1), and seconds between two questions about it.
const USER_CODE: &str = "WDJB-MJHT";
pub(super) const INTERVAL: u32 = 5;

/// The answer to a request that keeps all rules.
///
/// # Errors
/// What no answer can say at once.
pub(super) fn answer(provider: &mut Provider, endpoint: Endpoint, received: &ReceivedRequest) -> Result<Reply, String> {
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
        Endpoint::Pushed => {
            let reference = format!("urn:ietf:params:oauth:request_uri:{}", provider.issue("request_uri"));
            provider.flow.pushed = Some(reference.clone());
            let answer = json!({ "request_uri": reference, "expires_in": 60 });
            Ok(Reply { status: StatusCode::CREATED, ..Reply::json(&answer) })
        }
        Endpoint::Introspection => {
            Ok(Reply::json(&json!({ "active": true, "exp": provider.seconds() + lifetime(provider) })))
        }
        Endpoint::Revocation | Endpoint::Revoke => revoked(provider, endpoint),
        Endpoint::Temporary => {
            let (token, secret) = (provider.issue("temporary"), provider.issue("temporary_secret"));
            let pairs = [("oauth_token", token), ("oauth_token_secret", secret)];
            let mut pairs = pairs.map(|(name, value)| (name.to_owned(), value)).into_iter().collect::<BTreeMap<_, _>>();
            pairs.insert("oauth_callback_confirmed".to_owned(), "true".to_owned());
            Ok(Reply::form(&pairs))
        }
        Endpoint::Lasting => {
            let (token, secret) = (provider.issue("oauth_token"), provider.issue("oauth_token_secret"));
            let pairs = [("oauth_token", token), ("oauth_token_secret", secret)];
            let mut pairs = pairs.map(|(name, value)| (name.to_owned(), value)).into_iter().collect::<BTreeMap<_, _>>();
            for capture in provider.toolkit.oauth1.iter().flat_map(|oauth| &oauth.capture) {
                let value = provider.values.get(&capture.name).unwrap_or_default();
                pairs.insert(capture.at.trim_start_matches('/').to_owned(), value);
            }
            Ok(Reply::form(&pairs))
        }
        Endpoint::Device => {
            let code = provider.issue("device_code");
            provider.flow.code = Some(code.clone());
            let page = format!("https://{}/device", received.url.authority());
            Ok(Reply::json(&json!({ "device_code": code, "user_code": USER_CODE, "verification_uri": page,
                "expires_in": 600, "interval": INTERVAL })))
        }
        Endpoint::Token
        | Endpoint::DeviceToken
        | Endpoint::Refresh
        | Endpoint::Step(_)
        | Endpoint::RefreshCall
        | Endpoint::TokenStep(_) => match provider.further(received) {
            Some(name) => further(provider, &name),
            None => tokens(provider, endpoint),
        },
        Endpoint::Verify | Endpoint::PostConnect(_) | Endpoint::Identity => about_account(provider, received),
    }
}

/// A new token where the file looks for it, with all that the file keeps of the answer.
fn tokens(provider: &mut Provider, endpoint: Endpoint) -> Result<Reply, String> {
    let toolkit = std::sync::Arc::clone(&provider.toolkit);
    let oauth = provider.oauth.clone();
    let own = call(endpoint, &toolkit, provider.scheme, oauth.as_ref()).map(|call| &call.response);
    let fallback = TokenResponse::default();
    let response = own.or_else(|| oauth.as_ref().map(|oauth| &oauth.response)).unwrap_or(&fallback);
    let mut answer = Tokens { document: Document::default(), headers: Vec::new() };
    if let (Some(pointer), Some(value)) = (&response.ok_pointer, &response.ok_value) {
        answer.document.put(pointer, value.clone())?;
    }
    answer.captures(provider, &response.capture)?;
    let seconds = lifetime(provider);
    let ends = provider.seconds() + seconds;
    let is_jwt = oauth.as_ref().is_some_and(|oauth| oauth.expiry == Expiry::Jwt);
    let access_token = if is_jwt { provider.issue_jwt("access_token", ends) } else { provider.issue("access_token") };
    answer.put(&response.access_token, access_token)?;
    if let Some(code) =
        provider.flow.code.clone().filter(|_| matches!(endpoint, Endpoint::Token | Endpoint::DeviceToken))
    {
        provider.flow.spent.push(code);
    }
    if let Some(token) = next_refresh_token(provider, endpoint) {
        answer.put(&response.refresh_token, token)?;
    }
    if !oauth.as_ref().is_some_and(|oauth| oauth.expiry == Expiry::Never) {
        let factor = if response.time_unit == TimeUnit::Milliseconds { 1_000 } else { 1 };
        match &response.expires_at {
            Some(place) => answer.document.put(place, rfc3339(ends).into())?,
            None => answer.document.put(&response.expires_in, (seconds * factor).into())?,
        }
    }
    let is_bound = oauth.as_ref().is_some_and(|oauth| oauth.dpop);
    answer.document.put(&response.token_type, if is_bound { "DPoP" } else { "Bearer" }.into())?;
    if let Some(oauth) = &oauth {
        let separator = &oauth.scope_separator;
        let scope = provider.flow.asked.scope.clone().unwrap_or_else(|| oauth.scopes.join(separator));
        if scope.split(separator.as_str()).any(|scope| scope == "openid") {
            let token = provider.issue_jwt("id_token", ends);
            answer.document.put("/id_token", token.into())?;
        }
        if !scope.is_empty() {
            answer.document.put(&response.scope, scope.into())?;
        }
        let is_new = !matches!(endpoint, Endpoint::Refresh | Endpoint::RefreshCall);
        for ExtraToken { name, access_token, refresh_token, .. } in &oauth.tokens {
            let its_own = refresh_token.as_ref().filter(|_| is_new);
            if is_new || refresh_token.is_none() {
                let token = provider.issue(&format!("{name}_access_token"));
                answer.put(access_token, token)?;
            }
            if let Some(place) = its_own {
                let token = provider.issue(&format!("{name}_refresh_token"));
                answer.put(place, token)?;
            }
        }
        if let Some(identity) = toolkit.identity_of(provider.scheme).filter(|identity| identity.request.is_none()) {
            identify(&mut answer.document, identity)?;
        }
    }
    let mut reply = Reply::json(&answer.document.into_value());
    reply.headers.extend(answer.headers);
    Ok(reply)
}

/// A further token, renewed with its own refresh token: it stands where the first one stands otherwise.
fn further(provider: &mut Provider, name: &str) -> Result<Reply, String> {
    let response = provider.oauth.as_ref().map(|oauth| oauth.response.clone()).unwrap_or_default();
    let mut answer = Tokens { document: Document::default(), headers: Vec::new() };
    if let (Some(pointer), Some(value)) = (&response.ok_pointer, &response.ok_value) {
        answer.document.put(pointer, value.clone())?;
    }
    if let Some(old) = provider.flow.current(&format!("{name}_refresh_token")) {
        provider.flow.spent.push(old);
    }
    let (token, next) =
        (provider.issue(&format!("{name}_access_token")), provider.issue(&format!("{name}_refresh_token")));
    answer.put(&response.access_token, token)?;
    answer.put(&response.refresh_token, next)?;
    answer.document.put(&response.expires_in, lifetime(provider).into())?;
    let mut reply = Reply::json(&answer.document.into_value());
    reply.headers.extend(answer.headers);
    Ok(reply)
}

/// The refresh token of an answer, as the file says that the provider gives them.
fn next_refresh_token(provider: &mut Provider, endpoint: Endpoint) -> Option<String> {
    let Some(refresh) = provider.oauth.as_ref().map(|oauth| oauth.refresh) else {
        // A login may give a refresh token that a later step uses.
        let tokens = provider.toolkit.token_scheme(provider.scheme)?;
        let mut used = tokens.steps.iter().flat_map(|step| step.parameters.values().chain(step.headers.values()));
        return used.any(|text| text.contains("{refresh_token}")).then(|| provider.issue("refresh_token"));
    };
    let held = provider.flow.current("refresh_token");
    match (refresh, held) {
        (Refresh::None, _) => None,
        (_, None) => Some(provider.issue("refresh_token")),
        (Refresh::Rotating, Some(old)) if matches!(endpoint, Endpoint::Refresh | Endpoint::RefreshCall) => {
            provider.flow.spent.push(old);
            Some(provider.issue("refresh_token"))
        }
        // The old one stays, and need not be repeated.
        (_, Some(_)) => None,
    }
}

struct Tokens {
    document: Document,
    headers: Vec<(String, String)>,
}

impl Tokens {
    /// Puts a value at a place: a pointer, a header, a cookie.
    fn put(&mut self, place: &str, value: String) -> Result<(), String> {
        match place.split_once(':') {
            Some(("header", name)) => self.headers.push((name.to_ascii_lowercase(), value)),
            Some(("cookie", name)) => self.headers.push(("set-cookie".to_owned(), format!("{name}={value}; Path=/"))),
            _ => self.document.put(place, value.into())?,
        }
        Ok(())
    }

    fn captures(&mut self, provider: &Provider, captures: &[Capture]) -> Result<(), String> {
        for capture in captures {
            self.put(&capture.at, provider.values.get(&capture.name).unwrap_or_default())?;
        }
        Ok(())
    }
}

/// Seconds that a token lives.
fn lifetime(provider: &Provider) -> i64 {
    let of_file = match &provider.oauth {
        Some(oauth) => oauth.expires_in.map(|seconds| seconds.min(oauth.max_expires_in.unwrap_or(seconds))),
        None => provider.toolkit.token_scheme(provider.scheme).and_then(|tokens| tokens.expires_in),
    };
    i64::try_from(of_file.unwrap_or(LIFETIME)).unwrap_or(i64::MAX)
}

/// A time, given in seconds since 1970, as RFC 3339 writes it.
fn rfc3339(seconds: i64) -> String {
    DateTime::from_timestamp(seconds, 0).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn revoked(provider: &Provider, endpoint: Endpoint) -> Result<Reply, String> {
    let own = call(endpoint, &provider.toolkit, provider.scheme, provider.oauth.as_ref()).map(|call| &call.response);
    let response = own.or_else(|| provider.oauth.as_ref().map(|oauth| &oauth.response));
    let mut document = Document::default();
    if let Some((pointer, value)) = response.and_then(|it| it.ok_pointer.as_ref().zip(it.ok_value.as_ref())) {
        document.put(pointer, value.clone())?;
    }
    Ok(Reply::json(&document.into_value()))
}

/// Everything that the file wants to know from this address.
fn about_account(provider: &Provider, received: &ReceivedRequest) -> Result<Reply, String> {
    let mut document = Document::default();
    let here = probes(&provider.toolkit, provider.scheme)
        .into_iter()
        .filter(|(endpoint, _)| provider.is_at(*endpoint, received));
    let here: Vec<_> = here.collect();
    for (_, probe) in &here {
        if let (Some(pointer), Some(value)) = (&probe.ok_pointer, &probe.ok_value) {
            document.put(pointer, value.clone())?;
        }
    }
    for (endpoint, _) in &here {
        match endpoint {
            Endpoint::PostConnect(number) => {
                let step = provider.toolkit.post_connect.get(*number);
                step.map_or(Ok(()), |step| things(&mut document, provider, step))?;
            }
            Endpoint::Identity => {
                let identity = provider.toolkit.identity_of(provider.scheme);
                identity.map_or(Ok(()), |identity| identify(&mut document, identity))?;
            }
            _ => {}
        }
    }
    Ok(Reply::json(&document.into_value()))
}

/// One thing, or two to choose from, of which the first is meant.
fn things(document: &mut Document, provider: &Provider, step: &PostConnect) -> Result<(), String> {
    let Some((items, choose)) = step.items.as_ref().zip(step.choose.as_ref()) else {
        for capture in &step.capture {
            document.put(&capture.at, provider.values.get(&capture.name).unwrap_or_default().into())?;
        }
        return Ok(());
    };
    let thing = |other: Option<&str>| {
        let mut thing = Document::default();
        if let Some(other) = other {
            thing.put(&choose.id, other.into())?;
        }
        for capture in &step.capture {
            thing.put(&capture.at, provider.values.get(&capture.name).unwrap_or_default().into())?;
        }
        for filter in &step.filter {
            let value = filter.is.first().map(|value| value.trim_matches('*')).unwrap_or_default();
            thing.put(&filter.at, value.into())?;
        }
        thing.put(&choose.id, "first".into())?;
        thing.put(&choose.label, if other.is_some() { "The other" } else { "The first" }.into())?;
        if let Some(detail) = &choose.detail {
            thing.put(detail, "made up".into())?;
        }
        Ok::<Value, String>(thing.into_value())
    };
    document.put(items, json!([thing(None)?, thing(Some("other"))?]))
}

fn identify(document: &mut Document, identity: &Identity) -> Result<(), String> {
    let pointers = [
        Some(&identity.id),
        identity.email.as_ref(),
        identity.name.as_ref(),
        identity.avatar.as_ref(),
        identity.tenant.as_ref(),
        identity.tenant_name.as_ref(),
    ];
    for (pointer, value) in pointers.into_iter().zip(IDENTITY) {
        pointer.map_or(Ok(()), |pointer| document.put(pointer, value.into()))?;
    }
    Ok(())
}
