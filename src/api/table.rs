//! The table of all operations, joined from the rows of each resource.
//!
//! The requests' dispatch, authentication, the `OpenAPI` document, `docs/compatibility.md` and the
//! generated tests all read this table, so none of them can miss an operation.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use axum::extract::Request;
use axum::http::{HeaderValue, Method, header};
use axum::response::IntoResponse;
use percent_encoding::percent_decode_str;
use switchboard_types::CompactString;

use super::http::edge::Target;
use super::http::error::{ApiError, unknown_method};
use super::http::parameters::{Accepted, Routed};
use super::operations::{self, EARLIER_PREFIX, HandlerFuture, Operation, PREFIX, State};
use super::{account, approval, auth_config, file, logs, mcp, org, session, tool, toolkit};
use crate::app::App;
use crate::error::{Code, Error};

/// The paths of the table under both prefixes.
static PATHS: LazyLock<matchit::Router<Path>> = LazyLock::new(paths);

/// A path of the table.
struct Path {
    /// With its prefix, as it is logged.
    route: &'static str,
    /// By method.
    operations: Vec<Routed>,
    /// The methods.
    allow: HeaderValue,
}

/// What responds to a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Responder {
    /// None if the path has no operation with the request's method.
    operation: Option<Routed>,
    /// The methods of the path.
    allow: &'static HeaderValue,
}

/// All operations, area by area.
pub fn all() -> impl Iterator<Item = &'static Operation> {
    [
        session::operations::OPERATIONS,
        approval::operations::OPERATIONS,
        file::operations::OPERATIONS,
        account::operations::OPERATIONS,
        auth_config::operations::OPERATIONS,
        toolkit::operations::OPERATIONS,
        tool::operations::OPERATIONS,
        logs::operations::OPERATIONS,
        org::operations::OPERATIONS,
        operations::later::OPERATIONS,
    ]
    .into_iter()
    .flatten()
}

fn paths() -> matchit::Router<Path> {
    let mut by_route: BTreeMap<String, Vec<Routed>> = BTreeMap::new();
    for operation in all() {
        let accepted = Accepted::of(operation);
        for prefix in [PREFIX, EARLIER_PREFIX] {
            let operations = by_route.entry(format!("{prefix}{}", operation.path)).or_default();
            operations.push(Routed { operation, accepted });
        }
    }
    let endpoint = Routed { operation: &mcp::operations::ENDPOINT, accepted: None };
    by_route.insert(endpoint.operation.path.to_owned(), vec![endpoint]);
    let mut paths = matchit::Router::new();
    for (route, operations) in by_route {
        let methods: Vec<&str> = operations.iter().map(|routed| routed.operation.method).collect();
        let allow = HeaderValue::from_str(&methods.join(",").replace("GET", "GET,HEAD"));
        let route: &'static str = route.leak();
        let path = Path { route, operations, allow: allow.unwrap_or(HeaderValue::from_static("")) };
        if let Err(error) = paths.insert(route, path) {
            // A test compares the table with what is found.
            tracing::error!(http.route = route, error = %error, "a path of the table cannot be served");
        }
    }
    paths
}

/// Makes the table that requests are found in, which the first request would wait for.
pub(super) fn prepare() {
    LazyLock::force(&PATHS);
}

/// Where a request's path leads; none if it is not in the table. HEAD uses the operation of GET. A parameter that is not
/// UTF-8 becomes a text that matches nothing.
pub(super) fn find(request: &Request) -> Option<(Target, Responder)> {
    let found = PATHS.at(request.uri().path()).ok()?;
    let method = if request.method() == Method::HEAD { "GET" } else { request.method().as_str() };
    let decoded = |(_, value): (&str, &str)| match percent_decode_str(value).decode_utf8() {
        Ok(text) => CompactString::from(text),
        Err(_) => CompactString::const_new("\u{fffd}"),
    };
    let operation = found.value.operations.iter().find(|routed| routed.operation.method == method).copied();
    let target = Target {
        route: CompactString::const_new(found.value.route),
        operation,
        parameters: found.params.iter().map(decoded).collect(),
    };
    Some((target, Responder { operation, allow: &found.value.allow }))
}

impl Responder {
    /// Responds to a request that may be made. An operation that is not built responds with 501.
    pub(super) fn respond(self, request: Request, app: Arc<App>) -> HandlerFuture {
        let Some(routed) = self.operation else {
            let allow = self.allow.clone();
            return Box::pin(async { ([(header::ALLOW, allow)], unknown_method().await).into_response() });
        };
        match routed.operation.state {
            State::Works { handler, .. } => handler(request, app),
            State::NotBuilt(_) | State::NotApplicable(_) => Box::pin(async { not_built().into_response() }),
        }
    }
}

/// The response of every operation that is not built.
fn not_built() -> ApiError {
    ApiError(Error::new(Code::NotImplemented, "This operation is not built yet"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::operations::{Keys, Permission};
    use std::collections::BTreeSet;

    #[test]
    fn every_operation_is_listed_once() {
        let mut seen = BTreeSet::new();
        for operation in all() {
            assert!(seen.insert((operation.method, operation.path)), "twice: {operation:?}");
            assert!(Method::from_bytes(operation.method.as_bytes()).is_ok(), "{operation:?}");
        }
        let ids: BTreeSet<String> = all().map(Operation::id).collect();
        assert_eq!(ids.len(), seen.len(), "names of operations are unique");
    }

    fn request(method: &str, path: &str) -> Request {
        Request::builder().method(method).uri(path).body(axum::body::Body::empty()).unwrap()
    }

    #[test]
    fn every_operation_is_found_under_both_prefixes() {
        for operation in all() {
            for prefix in [PREFIX, EARLIER_PREFIX] {
                let route = format!("{prefix}{}", operation.path);
                let path = route.replace('{', "a%2F").replace('}', "%c3%bc");
                let (target, _) = find(&request(operation.method, &path)).unwrap();
                assert_eq!(
                    (target.route.as_str(), target.operation.unwrap().operation.id()),
                    (&*route, operation.id())
                );
                let expected: Vec<String> = route
                    .split('/')
                    .filter_map(|part| part.strip_prefix('{'))
                    .map(|name| format!("a/{}", name.replace('}', "ü")))
                    .collect();
                assert_eq!(target.parameters, expected);
            }
        }
    }

    #[test]
    fn head_is_get_and_other_methods_are_named() {
        let (target, _) = find(&request("HEAD", "/api/v3.1/connected_accounts/ca_1")).unwrap();
        assert_eq!(target.operation.unwrap().operation.method, "GET");
        let (target, responder) = find(&request("PUT", "/api/v3/connected_accounts/%ff")).unwrap();
        assert!(target.operation.is_none());
        assert_eq!(
            (responder.allow.to_str().unwrap(), target.parameters[0].as_str()),
            ("GET,HEAD,PATCH,DELETE", "\u{fffd}")
        );
        for path in ["/api/v3.1", "/api/v3.1/", "/api/v3.1/toolkits/auth/callback/x", "/api/v3.2/toolkits", "/livez"] {
            assert!(find(&request("GET", path)).is_none(), "{path}");
        }
    }

    #[test]
    fn every_operation_for_project_keys_requires_a_permission() {
        for operation in all().filter(|operation| operation.works_here()) {
            let takes_project_keys = matches!(operation.keys, Keys::Project | Keys::ProjectOrUser);
            assert_eq!(takes_project_keys, operation.permission != Permission::Nothing, "{operation:?}");
        }
    }
}
