//! A row of the table of operations: method, path, who may call it, what a scoped key needs, whether it
//! is built, its handler and what the reference says of it. Each resource has its own rows, in its
//! `operations.rs`; `api/table.rs` joins them. Nothing here names a resource.

mod docs;
pub(in crate::api) mod later;

use std::sync::Arc;

use axum::routing::MethodRouter;

use crate::app::App;
use crate::app::project::permissions::{Access, Preset};

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
