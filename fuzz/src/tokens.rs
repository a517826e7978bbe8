//! A token endpoint's response gives usable tokens, or an error that is safe to display.

use std::sync::LazyLock;

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use serde_json::Value;
use switchboard_auth::{
    ProviderResponse, TokenError, TokenErrorKind, TokenSet, parse_device_response, parse_token_response,
};
use switchboard_catalog::{Catalog, OAuth2, TokenResponse};

use crate::shown;

const FORM: &str = "application/x-www-form-urlencoded";

/// Maximum lifetime in seconds.
const TEN_YEARS: u64 = 10 * 365 * 86_400;

/// A provider that follows RFC 6749, and one whose responses have values in other places.
static PROVIDERS: LazyLock<[OAuth2; 2]> = LazyLock::new(|| {
    let mut catalog = Catalog::default();
    catalog.add("toolkit.toml", include_str!("../../crates/catalog/tests/acme.toml")).expect("a valid file");
    let elsewhere = catalog.get("acme").and_then(|toolkit| toolkit.oauth2.clone()).expect("a file with OAuth");
    [OAuth2 { response: TokenResponse::default(), expires_in: None, ..elsewhere.clone() }, elsewhere]
});

fn parse(oauth: &OAuth2, status: u16, content_type: Option<&str>, body: &[u8]) -> Result<TokenSet, TokenError> {
    parse_packed(oauth, status, content_type, None, body)
}

fn parse_packed(
    oauth: &OAuth2,
    status: u16,
    content_type: Option<&str>,
    coding: Option<&str>,
    body: &[u8],
) -> Result<TokenSet, TokenError> {
    let mut headers = HeaderMap::new();
    for (name, value) in [(CONTENT_TYPE, content_type), (CONTENT_ENCODING, coding)] {
        if let Some(value) = value {
            headers.insert(name, value.parse().expect("a header value"));
        }
    }
    parse_token_response(oauth.into(), &ProviderResponse { status, headers: &headers, body, now: 1_795_000_000 })
}

/// `body` as the response to a successful request.
pub fn response(body: &[u8]) {
    let [standard, elsewhere] = &*PROVIDERS;
    device(body);
    for content_type in [None, Some(FORM)] {
        for oauth in [standard, elsewhere] {
            match parse(oauth, 200, content_type, body) {
                Ok(tokens) => check_tokens(&tokens),
                Err(error) => shown::check_error(&error),
            }
        }
        if let Ok(tokens) = parse(standard, 200, content_type, body) {
            let found = [true, false].map(|form| access_token(form, body));
            let token = tokens.access_token.expose();
            assert!(is_packed(body) || found.iter().any(|candidate| candidate.as_deref() == Some(token)), "{found:?}");
        }
    }
    // In every encoding: compressed or declared as such, in other charsets.
    for coding in ["gzip", "deflate", "br", "gzip, gzip", "utf-8"] {
        for content_type in ["application/json;charset=iso-8859-1", "text/plain", "application/json;charset=utf-16le"] {
            match parse_packed(standard, 200, Some(content_type), Some(coding), body) {
                Ok(tokens) => check_tokens(&tokens),
                Err(error) => shown::check_error(&error),
            }
        }
    }
}

/// Gzip's magic number or a UTF-16 byte order mark, which the reference parser does not read.
fn is_packed(body: &[u8]) -> bool {
    [&[0x1f, 0x8b][..], &[0xff, 0xfe], &[0xfe, 0xff]].iter().any(|start| body.starts_with(start))
}

/// `body` as the response to a failed request: never tokens. Its length determines the status, 400 to 599.
pub fn error(body: &[u8]) {
    let status = 400 + u16::try_from(body.len() % 200).expect("less than 200");
    for content_type in [None, Some(FORM)] {
        for oauth in &*PROVIDERS {
            let error = parse(oauth, status, content_type, body).expect_err("a status that refuses");
            shown::check_error(&error);
            // An error that ends an account is never guessed.
            let ends = error.kind == TokenErrorKind::InvalidGrant;
            let is_refusal = status < 500 && ![408, 429].contains(&status);
            let is_named = error.code.as_deref() == Some("invalid_grant");
            assert_eq!(ends, is_refusal && is_named, "{status}: {error:?}");
            assert_ne!(error.kind, TokenErrorKind::UnsupportedTokenType, "{status}: {error:?}");
        }
    }
}

/// The same body as the response to a device authorization request (RFC 8628).
fn device(body: &[u8]) {
    match parse_device_response(&ProviderResponse { status: 200, headers: &HeaderMap::new(), body, now: 1_795_000_000 })
    {
        Ok(code) => {
            let is_text =
                |text: &str| !text.trim().is_empty() && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
            assert!(is_text(code.device_code.expose()) && is_text(&code.user_code) && code.user_code.len() <= 64);
            for page in code.verification_uri_complete.iter().chain([&code.verification_uri]) {
                assert!(["https", "http"].contains(&page.scheme()) && page.username().is_empty(), "{page}");
            }
            assert!((1..=1_800).contains(&code.interval) && (1..=1_800).contains(&code.expires_in), "{code:?}");
        }
        Err(error) => shown::check_error(&error),
    }
}

fn check_tokens(tokens: &TokenSet) {
    let optional = [&tokens.refresh_token, &tokens.id_token];
    for token in optional.into_iter().flatten().chain([&tokens.access_token]) {
        let text = token.expose();
        assert!(!text.is_empty() && text.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "token {text:?}");
    }
    assert_eq!(tokens.token_type, "Bearer");
    for life in [tokens.expires_in, tokens.refresh_token_expires_in] {
        assert!(life.is_none_or(|seconds| (1..=TEN_YEARS).contains(&seconds)), "{life:?}");
    }
    for value in tokens.captured.values() {
        assert!(value.len() <= 4096 && !value.chars().any(char::is_control), "captured {value:?}");
    }
}

/// Reference: the access token, found independently of this service.
fn access_token(form: bool, body: &[u8]) -> Option<String> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    if form {
        let text = String::from_utf8_lossy(body);
        let text = text.trim();
        let mut pairs = form_urlencoded::parse(text.as_bytes());
        return pairs.find(|(name, _)| name == "access_token").map(|(_, value)| value.into_owned());
    }
    let answer: Value = serde_json::from_str(&String::from_utf8_lossy(body)).ok()?;
    answer.get("access_token")?.as_str().map(str::to_owned)
}
