//! Decides whether a session's policy allows a call. This is the only place that decides it: for links, raw
//! API calls and tools, and for whatever lists them.

use switchboard_types::AllowedTools;

use super::{Filter, SessionConfig, Tag, Tags};
use crate::app::base::errors::toolkit_not_allowed;
use crate::error::{Code, Error};

/// What a session is about to use. Toolkit slugs are in lower case.
#[derive(Clone, Copy, Debug)]
pub enum CallKind<'a> {
    /// A toolkit as such: to link an account, or to list it.
    Toolkit {
        /// Its slug.
        toolkit: &'a str,
    },
    /// A raw API call.
    Proxy {
        /// The slug of the toolkit that is called.
        toolkit: &'a str,
    },
    /// A tool by its name alone, to list it. The rules on tags are left for the call, which knows them.
    ToolName {
        /// Its slug, in any case.
        slug: &'a str,
        /// The slug of its toolkit.
        toolkit: &'a str,
    },
    /// A tool.
    Tool(&'a ToolDescription<'a>),
}

/// What a policy decides a tool by.
#[derive(Clone, Copy, Debug)]
pub struct ToolDescription<'a> {
    /// Its slug, in any case.
    pub slug: &'a str,
    /// The slug of its toolkit.
    pub toolkit: &'a str,
    /// Its behaviour hints.
    pub tags: &'a [Tag],
}

/// Why a policy does not allow a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// Raw API calls are switched off.
    Proxy,
    /// A raw API call could do what the rules on tools exclude.
    RawCall,
    /// The toolkit is excluded.
    Toolkit,
    /// The tool or its tags are excluded.
    Tool,
    /// The auth config of the account excludes the tool.
    ToolOfAccount,
    /// A raw API call could do what the auth config of the account excludes.
    RawCallOfAccount,
    /// A raw API call could do what a person has to be asked for.
    RawCallUnasked,
}

impl<'a> CallKind<'a> {
    /// The slug of the toolkit.
    pub fn toolkit(self) -> &'a str {
        match self {
            Self::Toolkit { toolkit } | Self::Proxy { toolkit } | Self::ToolName { toolkit, .. } => toolkit,
            Self::Tool(tool) => tool.toolkit,
        }
    }
}

impl Denial {
    /// The error for the caller of `call`.
    pub fn error(self, call: CallKind<'_>) -> Error {
        match self {
            Self::Proxy => Error::new(Code::Forbidden, "Proxy execution is disabled for this session")
                .fix("Create the session with proxy_execute.enable true, or without proxy_execute."),
            Self::RawCall => Error::new(
                Code::Forbidden,
                "The session's rules on tools exclude this call: it could do what an excluded tool does",
            )
            .fix("Use a tool of the toolkit, or switch raw calls on with proxy_execute.enable true."),
            Self::RawCallUnasked => Error::new(
                Code::Forbidden,
                "The session asks a person before calls to this toolkit, and a raw call cannot be asked for",
            )
            .fix("Use a tool of the toolkit, or a session without require_approval and permissions."),
            Self::Toolkit => toolkit_not_allowed(call.toolkit()),
            Self::Tool => Error::new(Code::Forbidden, "The session's policy excludes this tool")
                .fix("Admit the tool in `tools` and its tags in `tags` of the session."),
            Self::ToolOfAccount => Error::new(Code::Forbidden, "The account's auth config excludes this tool").fix(
                "Add the tool to tool_access_config.tools_available_for_execution of the auth config (and to \
                 restrict_to_following_tools, if it has any), or use an account of another auth config.",
            ),
            Self::RawCallOfAccount => Error::new(
                Code::Forbidden,
                "The account's auth config excludes this call: it could do what an excluded tool does",
            )
            .fix("Use a tool that the auth config allows, or switch raw calls on with proxy_execute.enable true of a session."),
        }
    }
}

