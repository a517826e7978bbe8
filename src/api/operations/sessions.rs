//! Operations on sessions (contract section 2).

use axum::routing::{delete, get, post};

use super::{Docs, Keys, Operation, Permission};
use crate::api::{links, proxy, sessions};
use crate::app::permissions::{Access, Preset};

const READ: Permission =
    Permission::AnyOf(&[(Preset::Sessions, Access::Read), (Preset::SessionManagement, Access::Read)]);
const WRITE: Permission =
    Permission::AnyOf(&[(Preset::Sessions, Access::Write), (Preset::SessionManagement, Access::Write)]);
/// As published: either of these is enough to run tools in a session.
const EXECUTE: Permission = Permission::AnyOf(&[
    (Preset::ToolExecution, Access::Write),
    (Preset::Sessions, Access::Write),
    (Preset::SessionToolExecution, Access::Write),
]);
const PROXY: Permission = Permission::AnyOf(&[(Preset::ProxyExecute, Access::Write)]);

/// `/tool_router/session…`. The published schema names project keys only; SDKs send user keys, too.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::works(
        "POST",
        "/tool_router/session",
        Keys::ProjectOrUser,
        WRITE,
        || post(sessions::create),
        || Docs::created("Create a session"),
    ),
    Operation::works(
        "GET",
        "/tool_router/session/{session_id}",
        Keys::ProjectOrUser,
        READ,
        || get(sessions::read),
        || Docs::ok("Read a session"),
    ),
    Operation::later("PATCH", "/tool_router/session/{session_id}", Keys::ProjectOrUser, WRITE, "sessions"),
    Operation::works(
        "DELETE",
        "/tool_router/session/{session_id}",
        Keys::ProjectOrUser,
        WRITE,
        || delete(sessions::delete),
        || Docs::ok("Delete a session"),
    ),
    Operation::works(
        "POST",
        "/tool_router/session/{session_id}/link",
        Keys::ProjectOrUser,
        WRITE,
        || post(links::create),
        || Docs::created("Offer the session's user a link"),
    ),
    Operation::works(
        "POST",
        "/tool_router/session/{session_id}/proxy_execute",
        Keys::ProjectOrUser,
        PROXY,
        || post(proxy::execute),
        || Docs::ok("Call a provider's API with the session's account"),
    ),
    Operation::later("POST", "/tool_router/session/{session_id}/attach", Keys::ProjectOrUser, WRITE, "sessions"),
    Operation::later("GET", "/tool_router/session/{session_id}/config_history", Keys::ProjectOrUser, READ, "sessions"),
    Operation::later("GET", "/tool_router/session/{session_id}/toolkits", Keys::ProjectOrUser, READ, "sessions"),
    Operation::later("GET", "/tool_router/session/{session_id}/tools", Keys::ProjectOrUser, READ, "tools"),
    Operation::later("POST", "/tool_router/session/{session_id}/search", Keys::ProjectOrUser, EXECUTE, "tools"),
    Operation::later("POST", "/tool_router/session/{session_id}/execute", Keys::ProjectOrUser, EXECUTE, "tools"),
    Operation::later("POST", "/tool_router/session/{session_id}/execute_meta", Keys::ProjectOrUser, EXECUTE, "tools"),
    Operation::later(
        "GET",
        "/tool_router/session/{session_id}/mounts/{mount_id}/items",
        Keys::ProjectOrUser,
        READ,
        "files",
    ),
    Operation::later(
        "POST",
        "/tool_router/session/{session_id}/mounts/{mount_id}/upload_url",
        Keys::ProjectOrUser,
        WRITE,
        "files",
    ),
    Operation::later(
        "POST",
        "/tool_router/session/{session_id}/mounts/{mount_id}/download_url",
        Keys::ProjectOrUser,
        READ,
        "files",
    ),
    Operation::later(
        "POST",
        "/tool_router/session/{session_id}/mounts/{mount_id}/delete",
        Keys::ProjectOrUser,
        WRITE,
        "files",
    ),
];
