//! Changes of a session's policy (contract section 2.4) and how they are applied. `change.rs` validates and
//! stores the result.
//!
//! An absent block stays as it is. `null` removes a block, so that its default applies again. Most blocks are
//! replaced as a whole. Some are merged field by field, where `null` removes a field.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::policy::{
    Enable, Execute, Experimental, Filter, Instant, InstantRules, ManageConnections, MultiAccount, OneOrMany, Preload,
    ProxyExecute, SandboxSize, SessionConfig, Tags, ToolRule, Workbench,
};
use crate::app::base::change::Change;
use crate::app::tool_versions::ToolkitVersions;
use crate::error::{Error, Result};

/// A change of a block that is merged field by field.
trait Merge {
    type Block: Default;

    fn merge(&self, block: &mut Self::Block);
}

fn merge<P: Merge>(change: &Change<P>, field: &mut Option<P::Block>) {
    match change {
        Change::Keep => {}
        Change::Remove => *field = None,
        Change::Set(patch) => patch.merge(field.get_or_insert_default()),
    }
}

/// A change of a session. What is left out stays as it is; `null` takes a block away, and its
/// default counts again. The user of a session never changes.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "UpdateSession")]
pub struct SessionPatch {
    /// Change nothing unless the session's `config_version` is this one: 409 otherwise.
    pub expected_config_version: Option<i64>,
    /// Which toolkits may be used. Replaces the whole block.
    pub toolkits: Change<Filter>,
    /// Toolkit → auth config to link with. Replaces the whole map.
    pub auth_configs: Change<BTreeMap<String, String>>,
    /// Toolkit → accounts to use, and no others. Replaces the whole map.
    pub connected_accounts: Change<BTreeMap<String, OneOrMany>>,
    /// Linking by the agent itself. Merged: fields that are left out stay.
    pub manage_connections: Change<ManageConnectionsPatch>,
    /// Toolkit → which of its tools. Replaces the whole map.
    pub tools: Change<BTreeMap<String, ToolRule>>,
    /// Which kinds of tools. Replaces the whole block.
    pub tags: Change<Tags>,
    /// Code execution; this server has none. Merged.
    pub workbench: Change<WorkbenchPatch>,
    /// Raw API calls. Replaces the whole block.
    pub proxy_execute: Change<ProxyExecute>,
    /// Several accounts per toolkit. Merged; `enable: false` resets the block.
    pub multi_account: Change<MultiAccountPatch>,
    /// Tools listed from the start. Replaces the whole block.
    pub preload: Change<Preload>,
    /// Checks around executions. Replaces the whole list.
    pub hooks: Change<Vec<Value>>,
    /// Tool search. Replaces the whole block.
    pub search: Change<Enable>,
    /// Execution of several tools at once. Replaces the whole block.
    pub execute: Change<Execute>,
    /// The hosted service's billing: `false`, or an object that is merged.
    #[serde(alias = "premium_usage")]
    #[schemars(with = "Option<Instant>")]
    pub instant: Change<InstantPatch>,
    /// Other versions of tools: `latest`, or toolkit → `latest` or a version. The session keeps the versions that it has
    /// of all others. An extension of this server.
    pub toolkit_versions: Option<ToolkitVersions>,
    /// Fields without a promise. Merged.
    #[schemars(with = "Option<Experimental>")]
    pub experimental: Change<ExperimentalPatch>,
}

/// A change of `manage_connections`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "UpdateManageConnections")]
pub struct ManageConnectionsPatch {
    /// Default true.
    pub enable: Change<bool>,
    /// Where a link's browser goes when the link names nothing else; `null` clears it.
    pub callback_url: Change<String>,
    /// Default false.
    pub enable_wait_for_connections: Change<bool>,
    /// Default true.
    pub enable_connection_removal: Change<bool>,
}

