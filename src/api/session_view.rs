//! A session as answers show it (contract section 2.1). Fields that callers write as `enable` and
//! `disable` are read as `enabled` and `disabled`; `null` is never sent for an optional one.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::app::session_config::{
    Experimental, Filter, Instant, ManageConnections, PreloadTools, SessionConfig, Tags, ToolRule, Workbench,
};
use crate::app::sessions::Session;

/// The answer of create, read and change. `echo` adds what only a creation returns.
pub fn session_view(session: &Session, public_url: &str, echo: bool) -> Value {
    let mut view = json!({
        "session_id": session.id,
        "mcp": { "type": "http", "url": format!("{public_url}/tool_router/{}/mcp", session.id) },
        // Meta tools are not built yet, so none is offered.
        "tool_router_tools": [],
        "config": config_view(&session.user_id, &session.config),
        "config_version": session.config_version,
        "warnings": warnings(&session.config),
    });
    let experimental = session.config.experimental.as_ref().map(|it| experimental_view(it, echo));
    if let (Some(experimental), Some(view)) = (experimental, view.as_object_mut()) {
        view.insert("experimental".to_owned(), experimental);
    }
    view
}

/// A policy as answers show it.
pub fn config_view(user_id: &str, config: &SessionConfig) -> Value {
    let mut view = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            view.insert(name.to_owned(), value);
        }
    };
    put("user_id", Some(user_id.into()));
    put("toolkits", config.toolkits.as_ref().map(filter_view));
    put("auth_configs", config.auth_configs.as_ref().map(|it| json!(it)));
    put("connected_accounts", config.connected_accounts.as_ref().map(|it| json!(it)));
    put("manage_connections", Some(manage_view(config.manage_connections.as_ref())));
    let tools = config.tools.as_ref();
    put(
        "tools",
        tools.map(|tools| {
            tools.iter().map(|(slug, rule)| (slug.clone(), rule_view(rule))).collect::<Map<_, _>>().into()
        }),
    );
    put("tags", config.tags.as_ref().map(tags_view));
    put("workbench", Some(workbench_view(config.workbench.as_ref())));
    put("proxy_execute", config.proxy_execute.map(|it| json!(it)));
    put("multi_account", config.multi_account.map(|it| json!(it)));
    put("hooks", config.hooks.as_ref().map(|it| json!(it)));
    put("instant", Some(config.instant.as_ref().map_or(Value::Bool(false), instant_view)));
    let preload = config.preload.as_ref().and_then(|preload| preload.tools.as_ref());
    put("preload", Some(json!({ "tools": preload.map_or_else(|| json!([]), |tools| json!(tools)) })));
    let search = config.search.and_then(|search| search.enable).unwrap_or(true);
    put("search", Some(json!({ "enable": search })));
    let execute = config.execute.and_then(|execute| execute.enable_multi_execute).unwrap_or(true);
    put("execute", Some(json!({ "enable_multi_execute": execute })));
    view.into()
}

/// An object of the given pairs without the absent ones.
fn object<const N: usize>(pairs: [(&str, Option<Value>); N]) -> Value {
    let present = pairs.into_iter().filter_map(|(name, value)| value.map(|value| (name.to_owned(), value)));
    present.collect::<Map<_, _>>().into()
}

fn filter_view(filter: &Filter) -> Value {
    object([
        ("enabled", filter.enable.as_ref().map(|it| json!(it))),
        ("disabled", filter.disable.as_ref().map(|it| json!(it))),
        ("require_approval", filter.require_approval.as_ref().map(|it| json!(it))),
    ])
}

fn rule_view(rule: &ToolRule) -> Value {
    object([
        ("enabled", rule.enable.as_ref().map(|it| json!(it))),
        ("disabled", rule.disable.as_ref().map(|it| json!(it))),
        ("tags", rule.tags.as_ref().map(tags_view)),
        ("require_approval", rule.require_approval.as_ref().map(|it| json!(it))),
    ])
}

fn tags_view(tags: &Tags) -> Value {
    object([
        ("enabled", tags.enable.as_ref().map(|it| json!(it))),
        ("disabled", tags.disable.as_ref().map(|it| json!(it))),
        ("require_approval", tags.require_approval.as_ref().map(|it| json!(it))),
    ])
}

fn instant_view(instant: &Instant) -> Value {
    let Instant::On(rules) = instant else { return Value::Bool(false) };
    let tools = |tools: &BTreeMap<String, Filter>| -> Value {
        tools.iter().map(|(slug, filter)| (slug.clone(), filter_view(filter))).collect::<Map<_, _>>().into()
    };
    object([
        ("toolkits", rules.toolkits.as_ref().map(filter_view)),
        ("tools", rules.tools.as_ref().map(tools)),
        ("return_instant_charge", Some(rules.return_instant_charge.unwrap_or(false).into())),
        ("return_prices_in_search", Some(rules.return_prices_in_search.unwrap_or(false).into())),
    ])
}

fn manage_view(manage: Option<&ManageConnections>) -> Value {
    object([
        ("enabled", Some(manage.and_then(|it| it.enable).unwrap_or(true).into())),
        ("callback_url", manage.and_then(|it| it.callback_url.as_deref()).map(Into::into)),
        (
            "enable_wait_for_connections",
            Some(manage.and_then(|it| it.enable_wait_for_connections).unwrap_or(false).into()),
        ),
        ("enable_connection_removal", Some(manage.and_then(|it| it.enable_connection_removal).unwrap_or(true).into())),
    ])
}

/// This server runs no code, and says so whatever was asked (contract section 7.1).
fn workbench_view(workbench: Option<&Workbench>) -> Value {
    object([
        ("enable", Some(false.into())),
        ("tool_execution_enabled", workbench.and_then(|it| it.enable_tool_execution).map(Into::into)),
        ("proxy_execution_enabled", workbench.and_then(|it| it.enable_proxy_execution).map(Into::into)),
        ("auto_offload_threshold", workbench.and_then(|it| it.auto_offload_threshold.clone()).map(Into::into)),
        ("sandbox_size", workbench.and_then(|it| it.sandbox_size).map(|it| json!(it))),
    ])
}

/// As given, without the nulls; the caller's own tools only where they were just sent.
fn experimental_view(experimental: &Experimental, echo: bool) -> Value {
    let mut view = match json!(experimental) {
        Value::Object(view) => view,
        _ => Map::new(),
    };
    view.retain(|_, value| !value.is_null());
    if echo {
        if let Some(toolkits) = &experimental.custom_toolkits {
            view.insert("custom_toolkits".to_owned(), json!(toolkits));
        }
        if let Some(tools) = &experimental.custom_tools {
            view.insert("custom_tools".to_owned(), json!(tools));
        }
    }
    view.into()
}

fn warnings(config: &SessionConfig) -> Value {
    match config.preload.as_ref().and_then(|preload| preload.tools.as_ref()) {
        Some(PreloadTools::These(tools)) if tools.len() > 20 => json!([{
            "code": "PRELOAD_TOOLS_HIGH_CONTEXT_USAGE",
            "message": format!("{} preloaded tools use much of a model's context; preload at most 20.", tools.len()),
        }]),
        _ => json!([]),
    }
}
