//! Query parameters and `Idempotency-Key`. The table of operations says what each operation accepts,
//! and everything else is rejected: a misspelt filter that is ignored (`?user_id=` for `user_ids`)
//! would return the objects of all users.
//!
//! This applies to API operations only. Links, callbacks and the MCP endpoint get parameters from
//! providers, mail clients and MCP clients, and ignore what they do not know.

use std::borrow::Cow;
use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use serde_json::value::RawValue;

use super::error::ApiError;
use super::query::{is_list_key, map_key};
use super::warnings::WarningResponse;
use crate::api::operations::{Operation, Parameter, ParameterType, Repetition, State};
use crate::app::UnknownParameters;
use crate::error::{Code, Error, Result};
use crate::text::truncate;

/// SDKs send it unasked; it has no meaning here.
const IGNORED: &str = "important";
/// Maximum number of unknown parameters that an error lists.
const MAX_NAMED: usize = 10;
/// Minimum similarity (Jaro-Winkler) of two names for a suggestion.
const MIN_SIMILARITY: f64 = 0.85;
/// Parts of parameter names that filter a list by its owner, in lower case and without `_`.
const OWNERS: [&str; 17] = [
    "user",
    "account",
    "entity",
    "project",
    "org",
    "owner",
    "tenant",
    "customer",
    "member",
    "team",
    "workspace",
    "connection",
    "authconfig",
    "integration",
    "session",
    "client",
    "identity",
];

/// The operation that a request leads to.
#[derive(Clone, Copy, Debug)]
pub(in crate::api) struct Routed {
    /// The operation's row of the table.
    pub operation: &'static Operation,
    /// None for an operation that always responds with 501.
    pub accepted: Option<&'static Accepted>,
}

/// What an operation accepts, from the table.
#[derive(Debug)]
pub(in crate::api) struct Accepted {
    parameters: Vec<Parameter>,
    repetition: Repetition,
}

impl Accepted {
    /// What an operation accepts. Leaks memory: call it once per operation.
    pub(in crate::api) fn of(operation: &Operation) -> Option<&'static Self> {
        match operation.state {
            State::Works { docs, .. } => {
                let docs = docs();
                Some(Box::leak(Box::new(Self { parameters: docs.parameters, repetition: docs.repetition })))
            }
            State::NotBuilt(_) | State::NotApplicable(_) => None,
        }
    }
}

/// Checks the query and `Idempotency-Key` of a request; returns warnings about what was ignored.
///
/// # Errors
/// 400 for an unknown query parameter, unless the operator only wants warnings and it does not look
/// like a filter by owner; 400 for an `Idempotency-Key` that the operation does not support.
pub(in crate::api) fn check(
    routed: Routed,
    request: &Request,
    unknown: UnknownParameters,
) -> Result<Vec<WarningResponse>> {
    let Some(accepted) = routed.accepted else { return Ok(Vec::new()) };
    if let Repetition::Refused(instead) = accepted.repetition
        && request.headers().contains_key("idempotency-key")
        && !matches!(*request.method(), Method::GET | Method::HEAD)
    {
        return Err(Error::new(Code::Validation, "Idempotency-Key is not kept by this operation").fix(instead));
    }
    let Some(query) = request.uri().query() else { return Ok(Vec::new()) };
    let mut lines = Vec::new();
    let mut is_refused = unknown == UnknownParameters::Refuse;
    for (name, _) in form_urlencoded::parse(query.as_bytes()) {
        if accepted.accepted_keys(&name) {
            continue;
        }
        is_refused |= is_owner_filter(&name);
        if lines.len() < MAX_NAMED {
            lines.push(accepted.key_hint(&name));
        }
    }
    if is_refused && !lines.is_empty() {
        return Err(Error::validation(lines).fix("Correct the parameters that are named, or leave them out."));
    }
    Ok(lines.into_iter().map(|message| WarningResponse { code: "UNKNOWN_QUERY_PARAMETER", message }).collect())
}

impl Accepted {
    fn accepted_keys(&self, name: &str) -> bool {
        let is_taken = |parameter: &Parameter| {
            let is_list = matches!(parameter.kind, ParameterType::List | ParameterType::ListOf(_));
            let is_map = matches!(parameter.kind, ParameterType::TextOrMap) && map_key(name, parameter.name).is_some();
            parameter.name == name || is_map || (is_list && is_list_key(name, parameter.name))
        };
        name == IGNORED || self.parameters.iter().any(is_taken)
    }

    /// The error line for an unknown parameter.
    fn key_hint(&self, name: &str) -> String {
        let place = format!("Error in query.{}: is no parameter of this operation", truncate(name));
        match self.nearest(name) {
            Some(nearest) => format!("{place}; did you mean {nearest}?"),
            None if self.parameters.is_empty() => format!("{place}, which takes none"),
            None => {
                let known: Vec<&str> = self.parameters.iter().map(|parameter| parameter.name).collect();
                format!("{place}, which takes {}", known.join(", "))
            }
        }
    }

    fn nearest(&self, name: &str) -> Option<&'static str> {
        let name = normalized(name);
        let similarity = |parameter: &Parameter| strsim::jaro_winkler(&name, &normalized(parameter.name));
        let best = self.parameters.iter().map(|parameter| (similarity(parameter), parameter.name));
        let best = best.max_by(|one, other| one.0.total_cmp(&other.0));
        best.filter(|(similarity, _)| *similarity >= MIN_SIMILARITY).map(|(_, name)| name)
    }
}

