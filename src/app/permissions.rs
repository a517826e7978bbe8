//! What a scoped project key may do: presets, each none, read, write or both (contract section 1.2).
//!
//! A key without a scope may do everything in its project. Which operation needs which preset is
//! said in one table, `api/operations`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// An area of the API, by its published name.
#[derive(
    Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize, schemars::JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
#[clap(rename_all = "snake_case")]
pub enum Preset {
    /// Lists and schemas of tools.
    Tools,
    /// Running tools.
    ToolExecution,
    /// Calls to provider APIs with a connected account.
    ProxyExecute,
    /// Sessions themselves: create, change, delete, link.
    SessionManagement,
    /// Running tools in a session.
    SessionToolExecution,
    /// The older MCP servers.
    LegacyMcp,
    /// Connected accounts.
    ConnectedAccounts,
    /// Auth configs.
    AuthConfigs,
    /// Toolkits.
    Toolkits,
    /// Triggers.
    Triggers,
    /// Webhook subscriptions.
    Webhooks,
    /// Logs and usage.
    Observability,
    /// Everything about sessions.
    Sessions,
}

/// What a preset admits.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Nothing.
    None,
    /// Looking.
    Read,
    /// Changing.
    Write,
    /// Both.
    ReadWrite,
}

impl Access {
    /// Whether this access covers what is needed.
    pub fn covers(self, needed: Self) -> bool {
        match needed {
            Self::None => true,
            Self::Read => matches!(self, Self::Read | Self::ReadWrite),
            Self::Write => matches!(self, Self::Write | Self::ReadWrite),
            Self::ReadWrite => self == Self::ReadWrite,
        }
    }
}

/// The scope of a key: what is not named is not allowed.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Permissions(pub BTreeMap<Preset, Access>);

impl Permissions {
    /// Whether one of the needed rights is given.
    pub fn admit(&self, needed: &[(Preset, Access)]) -> bool {
        needed.iter().any(|(preset, access)| self.0.get(preset).is_some_and(|given| given.covers(*access)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_that_is_not_named_is_not_given() {
        let scope = Permissions([(Preset::Toolkits, Access::Read), (Preset::Sessions, Access::ReadWrite)].into());
        assert!(scope.admit(&[(Preset::Toolkits, Access::Read)]));
        assert!(!scope.admit(&[(Preset::Toolkits, Access::Write)]));
        assert!(!scope.admit(&[(Preset::AuthConfigs, Access::Read)]));
        assert!(scope.admit(&[(Preset::SessionManagement, Access::Write), (Preset::Sessions, Access::Write)]));
        assert!(!scope.admit(&[]), "nothing is no right");
    }
}
