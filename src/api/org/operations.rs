//! Operations on the organisation, its projects and keys (contract section 8.5).

use super::{api_key_revocation, project_config, projects, session_info};
use crate::api::operations::{Docs, Keys, Operation, ParameterType, Permission, handler};
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
        handler!(projects::list),
        || Docs::ok("List projects").paged(org::MAX_PAGE_SIZE).response::<org::ProjectPage>(),
    ),
    Operation::works(
        "POST",
        "/org/owner/project/new",
        Keys::Organization,
        Permission::Nothing,
        handler!(projects::create),
        || {
            Docs::ok("Create a project")
                .about("With `should_create_api_key`, the response contains its first key, which is not shown again.")
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
        handler!(projects::read),
        || {
            Docs::ok("Read a project")
                .about("Only the first characters of each key are shown: the key itself is not stored.")
                .response::<projects::ProjectDetail>()
        },
    ),
    Operation::works(
        "DELETE",
        "/org/owner/project/{id}",
        Keys::Organization,
        Permission::Nothing,
        handler!(projects::delete),
        || {
            Docs::ok("Delete a project")
                .about("Deletes its keys, sessions, auth configs, links and connected accounts as well, and erases their credentials.")
                .revokes()
                .response::<projects::DeletedProject>()
        },
    ),
    Operation::works(
        "POST",
        "/org/owner/project/{id}/regenerate_api_key",
        Keys::Organization,
        Permission::Nothing,
        handler!(projects::regenerate),
        || {
            Docs::ok("Replace the API keys of a project")
                .about("Creates one key for everything in the project and revokes all earlier keys at the same time.")
                .response::<projects::RegeneratedKey>()
                .without_key(
                    "Leave the header out: a remembered answer would hold the API key, and keys are kept nowhere. \
                     GET /org/owner/project/list shows whether an earlier request went through.",
                )
        },
    ),
    Operation::works("GET", "/org/list", Keys::User, Permission::Nothing, handler!(org::list), || {
        Docs::ok("List organisations")
            .about("This installation is the only organisation.")
            .paged(org::MAX_PAGE_SIZE)
            .response::<org::OrganizationPage>()
    }),
    Operation::works("GET", "/org/project/list", Keys::User, Permission::Nothing, handler!(org::project_list), || {
        Docs::ok("List the projects of a member")
            .about("A member sees every project.")
            .query("list_all_org_projects", ParameterType::Flag, "Has no effect here.")
            .paged(org::MAX_PAGE_SIZE)
            .response::<org::ProjectPage>()
    }),
    Operation::works(
        "GET",
        "/org/project/config",
        Keys::Project,
        Permission::Unscoped,
        handler!(project_config::read),
        || Docs::ok("Read the settings of the project").response::<ProjectSettings>(),
    ),
    Operation::works(
        "PATCH",
        "/org/project/config",
        Keys::Project,
        Permission::Unscoped,
        handler!(project_config::change),
        || {
            Docs::ok("Change the settings of the project")
                .about("Omitted fields are unchanged; null resets a field. The response contains all settings.")
                .body::<ConfigChange>()
                .response::<ProjectSettings>()
        },
    ),
    Operation::works("GET", "/auth/session/info", Keys::Any, Permission::Nothing, handler!(session_info::read), || {
        Docs::ok("Describe the key of this request").response::<session_info::SessionInfo>()
    }),
    Operation::works(
        "POST",
        "/api_key_revocation",
        Keys::Public,
        Permission::Nothing,
        handler!(api_key_revocation::revoke),
        || {
            Docs::ok("Revoke leaked API keys")
                .about("Needs no key. The response is the same whether the keys exist or not.")
                .body::<api_key_revocation::LeakedKeys>()
                .response::<api_key_revocation::RevocationReceipt>()
        },
    ),
];