/// A name without spelling differences: `userIds` and `user_ids[]` become `userids`. Truncated, because
/// the comparison is quadratic.
fn normalized(name: &str) -> String {
    let letters = name.chars().filter(char::is_ascii_alphanumeric).take(64);
    letters.map(|letter| letter.to_ascii_lowercase()).collect()
}

fn is_owner_filter(name: &str) -> bool {
    let name = normalized(name);
    OWNERS.iter().any(|owner| name.contains(owner))
}

/// Adds `warnings` to a response, after those it has; a response that is not a JSON object is
/// unchanged.
pub async fn with_warnings(response: Response, warnings: &[WarningResponse]) -> Response {
    if warnings.is_empty() || !response.status().is_success() {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(collected) = body.collect().await else {
        return ApiError(Error::internal("an answer of our own could not be read")).into_response();
    };
    let bytes = collected.to_bytes();
    let Some(changed) = added(&bytes, warnings) else { return Response::from_parts(parts, Body::from(bytes)) };
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(changed))
}

/// All other members keep their text: a number may be longer than any type here.
fn added(body: &[u8], warnings: &[WarningResponse]) -> Option<Vec<u8>> {
    let mut members: BTreeMap<Cow<'_, str>, Cow<'_, RawValue>> = serde_json::from_slice(body).ok()?;
    let present = members.get("warnings").map(|list| serde_json::from_str::<Vec<&RawValue>>(list.get()));
    let present = present.transpose().ok()?.unwrap_or_default();
    let ours = warnings.iter().map(serde_json::value::to_raw_value).collect::<std::result::Result<Vec<_>, _>>().ok()?;
    let all: Vec<&RawValue> = present.into_iter().chain(ours.iter().map(AsRef::as_ref)).collect();
    let all = serde_json::value::to_raw_value(&all).ok()?;
    members.insert("warnings".into(), Cow::Owned(all));
    serde_json::to_vec(&members).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::table;

    fn operation(method: &str, path: &str) -> &'static Operation {
        table::all().find(|operation| operation.method == method && operation.path == path).unwrap()
    }

    fn checked(method: &str, path: &str, query: &str, unknown: UnknownParameters) -> Result<Vec<WarningResponse>> {
        let request = Request::builder().method(method).uri(format!("/x?{query}")).body(Body::empty()).unwrap();
        let operation = operation(method, path);
        check(Routed { operation, accepted: Accepted::of(operation) }, &request, unknown)
    }

    #[test]
    fn every_documented_parameter_is_known_and_nothing_else_is() {
        for operation in table::all() {
            let State::Works { docs, .. } = operation.state else { continue };
            for parameter in docs().parameters {
                let name = parameter.name;
                let is_list = matches!(parameter.kind, ParameterType::List | ParameterType::ListOf(_));
                for query in [format!("{name}=x"), format!("{name}=x&{name}=y"), format!("{name}=&important=true")] {
                    assert!(checked(operation.method, operation.path, &query, UnknownParameters::Refuse).is_ok());
                }
                for query in [format!("{name}[]=x"), format!("{name}%5B%5D=x&{name}[1]=y")] {
                    let known = checked(operation.method, operation.path, &query, UnknownParameters::Refuse).is_ok();
                    assert_eq!(known, is_list, "{operation:?} {query}");
                }
                let is_map = matches!(parameter.kind, ParameterType::TextOrMap);
                let entry = format!("{name}[a]=1");
                let known = checked(operation.method, operation.path, &entry, UnknownParameters::Refuse).is_ok();
                assert_eq!(known, is_map, "{operation:?} {entry}");
                for query in [format!("{name}x=1"), format!("{}=1", name.to_uppercase()), format!("{name}[a=1")] {
                    let error =
                        checked(operation.method, operation.path, &query, UnknownParameters::Refuse).unwrap_err();
                    assert!(error.errors()[0].contains(name), "{operation:?} {query}: {:?}", error.errors());
                }
            }
            assert!(checked(operation.method, operation.path, "=x", UnknownParameters::Refuse).is_err());
        }
    }

    #[test]
    fn a_parameter_that_looks_like_an_owner_is_rejected_even_with_warnings() {
        let warned = |query: &str| checked("GET", "/connected_accounts", query, UnknownParameters::Warn);
        for query in
            ["user_id=x", "userIds=x", "entityId=x", "USER=x", "accounts=x", "project=x", "org_id=x", "auth_config=x"]
        {
            assert!(warned(query).is_err(), "{query}");
        }
        let warnings = warned("include_logos=1&user_ids=x&colour=y").unwrap();
        assert_eq!(warnings.len(), 2);
        assert!(warned("user_ids=x").unwrap().is_empty());
        assert_eq!(
            warned("user_id=x").unwrap_err().errors(),
            ["Error in query.user_id: is no parameter of this operation; did you mean user_ids?"],
        );
    }

    #[test]
    fn warnings_change_nothing_else_in_a_response() {
        let warning = || [WarningResponse { code: "C", message: "m".to_owned() }];
        let warning_json = r#"{"code":"C","message":"m"}"#;
        for (body, expected) in [
            (
                r#"{"a":1.10,"b":123456789012345678901234567890}"#,
                Some(format!(r#"{{"a":1.10,"b":123456789012345678901234567890,"warnings":[{warning_json}]}}"#)),
            ),
            (r#"{"warnings":[{"x":1}]}"#, Some(format!(r#"{{"warnings":[{{"x":1}},{warning_json}]}}"#))),
            ("[1]", None),
            ("", None),
        ] {
            let changed = added(body.as_bytes(), &warning()).map(|bytes| String::from_utf8(bytes).unwrap());
            assert_eq!(changed, expected, "{body}");
        }
    }
}
