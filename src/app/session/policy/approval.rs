//! Whether a session's policy wants a person to be asked before a tool is called. The strictest of all rules that match
//! decides, wherever it stands.

use super::{PermissionDefault, PermissionRule, SessionConfig, Tag, ToolDescription};

/// What is wanted before a call, the strictest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ApprovalRule {
    /// Nothing.
    Allow,
    /// One approval for the session.
    AskOnce,
    /// An approval, unless the person said that further calls may be made.
    Ask,
    /// An approval each time.
    AskAlways,
    /// The call is never made.
    Deny,
}

/// In a key of `permissions.overrides`: a call without an account.
const NO_ACCOUNT: &str = "__none__";

impl SessionConfig {
    /// Whether any rule may want an approval. Others need no look at the account.
    pub fn may_ask(&self) -> bool {
        let asks = |list: Option<&Vec<String>>| list.is_some_and(|list| !list.is_empty());
        let tags_ask = |tags: Option<&super::Tags>| {
            tags.and_then(|tags| tags.require_approval.as_ref()).is_some_and(|list| !list.is_empty())
        };
        self.permissions().is_some()
            || asks(self.toolkits.as_ref().and_then(|filter| filter.require_approval.as_ref()))
            || tags_ask(self.tags.as_ref())
            || self
                .tools
                .iter()
                .flat_map(|tools| tools.values())
                .any(|rule| asks(rule.require_approval.as_ref()) || tags_ask(rule.tags.as_ref()))
    }

    /// Whether a raw API call to a toolkit could do what a person has to be asked for.
    pub fn asks_for_toolkit(&self, toolkit: &str) -> bool {
        let asks = |list: Option<&Vec<String>>| list.is_some_and(|list| !list.is_empty());
        let rule = self.tools.as_ref().and_then(|tools| tools.get(toolkit));
        let permissions = self.permissions();
        let by_permissions = permissions.is_some_and(|permissions| {
            !matches!(permissions.default, PermissionDefault::AllowAll)
                || permissions
                    .overrides
                    .as_ref()
                    .is_some_and(|rules| rules.values().any(|rule| !matches!(rule, PermissionRule::AlwaysAllow)))
        });
        let by_tags = self.tag_rules(toolkit).and_then(|tags| tags.require_approval.as_ref());
        by_permissions
            || by_tags.is_some_and(|list| !list.is_empty())
            || self.requires_approval_of(toolkit)
            || asks(rule.and_then(|rule| rule.require_approval.as_ref()))
    }

    /// What is wanted before a tool is called with an account.
    pub fn approval_rule(&self, tool: &ToolDescription<'_>, account: Option<&str>) -> ApprovalRule {
        self.permission(tool, account).max(self.required_approval(tool))
    }

    fn permissions(&self) -> Option<&super::Permissions> {
        self.experimental.as_ref()?.permissions.as_ref()
    }

    /// By `permissions`: the override for the tool and the account, or for any tool and the account, or else the default.
    fn permission(&self, tool: &ToolDescription<'_>, account: Option<&str>) -> ApprovalRule {
        let Some(permissions) = self.permissions() else { return ApprovalRule::Allow };
        let account = account.unwrap_or(NO_ACCOUNT);
        let of = |name: &str| {
            let rules = permissions.overrides.iter().flatten();
            let mut found = rules.filter(|(key, _)| {
                key.rsplit_once(':').is_some_and(|(tool, of)| tool.eq_ignore_ascii_case(name) && of == account)
            });
            found.next().map(|(_, rule)| *rule)
        };
        match of(tool.slug).or_else(|| of("*")) {
            Some(PermissionRule::AlwaysAllow) => ApprovalRule::Allow,
            Some(PermissionRule::AskOnce) => ApprovalRule::AskOnce,
            Some(PermissionRule::AskAlways) => ApprovalRule::AskAlways,
            Some(PermissionRule::AlwaysDeny) => ApprovalRule::Deny,
            None => match permissions.default {
                PermissionDefault::AllowAll => ApprovalRule::Allow,
                PermissionDefault::AskOncePerSession => ApprovalRule::AskOnce,
                PermissionDefault::AskEveryCall => ApprovalRule::Ask,
            },
        }
    }

