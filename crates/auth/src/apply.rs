//! Adds a credential to an API request, in the places that the toolkit file names.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request};
use serde_json::{Map, Value};
use switchboard_catalog::{BasicScheme, Placement, template};
use switchboard_vault::{Secret, Secrets};
use url::Url;

use crate::client::{basic, sensitive};
use crate::error::{BuildError, expand};
use crate::token::{FORM, JSON, request};
use crate::{Variables, form};

/// A request to a provider's API that was not sent yet.
#[derive(Debug)]
pub struct UnsentRequest {
    /// Method.
    pub method: Method,
    /// Target URL.
    pub url: Url,
    /// Headers; those of a credential are marked sensitive.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

impl UnsentRequest {
    /// Wraps an existing request.
    ///
    /// # Errors
    /// [`BuildError::Endpoint`] if the URL is not absolute.
    pub fn of(request: Request<Bytes>) -> Result<Self, BuildError> {
        let (parts, body) = request.into_parts();
        let url = Url::parse(&parts.uri.to_string())
            .map_err(|_| BuildError::Endpoint { part: "URL", reason: "is not a URL" })?;
        Ok(Self { method: parts.method, url, headers: parts.headers, body })
    }

    /// Converts it into an HTTP request.
    ///
    /// # Errors
    /// [`BuildError::Endpoint`] if the URL is not valid as a request target.
    pub fn into_request(self) -> Result<Request<Bytes>, BuildError> {
        request(self.method, self.url, self.headers, self.body)
    }
}

/// Adds a credential at its placements. It replaces values that the caller or the toolkit's general headers
/// set there. A template variable is looked up in the secrets, then in `variables`. Header values are marked
/// sensitive. If one of the placements fails, nothing is changed.
///
/// # Errors
/// [`BuildError::Template`] for a missing value, [`BuildError::Header`] for a value with a control character
/// (including CR, LF and NUL), [`BuildError::Placement`] for a placement that the validation of toolkit files
/// would reject, [`BuildError::Body`] for a body that cannot take the credential.
pub fn apply(
    placements: &[Placement],
    secrets: &Secrets,
    variables: Variables<'_>,
    draft: &mut UnsentRequest,
) -> Result<(), BuildError> {
    let lookup = |name: &str| secrets.get(name).map(str::to_owned).or_else(|| variables(name));
    let mut headers = Vec::new();
    let mut query: Vec<(&str, Secret)> = Vec::new();
    let mut cookies: Vec<(&str, Secret)> = Vec::new();
    let mut body: Vec<(&str, Secret)> = Vec::new();
    for placement in placements {
        let value = Secret::new(expand("credential's placement", &placement.value, &lookup)?);
        match (&placement.header, &placement.query, &placement.cookie, &placement.body) {
            (Some(name), None, None, None) => headers.push((header_name(name)?, sensitive(name, value.expose())?)),
            (None, Some(name), None, None) => query.push((name, value)),
            (None, None, Some(name), None) => cookies.push((name, value)),
            (None, None, None, Some(name)) => body.push((name, value)),
            _ => return Err(BuildError::Placement),
        }
    }
    let cookie = with_cookies(draft.headers.get(COOKIE), &cookies)?;
    if !body.is_empty() {
        draft.body = with_members(&draft.body, &mut draft.headers, &body)?;
    }
    for (name, value) in headers.into_iter().chain(cookie.map(|value| (COOKIE, value))) {
        draft.headers.insert(name, value);
    }
    let pairs: Vec<(&str, &str)> = query.iter().map(|(name, value)| (*name, value.expose())).collect();
    form::set_query(&mut draft.url, &pairs);
    Ok(())
}

/// The `Cookie` header with these cookies; they replace cookies of the same name.
fn with_cookies(present: Option<&HeaderValue>, cookies: &[(&str, Secret)]) -> Result<Option<HeaderValue>, BuildError> {
    if cookies.is_empty() {
        return Ok(None);
    }
    let present = present.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_other = |pair: &&str| {
        let name = pair.split('=').next().unwrap_or_default();
        !pair.is_empty() && !cookies.iter().any(|(ours, _)| *ours == name)
    };
    let mut pairs: Vec<String> = present.split(';').map(str::trim).filter(is_other).map(str::to_owned).collect();
    for (name, value) in cookies {
        // RFC 6265 section 4.1.1: characters that would end the cookie are not allowed.
        if value.expose().contains([';', ',', '"', ' ', '\\']) {
            return Err(BuildError::Header { name: "cookie".to_owned(), reason: "would hold another cookie" });
        }
        pairs.push(format!("{name}={}", value.expose()));
    }
    sensitive("cookie", &pairs.join("; ")).map(Some)
}

/// The body with these members: of a JSON object, of a form, or of a new object if the body is empty.
fn with_members(body: &Bytes, headers: &mut HeaderMap, members: &[(&str, Secret)]) -> Result<Bytes, BuildError> {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if kind == FORM {
        let text = std::str::from_utf8(body).map_err(|_| BuildError::Body)?;
        let is_other = |(name, _): &(_, _)| !members.iter().any(|(ours, _)| *ours == AsRef::<str>::as_ref(name));
        let others: Vec<_> = form_urlencoded::parse(text.as_bytes()).filter(is_other).collect();
        let others = others.iter().map(|(name, value)| (name.as_ref(), value.as_ref()));
        let ours = members.iter().map(|(name, value)| (*name, value.expose()));
        return Ok(form::encode_pairs(others.chain(ours)).into());
    }
    let mut object = if body.is_empty() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
        Map::new()
    } else {
        match serde_json::from_slice(body) {
            Ok(Value::Object(object)) => object,
            _ => return Err(BuildError::Body),
        }
    };
    for (name, value) in members {
        object.insert((*name).to_owned(), value.expose().into());
    }
    serde_json::to_vec(&object).map(Bytes::from).map_err(|_| BuildError::Body)
}

