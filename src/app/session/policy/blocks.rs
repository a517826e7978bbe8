//! The smaller blocks of a session's policy.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Linking by the agent itself.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ManageConnections {
    /// Default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable: Option<bool>,
    /// Where a link's browser goes when the link names nothing else: an absolute URL, `https://`, or
    /// `http://` on loopback.
    #[schemars(length(min = 1, max = 2_048))]
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
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
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
    #[schemars(with = "Option<f64>", extend("exclusiveMinimum" = 0))]
    pub auto_offload_threshold: Option<serde_json::Number>,
    /// Kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox_size: Option<SandboxSize>,
}

/// Size of a code sandbox.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
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
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProxyExecute {
    /// As a tool of the agent; the developer's own calls need no switch.
    pub enable: bool,
}

/// Several accounts per toolkit.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MultiAccount {
    /// Default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable: Option<bool>,
    /// 2 to 10, default 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2, max = 10))]
    pub max_accounts_per_toolkit: Option<u64>,
    /// Default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_explicit_selection: Option<bool>,
}

/// Tools listed from the start.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
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
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
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
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Enable {
    /// Default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable: Option<bool>,
}

/// Execution of several tools at once.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Execute {
    /// Default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_multi_execute: Option<bool>,
}
