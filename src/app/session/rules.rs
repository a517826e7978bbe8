//! Validation rules of a policy that need only the policy itself.
//!
//! All errors are collected, so that the developer can fix them in one go.

use switchboard_tools::ResponseShape;

use super::policy::{Filter, PreloadTools, SessionConfig, ToolRule};
use crate::app::project::callback_url;
use crate::error::{Code, Error, Result};

/// Rejects a policy that contradicts itself.
pub fn check(config: &SessionConfig) -> Result<()> {
    let mut errors = Vec::new();
    let mut add_error = |field: &str, message: &str| errors.push(format!("Error in payload.{field}: {message}"));
    if let Some(filter) = &config.toolkits {
        check_filter(filter, &mut add_error);
    }
    for (toolkit, rule) in config.tools.iter().flatten() {
        check_tool_rule(toolkit, rule, &mut add_error);
    }
    if let Some(tags) = &config.tags
        && tags.require_approval.as_ref().is_some_and(Vec::is_empty)
    {
        add_error("tags.require_approval", "must hold at least one tag");
    }
    for (toolkit, pins) in config.connected_accounts.iter().flatten() {
        if pins.0.is_empty() {
            add_error(&format!("connected_accounts.{toolkit}"), "must hold at least one connected account id");
        }
    }
    if let Some(url) = config.manage_connections.as_ref().and_then(|manage| manage.callback_url.as_deref())
        && let Err(reason) = callback_url::check(url)
    {
        add_error("manage_connections.callback_url", &reason);
    }
    if let Some(base) = config.experimental.as_ref().and_then(|experimental| experimental.link_url_overwrite.as_deref())
        && let Err(reason) = callback_url::check(base)
    {
        add_error("experimental.link_url_overwrite", &reason);
    }
    let overwrite = config.experimental.as_ref().and_then(|experimental| experimental.link_url_overwrite.as_deref());
    if overwrite.is_some_and(|base| base.contains('?')) {
        add_error("experimental.link_url_overwrite", "must not contain a query: /link/<token> is appended to it");
    }
    let extensions = config.experimental.as_ref().and_then(|experimental| experimental.switchboard.as_ref());
    if let Some(response) = extensions.and_then(|extensions| extensions.response.as_ref())
        && let Err(mistake) = ResponseShape::parse(response)
    {
        add_error(&format!("experimental.switchboard.response.{}", mistake.argument), &mistake.message);
    }
    check_blocks(config, &mut add_error);
    if !errors.is_empty() {
        return Err(Error::validation(errors));
    }
    check_unbuilt(config)
}

fn check_filter(filter: &Filter, add_error: &mut impl FnMut(&str, &str)) {
    if filter.enable.is_some() && filter.disable.is_some() {
        add_error("toolkits", "give either `enable` or `disable`, not both");
    }
    if filter.enable.is_none() && filter.disable.is_none() && filter.require_approval.is_none() {
        add_error("toolkits", "give one of `enable`, `disable` and `require_approval`");
    }
    if filter.require_approval.as_ref().is_some_and(Vec::is_empty) {
        add_error("toolkits.require_approval", "must hold at least one toolkit");
    }
}

fn check_tool_rule(toolkit: &str, rule: &ToolRule, add_error: &mut impl FnMut(&str, &str)) {
    let kinds = [rule.enable.is_some(), rule.disable.is_some(), rule.tags.is_some()];
    match kinds.iter().filter(|given| **given).count() {
        0 if rule.require_approval.is_none() => {
            add_error(&format!("tools.{toolkit}"), "give one of `enable`, `disable`, `tags` and `require_approval`");
        }
        0 | 1 => {}
        _ => add_error(&format!("tools.{toolkit}"), "give only one of `enable`, `disable` and `tags`"),
    }
}

fn check_blocks(config: &SessionConfig, add_error: &mut impl FnMut(&str, &str)) {
    if let Some(threshold) = config.workbench.as_ref().and_then(|workbench| workbench.auto_offload_threshold.as_ref())
        && threshold.as_f64().is_none_or(|number| number <= 0.0)
    {
        add_error("workbench.auto_offload_threshold", "must be more than 0");
    }
    if let Some(multi) = &config.multi_account {
        if multi.max_accounts_per_toolkit.is_some_and(|limit| !(2..=10).contains(&limit)) {
            add_error("multi_account.max_accounts_per_toolkit", "must be between 2 and 10");
        }
        let has_details = multi.max_accounts_per_toolkit.is_some() || multi.require_explicit_selection == Some(true);
        if multi.enable == Some(false) && has_details {
            add_error("multi_account", "`enable: false` goes with no other field");
        }
    }
    let proxy_off = config.proxy_execute.is_some_and(|proxy| !proxy.enable);
    let proxy_in_workbench =
        config.workbench.as_ref().is_some_and(|workbench| workbench.enable_proxy_execution == Some(true));
    if proxy_off && proxy_in_workbench {
        add_error("proxy_execute", "`enable: false` contradicts `workbench.enable_proxy_execution: true`");
    }
    let preload_all =
        config.preload.as_ref().is_some_and(|preload| matches!(preload.tools, Some(PreloadTools::All(_))));
    if preload_all && config.is_multi_account() {
        add_error("preload.tools", "\"all\" does not go with multi_account");
    }
    let has_allow_list = config.toolkits.as_ref().is_some_and(|filter| filter.enable.is_some())
        || config.tools.iter().flatten().any(|(_, rule)| rule.enable.is_some())
        || config.tags.as_ref().is_some_and(|tags| tags.enable.is_some());
    if preload_all && !has_allow_list {
        add_error("preload.tools", "\"all\" needs `toolkits.enable`, `tools` with `enable`, or `tags.enable`");
    }
}

/// Rejects features that are not built instead of ignoring them, because ignoring them would weaken the policy.
fn check_unbuilt(config: &SessionConfig) -> Result<()> {
    if config.hooks.as_ref().is_some_and(|hooks| !hooks.is_empty()) {
        return Err(Error::new(Code::SessionBadRequest, "Hooks need a model that judges calls; this server has none")
            .fix("Leave `hooks` out. Restrict the session with `toolkits`, `tools` and `tags` instead."));
    }
    if config.experimental.as_ref().is_some_and(|experimental| experimental.session_config_id.is_some()) {
        return Err(Error::new(Code::NotImplemented, "Session configs are not built yet")
            .fix("Leave `experimental.session_config_id` out and give the policy itself."));
    }
    Ok(())
}
