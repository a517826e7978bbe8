//! Non-secret facts of an account, stored as one JSON text.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Non-secret facts of an account.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct AccountParams {
    /// Connection fields such as `subdomain`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, String>,
    /// Scopes asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub requested_scopes: Vec<String>,
    /// User-level scopes asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub requested_user_scopes: Vec<String>,
    /// Scopes that the provider granted; none when it did not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub granted_scopes: Option<Vec<String>>,
    /// As the provider wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_type: Option<String>,
    /// Lifetime of the access token as the provider stated it, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<u64>,
    /// When the refresh token ends as the provider stated it, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_expires_at: Option<i64>,
    /// Values that the toolkit keeps from the provider's answers.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub captured: BTreeMap<String, String>,
    /// Who the account is at its provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<AccountIdentity>,
    /// When the user last consented, in milliseconds since 1970: hard ends count from here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consented_at: Option<i64>,
}

/// Who an account is at its provider, as its API said. The identifier and the tenant tell two
/// accounts apart; all else is for people.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "AccountIdentity")]
pub struct AccountIdentity {
    /// Stable identifier at the provider.
    pub id: String,
    /// E-mail address; never identifies (R32).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Name that people recognise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// URL of a picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar_url: Option<String>,
    /// Workspace, site or organisation that it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// Name of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_name: Option<String>,
}

impl AccountIdentity {
    /// Whether two are the same account: the same identifier in the same tenant.
    pub fn is_same(&self, other: &Self) -> bool {
        self.id == other.id && self.tenant_id == other.tenant_id
    }

    /// For messages: the e-mail address, else the name, else the identifier.
    pub fn shown(&self) -> &str {
        self.email.as_deref().or(self.name.as_deref()).unwrap_or(&self.id)
    }
}

impl AccountParams {
    /// Scopes that were asked for and not granted.
    pub fn missing_scopes(&self) -> Vec<String> {
        let Some(granted) = &self.granted_scopes else { return Vec::new() };
        self.requested_scopes.iter().filter(|scope| !granted.contains(scope)).cloned().collect()
    }

    /// With connection fields only.
    pub fn of_fields(fields: BTreeMap<String, String>) -> Self {
        Self { fields, ..Self::default() }
    }

    /// A template variable of the account: a connection field, or what was captured.
    pub fn value(&self, name: &str) -> Option<&String> {
        self.fields.get(name).or_else(|| self.captured.get(name))
    }

    /// Reads the stored form.
    pub fn parse(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(Error::internal)
    }

    /// The stored form.
    pub fn to_text(&self) -> String {
        // A struct of strings always serialises; an empty object is the harmless answer.
        serde_json::to_string(self).unwrap_or_else(|_| "{}".to_owned())
    }
}
