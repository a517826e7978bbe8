//! A request as the simulated provider parses it.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, header};
use serde_json::Value;
use url::Url;

/// A parsed request.
pub(super) struct ReceivedRequest {
    pub(super) method: String,
    pub(super) url: Url,
    /// Path and query as sent.
    pub(super) target: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// From the query, a form, a JSON object and the OAuth 1.0a header.
    params: Vec<(String, String)>,
}

impl ReceivedRequest {
    /// Parses a request; none without a valid `Host`.
    pub(super) fn new(method: &str, host: &str, target: &str, headers: HeaderMap, body: Bytes) -> Option<Self> {
        let url = Url::parse(&format!("https://{host}{target}")).ok()?;
        let mut params: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if content_type.starts_with("application/x-www-form-urlencoded") {
            params.extend(form_urlencoded::parse(&body).into_owned());
        } else if let Ok(Value::Object(members)) = serde_json::from_slice(&body) {
            let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            params.extend(members.into_iter().map(|(name, value)| (name, text(value))));
        }
        let mut received =
            Self { method: method.to_owned(), url, target: target.to_owned(), headers, body, params: Vec::new() };
        params.extend(received.oauth1());
        received.params = params;
        Some(received)
    }

    /// A parameter from any part of the request.
    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All parameters.
    pub(super) fn params(&self) -> impl Iterator<Item = (&str, &str)> {
        self.params.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub(super) fn authorization(&self) -> &str {
        self.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// User name and password of HTTP Basic, not percent-decoded.
    pub(super) fn basic(&self) -> Option<(String, String)> {
        let decoded = STANDARD.decode(self.authorization().strip_prefix("Basic ")?).ok()?;
        let text = String::from_utf8(decoded).ok()?;
        text.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()))
    }

    /// Whether any part of the request contains a value, in one of its usual encodings.
    pub(super) fn contains_value(&self, value: &str) -> bool {
        let form: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
        let quoted = Value::from(value).to_string();
        let quoted = quoted.trim_matches('"');
        let forms = [value, form.as_str(), quoted];
        let contains = |text: &str| forms.iter().any(|form| text.contains(form));
        let basic = self.basic().map(|(user, password)| format!("{user}:{password}")).unwrap_or_default();
        contains(&self.target)
            || contains(&String::from_utf8_lossy(&self.body))
            || contains(&basic)
            || self.headers.values().any(|header| header.to_str().is_ok_and(contains))
    }

    /// Signed JWTs in the request, each with its header and claims.
    pub(super) fn assertions(&self) -> Vec<(String, Value, Value)> {
        let headers = self.headers.values().filter_map(|value| value.to_str().ok().map(str::to_owned));
        let texts: Vec<String> = headers.chain(self.params.iter().map(|(_, value)| value.clone())).collect();
        let is_separator = |letter: char| !letter.is_ascii_alphanumeric() && !"-_.".contains(letter);
        let words = texts.iter().flat_map(|text| text.split(is_separator)).filter(|word| word.starts_with("eyJ"));
        words.filter_map(|word| claims(word).map(|(header, claims)| (word.to_owned(), header, claims))).collect()
    }

    /// Parameters of `Authorization: OAuth …` (RFC 5849 section 3.5.1).
    fn oauth1(&self) -> Vec<(String, String)> {
        let Some(parameters) = self.authorization().strip_prefix("OAuth ") else { return Vec::new() };
        let decoded = |text: &str| {
            let pair = format!("v={text}");
            form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
        };
        let pair = |text: &str| {
            let (name, value) = text.trim().split_once('=')?;
            Some((name.to_owned(), decoded(value.trim_matches('"'))))
        };
        parameters.split(',').filter_map(pair).collect()
    }
}

/// Header and claims of a JWT (RFC 7519), unverified.
fn claims(jwt: &str) -> Option<(Value, Value)> {
    let mut parts = jwt.split('.');
    let mut part = || serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts.next()?).ok()?).ok();
    Some((part()?, part()?))
}
