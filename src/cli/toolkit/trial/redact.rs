//! Redacted output of exchanges with a provider: all names, but only values that are known to be
//! harmless. A hidden value is hidden everywhere.

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, header};
use serde_json::{Map, Value};
use switchboard_auth::{MAX_METADATA, decompressed};
use switchboard_egress::{EgressError, Observer};
use switchboard_toolkit_tests::raw::{Substitutions, header_display_name};
use url::Url;

use crate::cli::output;

/// Parameters, form fields and JSON members whose values may be printed. All others are hidden, because
/// a provider may give its secrets any name.
const VISIBLE_FIELDS: [&str; 43] = [
    "active",
    "algorithms",
    "audience",
    "avatar_url",
    "client_id",
    "client_name",
    "code_challenge_method",
    "created_at",
    "description",
    "display_name",
    "email",
    "error",
    "error_code",
    "error_description",
    "error_type",
    "error_uri",
    "expires_at",
    "expires_in",
    "grant_type",
    "grant_types",
    "interval",
    "iss",
    "issuer",
    "locale",
    "login",
    "message",
    "name",
    "oauth_callback_confirmed",
    "oauth_signature_method",
    "oauth_version",
    "redirect_uri",
    "redirect_uris",
    "resource",
    "response_type",
    "response_types",
    "scope",
    "scopes",
    "status",
    "sub",
    "token_endpoint_auth_method",
    "token_type",
    "token_type_hint",
    "type",
];
/// Request headers whose values may be printed.
const VISIBLE_HEADERS: [&str; 6] =
    ["accept", "accept-encoding", "content-type", "retry-after", "user-agent", "www-authenticate"];
/// Response headers that are printed.
const RESPONSE_HEADERS: [&str; 6] =
    ["content-type", "dpop-nonce", "location", "retry-after", "set-cookie", "www-authenticate"];
/// Shorter values are hidden only in place, because they occur in other words.
const MIN_HIDDEN_LENGTH: usize = 8;
/// Maximum characters of a text that is neither JSON nor a form.
const MAX_TEXT_LENGTH: usize = 500;
/// Maximum lines of a JSON document.
const MAX_LINES: usize = 60;

/// Prints each exchange.
pub(super) struct Printer(Mutex<Page>);

#[derive(Default)]
struct Page {
    number: usize,
    learned: Substitutions,
}

impl Printer {
    /// With secrets that are known in advance.
    pub(super) fn new<'s>(secrets: impl IntoIterator<Item = (&'s str, &'s str)>) -> Self {
        let mut page = Page::default();
        for (name, value) in secrets {
            page.hidden(name, value);
        }
        Self(Mutex::new(page))
    }

    /// A text with the hidden values replaced by names.
    pub(super) fn apply(&self, text: &str) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).learned.apply(text)
    }
}

impl Observer for Printer {
    fn on_exchange(&self, request: &Request<Bytes>, outcome: &Result<Response<Bytes>, EgressError>) {
        let mut page = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        page.number += 1;
        let text = page.exchange(request, outcome);
        // If stdout is closed, the exchange itself must not fail.
        let _ = output::print(text);
    }
}

impl Page {
    fn exchange(&mut self, request: &Request<Bytes>, outcome: &Result<Response<Bytes>, EgressError>) -> String {
        let url = self.url(&request.uri().to_string());
        let mut text = format!("\n── {}. {} {url} ──\n", self.number, request.method());
        text.push_str(&self.headers(request.headers(), |_| true));
        text.push_str(&self.body(request.headers(), request.body(), true));
        match outcome {
            Ok(answer) => {
                let _ = writeln!(text, "→ {}", answer.status().as_u16());
                text.push_str(&self.headers(answer.headers(), |name| RESPONSE_HEADERS.contains(&name)));
                let body = decompressed(answer.headers(), answer.body(), MAX_METADATA);
                match body {
                    Ok(body) => text.push_str(&self.body(answer.headers(), &body, answer.status().is_success())),
                    Err(error) => drop(writeln!(text, "({error})")),
                }
            }
            Err(error) => drop(writeln!(text, "→ no answer: {error}")),
        }
        self.learned.apply(&text)
    }

    /// The replacement of a value, which is hidden from now on.
    fn hidden(&mut self, name: &str, value: &str) -> String {
        if value.len() >= MIN_HIDDEN_LENGTH {
            self.learned.add(value, name);
        }
        format!("<{name}>")
    }

    fn shown(&mut self, name: &str, value: &str) -> String {
        let is_harmless = VISIBLE_FIELDS.contains(&name) || value.is_empty();
        if is_harmless { value.to_owned() } else { self.hidden(name, value) }
    }

    /// The path may contain an account's value; values that were hidden elsewhere are hidden here.
    fn url(&mut self, text: &str) -> String {
        let Ok(mut url) = Url::parse(text) else { return "<address>".to_owned() };
        let query = url.query().map(|query| self.pairs(query.as_bytes()));
        url.set_query(None);
        query.map_or_else(|| url.to_string(), |query| format!("{url}?{query}"))
    }