impl SessionConfig {
    /// Whether the policy allows a call.
    ///
    /// # Errors
    /// The first rule that excludes it: the switch of raw API calls, then toolkits, then tools and tags.
    pub fn check(&self, call: CallKind<'_>) -> Result<(), Denial> {
        if matches!(call, CallKind::Proxy { .. }) && self.proxy_execute.is_some_and(|proxy| !proxy.enable) {
            return Err(Denial::Proxy);
        }
        if !self.toolkits.as_ref().is_none_or(|filter| filter.admits(call.toolkit())) {
            return Err(Denial::Toolkit);
        }
        match call {
            CallKind::Proxy { toolkit } if !self.admits_raw(toolkit) => Err(Denial::RawCall),
            CallKind::Proxy { toolkit } if self.asks_for_toolkit(toolkit) => Err(Denial::RawCallUnasked),
            CallKind::ToolName { slug, toolkit } if !self.admits_name(slug, toolkit) => Err(Denial::Tool),
            CallKind::Tool(tool) if !self.admits_name(tool.slug, tool.toolkit) || !self.admits_tags(tool) => {
                Err(Denial::Tool)
            }
            _ => Ok(()),
        }
    }

    /// Whether the auth config of the account that is used allows a call that [`Self::check`] allows. `allowed` is what
    /// it limits its accounts to.
    ///
    /// # Errors
    /// The call is of another tool; or it is raw, and the session does not switch raw calls on.
    pub fn check_account(&self, call: CallKind<'_>, allowed: Option<&AllowedTools>) -> Result<(), Denial> {
        let Some(allowed) = allowed else { return Ok(()) };
        let is_on = self.proxy_execute.is_some_and(|proxy| proxy.enable);
        match call {
            CallKind::Proxy { .. } if !is_on => Err(Denial::RawCallOfAccount),
            CallKind::ToolName { slug, .. } if !allowed.admits(slug) => Err(Denial::ToolOfAccount),
            CallKind::Tool(tool) if !allowed.admits(tool.slug) => Err(Denial::ToolOfAccount),
            _ => Ok(()),
        }
    }

    /// Whether the rules on tools allow a tool by its name.
    fn admits_name(&self, slug: &str, toolkit: &str) -> bool {
        let in_list = |list: &Vec<String>| list.iter().any(|item| item.eq_ignore_ascii_case(slug));
        let rule = self.tools.as_ref().and_then(|tools| tools.get(toolkit));
        rule.is_none_or(|rule| rule.enable.as_ref().is_none_or(in_list) && !rule.disable.as_ref().is_some_and(in_list))
    }

    /// Whether the rules on tags allow a tool.
    fn admits_tags(&self, tool: &ToolDescription<'_>) -> bool {
        self.tag_rules(tool.toolkit).is_none_or(|rules| rules.admit(tool.tags))
    }

    /// The rules on tags of a toolkit: its own replace those of the session.
    pub(super) fn tag_rules(&self, toolkit: &str) -> Option<&Tags> {
        let rule = self.tools.as_ref().and_then(|tools| tools.get(toolkit));
        rule.and_then(|rule| rule.tags.as_ref()).or(self.tags.as_ref())
    }

    /// Whether the rules on tools allow a raw API call. It could be what any tool does, whatever its method, so rules on
    /// tools keep it out unless the session switches raw calls on.
    fn admits_raw(&self, toolkit: &str) -> bool {
        let rule = self.tools.as_ref().and_then(|tools| tools.get(toolkit));
        let has_list = rule.is_some_and(|rule| rule.enable.is_some() || rule.disable.is_some());
        let has_tags = self.tag_rules(toolkit).is_some_and(|tags| tags.enable.is_some() || tags.disable.is_some());
        let is_on = self.proxy_execute.is_some_and(|proxy| proxy.enable);
        is_on || !has_list && !has_tags
    }
}

impl Filter {
    /// Whether the filter allows a toolkit.
    fn admits(&self, slug: &str) -> bool {
        let in_list = |list: &Vec<String>| list.iter().any(|item| item == slug);
        self.enable.as_ref().is_none_or(in_list) && !self.disable.as_ref().is_some_and(in_list)
    }
}

