//! Non-secret properties of an account, stored as JSON.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// Maximum number of scopes that are stored for an account.
const MAX_SCOPES: usize = 1_000;
/// Maximum total size of these scopes, in bytes.
const MAX_SCOPE_BYTES: usize = 16 * 1_024;
/// Maximum size of the token type, in bytes.
const MAX_TOKEN_TYPE_BYTES: usize = 64;
/// Maximum size of one value from a provider, in bytes.
const MAX_VALUE_BYTES: usize = 4 * 1_024;

/// Non-secret properties of an account.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct AccountParams {
    /// Connection fields such as `subdomain`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, String>,
    /// Requested scopes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub requested_scopes: Vec<String>,
    /// Requested user-level scopes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub requested_user_scopes: Vec<String>,
    /// Granted scopes; none if the provider did not report them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub granted_scopes: Option<Vec<String>>,
    /// The token type as the provider wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_type: Option<String>,
    /// Lifetime of the access token, in seconds, as the provider stated it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<u64>,
    /// When the refresh token expires, as the provider stated it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_expires_at: Option<Timestamp>,
    /// Values that the toolkit captures from the provider's responses.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub captured: BTreeMap<String, String>,
    /// Who the account is at its provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<AccountIdentity>,
    /// The client that the account was connected with, if the client was registered dynamically.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The redirect URI of the code exchange, if the toolkit repeats it in refresh requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect_uri: Option<String>,
    /// When the user last consented. Maximum grant lifetimes count from here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consented_at: Option<Timestamp>,
    /// Which of the toolkit's additional tokens is the access token, if the account has no other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only_token: Option<String>,
    /// Values that the current toolkit file derives from the fields. Never stored.
    #[serde(skip)]
    pub implied: BTreeMap<String, String>,
    /// The stored text could not be parsed; all other fields are empty then. Such an account can be deleted, and
    /// connected again, but its credential cannot be opened.
    #[serde(skip)]
    pub is_unreadable: bool,
}

/// Who an account is at its provider, as the provider's API reported it. Only the identifier and the tenant are
/// compared; the rest is for display.
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
    /// Name of that tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_name: Option<String>,
}

impl AccountIdentity {
    /// The identifiers only, without personal data.
    #[must_use]
    pub fn identifiers_only(self) -> Self {
        Self { id: self.id, tenant_id: self.tenant_id, ..Self::default() }
    }

    /// Whether two are the same account: the same identifier in the same tenant.
    pub fn is_same(&self, other: &Self) -> bool {
        self.id == other.id && self.tenant_id == other.tenant_id
    }

    /// All values.
    fn values(&self) -> impl Iterator<Item = &str> {
        let optional = [&self.email, &self.name, &self.avatar_url, &self.tenant_id, &self.tenant_name];
        std::iter::once(self.id.as_str()).chain(optional.into_iter().flatten().map(String::as_str))
    }

    /// The name for messages: the e-mail address, else the name, else the identifier.
    pub fn display_name(&self) -> &str {
        self.email.as_deref().or(self.name.as_deref()).unwrap_or(&self.id)
    }
}

impl AccountParams {
    /// Scopes that were requested and not granted.
    pub fn missing_scopes(&self) -> Vec<String> {
        missing_scopes(&self.requested_scopes, self.granted_scopes.as_deref())
    }

    /// Parameters with connection fields only.
    pub fn from_fields(fields: BTreeMap<String, String>) -> Self {
        Self { fields, ..Self::default() }
    }

    /// A template variable of the account: a connection field, a captured value or a derived value.
    pub fn value(&self, name: &str) -> Option<&String> {
        self.fields.get(name).or_else(|| self.captured.get(name)).or_else(|| self.implied.get(name))
    }

    /// Reads the stored form. What is not one is marked as unreadable.
    pub fn read(text: &str) -> Self {
        Self::parse(text).unwrap_or_else(|| Self { is_unreadable: true, ..Self::default() })
    }

