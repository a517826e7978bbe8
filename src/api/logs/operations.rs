//! Operations on the log of calls and on numbers of calls.

use super::{explain, internal, usage};
use crate::api::logs;
use crate::api::operations::{Docs, Keys, Operation, Permission, handler};
use crate::app::project::permissions::{Access, Preset};

const READ: Permission = Permission::AnyOf(&[(Preset::Observability, Access::Read)]);
const NO_KEY: &str = "Leave the header out; nothing is changed.";

/// `/logs/tool_execution…`, `/internal/action_execution`, `/project/usage`, `/org/usage`.
pub(in crate::api) const OPERATIONS: &[Operation] = &[
    Operation::works("POST", "/logs/tool_execution", Keys::Project, READ, handler!(logs::list), || {
        Docs::ok("List logged calls")
            .about("Tools and raw API calls, newest first. A call appears within a second after its end.")
            .body::<logs::Search>()
            .body_optional()
            .response::<logs::LogPage>()
            .without_key(NO_KEY)
    }),
    Operation::works("GET", "/logs/tool_execution/{id}", Keys::Project, READ, handler!(logs::read), || {
        Docs::ok("Read a logged call")
            .about("Arguments and answer are kept only while the project's `log_visibility_setting` is `show_all`.")
            .response::<logs::LogDetail>()
    }),
    Operation::works("GET", "/logs/tool_execution/{id}/explain", Keys::Project, READ, handler!(explain::read), || {
        Docs::ok("Explain a logged call")
            .about(
                "What was decided, sent and answered, and what to do. Derived from the log of calls and what is \
                     stored beside it. An extension of this server.",
            )
            .response::<explain::Answer>()
    }),
    Operation::works(
        "GET",
        "/internal/action_execution/fields",
        Keys::Project,
        READ,
        handler!(internal::fields),
        || Docs::ok("List the fields of log filters").response::<internal::Fields>(),
    ),
    Operation::works(
        "GET",
        "/internal/action_execution/log/{id}",
        Keys::Project,
        READ,
        handler!(internal::read),
        || Docs::ok("Read a logged call, older form").response::<internal::LogDetail>(),
    ),
    Operation::works("POST", "/internal/action_execution/logs", Keys::Project, READ, handler!(internal::list), || {
        Docs::ok("List logged calls, older form")
            .body::<internal::Search>()
            .body_optional()
            .response::<internal::LogPage>()
            .without_key(NO_KEY)
    }),
    Operation::works("POST", "/project/usage/summary", Keys::Project, READ, handler!(usage::project_summary), || {
        Docs::ok("Count the project's calls")
            .about("Counted from the log of calls, as far back as it is kept.")
            .body::<usage::SummaryBody>()
            .body_optional()
            .response::<usage::Summary>()
            .without_key(NO_KEY)
    }),
    Operation::works(
        "POST",
        "/project/usage/{entity_type}",
        Keys::Project,
        READ,
        handler!(usage::project_usage),
        || {
            Docs::ok("Count the project's calls by group")
                .about("`entity_type` is `tool_calls` or `proxy_calls`.")
                .body::<usage::GroupBody>()
                .body_optional()
                .response::<usage::Usage>()
                .without_key(NO_KEY)
        },
    ),
    Operation::works(
        "POST",
        "/org/usage/summary",
        Keys::Organization,
        Permission::Nothing,
        handler!(usage::org_summary),
        || {
            Docs::ok("Count the calls of all projects")
                .body::<usage::SummaryBody>()
                .body_optional()
                .response::<usage::Summary>()
                .without_key(NO_KEY)
        },
    ),
    Operation::works(
        "POST",
        "/org/usage/{entity_type}",
        Keys::Organization,
        Permission::Nothing,
        handler!(usage::org_usage),
        || {
            Docs::ok("Count the calls of all projects by group")
                .about("`entity_type` is `tool_calls` or `proxy_calls`.")
                .body::<usage::GroupBody>()
                .body_optional()
                .response::<usage::Usage>()
                .without_key(NO_KEY)
        },
    ),
];
