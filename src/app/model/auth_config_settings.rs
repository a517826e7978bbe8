//! What is stored of an auth config besides its columns.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use switchboard_catalog::{ClientAuthentication, Scheme, Toolkit};

use crate::error::{Error, Result};

/// What is stored of an auth config besides its columns. Nothing secret.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct AuthConfigSettings {
    /// Scopes to ask for; none means the toolkit's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// User-level scopes to ask for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_scopes: Option<Vec<String>>,
    /// Redirect URI registered at the provider, instead of the server's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oauth_redirect_uri: Option<String>,
    /// The redirect URI with the toolkit's slug is registered.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub uses_toolkit_redirect_uri: bool,
    /// Made for links that asked for its scheme: others do not use it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub made_for_scheme: bool,
    /// How the client was found to authenticate, where nobody says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learned_method: Option<LearnedMethod>,
    /// Kept for the API; has effect once tools are served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_access_config: Option<Value>,
    /// Kept for the API; has effect once tools are served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restrict_to_following_tools: Option<Vec<String>>,
}

impl AuthConfigSettings {
    /// Reads the stored form.
    pub fn parse(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(Error::internal)
    }

    /// The stored form.
    pub fn to_text(&self) -> String {
        // A struct of texts and lists always serialises.
        serde_json::to_string(self).unwrap_or_else(|_| "{}".to_owned())
    }

    /// Scopes that a connection of an auth config asks for: its own, else those of the toolkit's file, and what the
    /// file always asks for.
    pub fn wanted_scopes(&self, toolkit: &Toolkit, scheme: Scheme) -> Vec<String> {
        let Some(oauth) = toolkit.oauth(scheme) else { return Vec::new() };
        // A token that may be the only one is what user-level scopes alone ask for.
        let only_theirs = oauth.tokens.iter().any(|token| token.alone) && self.user_scopes.is_some();
        let default = || if only_theirs { Vec::new() } else { oauth.scopes.clone() };
        let mut scopes = self.scopes.clone().unwrap_or_else(default);
        for scope in &oauth.always_scopes {
            if !scopes.contains(scope) {
                scopes.push(scope.clone());
            }
        }
        scopes
    }
}

/// What an auth config remembers of how its client authenticates.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct LearnedMethod {
    /// The client that it is known of.
    pub client_id: String,
    /// The way that worked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub works: Option<ClientAuthentication>,
    /// The way in which the next code is exchanged, since the last exchange was refused in the other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<ClientAuthentication>,
}
