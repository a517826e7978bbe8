//! What a toolkit offers with each authentication scheme, and the fields that each requires.

pub use switchboard_types::{Scheme, UnknownScheme};

use crate::model::{BasicScheme, Field, FieldText, Identity, OAuth2, Placement, PostConnect, TokenScheme, Toolkit};
use crate::template::{self, TemplateError};

impl Toolkit {
    /// The schemes of this toolkit, preferred first; a loaded toolkit has at least one.
    pub fn schemes(&self) -> Vec<Scheme> {
        Scheme::ALL.iter().copied().filter(|scheme| self.offers(*scheme)).collect()
    }

    /// Whether the toolkit needs no account.
    pub fn has_only_no_auth(&self) -> bool {
        Scheme::ALL.iter().all(|scheme| self.offers(*scheme) == (*scheme == Scheme::NoAuth))
    }

    /// Whether the toolkit has this scheme's table.
    pub fn offers(&self, scheme: Scheme) -> bool {
        match scheme {
            Scheme::OAuth2 | Scheme::DcrOAuth | Scheme::CimdOAuth => self.oauth(scheme).is_some(),
            Scheme::OAuth1 => self.oauth1.is_some(),
            Scheme::ApiKey => self.api_key.is_some(),
            Scheme::BearerToken => self.bearer_token.is_some(),
            Scheme::Basic => self.basic.is_some(),
            Scheme::NoAuth => self.no_auth.is_some(),
            _ => self.token_scheme(scheme).is_some(),
        }
    }

    /// The OAuth 2.0 settings of a scheme, if it is one.
    pub fn oauth(&self, scheme: Scheme) -> Option<&OAuth2> {
        match scheme {
            Scheme::OAuth2 => self.oauth2.as_ref(),
            Scheme::DcrOAuth => self.dcr_oauth.as_ref(),
            Scheme::CimdOAuth => self.cimd_oauth.as_ref(),
            _ => None,
        }
    }

    /// The settings of a scheme whose token the service fetches itself.
    pub fn token_scheme(&self, scheme: Scheme) -> Option<&TokenScheme> {
        match scheme {
            Scheme::S2sOAuth2 => self.s2s_oauth2.as_ref(),
            Scheme::GoogleServiceAccount => self.google_service_account.as_ref(),
            Scheme::ServiceAccount => self.service_account.as_ref(),
            Scheme::BasicWithJwt => self.basic_with_jwt.as_ref(),
            Scheme::BillcomAuth => self.billcom_auth.as_ref(),
            Scheme::Saml => self.saml.as_ref(),
            _ => None,
        }
    }

    /// The scheme whose rules apply to accounts of `scheme`: a token imported for an OAuth toolkit is treated
    /// like that toolkit's own tokens.
    pub(crate) fn effective(&self, scheme: Scheme) -> Scheme {
        let is_imported = scheme == Scheme::BearerToken && self.bearer_token.is_none();
        if is_imported { Scheme::OAuth2 } else { scheme }
    }

    /// The identity settings of a scheme: its own, or those of the toolkit if they apply to it.
    pub fn identity_of(&self, scheme: Scheme) -> Option<&Identity> {
        let scheme = self.effective(scheme);
        let own = match scheme {
            Scheme::OAuth2 | Scheme::DcrOAuth | Scheme::CimdOAuth => self.oauth(scheme)?.identity.as_ref(),
            Scheme::OAuth1 => self.oauth1.as_ref()?.identity.as_ref(),
            Scheme::ApiKey => self.api_key.as_ref()?.identity.as_ref(),
            Scheme::BearerToken => self.bearer_token.as_ref()?.identity.as_ref(),
            Scheme::Basic => self.basic.as_ref()?.identity.as_ref(),
            Scheme::NoAuth => return None,
            _ => self.token_scheme(scheme)?.identity.as_ref(),
        };
        own.or_else(|| {
            self.identity.as_ref().filter(|identity| identity.schemes.is_empty() || identity.schemes.contains(&scheme))
        })
    }