/// Adds HTTP Basic authentication with the secrets `username` and `password` (RFC 7617 section 2, in UTF-8).
/// A missing password is sent as an empty one, as providers that take a key as the user name expect. The
/// scheme may add text around the user name. The header is `Authorization`.
///
/// # Errors
/// [`BuildError::Credential`] if the user name is missing or contains a colon, or if either value contains a
/// control character.
pub fn apply_basic(scheme: &BasicScheme, secrets: &Secrets, headers: &mut HeaderMap) -> Result<(), BuildError> {
    let refuse = |name, reason| Err(BuildError::Credential { name, reason });
    let username = basic_username(scheme, secrets)?;
    let username = username.expose();
    let password = secrets.get("password").unwrap_or_default();
    if username.contains(':') {
        return refuse("username", "holds a colon");
    }
    for (name, value) in [("username", username), ("password", password)] {
        if value.chars().any(char::is_control) {
            return refuse(name, "holds a control character");
        }
    }
    headers.insert(AUTHORIZATION, basic(username, password)?);
    Ok(())
}

/// The user name for HTTP Basic: the entered one with the prefix and suffix of the scheme.
///
/// # Errors
/// [`BuildError::Credential`] if it is missing.
pub fn basic_username(scheme: &BasicScheme, secrets: &Secrets) -> Result<Secret, BuildError> {
    let Some(username) = secrets.get("username") else {
        return Err(BuildError::Credential { name: "username", reason: "is missing" });
    };
    match &scheme.username_template {
        Some(text) => template::expand(text, &|name| secrets.get(name).map(str::to_owned))
            .map(Secret::new)
            .map_err(|source| BuildError::Template { part: "user name", source }),
        None => Ok(Secret::from(username)),
    }
}

/// The headers that carry the credential, which callers must not set. For HTTP Basic this is `Authorization`.
pub fn credential_headers(placements: &[Placement]) -> Vec<HeaderName> {
    let names = placements.iter().filter_map(|placement| placement.header.as_deref());
    let cookie = placements.iter().any(|placement| placement.cookie.is_some()).then_some(COOKIE);
    // A name that cannot be parsed cannot be applied, either.
    names.filter_map(|name| header_name(name).ok()).chain(cookie).collect()
}

