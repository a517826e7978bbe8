//! Operations on auth configs (contract section 5).

use super::{changes, view};
use crate::api::auth_config;
use crate::api::http::page::Page;
use crate::api::operations::{Docs, Keys, Operation, ParameterType, Permission, handler};
use crate::app::project::permissions::{Access, Preset};

const READ: Permission = Permission::AnyOf(&[(Preset::AuthConfigs, Access::Read)]);
const WRITE: Permission = Permission::AnyOf(&[(Preset::AuthConfigs, Access::Write)]);

/// `/auth_configs…`.
pub(in crate::api) const OPERATIONS: &[Operation] = &[
    Operation::works("GET", "/auth_configs", Keys::ProjectOrUser, READ, handler!(auth_config::list), || {
        Docs::ok("List auth configs")
            .about("Newest first.")
            .query("toolkit_slug", ParameterType::List, "Only for these toolkits.")
            .query("is_composio_managed", ParameterType::Flag, "Only with the operator's client, or only without.")
            .query("show_disabled", ParameterType::Flag, "Include disabled ones; default false.")
            .query("search", ParameterType::Text, "Part of the name, or the id.")
            .deprecated("deprecated_app_id")
            .deprecated("deprecated_status")
            .paged(200)
            .response::<Page<view::AuthConfig>>()
    }),
    Operation::works("POST", "/auth_configs", Keys::ProjectOrUser, WRITE, handler!(auth_config::create), || {
        Docs::created("Create an auth config")
            .about(
                "How accounts of a toolkit authenticate in this project: with the operator's OAuth client, with a \
                     client of your own, or with keys, tokens or passwords that each user enters.",
            )
            .body::<auth_config::Body>()
            .response::<view::CreateResponse>()
            .idempotent()
    }),
    Operation::works("GET", "/auth_configs/{id}", Keys::ProjectOrUser, READ, handler!(auth_config::read), || {
        Docs::ok("Read an auth config").about("Secrets are never shown.").response::<view::AuthConfig>()
    }),
    Operation::works("PATCH", "/auth_configs/{id}", Keys::ProjectOrUser, WRITE, handler!(changes::patch), || {
        Docs::ok("Change an auth config")
            .about(
                "Omitted fields are unchanged; `[]` or an empty string clears scopes. Unfinished connections at the \
                     provider end with the change; connected accounts are kept.",
            )
            .body::<changes::PatchBody>()
            .response::<changes::ChangeResponse>()
    }),
    Operation::works("DELETE", "/auth_configs/{id}", Keys::ProjectOrUser, WRITE, handler!(auth_config::delete), || {
        Docs::ok("Delete an auth config")
            .about("Its accounts are deleted as well, and their credentials are revoked at the provider.")
            .revokes()
            .response::<auth_config::Deleted>()
    }),
    Operation::works("PATCH", "/auth_configs/{id}/{status}", Keys::Project, WRITE, handler!(changes::status), || {
        Docs::ok("Enable or disable an auth config")
            .about(
                "`status` is `ENABLED` or `DISABLED`; no body is read. While an auth config is disabled, its \
                     accounts are INACTIVE and cannot be used, and no account can be connected.",
            )
            .response::<changes::ChangeResponse>()
    }),
];
