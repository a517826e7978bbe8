//! One redirect URI, one authorization server (R16; RFC 9700 section 4.4).
//!
//! By default each auth config has a redirect URI of its own on this server, whose path tells which
//! provider an answer belongs to. One with an `oauth_redirect_uri` of its own forwards here: to that path, or
//! to a path that all such auth configs share and that tells nothing apart. There, a malicious provider could
//! have another one's code sent to itself. So an answer counts on the shared path only where it says itself
//! whom it comes from, or where all that share the path send their codes to the same server.

use switchboard_catalog::{OAuth2, Scheme};
use switchboard_store::auth_configs::AuthConfigRow;

use super::App;
use super::auth_configs::AuthConfigSettings;
use crate::error::{Code, Error, Result};

/// What stands in the way of a redirect URI, for whoever reads the reason of a refusal.
pub const SHARED: &str = "redirect_uri_shared";

/// How an auth config knows that an answer is its provider's.
#[derive(Debug, PartialEq)]
enum Recognition {
    /// The answer says so, and must: by its issuer, or by a signature.
    ByAnswer,
    /// It does not; codes go to this token endpoint, and users to this authorization endpoint.
    Fixed(String, String),
    /// It does not, and where codes go depends on what a user or developer enters.
    None,
}

impl Recognition {
    fn of(oauth: &OAuth2) -> Self {
        let is_fixed = |url: &str| !url.is_empty() && !url.contains('{');
        if (oauth.iss_required && oauth.issuer.is_some()) || oauth.callback.hmac.is_some() {
            Self::ByAnswer
        } else if oauth.discovery_url.is_none() && is_fixed(&oauth.authorization_url) && is_fixed(&oauth.token_url) {
            Self::Fixed(oauth.token_url.clone(), oauth.authorization_url.clone())
        } else {
            Self::None
        }
    }

    /// Whether neither takes an answer that is meant for the other, or no code goes astray when it does.
    fn is_safe_beside(&self, other: &Self) -> bool {
        *self != Self::None && self == other
    }
}

impl App {
    /// How an auth config recognises answers; none for one that takes no code from a browser (OAuth 1.0a
    /// compares the token that the flow began with).
    fn recognition(&self, config: &AuthConfigRow) -> Option<Recognition> {
        let scheme: Scheme = config.scheme.parse().ok()?;
        let toolkit = self.toolkit(&config.toolkit)?;
        toolkit.oauth(scheme).filter(|_| !toolkit.uses_device_code(scheme)).map(Recognition::of)
    }

    /// Whether the redirect URI of an auth config belongs to another one, too, in any project, for another
    /// authorization server: neither can be used then.
    pub async fn shares_redirect_uri(&self, config: &AuthConfigRow, uri: &str) -> Result<bool> {
        let Some(own) = self.recognition(config) else { return Ok(false) };
        for other in self.store.redirected_auth_configs().await? {
            let is_same = AuthConfigSettings::parse(&other.settings)?.oauth_redirect_uri.as_deref() == Some(uri);
            if is_same
                && other.id != config.id
                && self.recognition(&other).is_some_and(|other| !own.is_safe_beside(&other))
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The same for an auth config as it is stored.
    pub async fn has_shared_redirect_uri(&self, config: &AuthConfigRow) -> Result<bool> {
        match AuthConfigSettings::parse(&config.settings)?.oauth_redirect_uri {
            Some(uri) => self.shares_redirect_uri(config, &uri).await,
            None => Ok(false),
        }
    }

    /// Refuses a redirect URI that another auth config has for another authorization server.
    pub(super) async fn check_redirect_uri(&self, config: &AuthConfigRow, uri: &str) -> Result<()> {
        if !self.shares_redirect_uri(config, uri).await? {
            return Ok(());
        }
        let message = "oauth_redirect_uri belongs to another auth config of this server, for another provider";
        Err(Error::new(Code::AuthConfigBadRequest, message).fix(
            "Leave it out: each auth config has a redirect URI of its own on this server. Or give one that no other \
             auth config has, and forward it to /api/v3.1/toolkits/auth/callback/{id of the auth config}.",
        ))
    }

    /// Whether an answer on the shared path can belong to no other auth config, although it does not say
    /// whom it comes from: all that may use the path send their codes to one server.
    pub(super) async fn is_alone_on_shared_path(&self, config: &AuthConfigRow) -> Result<bool> {
        let Some(own) = self.recognition(config) else { return Ok(true) };
        for other in self.store.redirected_auth_configs().await? {
            let is_rival = other.id != config.id && self.recognition(&other).is_some_and(|other| other != own);
            if is_rival || (other.id != config.id && own == Recognition::None) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Says in the log which auth configs cannot be used until their redirect URIs are told apart.
    pub async fn report_shared_redirect_uris(&self) -> Result<()> {
        for config in self.store.redirected_auth_configs().await? {
            if self.has_shared_redirect_uri(&config).await? {
                tracing::warn!(
                    auth_config.id = %config.id,
                    project.id = %config.project_id,
                    toolkit = %config.toolkit,
                    "nobody can connect with this auth config: another one has the same oauth_redirect_uri for another provider"
                );
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_says_whence_it_comes_or_goes_to_one_server_is_safe() {
        let fixed = |host: &str| Recognition::Fixed(format!("https://{host}/token"), format!("https://{host}/a"));
        assert!(fixed("a.test").is_safe_beside(&fixed("a.test")));
        assert!(Recognition::ByAnswer.is_safe_beside(&Recognition::ByAnswer));
        for (one, other) in [
            (fixed("a.test"), fixed("b.test")),
            (fixed("a.test"), Recognition::ByAnswer),
            (Recognition::None, Recognition::None),
            (Recognition::None, Recognition::ByAnswer),
        ] {
            assert!(!one.is_safe_beside(&other) && !other.is_safe_beside(&one), "{one:?} {other:?}");
        }
    }
}
