//! Parameters of OAuth requests, read by the rules of RFC 6749 §3.1: each at most once, and an
//! empty one counts as left out.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use http::HeaderMap;
use http::header::CONTENT_TYPE;

/// The parameters of a query or of a form body.
#[derive(Default)]
pub(crate) struct Params {
    values: BTreeMap<String, String>,
    repeated: BTreeSet<String>,
}

impl Params {
    pub(crate) fn parse(input: &[u8]) -> Self {
        let mut params = Self::default();
        for (name, value) in form_urlencoded::parse(input) {
            params.add(name, value);
        }
        params
    }

    fn add(&mut self, name: Cow<'_, str>, value: Cow<'_, str>) {
        // `resource` is the one parameter that may come several times (RFC 8707 §2); it changes
        // nothing here.
        if value.is_empty() || name == "resource" {
            return;
        }
        if self.values.contains_key(name.as_ref()) {
            self.repeated.insert(name.into_owned());
            return;
        }
        self.values.insert(name.into_owned(), value.into_owned());
    }

    /// The value; `None` when it is missing, empty or ambiguous because repeated.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        if self.repeated.contains(name) {
            return None;
        }
        self.values.get(name).map(String::as_str)
    }

    /// Whether some parameter came more than once, which makes the whole request invalid.
    pub(crate) fn has_repeated(&self) -> bool {
        !self.repeated.is_empty()
    }
}

/// Whether the body is declared as `application/x-www-form-urlencoded`.
pub(crate) fn is_form(headers: &HeaderMap) -> bool {
    has_media_type(headers, "application/x-www-form-urlencoded")
}

/// Whether the body is declared as this media type, whatever its parameters.
pub(crate) fn has_media_type(headers: &HeaderMap, expected: &str) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|value| value.trim().eq_ignore_ascii_case(expected))
}

/// Decodes one form-encoded value, as client identifiers and secrets are encoded before HTTP
/// Basic (RFC 6749 §2.3.1); `None` when it holds a separator that should have been encoded.
pub(crate) fn decode_component(encoded: &str) -> Option<String> {
    if encoded.contains('&') {
        return None;
    }
    let pair = format!("={encoded}");
    let (_, value) = form_urlencoded::parse(pair.as_bytes()).next()?;
    Some(value.into_owned())
}
