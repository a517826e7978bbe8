//! Secret values of a request, to be removed from errors: some providers repeat in an error what they
//! received. They are taken from the request itself, so that no list of secrets can be incomplete.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Request, header};
use serde_json::Value;
use switchboard_vault::Secret;

use crate::TokenError;

/// Shorter values are words and numbers that an error may contain.
const MIN_LENGTH: usize = 6;

/// Parameters that are not secret and needed to understand an error.
const PUBLIC_PARAMETERS: &[&str] = &[
    "assertion_type",
    "audience",
    "client_assertion_type",
    "client_id",
    "code_challenge_method",
    "grant_type",
    "oauth_callback",
    "oauth_consumer_key",
    "oauth_nonce",
    "oauth_signature_method",
    "oauth_timestamp",
    "oauth_version",
    "realm",
    "redirect_uri",
    "requested_token_type",
    "requested_token_use",
    "resource",
    "response_mode",
    "response_type",
    "scope",
    "subject_token_type",
    "token_type_hint",
    "username",
];

/// The secret values of one request.
pub struct RequestSecrets(Vec<Secret>);

impl RequestSecrets {
    /// Collects the values of a request to a token endpoint or similar: from its query, its form or JSON, and
    /// its authentication (RFC 6749 section 2.3.1, RFC 6750, RFC 5849 section 3.5.1).
    pub fn of(request: &Request<Bytes>) -> Self {
        let mut sent = Self(Vec::new());
        sent.add_form(request.uri().query().unwrap_or_default().as_bytes());
        match serde_json::from_slice::<Value>(request.body()) {
            Ok(document) => sent.add_json(None, &document),
            Err(_) => sent.add_form(request.body()),
        }
        for (name, value) in request.headers() {
            let Ok(value) = value.to_str() else { continue };
            if name == header::AUTHORIZATION {
                sent.add_authorization(value);
            } else if ![header::ACCEPT, header::CONTENT_TYPE, header::HOST, header::USER_AGENT].contains(name) {
                sent.add(value);
            }
        }
        // Longer values first, so that a value that contains another is removed completely.
        sent.0.sort_by_key(|secret| std::cmp::Reverse(secret.expose().len()));
        sent
    }

    /// Removes these values from an error.
    #[must_use]
    pub fn mask(&self, error: TokenError) -> TokenError {
        let values: Vec<&str> = self.0.iter().map(Secret::expose).collect();
        error.without(&values)
    }

    fn add(&mut self, value: &str) {
        if value.len() >= MIN_LENGTH {
            self.0.push(Secret::from(value));
        }
    }

    fn add_named(&mut self, name: &str, value: &str) {
        if !PUBLIC_PARAMETERS.contains(&name) {
            self.add(value);
        }
    }

    fn add_form(&mut self, form: &[u8]) {
        for (name, value) in form_urlencoded::parse(form) {
            self.add_named(&name, &value);
        }
    }

    fn add_json(&mut self, name: Option<&str>, value: &Value) {
        match value {
            Value::String(text) => self.add_named(name.unwrap_or_default(), text),
            Value::Array(values) => values.iter().for_each(|value| self.add_json(name, value)),
            Value::Object(members) => members.iter().for_each(|(name, value)| self.add_json(Some(name), value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn add_authorization(&mut self, value: &str) {
        let (scheme, credentials) = value.split_once(' ').unwrap_or(("", value));
        if scheme.eq_ignore_ascii_case("OAuth") {
            for pair in credentials.split(',') {
                let Some((name, value)) = pair.trim().split_once('=') else { continue };
                let value = decoded(value.trim_matches('"'));
                if name == "oauth_signature" {
                    // PLAINTEXT: both secrets in plain text (RFC 5849 section 3.4.4).
                    value.split('&').for_each(|part| self.add(&decoded(part)));
                }
                self.add_named(name, &value);
            }
            return;
        }
        self.add(credentials);
        let Ok(pair) = STANDARD.decode(credentials) else { return };
        if let Ok(pair) = String::from_utf8(pair)
            && let Some((_, password)) = pair.split_once(':')
        {
            self.add(password);
            // Encoded as in a form (RFC 6749 section 2.3.1).
            for (decoded, _) in form_urlencoded::parse(password.as_bytes()) {
                self.add(&decoded);
            }
        }
    }
}

impl std::fmt::Debug for RequestSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sent({} values)", self.0.len())
    }
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TokenErrorKind;

    fn shown(request: &Request<Bytes>, said: &str) -> String {
        let error = TokenError { kind: TokenErrorKind::InvalidRequest, code: None, description: Some(said.to_owned()) };
        RequestSecrets::of(request).mask(error).description.unwrap()
    }

    #[test]
    fn a_form_and_its_client_are_not_repeated() {
        let request = Request::post("https://p.example/token?key=query-key")
            .header("authorization", format!("Basic {}", STANDARD.encode("the-client:pass%20word%21")))
            .header("x-own", "own-header")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Bytes::from_static(
                b"grant_type=refresh_token&refresh_token=short1&client_id=the-client&redirect_uri=https%3A%2F%2Fa.example",
            ))
            .unwrap();
        let text = "refresh_token short1 query-key pass%20word%21 pass word! own-header the-client https://a.example";
        assert_eq!(shown(&request, text), "refresh_token […] […] […] […] […] the-client https://a.example");
    }

    #[test]
    fn json_and_bearer_tokens_are_not_repeated() {
        let request = Request::post("https://p.example/token")
            .header("authorization", "Bearer short-at")
            .body(Bytes::from_static(br#"{"grant_type":"password","deep":[{"password":"hunter22"}],"n":7}"#))
            .unwrap();
        assert_eq!(shown(&request, "password hunter22 short-at 7"), "password […] […] 7");
    }

    #[test]
    fn signatures_of_oauth_1_are_not_repeated() {
        let request = Request::post("https://p.example/token")
            .header(
                "authorization",
                "OAuth oauth_consumer_key=\"consumer\", oauth_token=\"temporary\", oauth_verifier=\"ver%20ifier\", \
                 oauth_signature=\"client-secret%26token%252Bsecret\"",
            )
            .body(Bytes::new())
            .unwrap();
        let text = "consumer temporary ver ifier client-secret token+secret client-secret&token%2Bsecret";
        assert_eq!(shown(&request, text), "consumer […] […] […] […] […]");
    }
}
