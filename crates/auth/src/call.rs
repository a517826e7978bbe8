//! Requests that a toolkit file describes in full: token requests other than OAuth 2.0, revocations other
//! than RFC 7009. Builds an HTTP request from templates.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use switchboard_catalog::template::{self, TemplateError};
use switchboard_catalog::{Call, CallFormat, Escape};
use zeroize::Zeroizing;

use crate::assertion::mint;
use crate::client::{authenticate, sensitive};
use crate::error::{BuildError, endpoint, expand};
use crate::token::{FORM, JSON, request};
use crate::{ClientCredentials, Moment, Variables, form};

/// Free-text variables that a URL may contain: encoded as one path segment.
const ENCODED: [&str; 2] = ["client_id", "token"];

/// Everything but the unreserved characters (RFC 3986 section 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Builds a call. `client` authenticates the call if it requires that; its id and secret are also variables.
/// A parameter is omitted if one of its variables has no value.
///
/// # Errors
/// [`BuildError`].
pub fn call_request(
    call: &Call,
    client: Option<&ClientCredentials<'_>>,
    moment: Moment<'_>,
    variables: Variables<'_>,
) -> Result<Request<Bytes>, BuildError> {
    let known = |name: &str| match (name, client) {
        ("client_id", Some(client)) => Some(client.client_id.to_owned()),
        ("client_secret", Some(client)) => client.client_secret.map(str::to_owned),
        _ => variables(name),
    };
    let assertion = call.assertion.as_ref().map(|assertion| mint(assertion, moment, &known)).transpose()?;
    let known = |name: &str| match &assertion {
        Some(assertion) if name == "assertion" => Some(assertion.expose().to_owned()),
        _ => known(name),
    };
    let in_url = |name: &str| {
        let value = known(name)?;
        Some(if ENCODED.contains(&name) { utf8_percent_encode(&value, RESERVED).to_string() } else { value })
    };
    let mut url = endpoint("call's URL", &call.url, &in_url)?;
    let mut headers = headers(call, &known)?;
    let mut own = Vec::new();
    if let (Some(method), Some(client)) = (call.client_authentication, client)
        && let Some(value) = authenticate(method, client, &mut own)?
    {
        headers.insert(AUTHORIZATION, value);
    }
    let mut parameters: Vec<(&str, Cow<'_, str>)> = Vec::with_capacity(call.parameters.len() + own.len());
    for (name, template) in &call.parameters {
        match expand("call's parameter", template, &known) {
            Ok(value) => parameters.push((name, value.into())),
            Err(BuildError::Template { source: TemplateError::Missing { .. }, .. }) => {}
            Err(error) => return Err(error),
        }
    }
    parameters.extend(own.into_iter().map(|(name, value)| (name, Cow::from(value))));
    let pairs: Vec<(&str, &str)> = parameters.iter().map(|(name, value)| (*name, value.as_ref())).collect();
    let (content_type, body) = match (&call.body, call.format) {
        (Some(body), _) => (call.content_type.as_deref(), escaped(body, call.escape, &known)?.into_bytes()),
        (None, _) if pairs.is_empty() => (None, Vec::new()),
        (None, CallFormat::Form) => (Some(FORM), form::encode_pairs(pairs).into_bytes()),
        (None, CallFormat::Json) => (Some(JSON), json(&pairs)?),
        (None, CallFormat::Query) => {
            form::set_query(&mut url, &pairs);
            (None, Vec::new())
        }
    };
    if let Some(content_type) = content_type {
        let value = HeaderValue::from_str(content_type).map_err(|_| BuildError::Body)?;
        headers.insert(CONTENT_TYPE, value);
    }
    headers.entry(ACCEPT).or_insert(HeaderValue::from_static(JSON));
    let method = Method::from_bytes(call.method.as_bytes()).map_err(|_| BuildError::Body)?;
    request(method, url, headers, body)
}

fn headers(call: &Call, variables: Variables<'_>) -> Result<HeaderMap, BuildError> {
    let mut headers = HeaderMap::new();
    for (name, template) in &call.headers {
        let refuse = || BuildError::Header { name: name.clone(), reason: "is not a header name" };
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refuse())?;
        let value = Zeroizing::new(expand("call's header", template, variables)?);
        headers.insert(header, sensitive(name, &value)?);
    }
    Ok(headers)
}

fn json(pairs: &[(&str, &str)]) -> Result<Vec<u8>, BuildError> {
    let object: std::collections::BTreeMap<&str, &str> = pairs.iter().copied().collect();
    serde_json::to_vec(&object).map_err(|_| BuildError::Body)
}

/// Expands a body with all values escaped, so that none can break out of its position.
fn escaped(body: &str, escape: Escape, variables: Variables<'_>) -> Result<String, BuildError> {
    let escaping = |name: &str| {
        let value = variables(name)?;
        Some(match escape {
            Escape::Json => {
                let quoted = serde_json::to_string(&value).ok()?;
                quoted[1..quoted.len() - 1].to_owned()
            }
            Escape::Xml => xml(&value),
        })
    };
    template::expand(body, &escaping).map_err(|source| BuildError::Template { part: "call's body", source })
}

