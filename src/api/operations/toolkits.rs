//! Operations on toolkits (contract sections 6.1 to 6.4).

use axum::routing::get;

use super::{Docs, Keys, Operation, Permission};
use crate::api::toolkits;
use crate::app::permissions::{Access, Preset};

const READ: Permission = Permission::AnyOf(&[(Preset::Toolkits, Access::Read)]);

/// `/toolkits…`.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::works(
        "GET",
        "/toolkits",
        Keys::ProjectOrUser,
        READ,
        || get(toolkits::list),
        || Docs::ok("List toolkits"),
    ),
    Operation::later("GET", "/toolkits/categories", Keys::Project, READ, "toolkits"),
    Operation::later("GET", "/toolkits/changelog", Keys::Project, READ, "toolkits"),
    Operation::later("POST", "/toolkits/multi", Keys::Project, READ, "toolkits"),
    Operation::works(
        "GET",
        "/toolkits/{slug}",
        Keys::ProjectOrUser,
        READ,
        || get(toolkits::read),
        || Docs::ok("Read a toolkit"),
    ),
    Operation::later(
        "GET",
        "/toolkits/{slug}/scopes/grant_context",
        Keys::Project,
        READ,
        "tools: scopes follow from them",
    ),
    Operation::later(
        "POST",
        "/toolkits/{slug}/scopes/recommended",
        Keys::Project,
        READ,
        "tools: scopes follow from them",
    ),
];
