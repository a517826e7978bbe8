//! Operations on auth configs (contract section 5).

use axum::routing::{delete, get, patch, post};

use super::{Docs, Keys, Operation, ParameterType, Permission};
use crate::api::http::page::Page;
use crate::api::{auth_config_changes, auth_config_view, auth_configs};
use crate::app::project::permissions::{Access, Preset};

const READ: Permission = Permission::AnyOf(&[(Preset::AuthConfigs, Access::Read)]);
const WRITE: Permission = Permission::AnyOf(&[(Preset::AuthConfigs, Access::Write)]);

/// `/auth_configs…`.
pub(in crate::api) const OPERATIONS: &[Operation] = &[
    Operation::works(
        "GET",
        "/auth_configs",
        Keys::ProjectOrUser,
        READ,
        || get(auth_configs::list),
        || {
            Docs::ok("List auth configs")
                .about("Newest first.")
                .query("toolkit_slug", ParameterType::List, "Only of these toolkits.")
                .query("is_composio_managed", ParameterType::Flag, "Only with the operator's client, or only without.")
                .query("show_disabled", ParameterType::Flag, "Disabled ones, too; default false.")
                .query("search", ParameterType::Text, "Part of the name, or the id.")
                .deprecated("deprecated_app_id")
                .deprecated("deprecated_status")
                .paged(200)
                .answer::<Page<auth_config_view::AuthConfig>>()
        },
    ),
    Operation::works(
        "POST",
        "/auth_configs",
        Keys::ProjectOrUser,
        WRITE,
        || post(auth_configs::create),
        || {
            Docs::created("Create an auth config")
                .about(
                    "How accounts of a toolkit authenticate in this project: with the operator's OAuth client, with a \
                     client of your own, or with keys, tokens or passwords that each user enters.",
                )
                .body::<auth_configs::Body>()
                .answer::<auth_config_view::CreateAnswer>()
                .idempotent()
        },
    ),
    Operation::works(
        "GET",
        "/auth_configs/{id}",
        Keys::ProjectOrUser,
        READ,
        || get(auth_configs::read),
        || Docs::ok("Read an auth config").about("Secrets are never shown.").answer::<auth_config_view::AuthConfig>(),
    ),
    Operation::works(
        "PATCH",
        "/auth_configs/{id}",
        Keys::ProjectOrUser,
        WRITE,
        || patch(auth_config_changes::patch),
        || {
            Docs::ok("Change an auth config")
                .about(
                    "What is left out stays; `[]` or an empty text clears scopes. Connections that users have begun at the \
                     provider end with the change; accounts that are connected stay.",
                )
                .body::<auth_config_changes::PatchBody>()
                .answer::<auth_config_changes::ChangeAnswer>()
        },
    ),
    Operation::works(
        "DELETE",
        "/auth_configs/{id}",
        Keys::ProjectOrUser,
        WRITE,
        || delete(auth_configs::delete),
        || {
            Docs::ok("Delete an auth config")
                .about("Its accounts are deleted with it; their provider is asked to forget the credentials.")
                .revokes()
                .answer::<auth_configs::Deleted>()
        },
    ),
    Operation::works(
        "PATCH",
        "/auth_configs/{id}/{status}",
        Keys::Project,
        WRITE,
        || patch(auth_config_changes::status),
        || {
            Docs::ok("Enable or disable an auth config")
                .about(
                    "`status` is `ENABLED` or `DISABLED`; no body is read. While an auth config is disabled, its \
                     accounts are INACTIVE and cannot be used, and no account can be connected.",
                )
                .answer::<auth_config_changes::ChangeAnswer>()
        },
    ),
];
