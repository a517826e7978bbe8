//! A session in responses (contract section 2.1). The request fields `enable` and `disable` become
//! `enabled` and `disabled`; optional fields are omitted, never `null`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::api::http::warnings::{WarningResponse, about_user};
use crate::app::meta::definitions::MetaTool;
use crate::app::session::Session;
use crate::app::session::custom_tools::{CustomTool, CustomToolkit};
use crate::app::session::policy::{
    Experimental, Filter, Instant, InstantRules, ManageConnections, MultiAccount, OneOrMany, PreloadTools,
    ProxyExecute, SandboxSize, SessionConfig, Tag, Tags, ToolRule, Workbench,
};

/// A session.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Session")]
pub struct SessionResponse {
    /// `trs_…`.
    pub session_id: String,
    /// The session's MCP endpoint.
    pub mcp: McpResponse,
    /// Slugs of the meta tools that the session offers.
    pub tool_router_tools: Vec<&'static str>,
    /// The policy, with defaults filled in.
    pub config: ConfigResponse,
    /// 1 at creation; increased with each change.
    pub config_version: i64,
    /// Things that are allowed but not advisable.
    pub warnings: Vec<WarningResponse>,
    /// Fields that may still change; present when given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub experimental: Option<ExperimentalResponse>,
}

/// The session's MCP endpoint.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "SessionMcp")]
pub struct McpResponse {
    /// Always `http`.
    #[serde(rename = "type")]
    #[schemars(extend("const" = "http"))]
    pub kind: &'static str,
    /// Under this server's public URL.
    pub url: String,
}

/// The policy of a session, with defaults filled in.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "SessionConfig")]
pub struct ConfigResponse {
    /// The end user of your application.
    pub user_id: String,
    /// Which toolkits may be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub toolkits: Option<FilterResponse>,
    /// Toolkit → auth config to link with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_configs: Option<BTreeMap<String, String>>,
    /// Toolkit → accounts to use exclusively.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connected_accounts: Option<BTreeMap<String, OneOrMany>>,
    /// Whether the agent itself may create links.
    pub manage_connections: ManageResponse,
    /// Toolkit → rule for its tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<BTreeMap<String, RuleResponse>>,
    /// Allowed tags of tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<TagsResponse>,
    /// Code execution: always off.
    pub workbench: WorkbenchResponse,
    /// Raw API calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_execute: Option<ProxyExecute>,
    /// Several accounts per toolkit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub multi_account: Option<MultiAccount>,
    /// Checks around executions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hooks: Option<Vec<Value>>,
    /// The hosted service's billing; stored as given.
    pub instant: InstantResponse,
    /// Tools that are listed from the start.
    pub preload: PreloadResponse,
    /// Tool search.
    pub search: SearchResponse,
    /// Execution of several tools at once.
    pub execute: ExecuteResponse,
}

/// Allowed toolkits, or tools of a toolkit.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "SessionFilter")]
pub struct FilterResponse {
    /// Only these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<Vec<String>>,
    /// All except these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled: Option<Vec<String>>,
    /// Require approval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_approval: Option<Vec<String>>,
}

/// Rule for the tools of a toolkit.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "SessionToolRule")]
pub struct RuleResponse {
    /// Only these tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<Vec<String>>,
    /// All except these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled: Option<Vec<String>>,
    /// Replaces the session's tags for this toolkit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<TagsResponse>,
    /// Require approval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_approval: Option<Vec<String>>,
}

/// Allowed tags of tools.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "SessionTags")]
pub struct TagsResponse {
    /// At least one of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<Vec<Tag>>,
    /// None of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled: Option<Vec<Tag>>,
    /// Require approval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_approval: Option<Vec<Tag>>,
}

/// Whether the agent itself may create links.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "SessionManageConnections")]
pub struct ManageResponse {
    /// Default true.
    pub enabled: bool,
    /// Default callback URL of links.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback_url: Option<String>,
    /// Default false.
    pub enable_wait_for_connections: bool,
    /// Default true.
    pub enable_connection_removal: bool,
}

