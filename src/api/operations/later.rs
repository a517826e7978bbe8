//! Areas that are not built yet, and operations of the hosted service that do not apply here.

use super::{Keys, Operation, Permission};
use crate::app::project::permissions::{Access, Preset};

const TRIGGERS_READ: Permission = Permission::AnyOf(&[(Preset::Triggers, Access::Read)]);
const TRIGGERS_WRITE: Permission = Permission::AnyOf(&[(Preset::Triggers, Access::Write)]);
const WEBHOOKS_READ: Permission = Permission::AnyOf(&[(Preset::Webhooks, Access::Read)]);
const WEBHOOKS_WRITE: Permission = Permission::AnyOf(&[(Preset::Webhooks, Access::Write)]);
const MCP_READ: Permission = Permission::AnyOf(&[(Preset::LegacyMcp, Access::Read)]);
const MCP_WRITE: Permission = Permission::AnyOf(&[(Preset::LegacyMcp, Access::Write)]);
const LOGS: Permission = Permission::AnyOf(&[(Preset::Observability, Access::Read)]);
const SESSIONS: Permission = Permission::AnyOf(&[(Preset::Sessions, Access::Read)]);
const TOOLKITS: Permission = Permission::AnyOf(&[(Preset::Toolkits, Access::Write)]);

const MCP: &str = "MCP servers (the older product)";
const OWN: &str = "custom toolkits; the operator's own toolkits are files";
const CLI: &str = "it serves the hosted service's command line";
const PEOPLE: &str = "it serves sign-up and consumer accounts of the hosted service";
const PUSH: &str = "the SDKs take the push service's host from a name, so it cannot be here";

/// All operations without a resource.
pub(in crate::api) const OPERATIONS: &[Operation] = &[
    Operation::later("GET", "/triggers_types", Keys::ProjectOrUser, TRIGGERS_READ, "triggers"),
    Operation::later("GET", "/triggers_types/list/enum", Keys::ProjectOrUser, TRIGGERS_READ, "triggers"),
    Operation::later("GET", "/triggers_types/{slug}", Keys::ProjectOrUser, TRIGGERS_READ, "triggers"),
    Operation::later("GET", "/trigger_instances/active", Keys::ProjectOrUser, TRIGGERS_READ, "triggers"),
    Operation::later(
        "DELETE",
        "/trigger_instances/manage/{triggerId}",
        Keys::ProjectOrUser,
        TRIGGERS_WRITE,
        "triggers",
    ),
    Operation::later("PATCH", "/trigger_instances/manage/{triggerId}", Keys::ProjectOrUser, TRIGGERS_WRITE, "triggers"),
    Operation::later("POST", "/trigger_instances/{slug}/upsert", Keys::ProjectOrUser, TRIGGERS_WRITE, "triggers"),
    Operation::later("GET", "/webhook_subscriptions", Keys::Project, WEBHOOKS_READ, "webhooks"),
    Operation::later("POST", "/webhook_subscriptions", Keys::Project, WEBHOOKS_WRITE, "webhooks"),
    Operation::later("GET", "/webhook_subscriptions/event_types", Keys::Project, WEBHOOKS_READ, "webhooks"),
    Operation::later("DELETE", "/webhook_subscriptions/{id}", Keys::Project, WEBHOOKS_WRITE, "webhooks"),
    Operation::later("GET", "/webhook_subscriptions/{id}", Keys::Project, WEBHOOKS_READ, "webhooks"),
    Operation::later("PATCH", "/webhook_subscriptions/{id}", Keys::Project, WEBHOOKS_WRITE, "webhooks"),
    Operation::later("POST", "/webhook_subscriptions/{id}/rotate_secret", Keys::Project, WEBHOOKS_WRITE, "webhooks"),
    Operation::later("GET", "/webhook_endpoints", Keys::Project, WEBHOOKS_READ, "webhooks"),
    Operation::later("POST", "/webhook_endpoints", Keys::Project, WEBHOOKS_WRITE, "webhooks"),
    Operation::later("GET", "/webhook_endpoints/{nano_id}", Keys::Project, WEBHOOKS_READ, "webhooks"),
    Operation::later("PATCH", "/webhook_endpoints/{nano_id}", Keys::Project, WEBHOOKS_WRITE, "webhooks"),
    Operation::later("POST", "/webhook_endpoints/{nano_id}", Keys::Project, WEBHOOKS_WRITE, "webhooks"),
    Operation::later("GET", "/mcp/app/{appKey}", Keys::Project, MCP_READ, MCP),
    Operation::later("GET", "/mcp/servers", Keys::Project, MCP_READ, MCP),
    Operation::later("POST", "/mcp/servers", Keys::Project, MCP_WRITE, MCP),
    Operation::later("POST", "/mcp/servers/custom", Keys::Project, MCP_WRITE, MCP),
    Operation::later("POST", "/mcp/servers/generate", Keys::Project, MCP_WRITE, MCP),
    Operation::later("GET", "/mcp/servers/{serverId}/instances", Keys::Project, MCP_READ, MCP),
    Operation::later("POST", "/mcp/servers/{serverId}/instances", Keys::Project, MCP_WRITE, MCP),
    Operation::later("DELETE", "/mcp/servers/{serverId}/instances/{instanceId}", Keys::Project, MCP_WRITE, MCP),
    Operation::later("DELETE", "/mcp/{id}", Keys::Project, MCP_WRITE, MCP),
    Operation::later("GET", "/mcp/{id}", Keys::Project, MCP_READ, MCP),
    Operation::later("PATCH", "/mcp/{id}", Keys::Project, MCP_WRITE, MCP),
    Operation::later("GET", "/session_configs", Keys::Project, SESSIONS, "stored policies"),
    Operation::later("GET", "/session_configs/{session_config_id}", Keys::Project, SESSIONS, "stored policies"),
    Operation::later("POST", "/custom/toolkits/sync", Keys::ProjectOrUser, TOOLKITS, OWN),
    Operation::later("POST", "/custom/toolkits/upsert", Keys::ProjectOrUser, TOOLKITS, OWN),
    Operation::later("DELETE", "/custom/toolkits/{slug}", Keys::ProjectOrUser, TOOLKITS, OWN),
    Operation::later("GET", "/keyring/transfer_keys", Keys::Project, Permission::Unscoped, "transfer of keys"),
    Operation::later("GET", "/internal/trigger/log/{id}", Keys::Project, LOGS, "triggers"),
    Operation::later("POST", "/internal/trigger/logs", Keys::Project, LOGS, "triggers"),
    Operation::never("POST", "/org/clanker/create_claim", Keys::Organization, PEOPLE),
    Operation::never("GET", "/org/consumer/connected_toolkits", Keys::User, PEOPLE),
    Operation::never("POST", "/org/consumer/project/resolve", Keys::User, PEOPLE),
    Operation::never("POST", "/cli/codact_failures", Keys::User, CLI),
    Operation::never("POST", "/cli/create-session", Keys::Public, CLI),
    Operation::never("GET", "/cli/get-session", Keys::Public, CLI),
    Operation::never("POST", "/cli/realtime/auth", Keys::User, CLI),
    Operation::never("GET", "/cli/realtime/credentials", Keys::User, CLI),
    Operation::never("GET", "/internal/sdk/realtime/credentials", Keys::Project, PUSH),
    Operation::never("POST", "/internal/sdk/realtime/auth", Keys::Project, PUSH),
];
