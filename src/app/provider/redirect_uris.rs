//! One redirect URI per authorization server (R16; RFC 9700 section 4.4).
//!
//! By default, each auth config has its own redirect URI on this server, whose path identifies the provider of
//! an authorization response. An auth config with its own `oauth_redirect_uri` forwards here: to that path, or
//! to a path shared by all such auth configs. On the shared path, a malicious provider could have another
//! provider's code sent to itself. So a response there is accepted only if it identifies its issuer, or if all
//! auth configs that share the path send their codes to the same server.
//!
//! Providers require the redirect URI before they issue a client. So `oauth_redirect_uri` may also be a path of
//! this server with a name that is known in advance. This is the toolkit's slug if all auth configs of the
//! toolkit use the same authorization server. Otherwise the developer chooses a name that no auth config of
//! another authorization server has.

use std::sync::Arc;

use switchboard_catalog::{OAuth2, Scheme, Toolkit};
use switchboard_store::attempts::AttemptRow;
use switchboard_store::auth_configs::AuthConfigRow;

use crate::app::base::core::Core;
use crate::app::base::settings::Settings;
use crate::app::model::auth_config_settings::AuthConfigSettings;
use crate::app::project::callback_url;
use crate::error::{Code, Error, Result};
use crate::id::Kind;

/// The callback path. An auth config's id, a slug or a chosen name follows.
const CALLBACK: &str = "/api/v3.1/toolkits/auth/callback";
/// The same path under the older API version.
const LEGACY_CALLBACK: &str = "/api/v3/toolkits/auth/callback";
/// Maximum length of a name that a developer chooses.
const MAX_NAME_LENGTH: usize = 128;

/// Code of the refusal when a redirect URI is shared.
pub const SHARED: &str = "redirect_uri_shared";

/// How an auth config recognises that an authorization response is from its provider.
#[derive(Debug, PartialEq)]
enum Recognition {
    /// The response itself proves it, by its issuer or a signature.
    InResponse,
    /// Not from the response; codes go to this token endpoint, and users to this authorization endpoint.
    Fixed(String, String),
    /// Not from the response; the endpoints depend on what a user or developer enters.
    None,
}

impl Recognition {
    fn of(oauth: &OAuth2) -> Self {
        let is_fixed = |url: &str| !url.is_empty() && !url.contains('{');
        if (oauth.iss_required && oauth.issuer.is_some()) || oauth.callback.hmac.is_some() {
            Self::InResponse
        } else if oauth.discovery_url.is_none() && is_fixed(&oauth.authorization_url) && is_fixed(&oauth.token_url) {
            Self::Fixed(oauth.token_url.clone(), oauth.authorization_url.clone())
        } else {
            Self::None
        }
    }

    /// Whether two auth configs can share a redirect URI: neither accepts the other's response, or both send
    /// codes to the same server.
    fn can_share_with(&self, other: &Self) -> bool {
        *self != Self::None && self == other
    }
}

/// The redirect URI that the developer chose for an auth config.
#[derive(Clone, Debug)]
pub(in crate::app) enum RedirectChoice {
    /// The path with the auth config's id.
    Own,
    /// The path with the toolkit's slug.
    Toolkit,
    /// This URI.
    Custom(String),
}

impl RedirectChoice {
    pub(in crate::app) fn store_in(&self, settings: &mut AuthConfigSettings) {
        settings.uses_toolkit_redirect_uri = matches!(self, Self::Toolkit);
        settings.oauth_redirect_uri = match self {
            Self::Custom(uri) => Some(uri.clone()),
            Self::Own | Self::Toolkit => None,
        };
    }
}

impl Settings {
    /// This server's redirect URI with a name.
    pub(in crate::app) fn redirect_uri(&self, name: &str) -> String {
        uri(&self.public_url, name)
    }
}

/// The redirect URI of a server with this public URL.
pub fn uri(public_url: &str, name: &str) -> String {
    format!("{public_url}{CALLBACK}/{name}")
}

/// Whether the slug in the path identifies the provider of a response: all auth configs use one authorization
/// server, or each response identifies its issuer.
pub fn is_identified_by_slug(toolkit: &Toolkit, scheme: Scheme) -> bool {
    match toolkit.oauth(scheme) {
        Some(oauth) => !toolkit.uses_device_code(scheme) && Recognition::of(oauth) != Recognition::None,
        // A response of OAuth 1.0a contains the token that the flow began with.
        None => scheme == Scheme::OAuth1,
    }
}

