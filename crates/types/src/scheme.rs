//! Authentication schemes by their names in the API.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

macro_rules! schemes {
    ($($(#[$doc:meta])* $variant:ident $name:literal;)*) => {
        /// An authentication scheme, with its name in the API.
        #[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, Ord, PartialEq, PartialOrd, Serialize)]
        pub enum Scheme {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)*
        }

        impl Scheme {
            /// Every scheme, in the order of preference.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Name in the API, such as `OAUTH2`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    };
}

schemes! {
    /// OAuth 2.0 authorization code grant (RFC 6749 section 4.1).
    OAuth2 "OAUTH2";
    /// The same, with dynamic client registration (RFC 7591).
    DcrOAuth "DCR_OAUTH";
    /// The same, with a client whose identifier is the URL of its metadata document.
    CimdOAuth "CIMD_OAUTH";
    /// OAuth 1.0a (RFC 5849).
    OAuth1 "OAUTH1";
    /// A key that the user copies from the provider.
    ApiKey "API_KEY";
    /// A bearer token that the user or the developer already has (RFC 6750).
    BearerToken "BEARER_TOKEN";
    /// User name and password (RFC 7617).
    Basic "BASIC";
    /// User name and password, exchanged for a token.
    BasicWithJwt "BASIC_WITH_JWT";
    /// Tokens that the service fetches itself.
    S2sOAuth2 "S2S_OAUTH2";
    /// A service account's key file.
    GoogleServiceAccount "GOOGLE_SERVICE_ACCOUNT";
    /// An app's installation.
    ServiceAccount "SERVICE_ACCOUNT";
    /// A login that returns a session.
    BillcomAuth "BILLCOM_AUTH";
    /// A SAML assertion, exchanged for a token (RFC 7522).
    Saml "SAML";
    /// No credential.
    NoAuth "NO_AUTH";
}

/// A scheme that this service does not support.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("unknown scheme `{0}`; known schemes: {list}", list = known())]
pub struct UnknownScheme(pub String);

fn known() -> String {
    let names: Vec<String> = Scheme::ALL.iter().map(|scheme| format!("`{scheme}`")).collect();
    names.join(", ")
}

impl Scheme {
    /// Whether the user connects on the provider's own pages.
    pub fn is_redirect(self) -> bool {
        matches!(self, Self::OAuth2 | Self::DcrOAuth | Self::CimdOAuth | Self::OAuth1)
    }

    /// Whether it is the OAuth 2.0 authorization code grant, with any kind of client.
    pub fn is_oauth2(self) -> bool {
        matches!(self, Self::OAuth2 | Self::DcrOAuth | Self::CimdOAuth)
    }

    /// Key of the scheme's table in a toolkit file.
    pub fn table(self) -> &'static str {
        match self {
            Self::OAuth2 => "oauth2",
            Self::DcrOAuth => "dcr_oauth",
            Self::CimdOAuth => "cimd_oauth",
            Self::OAuth1 => "oauth1",
            Self::ApiKey => "api_key",
            Self::BearerToken => "bearer_token",
            Self::Basic => "basic",
            Self::BasicWithJwt => "basic_with_jwt",
            Self::S2sOAuth2 => "s2s_oauth2",
            Self::GoogleServiceAccount => "google_service_account",
            Self::ServiceAccount => "service_account",
            Self::BillcomAuth => "billcom_auth",
            Self::Saml => "saml",
            Self::NoAuth => "no_auth",
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
        let found = Self::ALL.iter().copied().find(|scheme| scheme.as_str() == name);
        found.ok_or_else(|| UnknownScheme(name.to_owned()))
    }
}