impl Tags {
    /// Whether a tool with these tags is allowed: it has one that is enabled, and none that is disabled.
    fn admit(&self, tags: &[Tag]) -> bool {
        let has_one = |list: &Vec<Tag>| list.iter().any(|tag| tags.contains(tag));
        self.enable.as_ref().is_none_or(has_one) && !self.disable.as_ref().is_some_and(has_one)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(config: serde_json::Value, call: CallKind<'_>) -> Result<(), Denial> {
        serde_json::from_value::<SessionConfig>(config).unwrap().check(call)
    }

    #[test]
    fn each_kind_of_call_is_decided_by_its_rules() {
        let tags = [Tag::ReadOnlyHint, Tag::IdempotentHint];
        let tool = ToolDescription { slug: "up_get", toolkit: "up", tags: &tags };
        let untagged = CallKind::ToolName { slug: "up_get", toolkit: "up" };
        let link = CallKind::Toolkit { toolkit: "up" };
        let proxy = CallKind::Proxy { toolkit: "up" };
        let (denied_tool, raw) = (Err(Denial::Tool), Err(Denial::RawCall));
        for (config, linked, proxied, used, unknown) in [
            (json!({}), Ok(()), Ok(()), Ok(()), Ok(())),
            (json!({ "proxy_execute": { "enable": true } }), Ok(()), Ok(()), Ok(()), Ok(())),
            (json!({ "proxy_execute": { "enable": false } }), Ok(()), Err(Denial::Proxy), Ok(()), Ok(())),
            (json!({ "tools": { "up": { "enable": ["UP_GET"] } } }), Ok(()), raw, Ok(()), Ok(())),
            (
                json!({ "tools": { "up": { "enable": ["UP_GET"] } }, "proxy_execute": { "enable": true } }),
                Ok(()),
                Ok(()),
                Ok(()),
                Ok(()),
            ),
            (json!({ "tools": { "up": { "enable": ["UP_PUT"] } } }), Ok(()), raw, denied_tool, denied_tool),
            (json!({ "tools": { "up": { "disable": ["UP_GET"] } } }), Ok(()), raw, denied_tool, denied_tool),
            (json!({ "tools": { "other": { "enable": [] } } }), Ok(()), Ok(()), Ok(()), Ok(())),
            (json!({ "tags": ["readOnlyHint"] }), Ok(()), raw, Ok(()), Ok(())),
            (json!({ "tags": ["readOnlyHint"], "proxy_execute": { "enable": true } }), Ok(()), Ok(()), Ok(()), Ok(())),
            (json!({ "tags": ["createHint"] }), Ok(()), raw, denied_tool, Ok(())),
            (json!({ "tags": { "disable": ["idempotentHint"] } }), Ok(()), raw, denied_tool, Ok(())),
            (
                json!({ "tags": ["createHint"], "tools": { "up": { "tags": ["readOnlyHint"] } } }),
                Ok(()),
                raw,
                Ok(()),
                Ok(()),
            ),
            (
                json!({ "tags": ["readOnlyHint"], "tools": { "up": { "tags": { "disable": ["readOnlyHint"] } } } }),
                Ok(()),
                raw,
                denied_tool,
                Ok(()),
            ),
        ] {
            assert_eq!(check(config.clone(), link), linked, "{config}");
            assert_eq!(check(config.clone(), proxy), proxied, "{config}");
            assert_eq!(check(config.clone(), CallKind::Tool(&tool)), used, "{config}");
            assert_eq!(check(config.clone(), untagged), unknown, "{config}");
        }
        for config in [json!({ "toolkits": { "enable": ["other"] } }), json!({ "toolkits": { "disable": ["up"] } })] {
            for call in [link, proxy, CallKind::Tool(&tool)] {
                assert_eq!(check(config.clone(), call), Err(Denial::Toolkit), "{config}");
            }
        }
        let both = json!({ "toolkits": { "disable": ["up"] }, "proxy_execute": { "enable": false } });
        assert_eq!(check(both, proxy), Err(Denial::Proxy));
    }
}