/// The redirect URI to register at a provider before there is an auth config, with instructions. None for a
/// scheme without a registered client or without a browser.
pub fn advice(public_url: &str, toolkit: &Toolkit, scheme: Scheme) -> Option<(Option<String>, String)> {
    if !matches!(scheme, Scheme::OAuth2 | Scheme::OAuth1) || toolkit.uses_device_code(scheme) {
        return None;
    }
    if is_identified_by_slug(toolkit, scheme) {
        let uri = uri(public_url, &toolkit.slug);
        let how = "Register it at the provider and give it as credentials.oauth_redirect_uri of the auth config. \
                   An auth config without it has a redirect URI of its own, which its answers show as redirect_uri.";
        return Some((Some(uri), how.to_owned()));
    }
    let how = format!(
        "Choose a name of your own, such as {0}-main, register {public_url}{CALLBACK}/{0}-main at the provider and give \
         it as credentials.oauth_redirect_uri of one auth config. The toolkit's slug alone is not enough, since auth \
         configs of this toolkit can belong to different providers. An auth config without it has a redirect URI of \
         its own, which its answers show as redirect_uri.",
        toolkit.slug
    );
    Some((None, how))
}

/// The redirect URIs of auth configs, and conflicts between them.
pub struct RedirectUris {
    core: Arc<Core>,
}

crate::redacted_debug!(RedirectUris);

impl RedirectUris {
    /// Creates the service.
    pub fn new(core: Arc<Core>) -> Self {
        Self { core }
    }
}

impl RedirectUris {
    /// The redirect URI for a new flow of an auth config. Based on the configured public URL only (R24).
    pub fn of(&self, config: &AuthConfigRow, settings: &AuthConfigSettings) -> String {
        if let Some(uri) = &settings.oauth_redirect_uri {
            return uri.clone();
        }
        let name = if self.uses_toolkit_path(config, settings) { config.toolkit.as_str() } else { config.id.as_str() };
        self.core.settings.redirect_uri(name)
    }

    /// The same; none if the scheme does not redirect the browser back.
    pub fn for_display(&self, config: &AuthConfigRow, settings: &AuthConfigSettings) -> Option<String> {
        let scheme = config.scheme;
        let has_browser = self.core.toolkit(&config.toolkit).is_none_or(|toolkit| !toolkit.uses_device_code(scheme));
        (scheme.is_redirect() && has_browser).then(|| self.of(config, settings))
    }

    fn uses_toolkit_path(&self, config: &AuthConfigRow, settings: &AuthConfigSettings) -> bool {
        if !config.is_managed {
            return settings.uses_toolkit_redirect_uri;
        }
        let client = self.core.settings.managed_client(&config.toolkit, &config.project_id);
        client.is_some_and(|client| client.one_redirect_uri) && self.is_identified_by_slug(config)
    }

    fn is_identified_by_slug(&self, config: &AuthConfigRow) -> bool {
        let toolkit = self.core.toolkit(&config.toolkit);
        toolkit.is_some_and(|toolkit| is_identified_by_slug(&toolkit, config.scheme))
    }

    /// Parses the redirect URI that a developer sends. An empty string means the server's own; `at` is the path
    /// in the request.
    pub(in crate::app) async fn choose(&self, config: &AuthConfigRow, uri: &str, at: &str) -> Result<RedirectChoice> {
        if uri.is_empty() {
            return Ok(RedirectChoice::Own);
        }
        callback_url::check(uri).map_err(|reason| Error::field(at, reason))?;
        match self.name_in(uri).map_err(|reason| Error::field(at, reason))? {
            Some(name) if config.id == *name => return Ok(RedirectChoice::Own),
            Some(name) if name == config.toolkit && self.is_identified_by_slug(config) => {
                return Ok(RedirectChoice::Toolkit);
            }
            Some(name) if self.is_reserved(name) => {
                let reason = "ends with the name of a toolkit or of an auth config, which does not say here which \
                              provider an answer is from; choose another name";
                return Err(Error::field(at, reason));
            }
            _ => {}
        }
        self.check(config, uri).await?;
        Ok(RedirectChoice::Custom(uri.to_owned()))
    }

    /// Names that cannot be chosen: those of toolkits, in any case, and ids of auth configs.
    fn is_reserved(&self, name: &str) -> bool {
        name.starts_with(Kind::AuthConfig.prefix()) || self.core.toolkit(name).is_some()
    }

