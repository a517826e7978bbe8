//! The table of all operations, joined from the rows of each resource.
//!
//! The router, authentication (by `find`), the `OpenAPI` document, `docs/compatibility.md` and the
//! generated tests all read this table, so none of them can miss an operation.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::routing::{MethodFilter, MethodRouter};

use super::http::error::ApiError;
use super::http::parameters::Routed;
use super::operations::{self, EARLIER_PREFIX, Operation, PREFIX, State};
use super::{account, auth_config, org, session, toolkit};
use crate::app::App;
use crate::error::{Code, Error};

/// The table by path and method.
static BY_PATH: LazyLock<HashMap<(&'static str, &'static str), Routed>> =
    LazyLock::new(|| all().map(|operation| ((operation.path, operation.method), Routed::of(operation))).collect());

/// All operations, area by area.
pub fn all() -> impl Iterator<Item = &'static Operation> {
    [
        session::operations::OPERATIONS,
        account::operations::OPERATIONS,
        auth_config::operations::OPERATIONS,
        toolkit::operations::OPERATIONS,
        org::operations::OPERATIONS,
        operations::later::OPERATIONS,
    ]
    .into_iter()
    .flatten()
}

/// The routes of all operations; those that are not built respond with 501.
pub fn routes() -> Router<Arc<App>> {
    let mut by_path: BTreeMap<&str, MethodRouter<Arc<App>>> = BTreeMap::new();
    for operation in all() {
        let routes = by_path.remove(operation.path).unwrap_or_default();
        let routes = match operation.state {
            State::Works { route, .. } => routes.merge(route()),
            State::NotBuilt(_) | State::NotApplicable(_) => match filter(operation.method) {
                Some(filter) => routes.on(filter, not_built),
                None => routes,
            },
        };
        by_path.insert(operation.path, routes);
    }
    by_path.into_iter().fold(Router::new(), |router, (path, methods)| router.route(path, methods))
}

fn filter(method: &str) -> Option<MethodFilter> {
    Method::from_bytes(method.as_bytes()).ok().and_then(|method| MethodFilter::try_from(method).ok())
}

/// The response of every operation that is not built.
pub async fn not_built() -> ApiError {
    ApiError(Error::new(Code::NotImplemented, "This operation is not built yet"))
}

/// The operation that a request was routed to. HEAD uses the route of GET.
pub(super) fn find(request: &Request) -> Option<Routed> {
    let route = request.extensions().get::<MatchedPath>()?.as_str();
    let path = [PREFIX, EARLIER_PREFIX]
        .iter()
        .find_map(|prefix| route.strip_prefix(prefix).filter(|rest| rest.starts_with('/')))?;
    let method = if request.method() == Method::HEAD { "GET" } else { request.method().as_str() };
    BY_PATH.get(&(path, method)).copied()
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
            assert!(filter(operation.method).is_some(), "{operation:?}");
        }
        let ids: BTreeSet<String> = all().map(Operation::id).collect();
        assert_eq!(ids.len(), seen.len(), "names of operations are unique");
    }

    #[test]
    fn every_operation_for_project_keys_requires_a_permission() {
        for operation in all().filter(|operation| operation.works_here()) {
            let takes_project_keys = matches!(operation.keys, Keys::Project | Keys::ProjectOrUser);
            assert_eq!(takes_project_keys, operation.permission != Permission::Nothing, "{operation:?}");
        }
    }
}
