//! The policy of a session: every field of the contract (section 2.1), parsed, checked, kept.
//!
//! Unknown keys are refused here, as the hosted API does for sessions, because a misspelt rule
//! that is silently ignored is a rule that does not hold. Rules that need the database stand in
//! `sessions.rs`; what a field looks like in an answer stands in `api/session_view.rs`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::custom_tools::{CustomTool, CustomToolkit};

/// All fields of a session but its user.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct SessionConfig {
    /// Given at creation only; moved out before the config is stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// Which toolkits may be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub toolkits: Option<Filter>,
    /// Toolkit → auth config to link with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_configs: Option<BTreeMap<String, String>>,
    /// Toolkit → accounts to use, and no others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connected_accounts: Option<BTreeMap<String, OneOrMany>>,
    /// Linking by the agent itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manage_connections: Option<ManageConnections>,
    /// Toolkit → which of its tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<BTreeMap<String, ToolRule>>,
    /// Which kinds of tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Tags>,
    /// Code execution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workbench: Option<Workbench>,
    /// Raw API calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_execute: Option<ProxyExecute>,
    /// Several accounts per toolkit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub multi_account: Option<MultiAccount>,
    /// Tools listed from the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preload: Option<Preload>,
    /// Checks around executions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hooks: Option<Vec<Value>>,
    /// Tool search.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search: Option<Enable>,
    /// Execution of several tools at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execute: Option<Execute>,
    /// The hosted service's billing; accepted and kept. Newer clients call it `premium_usage`.
    #[serde(alias = "premium_usage", skip_serializing_if = "Option::is_none")]
    pub instant: Option<Instant>,
    /// Fields without a promise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub experimental: Option<Experimental>,
}

/// `{enable}` or `{disable}`; `require_approval` beside either or alone.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Filter {
    /// These and no others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable: Option<Vec<String>>,
    /// All but these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disable: Option<Vec<String>>,
    /// Ask first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_approval: Option<Vec<String>>,
}

impl Filter {
    /// Whether a toolkit may be used.
    pub fn admits(&self, slug: &str) -> bool {
        let in_list = |list: &Vec<String>| list.iter().any(|item| item == slug);
        self.enable.as_ref().is_none_or(in_list) && !self.disable.as_ref().is_some_and(in_list)
    }
}

/// What may be used of one toolkit.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ToolRule {
    /// These tools and no others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable: Option<Vec<String>>,
    /// All but these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disable: Option<Vec<String>>,
    /// Replaces the session's tags for this toolkit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Tags>,
    /// Ask first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_approval: Option<Vec<String>>,
}

/// A behaviour hint of a tool.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Tag {
    /// Changes nothing.
    ReadOnlyHint,
    /// Makes something.
    CreateHint,
    /// Changes something.
    UpdateHint,
    /// Destroys something.
    DestructiveHint,
    /// Safe to repeat.
    IdempotentHint,
    /// Reaches beyond the account.
    OpenWorldHint,
}

/// `[tag]` (which means enable) or an object.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Tags {
    /// At least one of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable: Option<Vec<Tag>>,
    /// None of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disable: Option<Vec<Tag>>,
    /// Ask first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_approval: Option<Vec<Tag>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TagsObject {
    enable: Option<Vec<Tag>>,
    disable: Option<Vec<Tag>>,
    require_approval: Option<Vec<Tag>>,
}

impl<'de> Deserialize<'de> for Tags {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let value = Value::deserialize(deserializer)?;
        if value.is_array() {
            let enable = serde_json::from_value(value).map_err(D::Error::custom)?;
            return Ok(Self { enable: Some(enable), ..Self::default() });
        }
        let TagsObject { enable, disable, require_approval } = serde_json::from_value(value)
            .map_err(|error| D::Error::custom(format!("a list of tags, or an object: {error}")))?;
        Ok(Self { enable, disable, require_approval })
    }
}

