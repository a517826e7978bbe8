//! The details of an event besides actor, action and outcome.
//!
//! Writing and reading use the same type, so the field names always agree. Nothing here is secret or identifies
//! a user, because events outlive their account.

use serde::{Deserialize, Serialize};
use switchboard_types::{AuthConfigId, LinkId, Timestamp};

/// The details of an event about an account or its links.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct Facts {
    /// The link concerned, if the actor does not name it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_id: Option<LinkId>,
    /// The auth config that an account or link was created for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_config_id: Option<AuthConfigId>,
    /// A working account is being reconnected.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_reconnect: bool,
    /// When the link expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_expires_at: Option<Timestamp>,
    /// The provider's host that the browser was sent to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Where the provider was to send the browser back to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect_uri: Option<String>,
    /// Requested scopes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// The requested scopes that the provider did not grant.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing_scopes: Vec<String>,
    /// When the access token expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Whether the account can get a new token without the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_renewable: Option<bool>,
    /// The provider's error text, already sanitised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The provider's error code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The standard's error code, if the toolkit file maps the provider's code to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meaning: Option<String>,
    /// The HTTP status of the provider's response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// Why there is no readable response, in our words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unanswered: Option<String>,
    /// The provider's response could not be parsed and is stored for a week.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_kept: bool,
    /// Delay before the next attempt, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_try_ms: Option<i64>,
    /// The fields that were changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
    /// The job that revokes the credential.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoke_job_id: Option<String>,
    /// The tokens that the provider has revoked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub revoked_tokens: Vec<String>,
    /// The code of the reason, written by [`Core::audit`](crate::app::base::core::Core::audit).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Anything else, as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Facts {
    /// Facts about a link.
    pub fn of_link(link_id: &LinkId) -> Self {
        Self { link_id: Some(link_id.clone()), ..Self::default() }
    }

    /// The stored form.
    pub fn to_text(&self) -> String {
        // A struct of texts and numbers always serialises.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Parses the stored form. Events of other versions may not parse and give no facts.
    pub fn parse(detail: Option<&str>) -> Self {
        detail.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_small_and_read_back() {
        let facts = Facts {
            code: Some("invalid_grant".to_owned()),
            is_renewable: Some(true),
            ..Facts::of_link(&"lt_1".into())
        };
        let text = facts.to_text();
        assert_eq!(text, r#"{"link_id":"lt_1","is_renewable":true,"code":"invalid_grant"}"#);
        assert_eq!(Facts::parse(Some(&text)), facts);
        for other in [None, Some("null"), Some("[]"), Some("{\"code\":7}"), Some("{\"of\":\"a later program\"}")] {
            assert_eq!(Facts::parse(other), Facts::default(), "{other:?}");
        }
    }
}
