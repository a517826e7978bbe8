//! Operations on connected accounts (contract sections 3.7, 3.8 and 4).

use axum::routing::{delete, get};

use super::{Docs, Keys, Operation, Permission};
use crate::api::connected_accounts;
use crate::app::permissions::{Access, Preset};

const READ: Permission = Permission::AnyOf(&[(Preset::ConnectedAccounts, Access::Read)]);
const WRITE: Permission = Permission::AnyOf(&[(Preset::ConnectedAccounts, Access::Write)]);

/// `/connected_accounts…`.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::works(
        "GET",
        "/connected_accounts",
        Keys::ProjectOrUser,
        READ,
        || get(connected_accounts::list),
        || Docs::ok("List connected accounts"),
    ),
    Operation::later("POST", "/connected_accounts", Keys::Project, WRITE, "accounts"),
    Operation::later("POST", "/connected_accounts/link", Keys::ProjectOrUser, WRITE, "accounts"),
    Operation::later("POST", "/connected_accounts/complete_auth", Keys::Project, WRITE, "accounts"),
    Operation::works(
        "GET",
        "/connected_accounts/{id}",
        Keys::ProjectOrUser,
        READ,
        || get(connected_accounts::read),
        || Docs::ok("Read a connected account"),
    ),
    Operation::later("PATCH", "/connected_accounts/{id}", Keys::Project, WRITE, "accounts"),
    Operation::works(
        "DELETE",
        "/connected_accounts/{id}",
        Keys::ProjectOrUser,
        WRITE,
        || delete(connected_accounts::delete),
        || Docs::ok("Delete a connected account"),
    ),
    Operation::later("PATCH", "/connected_accounts/{id}/status", Keys::Project, WRITE, "accounts"),
    Operation::later("POST", "/connected_accounts/{id}/refresh", Keys::Project, WRITE, "accounts"),
    Operation::later("POST", "/connected_accounts/{id}/revoke", Keys::Project, WRITE, "accounts"),
];
