//! Operations on auth configs (contract section 5).

use axum::routing::{delete, get, post};

use super::accounts::REVOKE;
use super::{Docs, Keys, Operation, Permission};
use crate::api::auth_configs;
use crate::app::permissions::{Access, Preset};

const READ: Permission = Permission::AnyOf(&[(Preset::AuthConfigs, Access::Read)]);
const WRITE: Permission = Permission::AnyOf(&[(Preset::AuthConfigs, Access::Write)]);

/// `/auth_configs…`.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::works(
        "GET",
        "/auth_configs",
        Keys::ProjectOrUser,
        READ,
        || get(auth_configs::list),
        || Docs::ok("List auth configs"),
    ),
    Operation::works(
        "POST",
        "/auth_configs",
        Keys::ProjectOrUser,
        WRITE,
        || post(auth_configs::create),
        || Docs::created("Create an auth config"),
    ),
    Operation::works(
        "GET",
        "/auth_configs/{id}",
        Keys::ProjectOrUser,
        READ,
        || get(auth_configs::read),
        || Docs::ok("Read an auth config"),
    ),
    Operation::later("PATCH", "/auth_configs/{id}", Keys::ProjectOrUser, WRITE, "auth configs"),
    Operation::works(
        "DELETE",
        "/auth_configs/{id}",
        Keys::ProjectOrUser,
        WRITE,
        || delete(auth_configs::delete),
        || {
            Docs::ok("Delete an auth config")
                .about("Its accounts are deleted with it; their provider is asked to forget the credentials.")
                .query(REVOKE.0, REVOKE.1, REVOKE.2)
                .answer::<auth_configs::Deleted>()
        },
    ),
    Operation::later("PATCH", "/auth_configs/{id}/{status}", Keys::Project, WRITE, "auth configs"),
];
