//! A response of the simulated provider, before it is sent.

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::{Value, json};

/// A response of the simulated provider.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Reply {
    pub(super) fn json(value: &Value) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Self { status: StatusCode::OK, headers, body: value.to_string() }
    }

    pub(super) fn form(pairs: &BTreeMap<String, String>) -> Self {
        let headers = vec![("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned())];
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        Self { status: StatusCode::OK, headers, body }
    }

    /// An OAuth error (RFC 6749 section 5.2).
    pub(super) fn error(status: StatusCode, code: &str, description: &str) -> Self {
        Self { status, ..Self::json(&json!({ "error": code, "error_description": description })) }
    }
}