    /// The post-connect requests of a scheme, with their index in the file.
    pub fn post_connect_of(&self, scheme: Scheme) -> impl Iterator<Item = (usize, &PostConnect)> {
        let scheme = self.effective(scheme);
        let is_meant = move |step: &PostConnect| step.schemes.is_empty() || step.schemes.contains(&scheme);
        self.post_connect.iter().enumerate().filter(move |(_, step)| is_meant(step))
    }

    /// Template of the base URL of relative endpoints.
    pub fn base_url(&self, scheme: Scheme) -> &str {
        let own = match scheme {
            Scheme::OAuth2 | Scheme::DcrOAuth | Scheme::CimdOAuth => self.oauth(scheme).map(|scheme| &scheme.base_url),
            Scheme::OAuth1 => self.oauth1.as_ref().map(|scheme| &scheme.base_url),
            Scheme::ApiKey => self.api_key.as_ref().map(|scheme| &scheme.base_url),
            Scheme::BearerToken => match &self.bearer_token {
                Some(bearer) => Some(&bearer.base_url),
                // A token imported for an OAuth toolkit uses that toolkit's base URL.
                None => self.oauth2.as_ref().map(|scheme| &scheme.base_url),
            },
            Scheme::Basic => self.basic.as_ref().map(|scheme| &scheme.base_url),
            Scheme::NoAuth => None,
            _ => self.token_scheme(scheme).map(|scheme| &scheme.base_url),
        };
        own.and_then(Option::as_deref).unwrap_or(&self.base_url)
    }

    /// The fields that the user enters for `scheme`: the connection fields, then the scheme's own. Empty for
    /// a scheme that the toolkit does not offer.
    pub fn scheme_fields(&self, scheme: Scheme) -> Vec<Field> {
        if !self.offers(scheme) {
            return Vec::new();
        }
        let mut fields = self.fields.clone();
        fields.extend(self.own_fields(scheme));
        fields
    }

    /// What a connection with `scheme` asks for. Unlike [`Self::scheme_fields`], it has the access token that an
    /// OAuth 2.0 toolkit takes with `BEARER_TOKEN` although its file does not offer that scheme.
    pub fn connection_fields(&self, scheme: Scheme) -> Vec<Field> {
        if scheme == Scheme::BearerToken && self.bearer_token.is_none() {
            let mut fields = self.fields.clone();
            fields.push(Field {
                description: format!("An access token of your own for {}.", self.name),
                secret: true,
                ..Field::text("token", "Access token")
            });
            return fields;
        }
        self.scheme_fields(scheme)
    }

    /// Where the credential of `scheme` goes on a request.
    pub fn placements(&self, scheme: Scheme) -> &[Placement] {
        match scheme {
            Scheme::OAuth2 | Scheme::DcrOAuth | Scheme::CimdOAuth => {
                self.oauth(scheme).map_or(&[], |oauth| oauth.apply.as_slice())
            }
            Scheme::ApiKey => self.api_key.as_ref().map_or(&[], |key| key.apply.as_slice()),
            // A token imported for an OAuth2 toolkit goes where that toolkit's own tokens go.
            Scheme::BearerToken => match &self.bearer_token {
                Some(bearer) => bearer.apply.as_slice(),
                None => self.placements(Scheme::OAuth2),
            },
            Scheme::OAuth1 | Scheme::Basic | Scheme::NoAuth => &[],
            _ => self.token_scheme(scheme).map_or(&[], |tokens| tokens.apply.as_slice()),
        }
    }

    /// The fields of one scheme, without the connection fields.
    pub fn own_fields(&self, scheme: Scheme) -> Vec<Field> {
        let mut fields = self.declared_fields(scheme).to_vec();
        if let (Scheme::Basic, Some(basic)) = (scheme, &self.basic) {
            fields.push(basic_field("username", "User name", basic.username_is_secret(), basic.username.as_ref()));
            if !basic.without_password {
                let is_secret = basic.password_is_secret();
                fields.push(basic_field("password", "Password", is_secret, basic.password.as_ref()));
            }
        }
        fields
    }

