//! The headers of a stateless request, which repeat what its body says.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use serde_json::{Map, Value};

use crate::Failure;

/// Header with the revision.
pub(crate) const VERSION: &str = "mcp-protocol-version";
/// Header with the session id of a client with a handshake.
pub(crate) const SESSION: &str = "mcp-session-id";

/// The value of a header without surrounding white space; none if it is absent. A value that is no text, or one of
/// several, equals nothing in a body.
pub(crate) fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    let is_only = values.next().is_none();
    Some(first.to_str().ok().filter(|_| is_only).unwrap_or("\u{fffd}").trim())
}

/// Whether the headers of a request repeat what its body says.
///
/// # Errors
/// One is absent or differs.
pub(crate) fn check(
    headers: &HeaderMap,
    version: &str,
    method: &str,
    params: &Map<String, Value>,
) -> Result<(), Failure> {
    same(headers, VERSION, "MCP-Protocol-Version", version)?;
    same(headers, "mcp-method", "Mcp-Method", method)?;
    let name = match method {
        "tools/call" | "prompts/get" => params.get("name"),
        "resources/read" => params.get("uri"),
        _ => None,
    };
    match name.and_then(Value::as_str) {
        Some(name) => same(headers, "mcp-name", "Mcp-Name", name),
        None => Ok(()),
    }
}

fn same(headers: &HeaderMap, name: &str, shown: &str, expected: &str) -> Result<(), Failure> {
    match value(headers, name) {
        None => Err(Failure::header_mismatch(format!("The header {shown} is missing"))),
        Some(given) if decoded(given).as_deref() == Some(expected) => Ok(()),
        Some(_) => Err(Failure::header_mismatch(format!("The header {shown} differs from the body"))),
    }
}

/// A value of a header: as given, or the text of `=?base64?…?=`.
fn decoded(value: &str) -> Option<String> {
    let encoded = value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?="));
    match encoded {
        None => Some(value.to_owned()),
        Some(encoded) => String::from_utf8(STANDARD.decode(encoded).ok()?).ok(),
    }
}

/// Whether the client takes a media type, such as `application/json`. A client that does not say takes any.
pub(crate) fn accepts(headers: &HeaderMap, kind: &str) -> bool {
    let mut accept = headers.get_all(http::header::ACCEPT).iter().peekable();
    if accept.peek().is_none() {
        return true;
    }
    let group = kind.split('/').next().unwrap_or_default();
    accept.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).any(|range| {
        let range = range.split(';').next().unwrap_or_default().trim();
        let of_group = range.strip_suffix("/*").is_some_and(|given| given.eq_ignore_ascii_case(group));
        range.eq_ignore_ascii_case(kind) || range == "*/*" || of_group
    })
}

/// Whether the body is declared as JSON.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let declared = value(headers, "content-type").and_then(|value| value.split(';').next());
    declared.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use serde_json::json;

    use super::*;

    fn with(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn headers_repeat_the_body() {
        let params = json!({ "name": "größe" }).as_object().cloned().unwrap_or_default();
        let all = [(VERSION, "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", " =?base64?Z3LDtsOfZQ==?= ")];
        let checked = |headers: &HeaderMap| check(headers, "2026-07-28", "tools/call", &params).map_err(|f| f.code);
        assert_eq!(checked(&with(&all)), Ok(()));
        for left_out in 0..all.len() {
            let mut some = all.to_vec();
            some.remove(left_out);
            assert_eq!(checked(&with(&some)), Err(-32_020));
        }
        let mut twice = all.to_vec();
        twice.push(("mcp-method", "tools/call"));
        assert_eq!(checked(&with(&twice)), Err(-32_020));
    }

    #[test]
    fn accept_is_a_list_of_ranges() {
        let takes = |value: &'static str, kind: &str| accepts(&with(&[("accept", value)]), kind);
        assert!(accepts(&HeaderMap::new(), "application/json"));
        assert!(takes("text/event-stream, application/json;q=0.9", "application/json"));
        assert!(takes("application/*", "application/json"));
        assert!(takes("*/*", "text/event-stream"));
        assert!(!takes("application/json", "text/event-stream"));
    }
}