fn header_name(name: &str) -> Result<HeaderName, BuildError> {
    HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| BuildError::Header { name: name.to_owned(), reason: "is not a header name" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::no_variables;
    use http::HeaderValue;

    fn header(name: &str, value: &str) -> Placement {
        Placement { header: Some(name.to_owned()), value: value.to_owned(), ..Placement::default() }
    }

    fn query(name: &str, value: &str) -> Placement {
        Placement { query: Some(name.to_owned()), value: value.to_owned(), ..Placement::default() }
    }

    fn draft(url: &str) -> UnsentRequest {
        let url = Url::parse(url).unwrap();
        UnsentRequest { method: Method::POST, url, headers: HeaderMap::new(), body: Bytes::new() }
    }

    fn secrets() -> Secrets {
        Secrets::from([("access_token", Secret::from("tok&1")), ("bad", Secret::from("canary\r\nx: y"))])
    }

    #[test]
    fn credentials_replace_what_was_there() {
        let mut draft = draft("https://api.example/v1?q=a%20b&key=theirs");
        draft.headers.insert("authorization", HeaderValue::from_static("Bearer theirs"));
        draft.headers.append("authorization", HeaderValue::from_static("Bearer theirs too"));
        let placements = [
            header("Authorization", "Bearer {access_token}"),
            query("key", "{access_token}"),
            header("X-Site", "{site}"),
        ];
        let site = |name: &str| matches!(name, "site" | "access_token").then(|| "acme".to_owned());
        apply(&placements, &secrets(), &site, &mut draft).unwrap();
        let UnsentRequest { url, headers, .. } = draft;
        let values: Vec<_> = headers.get_all("authorization").iter().collect();
        assert_eq!(values, ["Bearer tok&1"]);
        assert_eq!(headers["x-site"], "acme");
        assert!(headers.values().all(HeaderValue::is_sensitive));
        assert!(!format!("{headers:?}").contains("tok"));
        assert_eq!(url.as_str(), "https://api.example/v1?q=a%20b&key=tok%261");
        assert_eq!(credential_headers(&placements), [AUTHORIZATION, HeaderName::from_static("x-site")]);
    }

    #[test]
    fn a_failing_placement_changes_nothing() {
        let cases = [
            (header("x-key", "{bad}"), "header `x-key` would hold a control character"),
            (header("x-key", "{absent}"), "cannot expand the credential's placement"),
            (header("x key", "{access_token}"), "header `x key` is not a header name"),
            (Placement { query: Some("k".to_owned()), ..header("x-key", "v") }, "a placement needs exactly one"),
            (Placement { value: "v".to_owned(), ..Placement::default() }, "a placement needs exactly one"),
        ];
        for (placement, message) in cases {
            let mut draft = draft("https://api.example/");
            let placements = [header("a", "b"), query("c", "d"), placement];
            let error = apply(&placements, &secrets(), &no_variables, &mut draft).unwrap_err().to_string();
            let UnsentRequest { url, headers, .. } = draft;
            assert!(error.starts_with(message), "{error}");
            assert!(!error.contains("canary"), "{error}");
            assert!(headers.is_empty());
            assert_eq!(url.as_str(), "https://api.example/");
        }
    }

    #[test]
    fn cookies_and_bodies() {
        let cookie =
            Placement { cookie: Some("sid".to_owned()), value: "{access_token}".to_owned(), ..Placement::default() };
        let body =
            Placement { body: Some("key".to_owned()), value: "{access_token}".to_owned(), ..Placement::default() };
        let placements = [cookie, body];
        let cases: [(&str, &[u8], &str); 4] = [
            ("", b"", r#"{"key":"tok&1"}"#),
            (JSON, br#"{"a":1,"key":"theirs"}"#, r#"{"a":1,"key":"tok&1"}"#),
            ("application/x-www-form-urlencoded; charset=utf-8", b"a=1&key=theirs", "a=1&key=tok%261"),
            (JSON, b"[1]", "refused"),
        ];
        for (kind, sent, expected) in cases {
            let mut draft = draft("https://api.example/");
            draft.body = Bytes::from_static(sent);
            draft.headers.insert(COOKIE, HeaderValue::from_static("a=b; sid=theirs"));
            if !kind.is_empty() {
                draft.headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            }
            let applied = apply(&placements, &secrets(), &no_variables, &mut draft);
            if expected == "refused" {
                assert_eq!(applied, Err(BuildError::Body));
                assert_eq!(draft.headers[COOKIE], "a=b; sid=theirs");
                continue;
            }
            applied.unwrap();
            assert_eq!(std::str::from_utf8(&draft.body).unwrap(), expected);
            assert_eq!(draft.headers[COOKIE], "a=b; sid=tok&1");
        }
        assert_eq!(credential_headers(&placements), [COOKIE]);
    }

    fn plain() -> BasicScheme {
        toml::from_str("").unwrap()
    }

    #[test]
    fn a_user_name_may_have_more_around_it() {
        let scheme: BasicScheme = toml::from_str("username_template = \"{username}/token\"").unwrap();
        let mut headers = HeaderMap::new();
        let secrets = Secrets::from([("username", Secret::from("a@b")), ("password", Secret::from("k"))]);
        apply_basic(&scheme, &secrets, &mut headers).unwrap();
        assert_eq!(headers["authorization"], "Basic YUBiL3Rva2VuOms=");
    }

    #[test]
    fn basic_authentication() {
        // The examples of RFC 7617 sections 2 and 2.1, and a key as the user name.
        let cases = [
            ("Aladdin", Some("open sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
            ("test", Some("123£"), "Basic dGVzdDoxMjPCow=="),
            ("key", None, "Basic a2V5Og=="),
            ("", Some("a:b"), "Basic OmE6Yg=="),
        ];
        for (username, password, expected) in cases {
            let mut secrets = Secrets::from([("username", Secret::from(username))]);
            if let Some(password) = password {
                secrets.insert("password", Secret::from(password));
            }
            let mut headers = HeaderMap::new();
            apply_basic(&plain(), &secrets, &mut headers).unwrap();
            assert_eq!(headers["authorization"], expected);
            assert!(headers["authorization"].is_sensitive());
        }
    }

    #[test]
    fn values_that_basic_cannot_contain() {
        let cases = [
            (&[("password", "p")][..], "credential value `username` is missing"),
            (&[("username", "a:b")], "credential value `username` holds a colon"),
            (&[("username", "a\nb")], "credential value `username` holds a control character"),
            (&[("username", "a"), ("password", "\0")], "credential value `password` holds a control character"),
        ];
        for (values, message) in cases {
            let mut secrets = Secrets::new();
            for (name, value) in values {
                secrets.insert(name, Secret::from(*value));
            }
            let mut headers = HeaderMap::new();
            assert_eq!(apply_basic(&plain(), &secrets, &mut headers).unwrap_err().to_string(), message);
            assert!(headers.is_empty());
        }
    }
}