/// A change of `workbench`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "UpdateWorkbench")]
pub struct WorkbenchPatch {
    /// Kept.
    pub enable: Change<bool>,
    /// Kept.
    pub enable_tool_execution: Change<bool>,
    /// Kept.
    pub enable_proxy_execution: Change<bool>,
    /// Characters; more than 0.
    pub auto_offload_threshold: Change<serde_json::Number>,
    /// `standard`, `medium`, `large` or `xlarge`.
    pub sandbox_size: Change<SandboxSize>,
}

/// A change of `multi_account`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "UpdateMultiAccount")]
pub struct MultiAccountPatch {
    /// `false` resets the block and goes with no other field.
    pub enable: Change<bool>,
    /// 2 to 10, default 5.
    #[schemars(range(min = 2, max = 10))]
    pub max_accounts_per_toolkit: Change<u64>,
    /// Default false.
    pub require_explicit_selection: Change<bool>,
}

/// A change of `instant`.
#[derive(Clone, Debug)]
pub enum InstantPatch {
    /// `false`.
    Off,
    /// Merged.
    On(InstantRulesPatch),
}

/// A change of the rules in `instant`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InstantRulesPatch {
    /// Of these toolkits.
    pub toolkits: Change<Filter>,
    /// Toolkit → these tools.
    pub tools: Change<BTreeMap<String, Filter>>,
    /// Default false.
    pub return_instant_charge: Change<bool>,
    /// Default false.
    pub return_prices_in_search: Change<bool>,
}

/// A change of `experimental`: the fields as parsed at creation, and the raw keys, which distinguish `null`
/// from an absent field.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct ExperimentalPatch {
    #[serde(flatten)]
    given: Experimental,
    #[serde(flatten)]
    keys: BTreeMap<String, Value>,
}

impl<'de> Deserialize<'de> for InstantPatch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        use serde::de::Error as _;
        match Value::deserialize(deserializer)? {
            Value::Bool(false) => Ok(Self::Off),
            rules @ Value::Object(_) => serde_json::from_value(rules).map(Self::On).map_err(D::Error::custom),
            _ => Err(D::Error::custom("must be false or an object")),
        }
    }
}

impl Merge for ManageConnectionsPatch {
    type Block = ManageConnections;

    fn merge(&self, block: &mut ManageConnections) {
        self.enable.apply(&mut block.enable);
        self.callback_url.apply(&mut block.callback_url);
        self.enable_wait_for_connections.apply(&mut block.enable_wait_for_connections);
        self.enable_connection_removal.apply(&mut block.enable_connection_removal);
    }
}

impl Merge for WorkbenchPatch {
    type Block = Workbench;

    fn merge(&self, block: &mut Workbench) {
        self.enable.apply(&mut block.enable);
        self.enable_tool_execution.apply(&mut block.enable_tool_execution);
        self.enable_proxy_execution.apply(&mut block.enable_proxy_execution);
        self.auto_offload_threshold.apply(&mut block.auto_offload_threshold);
        self.sandbox_size.apply(&mut block.sandbox_size);
    }
}

impl Merge for MultiAccountPatch {
    type Block = MultiAccount;

    fn merge(&self, block: &mut MultiAccount) {
        if let Change::Set(false) = self.enable {
            *block = MultiAccount { enable: Some(false), ..MultiAccount::default() };
            return;
        }
        // A block with `enable: false` has no other field, so setting it up again starts from the default.
        if block.enable == Some(false) {
            *block = MultiAccount::default();
        }
        self.enable.apply(&mut block.enable);
        self.max_accounts_per_toolkit.apply(&mut block.max_accounts_per_toolkit);
        self.require_explicit_selection.apply(&mut block.require_explicit_selection);
    }
}

impl Merge for InstantRulesPatch {
    type Block = InstantRules;

    fn merge(&self, block: &mut InstantRules) {
        self.toolkits.apply(&mut block.toolkits);
        self.tools.apply(&mut block.tools);
        self.return_instant_charge.apply(&mut block.return_instant_charge);
        self.return_prices_in_search.apply(&mut block.return_prices_in_search);
    }
}

