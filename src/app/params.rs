//! Non-secret facts of an account, stored as one JSON text.

use std::collections::BTreeMap;

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
    /// Values that the toolkit keeps from the token answer.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub captured: BTreeMap<String, String>,
}

impl AccountParams {
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