/// A list; older clients send a bare string.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct OneOrMany(pub Vec<String>);

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        match Value::deserialize(deserializer)? {
            Value::String(one) => Ok(Self(vec![one])),
            many @ Value::Array(_) => serde_json::from_value(many).map(Self).map_err(D::Error::custom),
            _ => Err(D::Error::custom("expected a list of connected account ids")),
        }
    }
}

/// Linking by the agent itself.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ManageConnections {
    /// Default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable: Option<bool>,
    /// Where a link's browser goes when the link names nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback_url: Option<String>,
    /// Default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_wait_for_connections: Option<bool>,
    /// Default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_connection_removal: Option<bool>,
}

/// Code execution; this server has none and reports it as off.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Workbench {
    /// Kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable: Option<bool>,
    /// Kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_tool_execution: Option<bool>,
    /// Kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_proxy_execution: Option<bool>,
    /// Characters; more than 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_offload_threshold: Option<serde_json::Number>,
    /// Kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox_size: Option<SandboxSize>,
}

/// Size of a code sandbox.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SandboxSize {
    /// Default.
    Standard,
    /// Larger.
    Medium,
    /// Larger still.
    Large,
    /// Largest.
    Xlarge,
}

/// Raw API calls.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ProxyExecute {
    /// As a tool of the agent; the developer's own calls need no switch.
    pub enable: bool,
}

/// Several accounts per toolkit.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct MultiAccount {
    /// Default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable: Option<bool>,
    /// 2 to 10, default 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_accounts_per_toolkit: Option<u64>,
    /// Default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_explicit_selection: Option<bool>,
}

/// Tools listed from the start.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Preload {
    /// Tool slugs, or the word `all`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<PreloadTools>,
}

/// Tool slugs, or the word `all`.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum PreloadTools {
    /// `"all"`.
    All(All),
    /// These.
    These(Vec<String>),
}

/// The word `all`.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub enum All {
    /// `"all"`.
    #[serde(rename = "all")]
    All,
}

impl<'de> Deserialize<'de> for PreloadTools {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        match Value::deserialize(deserializer)? {
            Value::String(word) if word == "all" => Ok(Self::All(All::All)),
            many @ Value::Array(_) => serde_json::from_value(many).map(Self::These).map_err(D::Error::custom),
            _ => Err(D::Error::custom("expected a list of tool slugs or \"all\"")),
        }
    }
}

/// A switch.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Enable {
    /// Default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable: Option<bool>,
}

/// Execution of several tools at once.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Execute {
    /// Default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_multi_execute: Option<bool>,
}

/// `false`, or which calls may be billed.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Instant {
    /// `false`.
    Off(bool),
    /// Which calls.
    On(InstantRules),
}

/// Which calls may be billed.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct InstantRules {
    /// Of these toolkits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub toolkits: Option<Filter>,
    /// Toolkit → these tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<BTreeMap<String, Filter>>,
    /// Default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub return_instant_charge: Option<bool>,
    /// Default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub return_prices_in_search: Option<bool>,
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        match Value::deserialize(deserializer)? {
            Value::Bool(false) => Ok(Self::Off(false)),
            rules @ Value::Object(_) => serde_json::from_value(rules).map(Self::On).map_err(D::Error::custom),
            _ => Err(D::Error::custom("must be false or an object")),
        }
    }
}

/// Fields without a promise. Unknown ones are kept: this block changes often.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Experimental {
    /// Replaces the public URL in links: `${it}/link/${token}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_url_overwrite: Option<String>,
    /// The caller's own toolkits; echoed, not stored.
    #[serde(skip_serializing)]
    pub custom_toolkits: Option<Vec<CustomToolkit>>,
    /// The caller's own tools; echoed, not stored.
    #[serde(skip_serializing)]
    pub custom_tools: Option<Vec<CustomTool>>,
    /// A stored policy to start from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_config_id: Option<String>,
    /// Facts for a prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assistive_prompt_config: Option<AssistivePromptConfig>,
    /// When to ask a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permissions: Option<Permissions>,
    /// Kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fast_mode: Option<bool>,
    /// Offer the feedback tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub submit_feedback: Option<Enable>,
    /// Kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restrict_egress_to_composio: Option<bool>,
    /// What an unanswerable question means.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_elicitation_support_fallback: Option<Fallback>,
    /// Everything else.
    #[serde(flatten)]
    pub rest: BTreeMap<String, Value>,
}