/// Escapes for XML 1.0 (section 2.4), in text and in quoted attribute values.
fn xml(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for letter in value.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CLIENT: ClientCredentials<'_> =
        ClientCredentials { client_id: "id/1", client_secret: Some("s&c"), assertion: None };
    const MOMENT: Moment<'_> = Moment { now: 1_000, unique: "u-1" };

    fn call(lines: &str) -> Call {
        toml::from_str(&format!("url = \"https://p.example/token\"\n{lines}")).unwrap()
    }

    fn build(call: &Call) -> Result<Request<Bytes>, BuildError> {
        let values = |name: &str| match name {
            "token" => Some("t/k?#".to_owned()),
            "user" => Some("a\"<b>&".to_owned()),
            "site" => Some("acme".to_owned()),
            _ => None,
        };
        call_request(call, Some(&CLIENT), MOMENT, &values)
    }

    fn parts(request: &Request<Bytes>) -> (String, String, String, String) {
        let header = |name: &str| request.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        let body = String::from_utf8(request.body().to_vec()).unwrap();
        (format!("{} {}", request.method(), request.uri()), header("content-type"), header("authorization"), body)
    }

    #[test]
    fn a_form_a_query_and_a_json_object() {
        let parameters = "parameters = { a = \"{user}\", b = \"{absent}\", c = \"{client_secret}\" }";
        let request = build(&call(parameters)).unwrap();
        assert_eq!(
            parts(&request),
            ("POST https://p.example/token".into(), FORM.into(), String::new(), "a=a%22%3Cb%3E%26&c=s%26c".into())
        );
        let request = build(&call("method = \"GET\"\nformat = \"query\"\nparameters = { a = \"{site}\" }")).unwrap();
        assert_eq!(
            parts(&request),
            ("GET https://p.example/token?a=acme".into(), String::new(), String::new(), String::new())
        );
        let lines =
            "format = \"json\"\nclient_authentication = \"client_secret_basic\"\nparameters = { a = \"{user}\" }";
        let (_, kind, authorization, body) = parts(&build(&call(lines)).unwrap());
        assert_eq!((kind.as_str(), body.as_str()), (JSON, r#"{"a":"a\"<b>&"}"#));
        assert_eq!(authorization, "Basic aWQlMkYxOnMlMjZj");
    }

    #[test]
    fn a_url_encodes_free_text() {
        let deletion = call("method = \"DELETE\"\nheaders = { Authorization = \"Bearer {token}\" }");
        let deletion = Call { url: "https://{site}.p.example/{client_id}/tokens/{token}".to_owned(), ..deletion };
        let request = build(&deletion).unwrap();
        let (line, kind, authorization, body) = parts(&request);
        assert_eq!(line, "DELETE https://acme.p.example/id%2F1/tokens/t%2Fk%3F%23");
        assert_eq!((kind.as_str(), body.as_str(), authorization.as_str()), ("", "", "Bearer t/k?#"));
        assert!(request.headers()["authorization"].is_sensitive());
    }

    #[test]
    fn bodies_are_escaped() {
        let xml = call("content_type = \"text/xml\"\nescape = \"xml\"\nbody = \"<login u='{user}'/>\"");
        let (_, kind, _, body) = parts(&build(&xml).unwrap());
        assert_eq!((kind.as_str(), body.as_str()), ("text/xml", "<login u='a&quot;&lt;b&gt;&amp;'/>"));
        let json = call("content_type = \"application/json\"\nbody = '{{\"u\":\"{user}\"}'");
        assert_eq!(parts(&build(&json).unwrap()).3, r#"{"u":"a\"<b>&"}"#);
        let missing = call("content_type = \"text/xml\"\nbody = \"{absent}\"");
        assert_eq!(build(&missing).unwrap_err().to_string(), "cannot expand the call's body");
    }

    proptest! {
        /// Whatever the value, the JSON body contains exactly that value.
        #[test]
        fn no_value_breaks_out_of_its_position(value in any::<String>()) {
            let call = call("content_type = \"application/json\"\nbody = '{{\"u\":\"{v}\"}'");
            let request = call_request(&call, None, MOMENT, &|_| Some(value.clone())).unwrap();
            let body: serde_json::Value = serde_json::from_slice(request.body()).unwrap();
            prop_assert_eq!(body, serde_json::json!({ "u": value }));
        }

        /// A token in a URL is always a single path segment.
        #[test]
        fn a_token_stays_one_path_segment(token in "[ -~]{1,40}") {
            let call = Call { url: "https://p.example/a/{token}/b".to_owned(), ..call("method = \"DELETE\"") };
            prop_assume!(token != "." && token != "..");
            let request = call_request(&call, None, MOMENT, &|_| Some(token.clone())).unwrap();
            prop_assert_eq!(request.uri().path().split('/').count(), 4, "{}", request.uri());
            prop_assert!(request.uri().query().is_none());
        }
    }
}
