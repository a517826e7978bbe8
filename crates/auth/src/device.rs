//! The device authorization grant (RFC 8628): the user enters a short code at the provider while the token
//! endpoint is polled.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use http::Request;
use serde_json::{Map, Value};
use switchboard_catalog::{OAuth2, TokenResponse};
use switchboard_vault::Secret;
use url::Url;

use crate::error::{BuildError, endpoint, expand};
use crate::text;
use crate::token::{Parameters, TokenRequest};
use crate::token_error::{TokenError, TokenErrorKind};
use crate::token_response::{ProviderResponse, read};
use crate::{ClientCredentials, Variables};

/// RFC 8628 section 3.4.
const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// Maximum length of a device code in bytes.
const MAX_DEVICE_CODE: usize = 4_096;
/// Maximum length of a user code in characters.
const MAX_USER_CODE: usize = 64;
/// Default polling interval in seconds (RFC 8628 section 3.2), and its bounds.
const DEFAULT_INTERVAL: u64 = 5;
const INTERVALS: std::ops::RangeInclusive<u64> = 1..=MAX_LIFETIME;
/// Maximum and default lifetime of the codes in seconds.
const MAX_LIFETIME: u64 = 30 * 60;

/// A device authorization response.
#[derive(Clone)]
pub struct DeviceAuthorization {
    /// Requests the tokens; a secret.
    pub device_code: Secret,
    /// The code that the user enters.
    pub user_code: String,
    /// The page to enter it on.
    pub verification_uri: Url,
    /// The same page with the code filled in.
    pub verification_uri_complete: Option<Url>,
    /// Lifetime of both codes in seconds.
    pub expires_in: u64,
    /// Polling interval in seconds.
    pub interval: u64,
}

impl fmt::Debug for DeviceAuthorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceAuthorization").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}

/// Meaning of an error response to a token poll (RFC 8628 section 3.5).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DevicePollError {
    /// The user is not done: continue polling.
    Pending,
    /// The same, with an interval longer by five seconds.
    SlowDown,
    /// A transient failure: continue polling.
    Transient,
    /// Polling has failed for good.
    Final,
}

impl DevicePollError {
    /// Classifies an error.
    pub fn of(error: &TokenError) -> Self {
        match error.code.as_deref() {
            Some("authorization_pending") => Self::Pending,
            Some("slow_down") => Self::SlowDown,
            _ if matches!(error.kind, TokenErrorKind::Transient | TokenErrorKind::Unreadable) => Self::Transient,
            _ => Self::Final,
        }
    }
}

/// Requests a device and a user code. `None` if there is no such endpoint.
pub fn device_request(
    oauth: &OAuth2,
    client: &ClientCredentials<'_>,
    scopes: &[String],
    resource: Option<&str>,
    variables: Variables<'_>,
) -> Option<Result<Request<Bytes>, BuildError>> {
    let template = oauth.device_authorization_url.as_ref()?;
    let build = || {
        let mut parameters: Parameters<'_> = Vec::new();
        if !scopes.is_empty() {
            parameters.push((&oauth.scope_parameter, scopes.join(&oauth.scope_separator).into()));
        }
        if let Some(resource) = resource {
            parameters.push(("resource", resource.into()));
        }
        for (name, template) in &oauth.authorization_parameters {
            parameters.push((name, expand("authorization parameter", template, variables)?.into()));
        }
        let url = endpoint("device authorization URL", template, variables)?;
        TokenRequest { oauth, client, variables }.build(url, parameters, &BTreeMap::new())
    };
    Some(build())
}

/// Polls for the tokens.
///
/// # Errors
/// [`BuildError`].
pub fn device_token_request(
    oauth: &OAuth2,
    client: &ClientCredentials<'_>,
    device_code: &Secret,
    variables: Variables<'_>,
) -> Result<Request<Bytes>, BuildError> {
    let parameters: Parameters<'_> =
        vec![("grant_type", GRANT_TYPE.into()), ("device_code", device_code.expose().into())];
    let url = endpoint("token URL", &oauth.token_url, variables)?;
    TokenRequest { oauth, client, variables }.build(url, parameters, &oauth.token_parameters)
}

