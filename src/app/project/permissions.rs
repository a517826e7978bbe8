//! What a scoped project key may do: presets, each none, read, write or both (contract section 1.2).
//!
//! A key without a scope may do everything in its project. Which operation needs which preset is
//! said in one table, `api/table.rs`.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An area of the API, by its published name.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
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

impl Preset {
    /// All of them, in the published order.
    pub const ALL: [Self; 13] = [
        Self::Tools,
        Self::ToolExecution,
        Self::ProxyExecute,
        Self::SessionManagement,
        Self::SessionToolExecution,
        Self::LegacyMcp,
        Self::ConnectedAccounts,
        Self::AuthConfigs,
        Self::Toolkits,
        Self::Triggers,
        Self::Webhooks,
        Self::Observability,
        Self::Sessions,
    ];

    /// Its published name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::ToolExecution => "tool_execution",
            Self::ProxyExecute => "proxy_execute",
            Self::SessionManagement => "session_management",
            Self::SessionToolExecution => "session_tool_execution",
            Self::LegacyMcp => "legacy_mcp",
            Self::ConnectedAccounts => "connected_accounts",
            Self::AuthConfigs => "auth_configs",
            Self::Toolkits => "toolkits",
            Self::Triggers => "triggers",
            Self::Webhooks => "webhooks",
            Self::Observability => "observability",
            Self::Sessions => "sessions",
        }
    }
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
    /// All of them.
    pub const ALL: [Self; 4] = [Self::None, Self::Read, Self::Write, Self::ReadWrite];

    /// Its published name.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Read => "read",
            Self::Write => "write",
            Self::ReadWrite => "read_write",
        }
    }

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

/// One right as the command line takes it: `sessions=read_write`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant(pub Preset, pub Access);

impl FromStr for Grant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (preset, access) = text.split_once('=').ok_or("must be PRESET=ACCESS, such as sessions=read_write")?;
        let found = Preset::ALL.into_iter().find(|it| it.name() == preset);
        let preset = found.ok_or_else(|| {
            format!("has no preset {preset:?}; there are {}", Preset::ALL.map(Preset::name).join(", "))
        })?;
        let found = Access::ALL.into_iter().find(|it| it.name() == access);
        let access = found.ok_or_else(|| {
            format!("has no access {access:?}; there are {}", Access::ALL.map(Access::name).join(", "))
        })?;
        Ok(Self(preset, access))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_published_ones() {
        for preset in Preset::ALL {
            assert_eq!(serde_json::to_value(preset).unwrap(), preset.name());
        }
        for access in Access::ALL {
            assert_eq!(serde_json::to_value(access).unwrap(), access.name());
        }
        assert_eq!("proxy_execute=write".parse(), Ok(Grant(Preset::ProxyExecute, Access::Write)));
        for text in ["", "tools", "tools=", "tools=all", "tool=read", "Tools=read"] {
            assert!(text.parse::<Grant>().is_err(), "{text}");
        }
    }

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
