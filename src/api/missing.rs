//! What is not built yet: it answers 501 in the envelope. Operations of the API need a key like the
//! others and are listed in `docs/compatibility.md` (a test compares); what stands outside the API's
//! prefix tells nothing and needs none.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::http::Method;
use axum::routing::{MethodFilter, MethodRouter, any, on};

use super::error::ApiError;
use crate::app::App;
use crate::error::{Code, Error};

/// Method and path under `/api/v3.1` of what is not built.
pub const OPERATIONS: &[(&str, &str)] = &[
    ("PATCH", "/tool_router/session/{session_id}"),
    ("POST", "/tool_router/session/{session_id}/attach"),
    ("GET", "/tool_router/session/{session_id}/config_history"),
    ("POST", "/tool_router/session/{session_id}/execute"),
    ("POST", "/tool_router/session/{session_id}/execute_meta"),
    ("POST", "/tool_router/session/{session_id}/mounts/{mount_id}/delete"),
    ("POST", "/tool_router/session/{session_id}/mounts/{mount_id}/download_url"),
    ("GET", "/tool_router/session/{session_id}/mounts/{mount_id}/items"),
    ("POST", "/tool_router/session/{session_id}/mounts/{mount_id}/upload_url"),
    ("POST", "/tool_router/session/{session_id}/search"),
    ("GET", "/tool_router/session/{session_id}/toolkits"),
    ("GET", "/tool_router/session/{session_id}/tools"),
    ("POST", "/connected_accounts"),
    ("POST", "/connected_accounts/complete_auth"),
    ("POST", "/connected_accounts/link"),
    ("PATCH", "/connected_accounts/{id}/status"),
    ("PATCH", "/connected_accounts/{id}"),
    ("POST", "/connected_accounts/{id}/refresh"),
    ("POST", "/connected_accounts/{id}/revoke"),
    ("PATCH", "/auth_configs/{id}"),
    ("PATCH", "/auth_configs/{id}/{status}"),
    ("GET", "/toolkits/categories"),
    ("GET", "/toolkits/changelog"),
    ("POST", "/toolkits/multi"),
    ("GET", "/toolkits/{slug}/scopes/grant_context"),
    ("POST", "/toolkits/{slug}/scopes/recommended"),
    ("GET", "/tools"),
    ("GET", "/tools/enum"),
    ("POST", "/tools/execute/proxy"),
    ("POST", "/tools/execute/{tool_slug}"),
    ("POST", "/tools/execute/{tool_slug}/input"),
    ("POST", "/tools/scopes/required"),
    ("GET", "/tools/{tool_slug}"),
    ("GET", "/triggers_types"),
    ("GET", "/triggers_types/list/enum"),
    ("GET", "/triggers_types/{slug}"),
    ("GET", "/trigger_instances/active"),
    ("DELETE", "/trigger_instances/manage/{triggerId}"),
    ("PATCH", "/trigger_instances/manage/{triggerId}"),
    ("POST", "/trigger_instances/{slug}/upsert"),
    ("GET", "/webhook_subscriptions"),
    ("POST", "/webhook_subscriptions"),
    ("GET", "/webhook_subscriptions/event_types"),
    ("DELETE", "/webhook_subscriptions/{id}"),
    ("GET", "/webhook_subscriptions/{id}"),
    ("PATCH", "/webhook_subscriptions/{id}"),
    ("POST", "/webhook_subscriptions/{id}/rotate_secret"),
    ("GET", "/webhook_endpoints"),
    ("POST", "/webhook_endpoints"),
    ("GET", "/webhook_endpoints/{nano_id}"),
    ("PATCH", "/webhook_endpoints/{nano_id}"),
    ("POST", "/webhook_endpoints/{nano_id}"),
    ("GET", "/mcp/app/{appKey}"),
    ("GET", "/mcp/servers"),
    ("POST", "/mcp/servers"),
    ("POST", "/mcp/servers/custom"),
    ("POST", "/mcp/servers/generate"),
    ("GET", "/mcp/servers/{serverId}/instances"),
    ("POST", "/mcp/servers/{serverId}/instances"),
    ("DELETE", "/mcp/servers/{serverId}/instances/{instanceId}"),
    ("DELETE", "/mcp/{id}"),
    ("GET", "/mcp/{id}"),
    ("PATCH", "/mcp/{id}"),
    ("GET", "/files/list"),
    ("POST", "/files/upload/request"),
    ("GET", "/session_configs"),
    ("GET", "/session_configs/{session_config_id}"),
    ("POST", "/custom/toolkits/sync"),
    ("POST", "/custom/toolkits/upsert"),
    ("DELETE", "/custom/toolkits/{slug}"),
    ("GET", "/keyring/transfer_keys"),
    ("POST", "/logs/tool_execution"),
    ("GET", "/logs/tool_execution/{id}"),
    ("POST", "/project/usage/summary"),
    ("POST", "/project/usage/{entity_type}"),
    ("POST", "/org/clanker/create_claim"),
    ("GET", "/org/consumer/connected_toolkits"),
    ("POST", "/org/consumer/project/resolve"),
    ("GET", "/org/list"),
    ("GET", "/org/owner/project/list"),
    ("POST", "/org/owner/project/new"),
    ("DELETE", "/org/owner/project/{nano_id}"),
    ("GET", "/org/owner/project/{nano_id}"),
    ("POST", "/org/owner/project/{nano_id}/regenerate_api_key"),
    ("GET", "/org/project/list"),
    ("POST", "/org/usage/summary"),
    ("POST", "/org/usage/{entity_type}"),
    ("GET", "/auth/session/info"),
    ("POST", "/api_key_revocation"),
    ("POST", "/cli/codact_failures"),
    ("POST", "/cli/create-session"),
    ("GET", "/cli/get-session"),
    ("POST", "/cli/realtime/auth"),
    ("GET", "/cli/realtime/credentials"),
    ("GET", "/internal/action_execution/fields"),
    ("GET", "/internal/action_execution/log/{id}"),
    ("POST", "/internal/action_execution/logs"),
    ("GET", "/internal/trigger/log/{id}"),
    ("POST", "/internal/trigger/logs"),
    ("GET", "/org/project/config"),
    ("PATCH", "/org/project/config"),
    ("GET", "/internal/sdk/realtime/credentials"),
    ("POST", "/internal/sdk/realtime/auth"),
];

/// Routes that answer 501.
pub fn operations() -> Router<Arc<App>> {
    let mut by_path: BTreeMap<&str, MethodRouter<Arc<App>>> = BTreeMap::new();
    for (method, path) in OPERATIONS {
        let filter = Method::from_bytes(method.as_bytes()).ok().and_then(|method| MethodFilter::try_from(method).ok());
        let Some(filter) = filter else { continue };
        let routes = by_path.remove(path).unwrap_or_default();
        by_path.insert(path, routes.on(filter, not_built));
    }
    by_path.into_iter().fold(Router::new(), |router, (path, methods)| router.route(path, methods))
}

/// The session MCP endpoint, the `OpenAPI` document and its reference page stand outside the prefix.
pub fn outside_the_api() -> Router<Arc<App>> {
    Router::new()
        .route("/tool_router/{session_id}/mcp", any(not_built))
        .route("/openapi.json", on(MethodFilter::GET, not_built))
        .route("/docs", on(MethodFilter::GET, not_built))
}

async fn not_built() -> ApiError {
    ApiError(Error::new(Code::NotImplemented, "This operation is not built yet"))
}
