//! HTTP requests as text, with names in place of generated values.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Request;

/// Values, and what is shown for each.
#[derive(Clone, Debug, Default)]
pub struct Shown(Vec<(String, String)>);

impl Shown {
    /// Shows `<name>` in the place of a value, also where the value is encoded.
    pub fn add(&mut self, value: &str, name: &str) {
        self.replace(value, &format!("<{name}>"));
    }

    /// Shows a text in the place of a value.
    pub fn replace(&mut self, value: &str, shown: &str) {
        if value.is_empty() {
            return;
        }
        let form: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
        let quoted = serde_json::Value::from(value).to_string();
        let quoted = quoted.trim_start_matches('"').strip_suffix('"').unwrap_or_default().to_owned();
        for text in [form.replace('+', "%20"), form, quoted, value.to_owned()] {
            if !self.0.iter().any(|(known, _)| *known == text) {
                self.0.push((text, shown.to_owned()));
            }
        }
        // A value may contain another.
        self.0.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
    }

    /// A text with names in it.
    pub fn apply(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (value, shown)| text.replace(value, shown))
    }
}

/// A request as it goes over the wire (RFC 9112).
pub fn request(request: &Request<Bytes>, shown: &Shown) -> String {
    let url = request.uri();
    let host = url.authority().map_or("", |authority| authority.as_str());
    let target = url.path_and_query().map_or("/", |target| target.as_str());
    let headers = request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    parts(request.method().as_str(), host, target, headers, request.body(), shown)
}

/// The same of its parts.
pub fn parts<'h>(
    method: &str,
    host: &str,
    target: &str,
    headers: impl Iterator<Item = (&'h str, &'h [u8])>,
    body: &[u8],
    shown: &Shown,
) -> String {
    let mut text = format!("{method} {target} HTTP/1.1\nHost: {host}\n");
    for (name, value) in headers.filter(|(name, _)| !["host", "content-length", "connection"].contains(name)) {
        let value = String::from_utf8_lossy(value);
        let _ = writeln!(text, "{}: {}", title(name), readable(&value));
    }
    if !body.is_empty() {
        text.push('\n');
        text.push_str(&String::from_utf8_lossy(body));
        text.push('\n');
    }
    shown.apply(&text)
}

/// What is inside the base64 of `Basic` credentials.
fn readable(value: &str) -> String {
    let decoded = value.strip_prefix("Basic ").and_then(|encoded| STANDARD.decode(encoded).ok());
    match decoded.and_then(|bytes| String::from_utf8(bytes).ok()) {
        Some(pair) => format!("Basic base64({pair})"),
        None => value.to_owned(),
    }
}

/// `content-type` as people write it: `Content-Type`.
pub fn title(name: &str) -> String {
    let word = |word: &str| match word.split_at_checked(1) {
        Some((first, rest)) => format!("{}{rest}", first.to_ascii_uppercase()),
        None => String::new(),
    };
    name.split('-').map(word).collect::<Vec<_>>().join("-")
}
