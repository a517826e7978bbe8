//! Operations on toolkits (contract sections 6.1 to 6.4).

use super::view;
use crate::api::http::page::Page;
use crate::api::operations::{Docs, Keys, Operation, ParameterType, Permission, handler};
use crate::api::toolkit;
use crate::app::project::permissions::{Access, Preset};

const READ: Permission = Permission::AnyOf(&[(Preset::Toolkits, Access::Read)]);

/// `/toolkits…`.
pub(in crate::api) const OPERATIONS: &[Operation] = &[
    Operation::works("GET", "/toolkits", Keys::ProjectOrUser, READ, handler!(toolkit::list), || {
        Docs::ok("List toolkits")
            .about("Ordered by name, unless `sort_by` says otherwise.")
            .response::<Page<view::ToolkitItem>>()
            .paged(toolkit::MAX_PAGE_SIZE)
            .query("search", ParameterType::Text, "Part of name, slug or description.")
            .query("category", ParameterType::Text, "Id of a category.")
            .query(
                "managed_by",
                ParameterType::OneOf(&["composio", "project", "all"]),
                "`composio`: those that need no auth config of your own; `project`: those that do.",
            )
            .query(
                "sort_by",
                ParameterType::OneOf(&["usage", "alphabetically"]),
                "`usage`: those with the most accounts of this project first, then by name.",
            )
            .query(
                "type",
                ParameterType::OneOf(&["native", "custom", "all"]),
                "Every toolkit here is native: `custom` matches none.",
            )
            .query("include_deprecated", ParameterType::Flag, "No toolkit here is deprecated: no effect.")
            .query("user_id", ParameterType::Text, "No toolkit here belongs to one user: no effect.")
    }),
    Operation::works("GET", "/toolkits/categories", Keys::Project, READ, handler!(toolkit::categories), || {
        Docs::ok("List the categories of toolkits").response::<Page<view::CategoryItem>>().paged(toolkit::MAX_PAGE_SIZE)
    }),
    Operation::works("GET", "/toolkits/changelog", Keys::Project, READ, handler!(toolkit::changelog), || {
        Docs::ok("List the versions of toolkits")
            .about("Those that this server has had, with what is new in each. The newest is first; a withdrawn one says so.")
            .response::<view::Changelog>()
    }),
    Operation::works("POST", "/toolkits/multi", Keys::Project, READ, handler!(toolkit::multi), || {
        Docs::ok("List several toolkits")
            .about("Unknown slugs are omitted from the response.")
            .body::<toolkit::MultiBody>()
            .body_optional()
            .response::<Page<view::ToolkitItem>>()
    }),
    Operation::works("GET", "/toolkits/{slug}", Keys::ProjectOrUser, READ, handler!(toolkit::read), || {
        Docs::ok("Read a toolkit").about("With the fields of each scheme.").response::<view::ToolkitResponse>().query(
            "version",
            ParameterType::Text,
            "`latest` or one of `meta.available_versions`. Only the tools have versions: the rest is as it is now.",
        )
    }),
];