/// Custom tools are not stored, so the merged block is what remains after a round trip through JSON.
fn merge_experimental(patch: &ExperimentalPatch, field: &mut Option<Experimental>) -> Result<()> {
    let Value::Object(mut block) = serde_json::to_value(field.take().unwrap_or_default()).map_err(Error::internal)?
    else {
        return Err(Error::internal("experimental is no object"));
    };
    for (key, value) in &patch.keys {
        match value {
            Value::Null => block.remove(key),
            value => block.insert(key.clone(), value.clone()),
        };
    }
    let mut merged: Experimental = serde_json::from_value(block.into()).map_err(Error::internal)?;
    merged.custom_toolkits.clone_from(&patch.given.custom_toolkits);
    merged.custom_tools.clone_from(&patch.given.custom_tools);
    *field = Some(merged);
    Ok(())
}

impl SessionPatch {
    /// Rejects what is invalid regardless of the session's policy.
    pub fn check(&self) -> Result<()> {
        if let Change::Set(multi) = &self.multi_account
            && matches!(multi.enable, Change::Set(false))
            && (multi.max_accounts_per_toolkit.is_given() || multi.require_explicit_selection.is_given())
        {
            return Err(Error::field("multi_account", "`enable: false` resets the block and goes with no other field"));
        }
        Ok(())
    }

    /// The policy after the change, not validated yet.
    pub fn apply(&self, mut config: SessionConfig) -> Result<SessionConfig> {
        self.toolkits.apply(&mut config.toolkits);
        self.auth_configs.apply(&mut config.auth_configs);
        self.connected_accounts.apply(&mut config.connected_accounts);
        merge(&self.manage_connections, &mut config.manage_connections);
        self.tools.apply(&mut config.tools);
        self.tags.apply(&mut config.tags);
        merge(&self.workbench, &mut config.workbench);
        self.proxy_execute.apply(&mut config.proxy_execute);
        merge(&self.multi_account, &mut config.multi_account);
        self.preload.apply(&mut config.preload);
        self.hooks.apply(&mut config.hooks);
        self.search.apply(&mut config.search);
        self.execute.apply(&mut config.execute);
        match &self.instant {
            Change::Keep => {}
            Change::Remove => config.instant = None,
            Change::Set(InstantPatch::Off) => config.instant = Some(Instant::Off(false)),
            Change::Set(InstantPatch::On(patch)) => {
                let mut rules = match config.instant.take() {
                    Some(Instant::On(rules)) => rules,
                    Some(Instant::Off(_)) | None => InstantRules::default(),
                };
                patch.merge(&mut rules);
                config.instant = Some(Instant::On(rules));
            }
        }
        match &self.experimental {
            Change::Keep => {}
            Change::Remove => config.experimental = None,
            Change::Set(patch) => merge_experimental(patch, &mut config.experimental)?,
        }
        Ok(config)
    }

    /// Names of the blocks that the change contains.
    pub fn blocks(&self) -> Vec<&'static str> {
        let all = [
            ("toolkits", self.toolkits.is_given()),
            ("auth_configs", self.auth_configs.is_given()),
            ("connected_accounts", self.connected_accounts.is_given()),
            ("manage_connections", self.manage_connections.is_given()),
            ("tools", self.tools.is_given()),
            ("tags", self.tags.is_given()),
            ("workbench", self.workbench.is_given()),
            ("proxy_execute", self.proxy_execute.is_given()),
            ("multi_account", self.multi_account.is_given()),
            ("preload", self.preload.is_given()),
            ("hooks", self.hooks.is_given()),
            ("search", self.search.is_given()),
            ("execute", self.execute.is_given()),
            ("instant", self.instant.is_given()),
            ("toolkit_versions", self.toolkit_versions.is_some()),
            ("experimental", self.experimental.is_given()),
        ];
        all.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect()
    }
}