    /// The name after this server's callback path, if the redirect URI is on it.
    fn name_in<'a>(&self, uri: &'a str) -> std::result::Result<Option<&'a str>, String> {
        let Some(path) = uri.strip_prefix(&self.core.settings.public_url) else { return Ok(None) };
        let legacy = path.strip_prefix(LEGACY_CALLBACK).and_then(|rest| rest.strip_prefix('/'));
        let Some(name) = path.strip_prefix(CALLBACK).and_then(|rest| rest.strip_prefix('/')) else {
            return match legacy {
                Some(_) => Err(format!("must begin with {}", self.core.settings.redirect_uri(""))),
                None => Ok(None),
            };
        };
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if name.is_empty() || name.len() > MAX_NAME_LENGTH || !name.bytes().all(is_allowed) || name.starts_with('.') {
            return Err(format!(
                "must end with a name of letters, digits, hyphens, dots and underscores, at most {MAX_NAME_LENGTH}, or \
                 be another server's"
            ));
        }
        Ok(Some(name))
    }

    /// Whether a response arrived at the redirect URI of its attempt, and whether that identifies the provider.
    pub(in crate::app) async fn matches_redirect_uri(
        &self,
        name: &str,
        attempt: &AttemptRow,
        config: &AuthConfigRow,
        settings: &AuthConfigSettings,
    ) -> Result<bool> {
        if attempt.auth_config_id == *name {
            return Ok(true);
        }
        if self.core.settings.redirect_uri(name) != attempt.redirect_uri {
            return Ok(false);
        }
        if name == config.toolkit {
            return Ok(self.uses_toolkit_path(config, settings) && self.is_identified_by_slug(config));
        }
        let is_given = settings.oauth_redirect_uri.as_ref() == Some(&attempt.redirect_uri);
        Ok(is_given && !self.has_conflict(config, &attempt.redirect_uri).await?)
    }

    /// How an auth config recognises responses; none if it takes no code from a browser. OAuth 1.0a compares
    /// the token that the flow began with.
    fn recognition(&self, config: &AuthConfigRow) -> Option<Recognition> {
        let scheme = config.scheme;
        let toolkit = self.core.toolkit(&config.toolkit)?;
        toolkit.oauth(scheme).filter(|_| !toolkit.uses_device_code(scheme)).map(Recognition::of)
    }

    /// Whether an auth config of another authorization server, in any project, has the same redirect URI. Then
    /// neither can be used.
    pub async fn has_conflict(&self, config: &AuthConfigRow, uri: &str) -> Result<bool> {
        let Some(own) = self.recognition(config) else { return Ok(false) };
        // The slug of a toolkit that was added later belongs to that toolkit's auth configs.
        if self.name_in(uri).ok().flatten().is_some_and(|name| config.id != *name && self.is_reserved(name)) {
            return Ok(true);
        }
        for other in self.core.store.redirected_auth_configs().await? {
            let is_same = AuthConfigSettings::parse(&other.settings)?.oauth_redirect_uri.as_deref() == Some(uri);
            if is_same
                && other.id != config.id
                && self.recognition(&other).is_some_and(|other| !own.can_share_with(&other))
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The same for an auth config as stored.
    pub async fn is_shared(&self, config: &AuthConfigRow) -> Result<bool> {
        let settings = AuthConfigSettings::parse(&config.settings)?;
        match &settings.oauth_redirect_uri {
            Some(uri) => self.has_conflict(config, uri).await,
            // The toolkit file was changed, and its slug no longer identifies the provider.
            None => Ok(self.uses_toolkit_path(config, &settings) && !self.is_identified_by_slug(config)),
        }
    }

    /// Rejects a redirect URI that an auth config of another authorization server has.
    async fn check(&self, config: &AuthConfigRow, uri: &str) -> Result<()> {
        if !self.has_conflict(config, uri).await? {
            return Ok(());
        }
        let message = "oauth_redirect_uri belongs to another auth config of this server, for another provider";
        Err(Error::new(Code::AuthConfigBadRequest, message).fix(
            "Leave it out: each auth config has a redirect URI of its own on this server. Or give one that no other \
             auth config has: a path of this server with a name of your own, or an address that forwards to \
             /api/v3.1/toolkits/auth/callback/{id of the auth config}.",
        ))
    }

    /// Whether a response on the shared path can only belong to this auth config's server, although it names no
    /// issuer: all auth configs on the path send their codes to the same server.
    pub(in crate::app) async fn is_only_server_on_shared_path(&self, config: &AuthConfigRow) -> Result<bool> {
        let Some(own) = self.recognition(config) else { return Ok(true) };
        for other in self.core.store.redirected_auth_configs().await? {
            let is_conflict = other.id != config.id && self.recognition(&other).is_some_and(|other| other != own);
            if is_conflict || (other.id != config.id && own == Recognition::None) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Logs the auth configs that cannot be used because of a shared redirect URI.
    pub async fn report_shared(&self) -> Result<()> {
        for config in self.core.store.redirected_auth_configs().await? {
            if self.is_shared(&config).await? {
                tracing::warn!(
                    auth_config.id = %config.id,
                    project.id = %config.project_id,
                    toolkit = %config.toolkit,
                    "no user can connect with this auth config: another one has the same oauth_redirect_uri for another provider"
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
    fn only_identified_responses_or_one_server_can_share() {
        let fixed = |host: &str| Recognition::Fixed(format!("https://{host}/token"), format!("https://{host}/a"));
        assert!(fixed("a.test").can_share_with(&fixed("a.test")));
        assert!(Recognition::InResponse.can_share_with(&Recognition::InResponse));
        for (one, other) in [
            (fixed("a.test"), fixed("b.test")),
            (fixed("a.test"), Recognition::InResponse),
            (Recognition::None, Recognition::None),
            (Recognition::None, Recognition::InResponse),
        ] {
            assert!(!one.can_share_with(&other) && !other.can_share_with(&one), "{one:?} {other:?}");
        }
    }
}
