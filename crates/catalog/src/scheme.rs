//! Authentication schemes by their names on the wire, and what each asks of a person.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::model::{Field, FieldFormat, FieldText, Toolkit};
use crate::template::{self, TemplateError};

/// An authentication scheme, by the name that the API uses for it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Scheme {
    /// OAuth 2.0 authorization code grant (RFC 6749 section 4.1).
    #[serde(rename = "OAUTH2")]
    OAuth2,
    /// A key that the user copies from the provider.
    #[serde(rename = "API_KEY")]
    ApiKey,
    /// A bearer token that the user or the developer already has (RFC 6750).
    #[serde(rename = "BEARER_TOKEN")]
    BearerToken,
    /// User name and password (RFC 7617).
    #[serde(rename = "BASIC")]
    Basic,
    /// No credential.
    #[serde(rename = "NO_AUTH")]
    NoAuth,
}

/// A scheme name that this service does not serve.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("unknown scheme `{0}`; known schemes: `OAUTH2`, `API_KEY`, `BEARER_TOKEN`, `BASIC`, `NO_AUTH`")]
pub struct UnknownScheme(pub String);

impl Scheme {
    /// Every scheme, in the order in which a toolkit offers them.
    pub const ALL: [Self; 5] = [Self::OAuth2, Self::ApiKey, Self::BearerToken, Self::Basic, Self::NoAuth];

    /// Name on the wire: `OAUTH2`, `API_KEY`, `BEARER_TOKEN`, `BASIC` or `NO_AUTH`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OAuth2 => "OAUTH2",
            Self::ApiKey => "API_KEY",
            Self::BearerToken => "BEARER_TOKEN",
            Self::Basic => "BASIC",
            Self::NoAuth => "NO_AUTH",
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl FromStr for Scheme {
    type Err = UnknownScheme;

    fn from_str(name: &str) -> Result<Self, UnknownScheme> {
        let found = Self::ALL.into_iter().find(|scheme| scheme.as_str() == name);
        found.ok_or_else(|| UnknownScheme(name.to_owned()))
    }
}

impl Toolkit {
    /// The schemes that this toolkit offers, preferred first; at least one in a loaded toolkit.
    pub fn schemes(&self) -> Vec<Scheme> {
        Scheme::ALL.into_iter().filter(|scheme| self.offers(*scheme)).collect()
    }

    fn offers(&self, scheme: Scheme) -> bool {
        match scheme {
            Scheme::OAuth2 => self.oauth2.is_some(),
            Scheme::ApiKey => self.api_key.is_some(),
            Scheme::BearerToken => self.bearer_token.is_some(),
            Scheme::Basic => self.basic.is_some(),
            Scheme::NoAuth => self.no_auth.is_some(),
        }
    }

    /// What a person enters to connect with `scheme`: the connection fields, then the scheme's own.
    /// Empty for a scheme that the toolkit does not offer.
    pub fn scheme_fields(&self, scheme: Scheme) -> Vec<Field> {
        if !self.offers(scheme) {
            return Vec::new();
        }
        let mut fields = self.fields.clone();
        match scheme {
            Scheme::OAuth2 | Scheme::NoAuth => {}
            Scheme::ApiKey => {
                fields.extend(self.api_key.iter().flat_map(|key| key.fields.iter().cloned()));
            }
            Scheme::BearerToken => {
                fields.extend(self.bearer_token.iter().flat_map(|key| key.fields.iter().cloned()));
            }
            Scheme::Basic => {
                if let Some(basic) = &self.basic {
                    fields.push(basic_field("username", "User name", false, basic.username.as_ref()));
                    fields.push(basic_field("password", "Password", true, basic.password.as_ref()));
                }
            }
        }
        fields
    }

    /// The hosts that may receive this account's credentials: `hosts` with its variables replaced.
    /// An entry `{field}` of an `origin` field stands for that origin's host and port.
    ///
    /// # Errors
    /// [`TemplateError::Missing`] when `vars` has no value for a variable.
    pub fn host_rules(&self, vars: &dyn Fn(&str) -> Option<String>) -> Result<Vec<String>, TemplateError> {
        let expand = |host: &String| {
            let expanded = template::expand(host, vars)?;
            let rule = expanded.split_once("://").map_or(expanded.as_str(), |(_, host)| host);
            Ok(rule.to_owned())
        };
        self.hosts.iter().map(expand).collect()
    }
}

fn basic_field(name: &str, label: &str, secret: bool, text: Option<&FieldText>) -> Field {
    Field {
        name: name.to_owned(),
        display_name: text.map_or_else(|| label.to_owned(), |text| text.display_name.clone()),
        description: text.map(|text| text.description.clone()).unwrap_or_default(),
        secret,
        required: true,
        default: None,
        example: None,
        format: FieldFormat::Text,
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
            assert_eq!(serde_json::from_str::<Scheme>(&json).expect("deserialises"), scheme);
            assert_eq!(scheme.as_str().parse(), Ok(scheme));
        }
        let error = "oauth2".parse::<Scheme>().expect_err("names are upper case");
        assert!(error.to_string().starts_with("unknown scheme `oauth2`; known schemes: `OAUTH2`"));
    }
}
