//! One example for each operation: a request and its response, as a test records and compares them
//! (`tests/it/api/examples.rs`; `UPDATE_EXAMPLES=1` updates them).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// A recorded call.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// Values of the path's parameters.
    #[serde(default)]
    pub path: BTreeMap<String, String>,
    /// Values of query parameters, as they are written in a URL.
    #[serde(default)]
    pub query: BTreeMap<String, String>,
    /// The request's body.
    #[serde(default)]
    pub request: Option<Value>,
    /// The response's body.
    pub response: Value,
}

macro_rules! recorded {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("examples/", $name, ".json")))),*]
    };
}

const RECORDED: &[(&str, &str)] = recorded![
    "delete_auth_configs_id",
    "delete_connected_accounts_id",
    "delete_org_owner_project_id",
    "delete_tool_router_session_session_id",
    "error",
    "get_auth_configs",
    "get_auth_configs_id",
    "get_auth_session_info",
    "get_connected_accounts",
    "get_connected_accounts_id",
    "get_connected_accounts_id_explain",
    "get_files_list",
    "get_internal_action_execution_fields",
    "get_internal_action_execution_log_id",
    "get_links_id_explain",
    "get_logs_tool_execution_id",
    "get_logs_tool_execution_id_explain",
    "get_org_list",
    "get_org_owner_project_id",
    "get_org_owner_project_list",
    "get_org_project_config",
    "get_org_project_list",
    "get_revoke_jobs_id",
    "get_tool_router_session_session_id",
    "get_tool_router_session_session_id_approvals",
    "get_tool_router_session_session_id_approvals_approval_id",
    "get_tool_router_session_session_id_config_history",
    "get_tool_router_session_session_id_mounts_mount_id_items",
    "get_tool_router_session_session_id_toolkits",
    "get_tool_router_session_session_id_tools",
    "get_toolkits",
    "get_toolkits_categories",
    "get_toolkits_changelog",
    "get_toolkits_slug",
    "get_toolkits_slug_scopes_grant_context",
    "get_tools",
    "get_tools_tool_slug",
    "patch_auth_configs_id",
    "patch_auth_configs_id_status",
    "patch_connected_accounts_id",
    "patch_connected_accounts_id_status",
    "patch_org_project_config",
    "patch_tool_router_session_session_id",
    "post_api_key_revocation",
    "post_auth_configs",
    "post_connected_accounts",
    "post_connected_accounts_complete_auth",
    "post_connected_accounts_id_refresh",
    "post_connected_accounts_id_revoke",
    "post_connected_accounts_link",
    "post_files_upload_request",
    "post_internal_action_execution_logs",
    "post_logs_tool_execution",
    "post_org_owner_project_id_regenerate_api_key",
    "post_org_owner_project_new",
    "post_org_usage_entity_type",
    "post_org_usage_summary",
    "post_project_usage_entity_type",
    "post_project_usage_summary",
    "post_tool_router_session",
    "post_tool_router_session_session_id_approvals_approval_id",
    "post_tool_router_session_session_id_attach",
    "post_tool_router_session_session_id_execute",
    "post_tool_router_session_session_id_execute_meta",
    "post_tool_router_session_session_id_link",
    "post_tool_router_session_session_id_mounts_mount_id_delete",
    "post_tool_router_session_session_id_mounts_mount_id_download_url",
    "post_tool_router_session_session_id_mounts_mount_id_upload_url",
    "post_tool_router_session_session_id_proxy_execute",
    "post_tool_router_session_session_id_read_result",
    "post_tool_router_session_session_id_search",
    "post_toolkits_multi",
    "post_toolkits_slug_scopes_recommended",
    "post_tools_execute_proxy",
    "post_tools_execute_tool_slug",
    "post_tools_scopes_required",
];

/// The example of an operation; `error` is that of the error envelope.
pub fn example(id: &str) -> Option<Example> {
    let (_, text) = RECORDED.iter().find(|(name, _)| *name == id)?;
    serde_json::from_str(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::operations::Operation;
    use crate::api::table;

    #[test]
    fn every_example_belongs_to_a_built_operation() {
        let works: Vec<String> = table::all().filter(|operation| operation.works_here()).map(Operation::id).collect();
        for (name, _) in RECORDED {
            assert!(*name == "error" || works.iter().any(|id| id == name), "{name} is of no operation");
            assert!(example(name).is_some(), "{name} cannot be read");
        }
    }
}
