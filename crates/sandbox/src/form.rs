//! Parameters of OAuth requests by RFC 6749 §3.1: each at most once, and an empty one counts as missing.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use http::HeaderMap;
use http::header::CONTENT_TYPE;

/// The parameters of a query or form body.
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
        // `resource` is the only parameter that may be repeated (RFC 8707 §2); it has no effect here.
        if value.is_empty() || name == "resource" {
            return;
        }
        if self.values.contains_key(name.as_ref()) {
            self.repeated.insert(name.into_owned());
            return;
        }
        self.values.insert(name.into_owned(), value.into_owned());
    }

    /// The value; `None` if it is missing, empty or repeated.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        if self.repeated.contains(name) {
            return None;
        }
        self.values.get(name).map(String::as_str)
    }

    /// Whether a parameter was repeated, which makes the whole request invalid.
    pub(crate) fn has_repeated(&self) -> bool {
        !self.repeated.is_empty()
    }
}

/// Whether the body is declared as `application/x-www-form-urlencoded`.
pub(crate) fn is_form(headers: &HeaderMap) -> bool {
    has_media_type(headers, "application/x-www-form-urlencoded")
}

/// Whether the body is declared as this media type, with any parameters.
pub(crate) fn has_media_type(headers: &HeaderMap, expected: &str) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|value| value.trim().eq_ignore_ascii_case(expected))
}

/// Decodes a form-encoded value, as in client ids and secrets for HTTP Basic (RFC 6749 §2.3.1). `None` if it
/// contains a separator that should be encoded.
pub(crate) fn decode_component(encoded: &str) -> Option<String> {
    if encoded.contains('&') {
        return None;
    }
    let pair = format!("={encoded}");
    let (_, value) = form_urlencoded::parse(pair.as_bytes()).next()?;
    Some(value.into_owned())
}
