//! The one table of operations: method, path, who may call it, what a scoped key needs, whether it
//! is built, its handler and what the reference says of it.
//!
//! The router (`api/mod.rs`), the key check (`api/http/auth.rs`), the `OpenAPI` document
//! (`api/openapi`), `docs/compatibility.md` and the generated tests all read this table, so that
//! none of them can forget an operation. Rows stand in one file per area.

mod docs;
mod later;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::http::Method;
use axum::routing::{MethodFilter, MethodRouter};

use crate::api::http::error::ApiError;
use crate::app::App;
use crate::app::project::permissions::{Access, Preset};
use crate::error::{Code, Error};

pub use docs::{Docs, Parameter, ParameterType, Repetition};

/// One operation of the published API, or one of ours beside it.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// HTTP method.
    pub method: &'static str,
    /// Under `/api/v3.1` and `/api/v3`.
    pub path: &'static str,
    /// Which credential it takes.
    pub keys: Keys,
    /// What a scoped project key needs.
    pub permission: Permission,
    /// Whether it is built.
    pub state: State,
}

/// Which credential an operation takes (contract section 1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// `x-api-key`.
    Project,
    /// `x-api-key`, or `x-user-api-key` with the headers that name a project.
    ProjectOrUser,
    /// `x-user-api-key`.
    User,
    /// `x-org-api-key`.
    Organization,
    /// Every kind: it says who is asking.
    Any,
    /// None: whoever may ask.
    Nobody,
}

/// What a scoped project key needs for an operation: any one of these, or to be unscoped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// One of these rights is enough.
    AnyOf(&'static [(Preset, Access)]),
    /// Only a key without a scope.
    Unscoped,
    /// Nothing: the operation takes no project key, or tells only of the key itself.
    Nothing,
}

/// Whether an operation is built.
#[derive(Clone, Copy)]
pub enum State {
    /// Served.
    Works {
        /// Its route.
        route: fn() -> MethodRouter<Arc<App>>,
        /// What the reference says.
        docs: fn() -> Docs,
    },
    /// Answers 501 for now; says what it waits for.
    NotBuilt(&'static str),
    /// Answers 501 for good; says why it has no place here.
    NotApplicable(&'static str),
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Works { .. } => "Works",
            Self::NotBuilt(_) => "NotBuilt",
            Self::NotApplicable(_) => "NotApplicable",
        })
    }
}

impl Operation {
    /// An operation that is served.
    pub(in crate::api) const fn works(
        method: &'static str,
        path: &'static str,
        keys: Keys,
        permission: Permission,
        route: fn() -> MethodRouter<Arc<App>>,
        docs: fn() -> Docs,
    ) -> Self {
        Self { method, path, keys, permission, state: State::Works { route, docs } }
    }

    /// An operation that a later version serves.
    pub(in crate::api) const fn later(
        method: &'static str,
        path: &'static str,
        keys: Keys,
        permission: Permission,
        waits_for: &'static str,
    ) -> Self {
        Self { method, path, keys, permission, state: State::NotBuilt(waits_for) }
    }

    /// An operation of the hosted service that has no place here.
    pub(in crate::api) const fn never(method: &'static str, path: &'static str, keys: Keys, why: &'static str) -> Self {
        Self { method, path, keys, permission: Permission::Unscoped, state: State::NotApplicable(why) }
    }

    /// Whether it is served.
    pub fn works_here(&self) -> bool {
        matches!(self.state, State::Works { .. })
    }

    /// Name in the `OpenAPI` document, such as `get_connected_accounts_id`.
    pub fn id(&self) -> String {
        let words = self.path.split(['/', '{', '}']).filter(|word| !word.is_empty());
        words.fold(self.method.to_ascii_lowercase(), |name, word| format!("{name}_{}", word.replace('-', "_")))
    }
}

/// All operations, area by area.
pub fn all() -> impl Iterator<Item = &'static Operation> {
    [
        crate::api::session::operations::OPERATIONS,
        crate::api::account::operations::OPERATIONS,
        crate::api::auth_config::operations::OPERATIONS,
        crate::api::toolkit::operations::OPERATIONS,
        crate::api::org::operations::OPERATIONS,
        later::OPERATIONS,
    ]
    .into_iter()
    .flatten()
}

/// The routes of all operations; what is not built answers 501.
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

/// What every unbuilt operation answers.
pub async fn not_built() -> ApiError {
    ApiError(Error::new(Code::NotImplemented, "This operation is not built yet"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_operation_stands_here_once() {
        let mut seen = BTreeSet::new();
        for operation in all() {
            assert!(seen.insert((operation.method, operation.path)), "twice: {operation:?}");
            assert!(filter(operation.method).is_some(), "{operation:?}");
        }
        let ids: BTreeSet<String> = all().map(Operation::id).collect();
        assert_eq!(ids.len(), seen.len(), "names of operations are unique");
    }

    #[test]
    fn a_scoped_key_is_asked_for_something_wherever_a_project_key_is_taken() {
        for operation in all().filter(|operation| operation.works_here()) {
            let takes_project_keys = matches!(operation.keys, Keys::Project | Keys::ProjectOrUser);
            assert_eq!(takes_project_keys, operation.permission != Permission::Nothing, "{operation:?}");
        }
    }
}