    /// Reads the stored form; none if it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The stored form; see [`Self::stored`].
    pub fn to_text(&self) -> String {
        let text = |params: &Self| {
            // A struct of strings always serialises. The fallback is an empty object.
            serde_json::to_string(params).unwrap_or_else(|_| "{}".to_owned())
        };
        if self.is_within_limits() { text(self) } else { text(&self.without_oversized_values()) }
    }

    /// The parameters as they will be read back: without oversized values from a provider, which every list would
    /// carry, and without derived values.
    #[must_use]
    pub fn stored(&self) -> Self {
        let stored = if self.is_within_limits() { self.clone() } else { self.without_oversized_values() };
        Self { implied: BTreeMap::new(), ..stored }
    }

    fn is_within_limits(&self) -> bool {
        self.granted_scopes.as_deref().is_none_or(are_scopes_within_limits)
            && self.token_type.as_ref().is_none_or(|text| text.len() <= MAX_TOKEN_TYPE_BYTES)
            && self.captured.values().all(|text| text.len() <= MAX_VALUE_BYTES)
            && self.identity.as_ref().is_none_or(|identity| identity.values().all(|text| text.len() <= MAX_VALUE_BYTES))
    }

    fn without_oversized_values(&self) -> Self {
        let mut params = self.clone();
        params.granted_scopes = params.granted_scopes.filter(|scopes| are_scopes_within_limits(scopes));
        params.token_type = params.token_type.filter(|text| text.len() <= MAX_TOKEN_TYPE_BYTES);
        params.captured.retain(|_, text| text.len() <= MAX_VALUE_BYTES);
        // A partial identity would be a different identity.
        params.identity =
            params.identity.filter(|identity| identity.values().all(|text| text.len() <= MAX_VALUE_BYTES));
        params
    }
}

/// Whether scopes are within the limits. Otherwise they count as not reported.
fn are_scopes_within_limits(scopes: &[String]) -> bool {
    scopes.len() <= MAX_SCOPES && scopes.iter().map(String::len).sum::<usize>() <= MAX_SCOPE_BYTES
}

/// Scopes that many providers accept and do not report as granted.
const UNREPORTED_SCOPES: [&str; 4] = ["openid", "offline_access", "profile", "email"];

/// Scopes that were requested and not granted. Empty if the provider did not report what it granted.
pub fn missing_scopes(requested: &[String], granted: Option<&[String]>) -> Vec<String> {
    let Some(granted) = granted else { return Vec::new() };
    requested
        .iter()
        .filter(|scope| !granted.contains(scope) && !UNREPORTED_SCOPES.contains(&scope.as_str()))
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oversized_values_from_a_provider_are_not_stored() {
        let long = "x".repeat(400_000);
        let identity = AccountIdentity { id: "1".to_owned(), name: Some(long.clone()), ..AccountIdentity::default() };
        let params = AccountParams {
            granted_scopes: Some(vec![long.clone()]),
            token_type: Some(long.clone()),
            captured: BTreeMap::from([("long".to_owned(), long), ("site".to_owned(), "acme".to_owned())]),
            identity: Some(identity),
            expires_in: Some(60),
            ..AccountParams::default()
        };
        assert_eq!(params.to_text(), r#"{"expires_in":60,"captured":{"site":"acme"}}"#);
        let many = AccountParams { granted_scopes: Some(vec!["a".to_owned(); 1_001]), ..AccountParams::default() };
        assert_eq!(many.to_text(), "{}");
        let scopes = Some(vec!["https://provider.example/auth/of.some.length".to_owned(); 300]);
        let usual = AccountParams { granted_scopes: scopes.clone(), ..AccountParams::default() };
        assert_eq!(AccountParams::parse(&usual.to_text()).unwrap().granted_scopes, scopes);
    }

    #[test]
    fn a_scope_is_missing_only_if_the_provider_reports_scopes() {
        let list = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(missing_scopes(&list("a b openid c"), Some(&list("c a x"))), ["b"]);
        assert!(missing_scopes(&list("a"), None).is_empty());
    }
}
