//! The table of operations, by row: method, path, accepted keys, required permission, state, handler
//! and documentation. Each resource has its own rows, in its `operations.rs`; `api/table.rs` joins
//! them. This module names no resource.

mod docs;
pub(in crate::api) mod later;

use std::pin::Pin;
use std::sync::Arc;

use axum::extract::Request;
use axum::handler::Handler;
use axum::response::Response;

use crate::app::App;
use crate::app::project::permissions::{Access, Preset};

pub use docs::{Docs, Parameter, ParameterType, Repetition};

/// Where the operations are mounted, and with the same responses under [`EARLIER_PREFIX`].
pub const PREFIX: &str = "/api/v3.1";
/// What earlier clients use.
pub const EARLIER_PREFIX: &str = "/api/v3";

/// The session's MCP endpoint, which is outside of the prefix.
pub const MCP_PATH: &str = "/tool_router/{session_id}/mcp";

/// One operation of the published API, or of our extensions.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// HTTP method.
    pub method: &'static str,
    /// Under `/api/v3.1` and `/api/v3`.
    pub path: &'static str,
    /// Which keys it accepts.
    pub keys: Keys,
    /// The permission that a scoped project key needs.
    pub permission: Permission,
    /// Whether it is built.
    pub state: State,
}

/// Which keys an operation accepts (contract section 1.2).
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
    /// Every kind.
    Any,
    /// No key: public.
    Public,
}

/// The permission that a scoped project key needs for an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Any of these permissions.
    AnyOf(&'static [(Preset, Access)]),
    /// Only a key without a scope.
    Unscoped,
    /// No permission: the operation accepts no project key, or is only about the key itself.
    Nothing,
}

/// The response of a handler.
pub type HandlerFuture = Pin<Box<dyn Future<Output = Response> + Send>>;
/// Calls a handler; made by `handler!`.
pub type CallHandler = fn(Request, Arc<App>) -> HandlerFuture;

/// Calls a handler with what its arguments extract from the request.
pub(in crate::api) fn call<T, H>(handler: H, request: Request, app: Arc<App>) -> HandlerFuture
where
    H: Handler<T, Arc<App>, Future = HandlerFuture>,
{
    handler.call(request, app)
}

/// The [`CallHandler`] of a handler.
macro_rules! handler {
    ($handler:expr) => {
        |request, app| $crate::api::operations::call($handler, request, app)
    };
}
pub(in crate::api) use handler;

/// Whether an operation is built.
#[derive(Clone, Copy)]
pub enum State {
    /// Served.
    Works {
        /// Calls its handler.
        handler: CallHandler,
        /// Its documentation.
        docs: fn() -> Docs,
    },
    /// Responds with 501 for now; says what is missing.
    NotBuilt(&'static str),
    /// Always responds with 501; says why it does not apply here.
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
        handler: CallHandler,
        docs: fn() -> Docs,
    ) -> Self {
        Self { method, path, keys, permission, state: State::Works { handler, docs } }
    }

    /// An operation that a later version will serve.
    pub(in crate::api) const fn later(
        method: &'static str,
        path: &'static str,
        keys: Keys,
        permission: Permission,
        waits_for: &'static str,
    ) -> Self {
        Self { method, path, keys, permission, state: State::NotBuilt(waits_for) }
    }

    /// An operation of the hosted service that does not apply here.
    pub(in crate::api) const fn never(method: &'static str, path: &'static str, keys: Keys, why: &'static str) -> Self {
        Self { method, path, keys, permission: Permission::Unscoped, state: State::NotApplicable(why) }
    }

    /// Whether it is served.
    pub fn works_here(&self) -> bool {
        matches!(self.state, State::Works { .. })
    }

    /// Id in the `OpenAPI` document, such as `get_connected_accounts_id`.
    pub fn id(&self) -> String {
        let words = self.path.split(['/', '{', '}']).filter(|word| !word.is_empty());
        words.fold(self.method.to_ascii_lowercase(), |name, word| format!("{name}_{}", word.replace('-', "_")))
    }
}
