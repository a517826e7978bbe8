//! What an event says besides actor, action and outcome: written with it, read when somebody asks.
//!
//! One type for both, so that no member can be written under one name and read under another. Nothing
//! here is a secret, and nothing says who a user is: events outlive their account.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::time::Millis;

/// The detail of an event about an account or its links.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct Facts {
    /// The link that it is about, where the actor does not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_id: Option<String>,
    /// The auth config that an account or link is made for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_config_id: Option<String>,
    /// The account works and is connected once more.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_reconnect: bool,
    /// Until when the link may be opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_expires_at: Option<Millis>,
    /// The provider's host that the browser was sent to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Where the provider was to send it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect_uri: Option<String>,
    /// Scopes that were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// Of these, what the provider said it did not grant.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing_scopes: Vec<String>,
    /// When the access token ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Millis>,
    /// There is something to get the next token with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_renewable: Option<bool>,
    /// The provider's own words, cleaned by whoever read them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Its error code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What the code means, in the standard's word, where the toolkit file gives it that meaning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meaning: Option<String>,
    /// The status of its answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// Nothing that can be read came back: our words for what happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unanswered: Option<String>,
    /// What the provider answered could not be read, and is kept for a week.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_kept: bool,
    /// Pause before the next try, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_try_ms: Option<Millis>,
    /// What was changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
    /// The job that revokes the credential.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoke_job_id: Option<String>,
    /// What the provider has revoked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub revoked_tokens: Vec<String>,
    /// Anything else, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Facts {
    /// About a link.
    pub fn of_link(link_id: &str) -> Self {
        Self { link_id: Some(link_id.to_owned()), ..Self::default() }
    }

    /// As an event keeps it.
    pub fn to_value(&self) -> Value {
        // A struct of texts and numbers always serialises; null is the harmless answer.
        serde_json::to_value(self).unwrap_or_default()
    }

    /// As an event kept it, maybe in the words of an older program.
    pub fn parse(detail: Option<&str>) -> Self {
        detail.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_small_and_read_back() {
        let facts =
            Facts { code: Some("invalid_grant".to_owned()), is_renewable: Some(true), ..Facts::of_link("lt_1") };
        let text = facts.to_value().to_string();
        assert_eq!(text, r#"{"code":"invalid_grant","is_renewable":true,"link_id":"lt_1"}"#);
        assert_eq!(Facts::parse(Some(&text)), facts);
        for other in [None, Some("null"), Some("[]"), Some("{\"code\":7}"), Some("{\"of\":\"a later program\"}")] {
            assert_eq!(Facts::parse(other), Facts::default(), "{other:?}");
        }
    }
}
