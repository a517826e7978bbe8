//! Operations on connected accounts (contract sections 3.7, 3.8 and 4).

use axum::routing::{delete, get};

use super::{Docs, Keys, Operation, ParameterType, Permission};
use crate::api::account_view::{AccountAnswer, AccountList};
use crate::api::connected_accounts;
use crate::app::permissions::{Access, Preset};

const READ: Permission = Permission::AnyOf(&[(Preset::ConnectedAccounts, Access::Read)]);
const WRITE: Permission = Permission::AnyOf(&[(Preset::ConnectedAccounts, Access::Write)]);

const STATUSES: &[&str] = &["INITIALIZING", "INITIATED", "ACTIVE", "FAILED", "EXPIRED", "INACTIVE", "REVOKED"];

/// `/connected_accounts…`.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::works(
        "GET",
        "/connected_accounts",
        Keys::ProjectOrUser,
        READ,
        || get(connected_accounts::list),
        || {
            Docs::ok("List connected accounts")
                .about("Newest first, unless ordered otherwise.")
                .query("toolkit_slugs", ParameterType::List, "Of these toolkits.")
                .query("statuses", ParameterType::ListOf(STATUSES), "With one of these statuses.")
                .query("user_ids", ParameterType::List, "Of these users.")
                .query("auth_config_ids", ParameterType::List, "Of these auth configs.")
                .query("connected_account_ids", ParameterType::List, "These accounts.")
                .query(
                    "account_type",
                    ParameterType::OneOf(&["PRIVATE", "SHARED", "ALL"]),
                    "Who may use them. Default `PRIVATE`.",
                )
                .query("order_by", ParameterType::OneOf(&["created_at", "updated_at"]), "Default `created_at`.")
                .query("order_direction", ParameterType::OneOf(&["asc", "desc"]), "Default `desc`.")
                .paged(1_000)
                .answer::<AccountList>()
        },
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
        || Docs::ok("Read a connected account").answer::<AccountAnswer>(),
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