/// Parses the response to [`device_request`] (RFC 8628 section 3.2).
///
/// # Errors
/// [`TokenError`]: the provider's error, or a response whose code the user could not enter.
pub fn parse_device_response(answer: &ProviderResponse<'_>) -> Result<DeviceAuthorization, TokenError> {
    let mut document = read(&TokenResponse::default(), answer)?;
    // Moved out of the response, so that no second copy remains.
    let mut code = |name: &str, max_length: usize| {
        let Some(Value::String(text)) = document.remove(name) else { return None };
        let code = Secret::new(text);
        let text = code.expose();
        (!text.trim().is_empty() && text.len() <= max_length && text::is_vschar(text)).then_some(code)
    };
    let (Some(device_code), Some(user_code)) = (code("device_code", MAX_DEVICE_CODE), code("user_code", MAX_USER_CODE))
    else {
        return Err(TokenError::malformed("the answer holds no usable device_code and user_code"));
    };
    // Some early implementations use `verification_url`.
    let page = page(&document, "verification_uri").or_else(|| page(&document, "verification_url"));
    let Some(verification_uri) = page else {
        return Err(TokenError::malformed("the answer names no https page to enter the code on"));
    };
    let complete = ["verification_uri_complete", "verification_url_complete"];
    let seconds = |name: &str| match document.get(name)? {
        Value::String(text) => text.trim().parse().ok(),
        value => value.as_u64(),
    };
    Ok(DeviceAuthorization {
        device_code,
        user_code: user_code.expose().to_owned(),
        verification_uri,
        verification_uri_complete: complete.iter().find_map(|name| self::page(&document, name)),
        expires_in: seconds("expires_in").filter(|seconds| *seconds > 0).unwrap_or(MAX_LIFETIME).min(MAX_LIFETIME),
        interval: seconds("interval").unwrap_or(DEFAULT_INTERVAL).clamp(*INTERVALS.start(), *INTERVALS.end()),
    })
}

/// A page for the user: https, or http on this machine.
fn page(document: &Map<String, Value>, name: &str) -> Option<Url> {
    let url = Url::parse(document.get(name)?.as_str()?).ok()?;
    let is_loopback = match url.host()? {
        url::Host::Ipv4(address) => address.is_loopback(),
        url::Host::Ipv6(address) => address.is_loopback(),
        url::Host::Domain(_) => false,
    };
    let is_secure = url.scheme() == "https" || (url.scheme() == "http" && is_loopback);
    (is_secure && url.username().is_empty() && url.password().is_none()).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;
    use proptest::prelude::*;

    fn parsed(status: u16, body: &str) -> Result<DeviceAuthorization, TokenError> {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", "application/json".parse().unwrap());
        parse_device_response(&ProviderResponse { status, headers: &headers, body: body.as_bytes(), now: 0 })
    }

    #[test]
    fn answers_are_read_as_providers_write_them() {
        let read = parsed(
            200,
            r#"{"device_code":"dc","user_code":"WDJB-MJHT","verification_uri":"https://p.example/device",
                "verification_uri_complete":"https://p.example/device?user_code=WDJB-MJHT","expires_in":900,"interval":7}"#,
        )
        .unwrap();
        assert_eq!((read.device_code.expose(), read.user_code.as_str()), ("dc", "WDJB-MJHT"));
        assert_eq!(read.verification_uri_complete.unwrap().query(), Some("user_code=WDJB-MJHT"));
        assert_eq!((read.expires_in, read.interval), (900, 7));
        let early =
            parsed(200, r#"{"device_code":"dc","user_code":"1","verification_url":"https://p.example","interval":0}"#);
        let early = early.unwrap();
        assert_eq!((early.expires_in, early.interval), (1_800, 1));
        assert!(early.verification_uri_complete.is_none());
    }

    #[test]
    fn the_user_is_sent_only_to_https_pages() {
        for page in ["http://p.example", "javascript:alert(1)", "https://a:b@p.example", "/device", ""] {
            let body = format!(r#"{{"device_code":"dc","user_code":"1","verification_uri":"{page}"}}"#);
            assert!(parsed(200, &body).is_err(), "{page}");
        }
        for body in [
            r#"{"device_code":"","user_code":"1","verification_uri":"https://p.example"}"#,
            r#"{"device_code":"d","user_code":"\n","verification_uri":"https://p.example"}"#,
            r#"{"error":"invalid_client"}"#,
            "<html>",
        ] {
            assert!(parsed(200, body).is_err(), "{body}");
        }
    }

    #[test]
    fn an_error_determines_whether_to_poll_again() {
        for (status, body, expected) in [
            (400, r#"{"error":"authorization_pending"}"#, DevicePollError::Pending),
            (200, r#"{"error":"authorization_pending"}"#, DevicePollError::Pending),
            (400, r#"{"error":"slow_down"}"#, DevicePollError::SlowDown),
            (503, "<html>", DevicePollError::Transient),
            (400, r#"{"error":"expired_token"}"#, DevicePollError::Final),
            (400, r#"{"error":"access_denied"}"#, DevicePollError::Final),
            (401, "", DevicePollError::Final),
        ] {
            assert_eq!(DevicePollError::of(&parsed(status, body).unwrap_err()), expected, "{body}");
        }
    }

    proptest! {
        #[test]
        fn no_response_makes_it_panic(status in 100_u16..600, body in ".{0,200}") {
            let _ = parsed(status, &body);
        }
    }
}
