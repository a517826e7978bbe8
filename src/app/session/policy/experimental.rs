//! Billing settings of the hosted service, and the experimental fields.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use switchboard_tools::ResponseOptions;

use super::{Enable, Filter};
use crate::app::session::custom_tools::{CustomTool, CustomToolkit};

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
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
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
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub struct Experimental {
    /// Replaces the public URL in links: `${it}/link/${token}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2_048))]
    pub link_url_overwrite: Option<String>,
    /// The caller's own toolkits; echoed, not stored.
    #[serde(skip_serializing)]
    pub custom_toolkits: Option<Vec<CustomToolkit>>,
    /// The caller's own tools; echoed, not stored.
    #[serde(skip_serializing)]
    pub custom_tools: Option<Vec<CustomTool>>,
    /// A stored policy to start from. Not built yet, so the reference does not offer it.
    #[schemars(skip)]
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
    /// Extensions of this server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub switchboard: Option<Extensions>,
    /// Everything else.
    #[serde(flatten)]
    pub rest: BTreeMap<String, Value>,
}

/// Extensions of this server.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[schemars(rename = "SessionExtensions")]
#[serde(deny_unknown_fields, default)]
pub struct Extensions {
    /// The form of results, for calls that say nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<ResponseOptions>,
}

/// Facts for a prompt.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub struct AssistivePromptConfig {
    /// IANA name, such as `Europe/Berlin`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_timezone: Option<String>,
}

/// When to ask a person.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct Permissions {
    /// Where no override applies.
    pub default: PermissionDefault,
    /// `<TOOL>:<account>` → rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overrides: Option<BTreeMap<String, PermissionRule>>,
}

/// Where no override applies.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
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
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
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
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Fallback {
    /// No.
    Deny,
    /// Yes.
    Allow,
}
