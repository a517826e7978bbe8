//! One redirect URI, one authorization server (R16; RFC 9700 section 4.4).
//!
//! By default each auth config has a redirect URI of its own on this server, whose path tells which
//! provider an answer belongs to. One with an `oauth_redirect_uri` of its own forwards here: to that path, or
//! to a path that all such auth configs share and that tells nothing apart. There, a malicious provider could
//! have another one's code sent to itself. So an answer counts on the shared path only where it says itself
//! whom it comes from, or where all that share the path send their codes to the same server.
//!
//! Providers want the redirect URI before they give a client. So `oauth_redirect_uri` may also be a path of
//! this server with a name that is known before: the toolkit's slug, where one authorization server stands
//! behind all auth configs of the toolkit; else a name that the developer chooses, and that no auth config of
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

/// Where browsers come back; an auth config's id, a slug or a chosen name follows.
const CALLBACK: &str = "/api/v3.1/toolkits/auth/callback";
/// The same paths by another name.
const OLDER_CALLBACK: &str = "/api/v3/toolkits/auth/callback";
/// Longest name that a developer may choose.
const LONGEST_NAME: usize = 128;

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

/// The redirect URI of an auth config, as its developer chose it.
#[derive(Clone, Debug)]
pub(in crate::app) enum RedirectChoice {
    /// With the auth config's id.
    Own,
    /// With the toolkit's slug.
    Toolkit,
    /// This one.
    Given(String),
}

impl RedirectChoice {
    pub(in crate::app) fn store_in(&self, settings: &mut AuthConfigSettings) {
        settings.uses_toolkit_redirect_uri = matches!(self, Self::Toolkit);
        settings.oauth_redirect_uri = match self {
            Self::Given(uri) => Some(uri.clone()),
            Self::Own | Self::Toolkit => None,
        };
    }
}

impl Settings {
    /// This server's redirect URI of a name.
    pub(in crate::app) fn redirect_uri(&self, name: &str) -> String {
        uri(&self.public_url, name)
    }
}

/// The redirect URI of a server at an origin, with a name.
pub fn uri(public_url: &str, name: &str) -> String {
    format!("{public_url}{CALLBACK}/{name}")
}

/// Whether one authorization server stands behind all auth configs of a toolkit, or each answer says whose
/// it is: then its slug is enough to tell the answers apart.
pub fn is_told_by_slug(toolkit: &Toolkit, scheme: Scheme) -> bool {
    match toolkit.oauth(scheme) {
        Some(oauth) => !toolkit.uses_device_code(scheme) && Recognition::of(oauth) != Recognition::None,
        // An answer of OAuth 1.0a carries the token that the flow began with.
        None => scheme == Scheme::OAuth1,
    }
}

