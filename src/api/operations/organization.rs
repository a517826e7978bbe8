//! Operations on the organisation, its projects and keys (contract section 8.5).

use super::{Keys, Operation, Permission};

/// `/org…`, `/auth/session/info`, `/api_key_revocation`.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::later("GET", "/org/owner/project/list", Keys::Organization, Permission::Nothing, "organisations"),
    Operation::later("POST", "/org/owner/project/new", Keys::Organization, Permission::Nothing, "organisations"),
    Operation::later("GET", "/org/owner/project/{id}", Keys::Organization, Permission::Nothing, "organisations"),
    Operation::later("DELETE", "/org/owner/project/{id}", Keys::Organization, Permission::Nothing, "organisations"),
    Operation::later(
        "POST",
        "/org/owner/project/{id}/regenerate_api_key",
        Keys::Organization,
        Permission::Nothing,
        "organisations",
    ),
    Operation::later("GET", "/org/list", Keys::User, Permission::Nothing, "organisations"),
    Operation::later("GET", "/org/project/list", Keys::User, Permission::Nothing, "organisations"),
    Operation::later("GET", "/org/project/config", Keys::Project, Permission::Unscoped, "organisations"),
    Operation::later("PATCH", "/org/project/config", Keys::Project, Permission::Unscoped, "organisations"),
    Operation::later("GET", "/auth/session/info", Keys::Any, Permission::Nothing, "organisations"),
    Operation::later("POST", "/api_key_revocation", Keys::Nobody, Permission::Nothing, "organisations"),
];
