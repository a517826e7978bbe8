//! Operations on the organisation, its projects and keys (contract section 8.5).

use axum::routing::{delete, get, patch, post};

use super::{api_key_revocation, project_config, projects, session_info};
use crate::api::operations::{Docs, Keys, Operation, ParameterType, Permission};
use crate::api::org;
use crate::app::project::ProjectSettings;
use crate::app::project::config::ConfigChange;

/// `/org…`, `/auth/session/info`, `/api_key_revocation`.
pub(in crate::api) const OPERATIONS: &[Operation] = &[
    Operation::works(
        "GET",
        "/org/owner/project/list",
        Keys::Organization,
        Permission::Nothing,
        || get(projects::list),
        || Docs::ok("List projects").paged(org::MAX_PAGE_SIZE).response::<org::ProjectPage>(),
    ),
    Operation::works(
        "POST",
        "/org/owner/project/new",
        Keys::Organization,
        Permission::Nothing,
        || post(projects::create),
        || {
            Docs::ok("Create a project")
                .about("With `should_create_api_key`, its first key is in the answer, and nowhere else afterwards.")
                .body::<projects::NewProjectBody>()
                .response::<projects::NewProjectResponse>()
                .without_key(
                    "Leave the header out: a remembered answer would hold the API key, and keys are kept nowhere. \
                     GET /org/owner/project/list shows whether an earlier request went through.",
                )
        },
    ),
    Operation::works(
        "GET",
        "/org/owner/project/{id}",
        Keys::Organization,
        Permission::Nothing,
        || get(projects::read),
        || {
            Docs::ok("Read a project")
                .about("Of each key only the first characters are shown: the key itself is stored nowhere.")
                .response::<projects::ProjectDetail>()
        },
    ),
    Operation::works(
        "DELETE",
        "/org/owner/project/{id}",
        Keys::Organization,
        Permission::Nothing,
        || delete(projects::delete),
        || {
            Docs::ok("Delete a project")
                .about("Its keys, sessions, auth configs, links and connected accounts end with it, and their credentials are erased.")
                .revokes()
                .response::<projects::DeletedProject>()
        },
    ),
    Operation::works(
        "POST",
        "/org/owner/project/{id}/regenerate_api_key",
        Keys::Organization,
        Permission::Nothing,
        || post(projects::regenerate),
        || {
            Docs::ok("Replace the API keys of a project")
                .about(
                    "Makes one key for everything in the project and revokes all its earlier keys in the same moment.",
                )
                .response::<projects::RegeneratedKey>()
                .without_key(
                    "Leave the header out: a remembered answer would hold the API key, and keys are kept nowhere. \
                     GET /org/owner/project/list shows whether an earlier request went through.",
                )
        },
    ),
    Operation::works(
        "GET",
        "/org/list",
        Keys::User,
        Permission::Nothing,
        || get(org::list),
        || {
            Docs::ok("List organisations")
                .about("The installation is the one organisation.")
                .paged(org::MAX_PAGE_SIZE)
                .response::<org::OrganizationPage>()
        },
    ),
    Operation::works(
        "GET",
        "/org/project/list",
        Keys::User,
        Permission::Nothing,
        || get(org::project_list),
        || {
            Docs::ok("List the projects of a member")
                .about("A member sees every project.")
                .query("list_all_org_projects", ParameterType::Flag, "Makes no difference here.")
                .paged(org::MAX_PAGE_SIZE)
                .response::<org::ProjectPage>()
        },
    ),
    Operation::works(
        "GET",
        "/org/project/config",
        Keys::Project,
        Permission::Unscoped,
        || get(project_config::read),
        || Docs::ok("Read the settings of the project").response::<ProjectSettings>(),
    ),
    Operation::works(
        "PATCH",
        "/org/project/config",
        Keys::Project,
        Permission::Unscoped,
        || patch(project_config::change),
        || {
            Docs::ok("Change the settings of the project")
                .about("A field that is left out stays; null sets it back. The answer is the whole settings.")
                .body::<ConfigChange>()
                .response::<ProjectSettings>()
        },
    ),
    Operation::works(
        "GET",
        "/auth/session/info",
        Keys::Any,
        Permission::Nothing,
        || get(session_info::read),
        || Docs::ok("Say what the key of this request is").response::<session_info::SessionInfo>(),
    ),
    Operation::works(
        "POST",
        "/api_key_revocation",
        Keys::Public,
        Permission::Nothing,
        || post(api_key_revocation::revoke),
        || {
            Docs::ok("Revoke API keys that were found")
                .about("Needs no key. The answer is the same whether the keys exist or not.")
                .body::<api_key_revocation::LeakedKeys>()
                .response::<api_key_revocation::RevocationReceipt>()
        },
    ),
];
