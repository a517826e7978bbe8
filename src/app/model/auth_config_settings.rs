//! The settings of an auth config that are stored as JSON.

use serde::{Deserialize, Serialize};
use switchboard_catalog::{ClientAuthentication, Scheme, Toolkit};
use switchboard_types::{AllowedTools, ToolAccessConfig};

use crate::error::{Error, Result};

/// The settings of an auth config that are stored as JSON. None of them is secret.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct AuthConfigSettings {
    /// Scopes to request; none means the toolkit's default scopes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// User-level scopes to request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_scopes: Option<Vec<String>>,
    /// Redirect URI registered at the provider, instead of the server's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oauth_redirect_uri: Option<String>,
    /// The redirect URI that ends with the toolkit's slug is the registered one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub uses_toolkit_redirect_uri: bool,
    /// Created for links that requested this scheme explicitly. Other links do not use it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub made_for_scheme: bool,
    /// The client authentication method that was found to work, if it is not configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learned_method: Option<LearnedMethod>,
    /// Which tools links ask scopes for, and which tools accounts run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_access_config: Option<ToolAccessConfig>,
    /// Which tools accounts run, in an older form.
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

    /// Whether the developer chose the scopes.
    pub fn names_scopes(&self) -> bool {
        self.scopes.is_some() || self.user_scopes.is_some()
    }

    /// Whether a list limits the tools that links ask scopes for.
    pub fn limits_link_tools(&self) -> bool {
        self.link_tools().is_some() || self.allowed_tools().is_some()
    }

    /// The tools that links ask scopes for, if they are limited.
    pub fn link_tools(&self) -> Option<&[String]> {
        let list = self.tool_access_config.as_ref()?.tools_for_connected_account_creation.as_deref();
        list.filter(|list| !list.is_empty())
    }

    /// The tools that accounts may run, if they are limited.
    pub fn allowed_tools(&self) -> Option<AllowedTools> {
        AllowedTools::new(self.tool_access_config.as_ref(), self.restrict_to_following_tools.as_deref())
    }

    /// The scopes that a connection requests: the auth config's, or else the toolkit's defaults, plus those
    /// that the toolkit always requests.
    pub fn scopes_to_request(&self, toolkit: &Toolkit, scheme: Scheme) -> Vec<String> {
        let Some(oauth) = toolkit.oauth(scheme) else { return Vec::new() };
        // With only user-level scopes set, the provider may issue the user token as the only token.
        let only_user_scopes = oauth.tokens.iter().any(|token| token.alone) && self.user_scopes.is_some();
        let default = || if only_user_scopes { Vec::new() } else { oauth.scopes.clone() };
        let mut scopes = self.scopes.clone().unwrap_or_else(default);
        for scope in &oauth.always_scopes {
            if !scopes.contains(scope) {
                scopes.push(scope.clone());
            }
        }
        scopes
    }
}

/// The client authentication method that an auth config has learned.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct LearnedMethod {
    /// The client that this was learned for.
    pub client_id: String,
    /// The method that worked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub works: Option<ClientAuthentication>,
    /// The method to try at the next code exchange, because the provider rejected the other one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<ClientAuthentication>,
}
