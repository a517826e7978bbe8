//! Operations on sessions (contract section 2).

use axum::routing::{delete, get, patch, post};

use super::{Docs, Keys, Operation, ParameterType, Permission};
use crate::api::{links, proxy, session_changes, session_toolkits, sessions};
use crate::app::permissions::{Access, Preset};
use crate::app::session_patch::SessionPatch;

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
    Operation::works(
        "PATCH",
        "/tool_router/session/{session_id}",
        Keys::ProjectOrUser,
        WRITE,
        || patch(session_changes::patch),
        || {
            Docs::ok("Change a session's policy")
                .about(
                    "What is left out stays; `null` takes a block away. `manage_connections`, `workbench`, \
                     `multi_account`, `instant` and `experimental` are merged, all others replaced. The outcome keeps \
                     every rule of a creation. With `expected_config_version`, a session that was changed meanwhile \
                     answers 409 and stays as it is.",
                )
                .body::<SessionPatch>()
        },
    ),
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
    Operation::works(
        "POST",
        "/tool_router/session/{session_id}/attach",
        Keys::ProjectOrUser,
        WRITE,
        || post(session_changes::attach),
        || {
            Docs::ok("Use a session with your own tools beside it")
                .about("Your tools run in your process: they are checked, named and given back, not kept.")
                .body::<session_changes::Attachment>()
        },
    ),
    Operation::works(
        "GET",
        "/tool_router/session/{session_id}/config_history",
        Keys::ProjectOrUser,
        READ,
        || get(session_changes::history),
        || {
            Docs::ok("List the policies that a session has and had")
                .about("Newest first; the present one is the first of page 1.")
                .answer::<session_changes::HistoryPage>()
                .paged(100)
        },
    ),
    Operation::works(
        "GET",
        "/tool_router/session/{session_id}/toolkits",
        Keys::ProjectOrUser,
        READ,
        || get(session_toolkits::list),
        || {
            Docs::ok("List a session's toolkits and the accounts it uses for them")
                .about(
                    "The account shown is the one that a call would use: a pinned one whatever its status, else the \
                     user's newest ACTIVE one.",
                )
                .answer::<session_toolkits::ToolkitPage>()
                .paged(50)
                .query("toolkits", ParameterType::List, "These toolkits, also where the session excludes them.")
                .query("is_connected", ParameterType::Flag, "Only those with, or without, an ACTIVE account.")
                .query("search", ParameterType::Text, "Part of name, slug or description.")
        },
    ),
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
