//! The policy of a session: every field of the contract (section 2.1), parsed, validated and stored.
//!
//! Unknown keys are rejected, as the hosted API does for sessions: a misspelt rule that is silently ignored
//! would not be enforced. `check.rs` decides what a policy allows. Rules that need the database are in `session/mod.rs`, and the response format is in
//! `api/session/view.rs`.

mod approval;
mod blocks;
mod check;
mod experimental;
mod schema;
mod spelling;
mod tags;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use switchboard_types::{AccountId, AuthConfigId};

use crate::app::tool_versions::ToolkitVersions;

pub use approval::ApprovalRule;
pub use blocks::{
    Enable, Execute, ManageConnections, MultiAccount, Preload, PreloadTools, ProxyExecute, SandboxSize, Workbench,
};
pub use check::{CallKind, Denial, ToolDescription};
pub use experimental::{
    Experimental, Extensions, Fallback, Instant, InstantRules, PermissionDefault, PermissionRule, Permissions,
};
pub use tags::tags;

/// A user and a policy. Whatever is left out is not restricted, or has the default named.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[schemars(rename = "SessionRequest", transform = schema::with_premium_usage)]
#[serde(deny_unknown_fields, default)]
pub struct SessionConfig {
    // Moved out before the config is stored.
    /// The end user of your application, by a name of your choice; given at creation only.
    #[schemars(required, length(min = 1, max = 256))]
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
    /// Checks around executions: must be empty, as they need a model and this server has none.
    #[schemars(length(max = 0))]
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
    // Moved out before the config is stored.
    /// The versions of tools that the session uses: `latest`, or toolkit → `latest` or a version. Those in the catalog
    /// when omitted. The session keeps them until a change asks for others. An extension of this server.
    #[serde(skip_serializing)]
    pub toolkit_versions: Option<ToolkitVersions>,
    /// Fields without a promise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub experimental: Option<Experimental>,
}

/// `{enable}` or `{disable}`; `require_approval` beside either or alone.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
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

/// What may be used of one toolkit.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
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
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
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

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TagsObject {
    /// At least one of these.
    enable: Option<Vec<Tag>>,
    /// None of these.
    disable: Option<Vec<Tag>>,
    /// Ask first.
    #[schemars(length(min = 1))]
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

impl SessionConfig {
    /// Tools that are listed from the start by name.
    pub fn preloaded(&self) -> &[String] {
        match self.preload.as_ref().and_then(|preload| preload.tools.as_ref()) {
            Some(PreloadTools::These(tools)) => tools,
            Some(PreloadTools::All(_)) | None => &[],
        }
    }

    /// Accounts pinned for a toolkit. If there are pins, no other account is used.
    pub fn pins(&self, toolkit: &str) -> Option<&[String]> {
        self.connected_accounts.as_ref()?.get(toolkit).map(|pins| pins.0.as_slice())
    }

    /// Pins an account for a toolkit.
    pub fn pin(&mut self, toolkit: &str, account: &AccountId) {
        let pins = self.connected_accounts.get_or_insert_default();
        pins.insert(toolkit.to_owned(), OneOrMany(vec![account.to_string()]));
    }

    /// Auth config named for a toolkit.
    pub fn auth_config(&self, toolkit: &str) -> Option<AuthConfigId> {
        self.auth_configs.as_ref()?.get(toolkit).map(|id| id.as_str().into())
    }

    /// Whether several accounts per toolkit are enabled.
    pub fn is_multi_account(&self) -> bool {
        self.multi_account.is_some_and(|multi| multi.enable == Some(true))
    }

    /// How many accounts of one toolkit the session may use.
    pub fn max_accounts(&self) -> u64 {
        let multi = self.multi_account.filter(|_| self.is_multi_account());
        multi.map_or(1, |multi| multi.max_accounts_per_toolkit.unwrap_or(5))
    }

    /// Whether a call must name the account if there are several.
    pub fn needs_selection(&self) -> bool {
        self.is_multi_account()
            && self.multi_account.is_some_and(|multi| multi.require_explicit_selection == Some(true))
    }

    /// Whether the policy says which tools of a toolkit may be used, by slug or tag, and not only which may not.
    pub fn names_tools(&self, toolkit: &str) -> bool {
        let rule = self.tools.as_ref().and_then(|tools| tools.get(toolkit));
        let tags = rule.and_then(|rule| rule.tags.as_ref()).or(self.tags.as_ref());
        rule.is_some_and(|rule| rule.enable.is_some()) || tags.is_some_and(|tags| tags.enable.is_some())
    }

    /// All toolkit slugs that the policy names.
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