    fn headers(&mut self, headers: &HeaderMap, is_shown: impl Fn(&str) -> bool) -> String {
        let mut text = String::new();
        for (name, value) in headers.iter().filter(|(name, _)| is_shown(name.as_str())) {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            let shown = match value.split_once(' ') {
                _ if VISIBLE_HEADERS.contains(&name.as_str()) => value,
                Some((scheme, credentials)) if *name == header::AUTHORIZATION => {
                    format!("{scheme} {}", self.hidden("credentials", credentials))
                }
                _ => self.hidden(name.as_str(), &value),
            };
            let _ = writeln!(text, "{}: {shown}", header_display_name(name.as_str()));
        }
        text
    }

    /// A body as a form, JSON or text. Text is printed for errors only: a successful response may be a
    /// secret.
    fn body(&mut self, headers: &HeaderMap, body: &[u8], is_success: bool) -> String {
        if body.is_empty() {
            return String::new();
        }
        let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let text = if let Ok(json) = serde_json::from_slice::<Value>(body) {
            let json = serde_json::to_string_pretty(&self.json("value", json)).unwrap_or_default();
            truncate_lines(&json)
        } else if kind.contains("form-urlencoded") || looks_like_form(body) {
            self.pairs(body)
        } else if is_success {
            format!("({} bytes of {})", body.len(), if kind.is_empty() { "no type" } else { kind })
        } else {
            let text = self.learned.apply(&String::from_utf8_lossy(body));
            text.chars().filter(|c| *c == '\n' || !c.is_control()).take(MAX_TEXT_LENGTH).collect()
        };
        format!("\n{text}\n")
    }

    /// `name=value&…`, decoded.
    fn pairs(&mut self, text: &[u8]) -> String {
        let pairs = form_urlencoded::parse(text).map(|(name, value)| format!("{name}={}", self.shown(&name, &value)));
        pairs.collect::<Vec<_>>().join("&")
    }

    fn json(&mut self, name: &str, value: Value) -> Value {
        match value {
            Value::String(text) => self.shown(name, &text).into(),
            Value::Array(items) => items.into_iter().map(|item| self.json(name, item)).collect(),
            Value::Object(members) => {
                let shown = members.into_iter().map(|(name, value)| {
                    let value = self.json(&name, value);
                    (name, value)
                });
                Value::Object(shown.collect::<Map<_, _>>())
            }
            // An identifier may be a number and a secret; a time is not.
            Value::Number(number)
                if !VISIBLE_FIELDS.contains(&name) && number.to_string().len() >= MIN_HIDDEN_LENGTH =>
            {
                format!("<{name}>").into()
            }
            other => other,
        }
    }
}

fn looks_like_form(body: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_graphic() && !b"<>{}\"".contains(byte);
    body.contains(&b'=') && body.iter().all(is_plain)
}

fn truncate_lines(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().take(MAX_LINES).collect();
    let left_out = text.lines().count().saturating_sub(MAX_LINES);
    let note = format!("({left_out} more lines)");
    if left_out > 0 {
        lines.push(&note);
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_printed_and_values_are_hidden_everywhere() {
        let secret = "s3cr3t-of-the-client/+=";
        let mut page = Page::default();
        page.hidden("client_secret", secret);
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([
                ("grant_type", "authorization_code"),
                ("code", "code-0123456789"),
                ("client_secret", secret),
            ])
            .finish();
        let mut request = Request::new(Bytes::from(form));
        *request.uri_mut() = "https://p.example/token?key=key-0123456789&type=x".parse().unwrap();
        request.headers_mut().insert("authorization", "Basic Y2xpZW50OnNlY3JldA==".parse().unwrap());
        request.headers_mut().insert("x-key", "abcdefgh-ijkl".parse().unwrap());
        let answer = serde_json::json!({
            "access_token": "at-0123456789", "expires_in": 3600, "nested": [{ "odd": "odd-0123456789", "pin": 123_456_789 }],
            "message": format!("{secret} at-0123456789 odd-0123456789 code-0123456789 Y2xpZW50OnNlY3JldA=="),
        });
        let mut response = Response::new(Bytes::from(answer.to_string()));
        response.headers_mut().insert("set-cookie", "session=0123456789".parse().unwrap());
        let text = page.exchange(&request, &Ok(response));
        let secrets = [secret, "0123456789", "Y2xpZW50", "abcdefgh", "s3cr3t", "123456789", "%2F%2B%3D"];
        for hidden in secrets {
            assert!(!text.contains(hidden), "{hidden}: {text}");
        }
        for seen in [
            "POST",
            "https://p.example/token?key=<key>&type=x",
            "grant_type=authorization_code",
            "code=<code>",
            "Authorization: Basic <credentials>",
            "\"access_token\": \"<access_token>\"",
            "\"expires_in\": 3600",
            "\"odd\": \"<odd>\"",
            "Set-Cookie: <set-cookie>",
        ] {
            assert!(seen == "POST" || text.contains(seen), "{seen}: {text}");
        }
    }

    #[test]
    fn text_is_printed_for_errors_only() {
        let mut page = Page::default();
        page.hidden("client_secret", "s3cr3t-of-the-client");
        let headers = HeaderMap::new();
        assert_eq!(page.body(&headers, b"token is here", true), "\n(13 bytes of no type)\n");
        assert_eq!(page.body(&headers, b"no s3cr3t-of-the-client here", false), "\nno <client_secret> here\n");
    }
}
