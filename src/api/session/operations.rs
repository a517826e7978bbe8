//! Operations on sessions (contract section 2).

use super::view::SessionResponse;
use super::{changes, links, proxy, proxy_response, results, search, toolkits, tools};
use crate::api::http::page::Page;
use crate::api::operations::{Docs, Keys, Operation, ParameterType, Permission, handler};
use crate::api::session;
use crate::api::tool::{execute, meta, view};
use crate::app::project::permissions::{Access, Preset};
use crate::app::session::patch::SessionPatch;
use crate::app::session::policy::SessionConfig;

const READ: Permission =
    Permission::AnyOf(&[(Preset::Sessions, Access::Read), (Preset::SessionManagement, Access::Read)]);
const WRITE: Permission =
    Permission::AnyOf(&[(Preset::Sessions, Access::Write), (Preset::SessionManagement, Access::Write)]);
/// As published: any of these allows running tools in a session.
const EXECUTE: Permission = Permission::AnyOf(&[
    (Preset::ToolExecution, Access::Write),
    (Preset::Sessions, Access::Write),
    (Preset::SessionToolExecution, Access::Write),
]);
const PROXY: Permission = Permission::AnyOf(&[(Preset::ProxyExecute, Access::Write)]);

/// `/tool_router/session…`. The published schema names project keys only, but SDKs send user keys as
/// well.
pub(in crate::api) const OPERATIONS: &[Operation] = &[
    Operation::works("POST", "/tool_router/session", Keys::ProjectOrUser, WRITE, handler!(session::create), || {
        Docs::created("Create a session")
            .about(
                "A session is one of your users and a policy: which toolkits, tools and accounts an agent may use \
                     on that user's behalf. Each call creates a new one. Unknown keys are rejected, because a misspelt \
                     rule would have no effect.",
            )
            .body::<SessionConfig>()
            .response::<SessionResponse>()
            .idempotent()
    }),
    Operation::works(
        "GET",
        "/tool_router/session/{session_id}",
        Keys::ProjectOrUser,
        READ,
        handler!(session::read),
        || Docs::ok("Read a session").response::<SessionResponse>(),
    ),
    Operation::works(
        "PATCH",
        "/tool_router/session/{session_id}",
        Keys::ProjectOrUser,
        WRITE,
        handler!(changes::patch),
        || {
            Docs::ok("Change a session's policy")
                .about(
                    "Omitted fields are unchanged; `null` removes a block. `manage_connections`, `workbench`, \
                     `multi_account`, `instant` and `experimental` are merged, all others replaced. The result must satisfy \
                     the rules of a creation. With `expected_config_version`, a session that was changed meanwhile \
                     is unchanged, and the response is 409.",
                )
                .body::<SessionPatch>()
                .response::<SessionResponse>()
                .without_key("Leave the header out; expected_config_version makes a change safe to repeat.")
        },
    ),
    Operation::works(
        "DELETE",
        "/tool_router/session/{session_id}",
        Keys::ProjectOrUser,
        WRITE,
        handler!(session::delete),
        || {
            Docs::ok("Delete a session")
                .about("The id is unknown afterwards. The user's accounts are kept.")
                .response::<session::Deleted>()
        },
    ),
    Operation::works(
        "POST",
        "/tool_router/session/{session_id}/link",
        Keys::ProjectOrUser,
        WRITE,
        handler!(links::create),
        || {
            Docs::created("Create a link for the session's user")
                .about(
                    "Send the user's browser to `redirect_url`. There the user consents and signs in at the provider, \
                     or enters a key, and returns to `callback_url`. The account is ACTIVE afterwards.",
                )
                .body::<links::Body>()
                .response::<links::Answer>()
                .idempotent()
        },
    ),
    Operation::works(
        "POST",
        "/tool_router/session/{session_id}/proxy_execute",
        Keys::ProjectOrUser,
        PROXY,
        handler!(proxy::execute),
        || {
            Docs::ok("Call a provider's API with the session's account")
                .about(
                    "One HTTP request to one of the toolkit's own hosts, with the credential of the account that the \
                     session uses. The response is 200 for any status of the provider; `status` has the provider's. The \
                     call is sent once and never retried by the server. With an `Idempotency-Key`, a repeated request \
                     gets the response of the first one. Binary answers of more than 1 MiB are stored as files. \
                     `custom_connection_data` is not built yet and returns 501.",
                )
                .body::<proxy::Call>()
                .response::<proxy_response::ProxyResponse>()
                .idempotent()
        },
    ),
    Operation::works("POST", "/tools/execute/proxy", Keys::Project, PROXY, handler!(proxy::execute_directly), || {
        Docs::ok("Call a provider's API with an account")
            .about("As in a session, with the account of `connected_account_id`.")
            .body::<proxy::DirectCall>()
            .response::<proxy_response::ProxyResponse>()
            .idempotent()
    }),
    Operation::works(
        "POST",
        "/tool_router/session/{session_id}/attach",
        Keys::ProjectOrUser,
        WRITE,
        handler!(changes::attach),
        || {
            Docs::ok("Attach your own tools to a session")
                .about("Your tools run in your process. They are validated and returned with their final slugs, but not stored.")
                .body::<changes::Attachment>()
                .response::<SessionResponse>()
        },
    ),
    Operation::works(
        "GET",
        "/tool_router/session/{session_id}/config_history",
        Keys::ProjectOrUser,
        READ,
        handler!(changes::history),
        || {
            Docs::ok("List a session's policy history")
                .about("Newest first; the current policy is the first item of page 1.")
                .response::<Page<changes::HistoryItem>>()
                .paged(100)
        },
    ),
    Operation::works(
        "GET",
        "/tool_router/session/{session_id}/toolkits",
        Keys::ProjectOrUser,
        READ,
        handler!(toolkits::list),
        || {
            Docs::ok("List a session's toolkits and the accounts it uses for them")
                .about(
                    "The account shown is the one that a call would use: a pinned one whatever its status, else the \
                     user's newest ACTIVE one.",
                )
                .response::<Page<toolkits::ToolkitItem>>()
                .paged(50)
                .query("toolkits", ParameterType::List, "These toolkits, even if the session excludes them.")
                .query("is_connected", ParameterType::Flag, "Only those with, or without, an ACTIVE account.")
                .query("search", ParameterType::Text, "Part of name, slug or description.")
        },
    ),
    Operation::works(
        "GET",
        "/tool_router/session/{session_id}/tools",
        Keys::ProjectOrUser,
        READ,
        handler!(tools::list),
        || {
            Docs::ok("List a session's tools")
                .about(
                    "The tools of `preload` that the policy allows, then the session's meta tools. Any tool that the policy \
                     allows can be run, listed or not.",
                )
                .response::<Page<view::ToolItem<'static>>>()
                .paged(tools::MAX_PAGE_SIZE)
        },
    ),
    Operation::works(
        "POST",
        "/tool_router/session/{session_id}/search",
        Keys::ProjectOrUser,
        EXECUTE,
        handler!(search::search),
        || {
            Docs::ok("Find tools by what a user wants")
                .about(
                    "The tools that fit each query best, with their schemas, the user's connections to their toolkits, and \
                     what has to be done first. Only tools that the session may run are found; if another one fits \
                     better, the response says which rule leaves it out. `toolkits` is an extension of this server, \
                     which the TypeScript SDK sends.",
                )
                .body::<search::SearchBody>()
                .response::<search::SearchResponse>()
                .without_key("Leave the header out; nothing is changed.")
        },
    ),
    Operation::works(
        "POST",
        "/tool_router/session/{session_id}/execute",
        Keys::ProjectOrUser,
        EXECUTE,
        handler!(execute::in_session),
        || {
            Docs::ok("Run a tool")
                .about(
                    "Policy, account, scopes and arguments are checked before anything is sent. The response is 200 also \
                     when the tool fails; `result_type` says which. If the user has to connect an account first, `error` \
                     has a link for that. `dry_run` is an extension of this server: everything is checked, nothing is \
                     sent, and `data` has the request.",
                )
                .body::<execute::SessionCall>()
                .response::<execute::ToolExecution>()
                .idempotent()
        },
    ),
    Operation::works(
        "POST",
        "/tool_router/session/{session_id}/read_result",
        Keys::ProjectOrUser,
        EXECUTE,
        handler!(results::read),
        || {
            Docs::ok("Read a part of a large result")
                .about(
                    "Of a result that became a file of the session, because `enable_auto_workbench_offload` was set: items of \
                     one of its lists, a slice of its text, or the places of a word. An extension of this server.",
                )
                .body::<results::Body>()
                .response::<results::Part>()
                .without_key("Leave the header out; nothing is changed.")
        },
    ),
    Operation::works(
        "POST",
        "/tool_router/session/{session_id}/execute_meta",
        Keys::ProjectOrUser,
        EXECUTE,
        handler!(meta::execute_meta),
        || {
            Docs::ok("Run a meta tool")
                .about(
                    "Meta tools are the server's own: they return schemas, make links, wait for them, and run several tools \
                     at once. `execute` runs them, too. With an `Idempotency-Key`, each call that a meta tool makes is made \
                     once.",
                )
                .body::<meta::MetaCall>()
                .response::<execute::ToolExecution>()
                .idempotent()
        },
    ),
];
