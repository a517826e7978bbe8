//! Operations on tools (contract sections 6.5 and 6.6).

use super::{execute, scopes, view};
use crate::api::http::page::Page;
use crate::api::operations::{Docs, Keys, Operation, ParameterType, Permission, handler};
use crate::api::tool;
use crate::app::project::permissions::{Access, Preset};

const READ: Permission = Permission::AnyOf(&[(Preset::Tools, Access::Read)]);
const TOOLKITS: Permission = Permission::AnyOf(&[(Preset::Toolkits, Access::Read)]);
const RUN: Permission = Permission::AnyOf(&[(Preset::ToolExecution, Access::Write)]);

/// `/tools…`.
pub(in crate::api) const OPERATIONS: &[Operation] = &[
    Operation::works("GET", "/tools", Keys::ProjectOrUser, READ, handler!(tool::list), || {
        Docs::ok("List tools")
            .about("In the order of their slugs; the best first with `query`. Toolkits without tools have their API only: `proxy_execute`.")
            .response::<Page<view::ToolItem<'static>>>()
            .paged(tool::MAX_PAGE_SIZE)
            .query("toolkit_slug", ParameterType::List, "Tools of these toolkits.")
            .query("tool_slugs", ParameterType::List, "These tools, whatever else is given.")
            .query("tags", ParameterType::List, "Tools with one of these behaviour hints.")
            .query("scopes", ParameterType::List, "Tools that these scopes are enough for.")
            .query("query", ParameterType::Text, "What the tool is for, in words.")
            .query("search", ParameterType::Text, "An older name of `query`.")
            .query("include_deprecated", ParameterType::Flag, "Also tools that will be removed.")
            .query("important", ParameterType::Flag, "No tool here is marked as important: no effect.")
            .query("include_pricing", ParameterType::Flag, "Nothing has a price here: no effect.")
            .query("auth_config_ids", ParameterType::List, "That accounts of one of these auth configs may run.")
            .query(
                "toolkit_versions",
                ParameterType::TextOrMap,
                "`latest`, or versions of toolkits: `toolkit_versions[sandbox]=20261122_00`.",
            )
    }),
    Operation::works("GET", "/tools/enum", Keys::ProjectOrUser, READ, handler!(tool::slugs), || {
        Docs::ok("List the slugs of all tools").response::<Vec<String>>()
    }),
    Operation::works("GET", "/tools/{tool_slug}", Keys::ProjectOrUser, READ, handler!(tool::read), || {
        Docs::ok("Read a tool")
            .response::<view::ToolItem<'static>>()
            .query("version", ParameterType::Text, "`latest` or one of the toolkit's versions.")
            .query("include_pricing", ParameterType::Flag, "Nothing has a price here: no effect.")
            .query(
                "toolkit_versions",
                ParameterType::TextOrMap,
                "`latest`, or versions of toolkits; `version` comes first.",
            )
    }),
    Operation::works("POST", "/tools/execute/{tool_slug}", Keys::ProjectOrUser, RUN, handler!(execute::direct), || {
        Docs::ok("Run a tool for a user")
            .about(
                "With the account of `connected_account_id`, or the user's newest ACTIVE one. The response is 200 also \
                 when the tool fails; `successful` says which. `dry_run` is an extension of this server: everything is \
                 checked, nothing is sent, and `data` has the request.",
            )
            .body::<execute::DirectBody>()
            .response::<execute::DirectToolExecution>()
            .idempotent()
    }),
    Operation::later("POST", "/tools/execute/{tool_slug}/input", Keys::Project, RUN, "a model"),
    Operation::works("POST", "/tools/scopes/required", Keys::Project, READ, handler!(scopes::required), || {
        Docs::ok("Say which scopes tools need")
            .body::<scopes::ScopesBody>()
            .response::<scopes::RequiredScopes<'static>>()
            .without_key("Leave the header out; nothing is changed.")
    }),
    Operation::works(
        "GET",
        "/toolkits/{slug}/scopes/grant_context",
        Keys::Project,
        TOOLKITS,
        handler!(scopes::grant_context),
        || {
            Docs::ok("Say what the scopes of a toolkit depend on")
                .about("On the tools alone, for every toolkit here.")
                .response::<scopes::GrantContext>()
                .query("auth_scheme", ParameterType::Text, "A scheme of the toolkit with scopes.")
                .query("toolkit_version", ParameterType::Text, "`latest` or one of the toolkit's versions.")
        },
    ),
    Operation::works(
        "POST",
        "/toolkits/{slug}/scopes/recommended",
        Keys::Project,
        TOOLKITS,
        handler!(scopes::recommended),
        || {
            Docs::ok("Recommend scopes for tools")
                .about("For `scopes` of an auth config.")
                .body::<scopes::RecommendBody>()
                .response::<scopes::Recommendation>()
                .without_key("Leave the header out; nothing is changed.")
        },
    ),
];