    /// By the lists of what requires an approval.
    fn required_approval(&self, tool: &ToolDescription<'_>) -> ApprovalRule {
        let rule = self.tools.as_ref().and_then(|tools| tools.get(tool.toolkit));
        let has_slug = |list: &Vec<String>| list.iter().any(|slug| slug.eq_ignore_ascii_case(tool.slug));
        let has_tag = |list: &Vec<Tag>| list.iter().any(|tag| tool.tags.contains(tag));
        let by_tags = self.tag_rules(tool.toolkit).and_then(|tags| tags.require_approval.as_ref());
        let is_required = self.requires_approval_of(tool.toolkit)
            || rule.and_then(|rule| rule.require_approval.as_ref()).is_some_and(has_slug)
            || by_tags.is_some_and(has_tag);
        if is_required { ApprovalRule::Ask } else { ApprovalRule::Allow }
    }

    fn requires_approval_of(&self, toolkit: &str) -> bool {
        let list = self.toolkits.as_ref().and_then(|filter| filter.require_approval.as_ref());
        list.is_some_and(|list| list.iter().any(|slug| slug == toolkit))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn rule(config: Value) -> ApprovalRule {
        let config: SessionConfig = serde_json::from_value(config).unwrap();
        let tool = ToolDescription { slug: "UP_PUT", toolkit: "up", tags: &[Tag::UpdateHint] };
        config.approval_rule(&tool, Some("ca_1"))
    }

    fn with_permissions(default: &str, overrides: &Value) -> Value {
        json!({ "experimental": { "permissions": { "default": default, "overrides": overrides } } })
    }

    #[test]
    fn the_strictest_rule_decides() {
        use ApprovalRule::{Allow, Ask, AskAlways, AskOnce, Deny};
        for (config, expected) in [
            (json!({}), Allow),
            (json!({ "toolkits": { "require_approval": ["up"] } }), Ask),
            (json!({ "toolkits": { "require_approval": ["other"] } }), Allow),
            (json!({ "tools": { "up": { "require_approval": ["up_put"] } } }), Ask),
            (json!({ "tools": { "up": { "require_approval": ["UP_GET"] } } }), Allow),
            (json!({ "tags": { "require_approval": ["updateHint"] } }), Ask),
            (json!({ "tags": { "require_approval": ["destructiveHint"] } }), Allow),
            (
                json!({ "tags": { "require_approval": ["updateHint"] },
                        "tools": { "up": { "tags": { "enable": ["updateHint"] } } } }),
                Allow,
            ),
            (with_permissions("allow_all", &json!({})), Allow),
            (with_permissions("ask_every_call", &json!({})), Ask),
            (with_permissions("ask_once_per_session", &json!({})), AskOnce),
            (with_permissions("ask_every_call", &json!({ "UP_PUT:ca_1": "always_allow" })), Allow),
            (with_permissions("ask_every_call", &json!({ "UP_PUT:ca_2": "always_allow" })), Ask),
            (with_permissions("allow_all", &json!({ "*:ca_1": "ask_once" })), AskOnce),
            (
                with_permissions("allow_all", &json!({ "*:ca_1": "always_deny", "UP_PUT:ca_1": "ask_always" })),
                AskAlways,
            ),
            (with_permissions("allow_all", &json!({ "UP_PUT:ca_1": "always_deny" })), Deny),
            (
                json!({ "experimental": { "permissions": { "default": "allow_all",
                                                           "overrides": { "UP_PUT:ca_1": "always_allow" } } },
                        "toolkits": { "require_approval": ["up"] } }),
                Ask,
            ),
        ] {
            assert_eq!(rule(config.clone()), expected, "{config}");
        }
    }

    #[test]
    fn adding_a_list_never_permits_more() {
        let lists = [
            ("toolkits", json!({ "require_approval": ["up"] })),
            ("tags", json!({ "require_approval": ["updateHint"] })),
            ("tools", json!({ "up": { "require_approval": ["UP_PUT"] } })),
        ];
        for default in ["allow_all", "ask_once_per_session", "ask_every_call"] {
            for override_rule in ["always_allow", "ask_once", "ask_always", "always_deny"] {
                let mut config = with_permissions(default, &json!({ "UP_PUT:ca_1": override_rule }));
                let mut before = rule(config.clone());
                for (name, list) in &lists {
                    config[*name] = list.clone();
                    let after = rule(config.clone());
                    assert!(after >= before, "{config}");
                    before = after;
                }
            }
        }
    }

    #[test]
    fn a_session_without_rules_is_not_asked() {
        let may_ask = |config: Value| serde_json::from_value::<SessionConfig>(config).unwrap().may_ask();
        assert!(!may_ask(json!({})));
        assert!(!may_ask(json!({ "toolkits": { "enable": ["up"] }, "tags": ["readOnlyHint"] })));
        assert!(may_ask(json!({ "tools": { "up": { "tags": { "require_approval": ["updateHint"] } } } })));
    }
}
