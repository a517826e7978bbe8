//! Operations on connected accounts (contract sections 3.7, 3.8 and 4).

use super::view::{AccountItem, AccountResponse};
use super::{changes, explain, links, revoke_jobs};
use crate::api::account;
use crate::api::http::page::Page;
use crate::api::operations::{Docs, Keys, Operation, ParameterType, Permission, handler};
use crate::app::project::permissions::{Access, Preset};
use crate::app::revocation::RevokeJob;

const READ: Permission = Permission::AnyOf(&[(Preset::ConnectedAccounts, Access::Read)]);
const WRITE: Permission = Permission::AnyOf(&[(Preset::ConnectedAccounts, Access::Write)]);

const STATUSES: &[&str] = &["INITIALIZING", "INITIATED", "ACTIVE", "FAILED", "EXPIRED", "INACTIVE", "REVOKED"];

/// `/connected_accounts…`.
pub(in crate::api) const OPERATIONS: &[Operation] = &[
    Operation::works("GET", "/connected_accounts", Keys::ProjectOrUser, READ, handler!(account::list), || {
        Docs::ok("List connected accounts")
            .about("Newest first by default.")
            .query("toolkit_slugs", ParameterType::List, "Of these toolkits.")
            .query("statuses", ParameterType::ListOf(STATUSES), "With one of these statuses.")
            .query("user_ids", ParameterType::List, "Of these users.")
            .query("auth_config_ids", ParameterType::List, "Of these auth configs.")
            .query("connected_account_ids", ParameterType::List, "These accounts.")
            .query(
                "account_type",
                ParameterType::OneOf(&["PRIVATE", "SHARED", "ALL"]),
                "PRIVATE or SHARED accounts, or both. Default `PRIVATE`.",
            )
            .query("order_by", ParameterType::OneOf(&["created_at", "updated_at"]), "Default `created_at`.")
            .query("order_direction", ParameterType::OneOf(&["asc", "desc"]), "Default `desc`.")
            .paged(1_000)
            .response::<Page<AccountItem>>()
    }),
    Operation::works("POST", "/connected_accounts", Keys::Project, WRITE, handler!(links::create), || {
        Docs::created("Connect an account (older form)")
            .about(
                "With a complete credential in `connection.state.val` the account is ACTIVE at once. Without one, \
                     OAuth auth configs return a `redirect_url`; others return an error with the missing fields.",
            )
            .body::<links::CreateBody>()
            .response::<links::CreateResponse>()
            .without_key("Use POST /connected_accounts/link, which keeps it, or leave the header out.")
    }),
    Operation::works("POST", "/connected_accounts/link", Keys::ProjectOrUser, WRITE, handler!(links::link), || {
        Docs::created("Create a link for an auth config")
            .about("Always creates a new account. The link expires after ten minutes.")
            .body::<links::LinkBody>()
            .response::<links::LinkResponse>()
            .idempotent()
    }),
    Operation::works(
        "POST",
        "/connected_accounts/complete_auth",
        Keys::Project,
        WRITE,
        handler!(links::complete),
        || {
            Docs::ok("Confirm which user finished a link")
                .about(
                    "Only where the project has an `oauth_callback_verifier_url`. The code is exchanged if the user \
                     is the one that the link was for; otherwise the connection fails.",
                )
                .body::<links::CompleteBody>()
                .response::<links::CompleteResponse>()
        },
    ),
    Operation::works("GET", "/connected_accounts/{id}", Keys::ProjectOrUser, READ, handler!(account::read), || {
        Docs::ok("Read a connected account").response::<AccountResponse>()
    }),
    Operation::works("PATCH", "/connected_accounts/{id}", Keys::Project, WRITE, handler!(changes::patch), || {
        Docs::ok("Change a connected account")
            .about("Alias, access list, or a key, token or password. Omitted fields are unchanged.")
            .body::<changes::PatchBody>()
            .response::<changes::PatchResponse>()
    }),
    Operation::works(
        "DELETE",
        "/connected_accounts/{id}",
        Keys::ProjectOrUser,
        WRITE,
        handler!(account::delete),
        || {
            Docs::ok("Delete a connected account")
                .about("Its credential is erased here at once; revocation at the provider is retried for up to a day.")
                .revokes()
                .response::<account::Deleted>()
        },
    ),
    Operation::works(
        "PATCH",
        "/connected_accounts/{id}/status",
        Keys::Project,
        WRITE,
        handler!(changes::status),
        || {
            Docs::ok("Disable or enable a connected account")
                .body::<changes::StatusBody>()
                .response::<changes::SuccessResponse>()
        },
    ),
    Operation::works(
        "POST",
        "/connected_accounts/{id}/refresh",
        Keys::Project,
        WRITE,
        handler!(changes::refresh),
        || {
            Docs::ok("Refresh a connected account")
                .about(
                    "Uses the refresh token if there is one. Otherwise, and for expired or failed accounts, the response \
                     has a `redirect_url` for the user. An active account keeps working in the meantime.",
                )
                .query("redirect_url", ParameterType::Text, "Where the browser goes afterwards.")
                .body::<changes::RefreshBody>()
                .body_optional()
                .response::<changes::RefreshResponse>()
        },
    ),
    Operation::works(
        "POST",
        "/connected_accounts/{id}/revoke",
        Keys::Project,
        WRITE,
        handler!(account::revoke),
        || {
            Docs::ok("Revoke a connected account at its provider")
                .about(
                    "The request to the provider is sent at once. If it succeeds, the account becomes REVOKED and \
                     its credential is erased; if it fails, the response is 502 and the account stays ACTIVE.",
                )
                .response::<account::Revoked>()
        },
    ),
    Operation::works(
        "GET",
        "/connected_accounts/{id}/explain",
        Keys::ProjectOrUser,
        READ,
        handler!(explain::account),
        || {
            Docs::ok("Explain the state of a connection")
                .about(
                    "The account's state, its cause, what to do, and what happened to it, with the provider's own \
                     messages. Calls no provider and changes nothing.",
                )
                .response::<explain::Answer>()
        },
    ),
    Operation::works("GET", "/links/{id}/explain", Keys::ProjectOrUser, READ, handler!(explain::link), || {
        Docs::ok("Explain the state of a link")
            .about(
                "The same for one link. `id` is the first 23 characters of the link_token; the whole token is a \
                     secret and is not accepted in a URL.",
            )
            .response::<explain::Answer>()
    }),
    Operation::works("GET", "/revoke_jobs/{id}", Keys::Project, READ, handler!(revoke_jobs::read), || {
        Docs::ok("Read the results of a revocation job")
            .about("The receipt of a DELETE that returned a `revoke_job_id`.")
            .paged(revoke_jobs::PAGE)
            .response::<RevokeJob>()
    }),
];