/// Facts for a prompt.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct AssistivePromptConfig {
    /// IANA name, such as `Europe/Berlin`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_timezone: Option<String>,
}

/// When to ask a person.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Permissions {
    /// Where no override applies.
    pub default: PermissionDefault,
    /// `<TOOL>:<account>` → rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overrides: Option<BTreeMap<String, PermissionRule>>,
}

/// Where no override applies.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PermissionDefault {
    /// Never ask.
    AllowAll,
    /// Ask each time.
    AskEveryCall,
    /// Ask the first time.
    AskOncePerSession,
}

/// Rule for one tool.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PermissionRule {
    /// Never ask.
    AlwaysAllow,
    /// Never run.
    AlwaysDeny,
    /// Ask the first time.
    AskOnce,
    /// Ask each time.
    AskAlways,
}

/// What an unanswerable question means.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fallback {
    /// No.
    Deny,
    /// Yes.
    Allow,
}

impl SessionConfig {
    /// Lower-cases toolkit slugs, so that `"GITHUB"` of the SDK documents means `github`, and drops
    /// what is pinned twice.
    pub fn normalise(&mut self) {
        let lower = |list: &mut Option<Vec<String>>| {
            for slug in list.iter_mut().flatten() {
                slug.make_ascii_lowercase();
            }
        };
        if let Some(filter) = &mut self.toolkits {
            lower(&mut filter.enable);
            lower(&mut filter.disable);
            lower(&mut filter.require_approval);
        }
        self.auth_configs = self.auth_configs.take().map(lower_keys);
        self.connected_accounts = self.connected_accounts.take().map(lower_keys);
        self.tools = self.tools.take().map(lower_keys);
        for pins in self.connected_accounts.iter_mut().flatten().map(|(_, pins)| &mut pins.0) {
            let mut seen = Vec::with_capacity(pins.len().min(16));
            pins.retain(|id| {
                !seen.contains(id) && {
                    seen.push(id.clone());
                    true
                }
            });
        }
    }

    /// Whether the policy admits a toolkit.
    pub fn admits_toolkit(&self, slug: &str) -> bool {
        self.toolkits.as_ref().is_none_or(|filter| filter.admits(slug))
    }

    /// Accounts pinned for a toolkit: those, and no fallback.
    pub fn pins(&self, toolkit: &str) -> Option<&[String]> {
        self.connected_accounts.as_ref()?.get(toolkit).map(|pins| pins.0.as_slice())
    }

    /// Auth config named for a toolkit.
    pub fn auth_config(&self, toolkit: &str) -> Option<&str> {
        self.auth_configs.as_ref()?.get(toolkit).map(String::as_str)
    }

    /// Several accounts per toolkit are on.
    pub fn is_multi_account(&self) -> bool {
        self.multi_account.is_some_and(|multi| multi.enable == Some(true))
    }

    /// Toolkit slugs that the caller wrote anywhere.
    pub fn named_toolkits(&self) -> Vec<&str> {
        let mut named: Vec<&str> = Vec::new();
        if let Some(filter) = &self.toolkits {
            for list in [&filter.enable, &filter.disable, &filter.require_approval].into_iter().flatten() {
                named.extend(list.iter().map(String::as_str));
            }
        }
        named.extend(self.auth_configs.iter().flatten().map(|(slug, _)| slug.as_str()));
        named.extend(self.connected_accounts.iter().flatten().map(|(slug, _)| slug.as_str()));
        named.extend(self.tools.iter().flatten().map(|(slug, _)| slug.as_str()));
        named
    }
}

fn lower_keys<T>(map: BTreeMap<String, T>) -> BTreeMap<String, T> {
    map.into_iter().map(|(slug, value)| (slug.to_ascii_lowercase(), value)).collect()
}