/// Code execution; not supported by this server.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "SessionWorkbench")]
pub struct WorkbenchResponse {
    /// Always false: this server runs no code.
    pub enable: bool,
    /// As given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_execution_enabled: Option<bool>,
    /// As given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_execution_enabled: Option<bool>,
    /// As given.
    #[schemars(with = "Option<f64>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_offload_threshold: Option<serde_json::Number>,
    /// As given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox_size: Option<SandboxSize>,
}

/// `false`, or which calls may be billed.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "SessionInstant")]
pub enum InstantResponse {
    /// `false`.
    Off(#[schemars(extend("const" = false))] bool),
    /// Which calls.
    On(InstantRulesResponse),
}

/// Which calls may be billed.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "SessionInstantRules")]
pub struct InstantRulesResponse {
    /// Of these toolkits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub toolkits: Option<FilterResponse>,
    /// Toolkit → these tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<BTreeMap<String, FilterResponse>>,
    /// Default false.
    pub return_instant_charge: bool,
    /// Default false.
    pub return_prices_in_search: bool,
}

/// Tools that are listed from the start.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "SessionPreload")]
pub struct PreloadResponse {
    /// Tool slugs, or the word `all`.
    pub tools: PreloadTools,
}

/// Tool search.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[schemars(rename = "SessionSearch")]
pub struct SearchResponse {
    /// Default true.
    pub enable: bool,
}

/// Execution of several tools at once.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[schemars(rename = "SessionExecute")]
pub struct ExecuteResponse {
    /// Default true.
    pub enable_multi_execute: bool,
}

/// Fields that may still change, as given; the caller's own tools only in the response to the request
/// with them.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "SessionExperimental")]
pub struct ExperimentalResponse {
    /// As given.
    #[serde(flatten)]
    pub kept: Experimental,
    /// The caller's own toolkits, with the slugs that agents see.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_toolkits: Option<Vec<CustomToolkit>>,
    /// The caller's own tools, with the slugs that agents see.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_tools: Option<Vec<CustomTool>>,
}

/// The response of create, read and change. `echo` adds what only a creation returns.
pub fn session_view(session: &Session, public_url: &str, echo: bool) -> SessionResponse {
    SessionResponse {
        session_id: session.id.to_string(),
        mcp: McpResponse { kind: "http", url: format!("{public_url}/tool_router/{}/mcp", session.id) },
        tool_router_tools: MetaTool::offered(&session.config).map(|tool| tool.slug).collect(),
        config: config_view(&session.user_id, &session.config),
        config_version: session.config_version,
        warnings: warnings(session),
        experimental: session.config.experimental.as_ref().map(|experimental| experimental_view(experimental, echo)),
    }
}

/// A policy in responses.
pub fn config_view(user_id: &str, config: &SessionConfig) -> ConfigResponse {
    let preload = config.preload.as_ref().and_then(|preload| preload.tools.clone());
    ConfigResponse {
        user_id: user_id.to_owned(),
        toolkits: config.toolkits.as_ref().map(filter_view),
        auth_configs: config.auth_configs.clone(),
        connected_accounts: config.connected_accounts.clone(),
        manage_connections: manage_view(config.manage_connections.as_ref()),
        tools: config
            .tools
            .as_ref()
            .map(|tools| tools.iter().map(|(slug, rule)| (slug.clone(), rule_view(rule))).collect()),
        tags: config.tags.as_ref().map(tags_view),
        workbench: workbench_view(config.workbench.as_ref()),
        proxy_execute: config.proxy_execute,
        multi_account: config.multi_account,
        hooks: config.hooks.clone(),
        instant: config.instant.as_ref().map_or(InstantResponse::Off(false), instant_view),
        preload: PreloadResponse { tools: preload.unwrap_or_else(|| PreloadTools::These(Vec::new())) },
        search: SearchResponse { enable: config.search.and_then(|search| search.enable).unwrap_or(true) },
        execute: ExecuteResponse {
            enable_multi_execute: config.execute.and_then(|execute| execute.enable_multi_execute).unwrap_or(true),
        },
    }
}

fn filter_view(filter: &Filter) -> FilterResponse {
    FilterResponse {
        enabled: filter.enable.clone(),
        disabled: filter.disable.clone(),
        require_approval: filter.require_approval.clone(),
    }
}

fn rule_view(rule: &ToolRule) -> RuleResponse {
    RuleResponse {
        enabled: rule.enable.clone(),
        disabled: rule.disable.clone(),
        tags: rule.tags.as_ref().map(tags_view),
        require_approval: rule.require_approval.clone(),
    }
}

fn tags_view(tags: &Tags) -> TagsResponse {
    TagsResponse {
        enabled: tags.enable.clone(),
        disabled: tags.disable.clone(),
        require_approval: tags.require_approval.clone(),
    }
}

fn instant_view(instant: &Instant) -> InstantResponse {
    match instant {
        Instant::Off(_) => InstantResponse::Off(false),
        Instant::On(rules) => InstantResponse::On(instant_rules_view(rules)),
    }
}

fn instant_rules_view(rules: &InstantRules) -> InstantRulesResponse {
    InstantRulesResponse {
        toolkits: rules.toolkits.as_ref().map(filter_view),
        tools: rules
            .tools
            .as_ref()
            .map(|tools| tools.iter().map(|(slug, filter)| (slug.clone(), filter_view(filter))).collect()),
        return_instant_charge: rules.return_instant_charge.unwrap_or(false),
        return_prices_in_search: rules.return_prices_in_search.unwrap_or(false),
    }
}

fn manage_view(manage: Option<&ManageConnections>) -> ManageResponse {
    ManageResponse {
        enabled: manage.and_then(|manage| manage.enable).unwrap_or(true),
        callback_url: manage.and_then(|manage| manage.callback_url.clone()),
        enable_wait_for_connections: manage.and_then(|manage| manage.enable_wait_for_connections).unwrap_or(false),
        enable_connection_removal: manage.and_then(|manage| manage.enable_connection_removal).unwrap_or(true),
    }
}

/// This server runs no code, and reports that for every request (contract section 7.1).
fn workbench_view(workbench: Option<&Workbench>) -> WorkbenchResponse {
    WorkbenchResponse {
        enable: false,
        tool_execution_enabled: workbench.and_then(|workbench| workbench.enable_tool_execution),
        proxy_execution_enabled: workbench.and_then(|workbench| workbench.enable_proxy_execution),
        auto_offload_threshold: workbench.and_then(|workbench| workbench.auto_offload_threshold.clone()),
        sandbox_size: workbench.and_then(|workbench| workbench.sandbox_size),
    }
}

/// As given, without null values.
fn experimental_view(experimental: &Experimental, echo: bool) -> ExperimentalResponse {
    let mut kept = experimental.clone();
    kept.rest.retain(|_, value| !value.is_null());
    let (custom_toolkits, custom_tools) = (kept.custom_toolkits.take(), kept.custom_tools.take());
    ExperimentalResponse {
        kept,
        custom_toolkits: custom_toolkits.filter(|_| echo),
        custom_tools: custom_tools.filter(|_| echo),
    }
}

fn warnings(session: &Session) -> Vec<WarningResponse> {
    let mut warnings = about_user(&session.user_id);
    if session.config.preloaded().len() > 20 {
        let count = session.config.preloaded().len();
        warnings.push(WarningResponse {
            code: "PRELOAD_TOOLS_HIGH_CONTEXT_USAGE",
            message: format!("{count} preloaded tools use much of a model's context; preload at most 20."),
        });
    }
    warnings
}