    /// The same as listed in the file: without user name and password of `[basic]`.
    pub fn declared_fields(&self, scheme: Scheme) -> &[Field] {
        let fields = match scheme {
            Scheme::OAuth2 | Scheme::DcrOAuth | Scheme::CimdOAuth => self.oauth(scheme).map(|scheme| &scheme.fields),
            Scheme::OAuth1 => self.oauth1.as_ref().map(|scheme| &scheme.fields),
            Scheme::ApiKey => self.api_key.as_ref().map(|scheme| &scheme.fields),
            Scheme::BearerToken => self.bearer_token.as_ref().map(|scheme| &scheme.fields),
            Scheme::Basic => self.basic.as_ref().map(|scheme| &scheme.fields),
            Scheme::NoAuth => None,
            _ => self.token_scheme(scheme).map(|scheme| &scheme.fields),
        };
        fields.map_or(&[], Vec::as_slice)
    }

    /// The hosts that may receive this account's credentials: `hosts` with its variables expanded. An entry
    /// is omitted if the account has no value for its variable. An entry `{field}` of an `origin` field gives
    /// that origin's host and port.
    ///
    /// # Errors
    /// A malformed template, which validation excludes for loaded toolkits.
    pub fn host_rules(&self, vars: &dyn Fn(&str) -> Option<String>) -> Result<Vec<String>, TemplateError> {
        let mut rules = Vec::with_capacity(self.hosts.len());
        for host in &self.hosts {
            match template::expand(host, vars) {
                Ok(expanded) => rules.push(host_of(&expanded).to_owned()),
                Err(TemplateError::Missing { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(rules)
    }
}

/// Host and optional port of an origin, or of a text that is already in that form.
fn host_of(text: &str) -> &str {
    text.split_once("://").map_or(text, |(_, host)| host)
}

impl BasicScheme {
    /// Whether the user name is a secret.
    pub fn username_is_secret(&self) -> bool {
        self.username.as_ref().and_then(|text| text.secret).unwrap_or(self.without_password)
    }

    /// Whether the password is a secret, and not a constant that the provider expects from everyone.
    pub fn password_is_secret(&self) -> bool {
        self.password.as_ref().and_then(|text| text.secret).unwrap_or(true)
    }
}

impl Toolkit {
    /// Whether a sealed value of an account is a secret by itself. User names and client ids only identify
    /// someone.
    pub fn is_secret(&self, scheme: Scheme, name: &str) -> bool {
        match (scheme, name) {
            (Scheme::Basic, "username") => self.basic.as_ref().is_none_or(BasicScheme::username_is_secret),
            (Scheme::Basic, "password") => self.basic.as_ref().is_none_or(BasicScheme::password_is_secret),
            (Scheme::OAuth1, "consumer_key") => false,
            (_, "username") => {
                let fields = self.token_scheme(scheme).map_or(&[][..], |tokens| tokens.fields.as_slice());
                fields.iter().any(|field| field.name == name && field.secret)
            }
            _ => true,
        }
    }
}

fn basic_field(name: &str, label: &str, secret: bool, text: Option<&FieldText>) -> Field {
    let label = text.map_or(label, |text| &text.display_name);
    Field {
        description: text.map(|text| text.description.clone()).unwrap_or_default(),
        secret,
        ..Field::text(name, label)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_in_every_direction() {
        for scheme in Scheme::ALL {
            let json = serde_json::to_string(&scheme).expect("serialises");
            assert_eq!(json, format!("\"{scheme}\""));
            assert_eq!(serde_json::from_str::<Scheme>(&json).expect("deserialises"), *scheme);
            assert_eq!(scheme.as_str().parse(), Ok(*scheme));
        }
        let error = "oauth2".parse::<Scheme>().expect_err("names are upper case");
        assert!(error.to_string().starts_with("unknown scheme `oauth2`; known schemes: `OAUTH2`"));
    }
}
