//! Non-secret facts of an account, stored as one JSON text.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use switchboard_catalog::{Scheme, Toolkit};

use crate::error::{Code, Error, Result};

/// Scopes that are kept of an account.
const MOST_SCOPES: usize = 1_000;
/// Bytes of all of them.
const MOST_SCOPE_BYTES: usize = 16 * 1_024;
/// Bytes of the token's type.
const MOST_TOKEN_TYPE: usize = 64;
/// Bytes of one value that a provider gave.
const MOST_VALUE: usize = 4 * 1_024;

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
    /// The client that it was connected with, where that registered itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The redirect URI of the code exchange, where the toolkit's refreshes repeat it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect_uri: Option<String>,
    /// When the user last consented, in milliseconds since 1970: hard ends count from here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consented_at: Option<i64>,
    /// Which of the toolkit's further tokens the access token is, where the account has no other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only_token: Option<String>,
    /// What follows from the fields by the toolkit's file of this moment; never stored.
    #[serde(skip)]
    pub implied: BTreeMap<String, String>,
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
    /// The identifiers alone, without anything that is for people.
    #[must_use]
    pub fn nameless(self) -> Self {
        Self { id: self.id, tenant_id: self.tenant_id, ..Self::default() }
    }

    /// Whether two are the same account: the same identifier in the same tenant.
    pub fn is_same(&self, other: &Self) -> bool {
        self.id == other.id && self.tenant_id == other.tenant_id
    }

    /// All that it says.
    fn texts(&self) -> impl Iterator<Item = &str> {
        let optional = [&self.email, &self.name, &self.avatar_url, &self.tenant_id, &self.tenant_name];
        std::iter::once(self.id.as_str()).chain(optional.into_iter().flatten().map(String::as_str))
    }

    /// For messages: the e-mail address, else the name, else the identifier.
    pub fn shown(&self) -> &str {
        self.email.as_deref().or(self.name.as_deref()).unwrap_or(&self.id)
    }
}

impl AccountParams {
    /// Scopes that were asked for and not granted; the one place that says so.
    pub fn missing_scopes(&self) -> Vec<String> {
        missing_scopes(&self.requested_scopes, self.granted_scopes.as_deref())
    }

    /// With connection fields only.
    pub fn of_fields(fields: BTreeMap<String, String>) -> Self {
        Self { fields, ..Self::default() }
    }

    /// With what follows from the fields by a toolkit's file: defaults of fields that the file got later,
    /// and what chosen options set.
    #[must_use]
    pub fn completed(mut self, toolkit: &Toolkit, scheme: Scheme) -> Self {
        self.implied = toolkit.implied(scheme, |name| self.fields.get(name).map(String::as_str));
        self
    }

    /// A template variable of the account: a connection field, what was captured, or what follows from them.
    pub fn value(&self, name: &str) -> Option<&String> {
        self.fields.get(name).or_else(|| self.captured.get(name)).or_else(|| self.implied.get(name))
    }

    /// Reads the stored form.
    pub fn parse(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|error| {
            Error::of(Code::RowUnreadable, &[("what", &"parameters of a connected account")]).because(error)
        })
    }

    /// The stored form. What a provider wrote beyond all measure is left out: every list would carry it.
    pub fn to_text(&self) -> String {
        let text = |params: &Self| {
            // A struct of strings always serialises; an empty object is the harmless answer.
            serde_json::to_string(params).unwrap_or_else(|_| "{}".to_owned())
        };
        if self.is_of_sane_size() { text(self) } else { text(&self.without_what_is_too_long()) }
    }

    fn is_of_sane_size(&self) -> bool {
        self.granted_scopes.as_deref().is_none_or(are_sane_scopes)
            && self.token_type.as_ref().is_none_or(|text| text.len() <= MOST_TOKEN_TYPE)
            && self.captured.values().all(|text| text.len() <= MOST_VALUE)
            && self.identity.as_ref().is_none_or(|identity| identity.texts().all(|text| text.len() <= MOST_VALUE))
    }

    fn without_what_is_too_long(&self) -> Self {
        let mut params = self.clone();
        params.granted_scopes = params.granted_scopes.filter(|scopes| are_sane_scopes(scopes));
        params.token_type = params.token_type.filter(|text| text.len() <= MOST_TOKEN_TYPE);
        params.captured.retain(|_, text| text.len() <= MOST_VALUE);
        // Half an identity would be another one.
        params.identity = params.identity.filter(|identity| identity.texts().all(|text| text.len() <= MOST_VALUE));
        params
    }
}

/// Scopes as they are kept: more of them, or longer, count as not stated.
fn are_sane_scopes(scopes: &[String]) -> bool {
    scopes.len() <= MOST_SCOPES && scopes.iter().map(String::len).sum::<usize>() <= MOST_SCOPE_BYTES
}

/// Scopes that many providers take and never name again.
const UNNAMED: [&str; 4] = ["openid", "offline_access", "profile", "email"];

/// Scopes that were asked for and not granted; none where the provider did not say what it granted.
pub fn missing_scopes(requested: &[String], granted: Option<&[String]>) -> Vec<String> {
    let Some(granted) = granted else { return Vec::new() };
    requested.iter().filter(|scope| !granted.contains(scope) && !UNNAMED.contains(&scope.as_str())).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_provider_writes_beyond_all_measure_is_not_kept() {
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
    fn a_scope_is_missing_only_where_the_provider_says_so() {
        let list = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(missing_scopes(&list("a b openid c"), Some(&list("c a x"))), ["b"]);
        assert!(missing_scopes(&list("a"), None).is_empty());
    }
}
