//! What a request says beside its path and body: query parameters and `Idempotency-Key`. The table of
//! operations says what each takes; what it does not take is refused, because a filter that is
//! misspelt and ignored (`?user_id=` for `user_ids`) lists what is everybody's.
//!
//! Operations of the API alone: links, callbacks and the MCP endpoint get parameters from providers,
//! mailers and clients, and read what they know.

use std::borrow::Cow;
use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use serde_json::value::RawValue;

use super::error::ApiError;
use super::query::is_list_key;
use super::warnings::WarningAnswer;
use crate::api::operations::{Operation, Parameter, ParameterType, Repetition, State};
use crate::app::UnknownParameters;
use crate::error::{Code, Error, Result};
use crate::text::cut;

/// Sent uninvited by SDKs, and without a meaning here.
const IGNORED: &str = "important";
/// How many unknown parameters an error names.
const MOST_NAMED: usize = 10;
/// How alike two names must be (Jaro-Winkler) for one to be suggested for the other.
const ALIKE: f64 = 0.85;
/// What a parameter is called that narrows a list to what is somebody's. Without `_` and in lower case.
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

/// The operation that a request was routed to. It is in the request's extensions.
#[derive(Clone, Copy, Debug)]
pub struct Routed {
    /// Its row of the table.
    pub operation: &'static Operation,
    /// None for one that answers 501 whatever it is asked.
    accepted: Option<&'static Accepted>,
}

/// What the table says of one operation's parameters.
#[derive(Debug)]
struct Accepted {
    parameters: Vec<Parameter>,
    repetition: Repetition,
}

impl Routed {
    /// An operation with what it accepts. That is kept until the process ends: call it once for each
    /// operation.
    pub fn of(operation: &'static Operation) -> Self {
        let accepted = match operation.state {
            State::Works { docs, .. } => {
                let docs = docs();
                Some(&*Box::leak(Box::new(Accepted { parameters: docs.parameters, repetition: docs.repetition })))
            }
            State::NotBuilt(_) | State::NotApplicable(_) => None,
        };
        Self { operation, accepted }
    }
}

/// Checks what a request to an operation says beside path and body; what was ignored of it.
///
/// # Errors
/// 400 for an unknown query parameter, unless the operator only wants warnings and it does not look
/// like a filter by owner; 400 for an `Idempotency-Key` that is not kept.
pub fn check(routed: Routed, request: &Request, unknown: UnknownParameters) -> Result<Vec<WarningAnswer>> {
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
        if accepted.takes(&name) {
            continue;
        }
        is_refused |= names_an_owner(&name);
        if lines.len() < MOST_NAMED {
            lines.push(accepted.advice(&name));
        }
    }
    if is_refused && !lines.is_empty() {
        return Err(Error::validation(lines).fix("Correct the parameters that are named, or leave them out."));
    }
    Ok(lines.into_iter().map(|message| WarningAnswer { code: "UNKNOWN_QUERY_PARAMETER", message }).collect())
}

impl Accepted {
    fn takes(&self, name: &str) -> bool {
        let is_taken = |parameter: &Parameter| {
            let is_list = matches!(parameter.kind, ParameterType::List | ParameterType::ListOf(_));
            parameter.name == name || (is_list && is_list_key(name, parameter.name))
        };
        name == IGNORED || self.parameters.iter().any(is_taken)
    }

    /// A line of the error about an unknown parameter.
    fn advice(&self, name: &str) -> String {
        let place = format!("Error in query.{}: is no parameter of this operation", cut(name));
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
        let name = squashed(name);
        let likeness = |parameter: &Parameter| strsim::jaro_winkler(&name, &squashed(parameter.name));
        let best = self.parameters.iter().map(|parameter| (likeness(parameter), parameter.name));
        let best = best.max_by(|one, other| one.0.total_cmp(&other.0));
        best.filter(|(likeness, _)| *likeness >= ALIKE).map(|(_, name)| name)
    }
}

/// A name without what differs between spellings: `userIds` and `user_ids[]` are `userids`. Cut, since
/// comparing takes longer than the names do.
fn squashed(name: &str) -> String {
    let letters = name.chars().filter(char::is_ascii_alphanumeric).take(64);
    letters.map(|letter| letter.to_ascii_lowercase()).collect()
}

fn names_an_owner(name: &str) -> bool {
    let name = squashed(name);
    OWNERS.iter().any(|owner| name.contains(owner))
}

/// The answer with `warnings` in it, after those that it has; an answer that is no JSON object stays.
pub async fn with_warnings(response: Response, warnings: &[WarningAnswer]) -> Response {
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

/// Every other member keeps its text: a number may be longer than any type here.
fn added(body: &[u8], warnings: &[WarningAnswer]) -> Option<Vec<u8>> {
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

    fn checked(method: &str, path: &str, query: &str, unknown: UnknownParameters) -> Result<Vec<WarningAnswer>> {
        let request = Request::builder().method(method).uri(format!("/x?{query}")).body(Body::empty()).unwrap();
        check(Routed::of(operation(method, path)), &request, unknown)
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
                for query in [format!("{name}x=1"), format!("{}=1", name.to_uppercase()), format!("{name}[a]=1")] {
                    let error =
                        checked(operation.method, operation.path, &query, UnknownParameters::Refuse).unwrap_err();
                    assert!(error.errors()[0].contains(name), "{operation:?} {query}: {:?}", error.errors());
                }
            }
            assert!(checked(operation.method, operation.path, "=x", UnknownParameters::Refuse).is_err());
        }
    }

    #[test]
    fn what_looks_like_an_owner_is_refused_although_warnings_are_enough() {
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
    fn warnings_change_nothing_else_of_an_answer() {
        let warning = || [WarningAnswer { code: "C", message: "m".to_owned() }];
        let said = r#"{"code":"C","message":"m"}"#;
        for (body, expected) in [
            (
                r#"{"a":1.10,"b":123456789012345678901234567890}"#,
                Some(format!(r#"{{"a":1.10,"b":123456789012345678901234567890,"warnings":[{said}]}}"#)),
            ),
            (r#"{"warnings":[{"x":1}]}"#, Some(format!(r#"{{"warnings":[{{"x":1}},{said}]}}"#))),
            ("[1]", None),
            ("", None),
        ] {
            let changed = added(body.as_bytes(), &warning()).map(|bytes| String::from_utf8(bytes).unwrap());
            assert_eq!(changed, expected, "{body}");
        }
    }
}