/// The redirect URI that can be registered at a provider before there is an auth config, and what to do
/// with it. None for a scheme whose client the developer does not register, or without a browser.
pub fn advice(public_url: &str, toolkit: &Toolkit, scheme: Scheme) -> Option<(Option<String>, String)> {
    if !matches!(scheme, Scheme::OAuth2 | Scheme::OAuth1) || toolkit.uses_device_code(scheme) {
        return None;
    }
    if is_told_by_slug(toolkit, scheme) {
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

/// Which redirect URI an auth config uses, and whether two use the same.
pub struct RedirectUris {
    core: Arc<Core>,
}

crate::redacted_debug!(RedirectUris);

impl RedirectUris {
    /// With the services that it calls.
    pub fn new(core: Arc<Core>) -> Self {
        Self { core }
    }
}

impl RedirectUris {
    /// The redirect URI that a flow of an auth config begins with; from the configured public URL only (R24).
    pub fn of(&self, config: &AuthConfigRow, settings: &AuthConfigSettings) -> String {
        if let Some(uri) = &settings.oauth_redirect_uri {
            return uri.clone();
        }
        let name = if self.uses_toolkit_path(config, settings) { &config.toolkit } else { &config.id };
        self.core.settings.redirect_uri(name)
    }

    /// The same where the provider sends browsers back at all.
    pub fn shown(&self, config: &AuthConfigRow, settings: &AuthConfigSettings) -> Option<String> {
        let scheme: Scheme = config.scheme.parse().ok()?;
        let has_browser = self.core.toolkit(&config.toolkit).is_none_or(|toolkit| !toolkit.uses_device_code(scheme));
        (scheme.is_redirect() && has_browser).then(|| self.of(config, settings))
    }

    fn uses_toolkit_path(&self, config: &AuthConfigRow, settings: &AuthConfigSettings) -> bool {
        if !config.is_managed {
            return settings.uses_toolkit_redirect_uri;
        }
        let client = self.core.settings.managed_client(&config.toolkit, &config.project_id);
        client.is_some_and(|client| client.one_redirect_uri) && self.is_told_by_slug(config)
    }

    fn is_told_by_slug(&self, config: &AuthConfigRow) -> bool {
        let scheme = config.scheme.parse().ok();
        self.core
            .toolkit(&config.toolkit)
            .zip(scheme)
            .is_some_and(|(toolkit, scheme)| is_told_by_slug(&toolkit, scheme))
    }

    /// Reads the redirect URI that a developer gives; the empty text means the server's own. `at` is where
    /// the request has it.
    pub(in crate::app) async fn choose(&self, config: &AuthConfigRow, uri: &str, at: &str) -> Result<RedirectChoice> {
        if uri.is_empty() {
            return Ok(RedirectChoice::Own);
        }
        callback_url::check(uri).map_err(|reason| Error::field(at, reason))?;
        match self.name_in(uri).map_err(|reason| Error::field(at, reason))? {
            Some(name) if name == config.id => return Ok(RedirectChoice::Own),
            Some(name) if name == config.toolkit && self.is_told_by_slug(config) => return Ok(RedirectChoice::Toolkit),
            Some(name) if self.is_reserved(name) => {
                let reason = "ends with the name of a toolkit or of an auth config, which does not say here which \
                              provider an answer is from; choose another name";
                return Err(Error::field(at, reason));
            }
            _ => {}
        }
        self.check(config, uri).await?;
        Ok(RedirectChoice::Given(uri.to_owned()))
    }

    /// Names that nobody may choose: those of toolkits, in any case, and those of auth configs.
    fn is_reserved(&self, name: &str) -> bool {
        name.starts_with(Kind::AuthConfig.prefix()) || self.core.toolkit(name).is_some()
    }

    /// The name behind this server's own callback path, where a redirect URI has one.
    fn name_in<'a>(&self, uri: &'a str) -> std::result::Result<Option<&'a str>, String> {
        let Some(path) = uri.strip_prefix(&self.core.settings.public_url) else { return Ok(None) };
        let older = path.strip_prefix(OLDER_CALLBACK).and_then(|rest| rest.strip_prefix('/'));
        let Some(name) = path.strip_prefix(CALLBACK).and_then(|rest| rest.strip_prefix('/')) else {
            return match older {
                Some(_) => Err(format!("must begin with {}", self.core.settings.redirect_uri(""))),
                None => Ok(None),
            };
        };
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(is_plain) || name.starts_with('.') {
            return Err(format!(
                "must end with a name of letters, digits, hyphens, dots and underscores, at most {LONGEST_NAME}, or \
                 be another server's"
            ));
        }
        Ok(Some(name))
    }

    /// Whether an answer that came on the path with this name came where the attempt expects it, and whether
    /// that tells which provider it is from.
    pub(in crate::app) async fn came_where_asked(
        &self,
        name: &str,
        attempt: &AttemptRow,
        config: &AuthConfigRow,
        settings: &AuthConfigSettings,
    ) -> Result<bool> {
        if name == attempt.auth_config_id {
            return Ok(true);
        }
        if self.core.settings.redirect_uri(name) != attempt.redirect_uri {
            return Ok(false);
        }
        if name == config.toolkit {
            return Ok(self.uses_toolkit_path(config, settings) && self.is_told_by_slug(config));
        }
        let is_given = settings.oauth_redirect_uri.as_ref() == Some(&attempt.redirect_uri);
        Ok(is_given && !self.shares(config, &attempt.redirect_uri).await?)
    }

    /// How an auth config recognises answers; none for one that takes no code from a browser (OAuth 1.0a
    /// compares the token that the flow began with).
    fn recognition(&self, config: &AuthConfigRow) -> Option<Recognition> {
        let scheme: Scheme = config.scheme.parse().ok()?;
        let toolkit = self.core.toolkit(&config.toolkit)?;
        toolkit.oauth(scheme).filter(|_| !toolkit.uses_device_code(scheme)).map(Recognition::of)
    }

    /// Whether the redirect URI of an auth config belongs to another one, too, in any project, for another
    /// authorization server: neither can be used then.
    pub async fn shares(&self, config: &AuthConfigRow, uri: &str) -> Result<bool> {
        let Some(own) = self.recognition(config) else { return Ok(false) };
        // The name of a toolkit that came later belongs to that toolkit's auth configs.
        if self.name_in(uri).ok().flatten().is_some_and(|name| name != config.id && self.is_reserved(name)) {
            return Ok(true);
        }
        for other in self.core.store.redirected_auth_configs().await? {
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
    pub async fn is_shared(&self, config: &AuthConfigRow) -> Result<bool> {
        let settings = AuthConfigSettings::parse(&config.settings)?;
        match &settings.oauth_redirect_uri {
            Some(uri) => self.shares(config, uri).await,
            // The toolkit's file was changed since: its slug no longer says which provider it is.
            None => Ok(self.uses_toolkit_path(config, &settings) && !self.is_told_by_slug(config)),
        }
    }

    /// Refuses a redirect URI that another auth config has for another authorization server.
    async fn check(&self, config: &AuthConfigRow, uri: &str) -> Result<()> {
        if !self.shares(config, uri).await? {
            return Ok(());
        }
        let message = "oauth_redirect_uri belongs to another auth config of this server, for another provider";
        Err(Error::new(Code::AuthConfigBadRequest, message).fix(
            "Leave it out: each auth config has a redirect URI of its own on this server. Or give one that no other \
             auth config has: a path of this server with a name of your own, or an address that forwards to \
             /api/v3.1/toolkits/auth/callback/{id of the auth config}.",
        ))
    }

    /// Whether an answer on the shared path can belong to no other auth config, although it does not say
    /// whom it comes from: all that may use the path send their codes to one server.
    pub(in crate::app) async fn is_alone_on_shared_path(&self, config: &AuthConfigRow) -> Result<bool> {
        let Some(own) = self.recognition(config) else { return Ok(true) };
        for other in self.core.store.redirected_auth_configs().await? {
            let is_rival = other.id != config.id && self.recognition(&other).is_some_and(|other| other != own);
            if is_rival || (other.id != config.id && own == Recognition::None) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Says in the log which auth configs cannot be used until their redirect URIs are told apart.
    pub async fn report_shared(&self) -> Result<()> {
        for config in self.core.store.redirected_auth_configs().await? {
            if self.is_shared(&config).await? {
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
