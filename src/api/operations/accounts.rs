//! Operations on connected accounts (contract sections 3.7, 3.8 and 4).

use axum::routing::{delete, get, post};

use super::{Docs, Keys, Operation, ParameterType, Permission};
use crate::api::{connected_accounts, revoke_jobs};
use crate::app::permissions::{Access, Preset};
use crate::app::revocation::RevokeJob;

const READ: Permission = Permission::AnyOf(&[(Preset::ConnectedAccounts, Access::Read)]);
const WRITE: Permission = Permission::AnyOf(&[(Preset::ConnectedAccounts, Access::Write)]);

/// The switch of deletions that revoke.
pub(super) const REVOKE: (&str, ParameterType, &str) =
    ("revoke_on_delete", ParameterType::Flag, "Ask the provider to forget the credentials, too; default true.");

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
        || {
            Docs::ok("Delete a connected account")
                .about("Its credential is erased here at once; the provider is asked to forget it, for up to a day.")
                .query(REVOKE.0, REVOKE.1, REVOKE.2)
                .answer::<connected_accounts::Deleted>()
        },
    ),
    Operation::later("PATCH", "/connected_accounts/{id}/status", Keys::Project, WRITE, "accounts"),
    Operation::later("POST", "/connected_accounts/{id}/refresh", Keys::Project, WRITE, "accounts"),
    Operation::works(
        "POST",
        "/connected_accounts/{id}/revoke",
        Keys::Project,
        WRITE,
        || post(connected_accounts::revoke),
        || {
            Docs::ok("Revoke a connected account at its provider")
                .about(
                    "The provider is asked at once. When it has revoked the tokens, the account becomes REVOKED and \
                     its credential is erased; when it fails, the answer is 502 and the account stays ACTIVE.",
                )
                .answer::<connected_accounts::Revoked>()
        },
    ),
    Operation::works(
        "GET",
        "/revoke_jobs/{id}",
        Keys::Project,
        READ,
        || get(revoke_jobs::read),
        || {
            Docs::ok("Read what became of credentials that were to be revoked")
                .about("The receipt of a DELETE that answered with a `revoke_job_id`.")
                .paged(revoke_jobs::PAGE)
                .answer::<RevokeJob>()
        },
    ),
];
