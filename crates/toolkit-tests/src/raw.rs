//! HTTP requests as text, with names in place of generated values.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Request;

/// Values and the texts that replace them in output.
#[derive(Clone, Debug, Default)]
pub struct Substitutions(Vec<(String, String)>);

impl Substitutions {
    /// Replaces a value, encoded or not, with `<name>`.
    pub fn add(&mut self, value: &str, name: &str) {
        self.replace(value, &format!("<{name}>"));
    }

    /// Replaces a value, encoded or not, with a text.
    pub fn replace(&mut self, value: &str, replacement: &str) {
        if value.is_empty() {
            return;
        }
        let form: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
        let quoted = serde_json::Value::from(value).to_string();
        let quoted = quoted.trim_start_matches('"').strip_suffix('"').unwrap_or_default().to_owned();
        for text in [form.replace('+', "%20"), form, quoted, value.to_owned()] {
            if !self.0.iter().any(|(existing, _)| *existing == text) {
                self.0.push((text, replacement.to_owned()));
            }
        }
        // Longer values first: a value may contain another.
        self.0.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
    }

    /// The text with all values replaced.
    pub fn apply(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (value, replacement)| text.replace(value, replacement))
    }
}

/// A request in HTTP/1.1 syntax (RFC 9112).
pub fn format_request(request: &Request<Bytes>, substitutions: &Substitutions) -> String {
    let url = request.uri();
    let host = url.authority().map_or("", |authority| authority.as_str());
    let target = url.path_and_query().map_or("/", |target| target.as_str());
    let headers = request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    format_parts(request.method().as_str(), host, target, headers, request.body(), substitutions)
}

/// Like [`format_request`], from the parts of a request.
pub fn format_parts<'h>(
    method: &str,
    host: &str,
    target: &str,
    headers: impl Iterator<Item = (&'h str, &'h [u8])>,
    body: &[u8],
    substitutions: &Substitutions,
) -> String {
    let mut text = format!("{method} {target} HTTP/1.1\nHost: {host}\n");
    for (name, value) in headers.filter(|(name, _)| !["host", "content-length", "connection"].contains(name)) {
        let value = String::from_utf8_lossy(value);
        let _ = writeln!(text, "{}: {}", header_display_name(name), decode_basic(&value));
    }
    if !body.is_empty() {
        text.push('\n');
        text.push_str(&String::from_utf8_lossy(body));
        text.push('\n');
    }
    substitutions.apply(&text)
}

/// Shows `Basic` credentials decoded.
fn decode_basic(value: &str) -> String {
    let decoded = value.strip_prefix("Basic ").and_then(|encoded| STANDARD.decode(encoded).ok());
    match decoded.and_then(|bytes| String::from_utf8(bytes).ok()) {
        Some(pair) => format!("Basic base64({pair})"),
        None => value.to_owned(),
    }
}

/// A header name in its usual spelling: `content-type` becomes `Content-Type`.
pub fn header_display_name(name: &str) -> String {
    let capitalize = |word: &str| match word.split_at_checked(1) {
        Some((first, rest)) => format!("{}{rest}", first.to_ascii_uppercase()),
        None => String::new(),
    };
    name.split('-').map(capitalize).collect::<Vec<_>>().join("-")
}
