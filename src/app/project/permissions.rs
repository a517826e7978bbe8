//! Permissions of a scoped project key: an access level for each preset (contract section 1.2).
//!
//! A key without a scope has full access to its project. The table in `api/table.rs` says which operation needs
//! which preset.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An area of the API, with its published name.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// Lists and schemas of tools.
    Tools,
    /// Running tools.
    ToolExecution,
    /// Calls to provider APIs with a connected account.
    ProxyExecute,
    /// Sessions: create, change, delete and link.
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
    /// All presets, in the published order.
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

    /// The published name.
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

/// The access level of a preset.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// No access.
    None,
    /// Reading.
    Read,
    /// Changing.
    Write,
    /// Reading and changing.
    ReadWrite,
}

impl Access {
    /// All access levels.
    pub const ALL: [Self; 4] = [Self::None, Self::Read, Self::Write, Self::ReadWrite];

    /// The published name.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Read => "read",
            Self::Write => "write",
            Self::ReadWrite => "read_write",
        }
    }

    /// Whether this access level includes the needed one.
    pub fn covers(self, needed: Self) -> bool {
        match needed {
            Self::None => true,
            Self::Read => matches!(self, Self::Read | Self::ReadWrite),
            Self::Write => matches!(self, Self::Write | Self::ReadWrite),
            Self::ReadWrite => self == Self::ReadWrite,
        }
    }
}

/// The permissions of a key. A preset that is not listed is not allowed.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Permissions(pub BTreeMap<Preset, Access>);

impl Permissions {
    /// Whether at least one of the needed permissions is granted.
    pub fn admit(&self, needed: &[(Preset, Access)]) -> bool {
        needed.iter().any(|(preset, access)| self.0.get(preset).is_some_and(|given| given.covers(*access)))
    }
}

/// One permission as given on the command line: `sessions=read_write`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PermissionArg(pub Preset, pub Access);

impl FromStr for PermissionArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (preset, access) = text.split_once('=').ok_or("must be PRESET=ACCESS, such as sessions=read_write")?;
        let found = Preset::ALL.into_iter().find(|candidate| candidate.name() == preset);
        let preset = found.ok_or_else(|| {
            format!("has no preset {preset:?}; there are {}", Preset::ALL.map(Preset::name).join(", "))
        })?;
        let found = Access::ALL.into_iter().find(|candidate| candidate.name() == access);
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
        assert_eq!("proxy_execute=write".parse(), Ok(PermissionArg(Preset::ProxyExecute, Access::Write)));
        for text in ["", "tools", "tools=", "tools=all", "tool=read", "Tools=read"] {
            assert!(text.parse::<PermissionArg>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_unlisted_permission_is_not_granted() {
        let scope = Permissions([(Preset::Toolkits, Access::Read), (Preset::Sessions, Access::ReadWrite)].into());
        assert!(scope.admit(&[(Preset::Toolkits, Access::Read)]));
        assert!(!scope.admit(&[(Preset::Toolkits, Access::Write)]));
        assert!(!scope.admit(&[(Preset::AuthConfigs, Access::Read)]));
        assert!(scope.admit(&[(Preset::SessionManagement, Access::Write), (Preset::Sessions, Access::Write)]));
        assert!(!scope.admit(&[]), "an empty list of needed permissions is never satisfied");
    }
}
