//! The toolkit file, key by key: what `toolkits/<slug>/toolkit.toml` can say.
//!
//! A toolkit is data. Whatever a provider needs is expressed here, and no provider is named in
//! code. Every table refuses unknown keys, so that a typing error is an error and not a silence.
//! The doc comments are the reference that authors read: `docs/toolkit-keys.md` and the JSON Schema
//! are made from them.

mod account;
mod answer;
mod call;
mod field;
mod key;
mod oauth1;
mod oauth2;
mod tokens;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use account::{Choice, Filter, Identity, PostConnect, Probe, RateLimit, RateLimitUnit, Sunset};
pub use answer::{Capture, TimeUnit, TokenErrors, TokenResponse};
pub use call::{Assertion, Call, CallFormat, Escape, SigningAlgorithm};
pub use field::{Condition, Field, FieldFormat, FieldOption, FieldText};
pub use key::{BasicScheme, KeyScheme, NoAuth, Placement, Sign, TokenScheme};
pub use oauth1::{OAuth1, SignatureMethod};
pub use oauth2::{
    Callback, ClientAssertion, ClientAuthentication, Expiry, OAuth2, Pkce, QueryEncoding, Refresh, RefreshToken,
    TokenRequestFormat,
};
pub use tokens::{ExtraToken, Reach, TokenName};

/// A provider and the ways to authenticate with it.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Toolkit {
    /// Lower-case identifier, equal to the folder's name: 1 to 64 of `a-z`, `0-9`, `_`, `-`.
    pub slug: String,
    /// Name shown to people.
    pub name: String,
    /// One sentence on what the provider is.
    pub description: String,
    /// At least one, of `a-z`, `0-9`, `-`: `["developer-tools"]`.
    pub categories: Vec<String>,
    /// Home page of the product.
    pub app_url: Option<String>,
    /// Where a developer learns how to register an OAuth client or make a key.
    pub auth_guide_url: Option<String>,
    /// `#rrggbb`, the background of the monogram that stands in for a logo.
    pub color: String,
    /// `YYYYMMDD_NN`. Changes whenever the meaning of the file does.
    pub version: String,
    /// Where relative endpoints go, without `/` at the end. A template; its host must be in `hosts`.
    pub base_url: String,
    /// The only hosts that may receive credentials: `api.example.com`, `*.example.com` (any depth of
    /// subdomain, not the domain itself), `host:port`, or a template.
    pub hosts: Vec<String>,
    /// Further paths of the base URL's host that belong to the API: `["/upload/drive/v3"]`. A whole URL
    /// as an endpoint may lie at or below them, besides the base URL's own path; everything else on
    /// that host is refused. Not where the path of a base URL holds a variable, such as a site or a
    /// tenant: it would lead to the others.
    #[serde(default)]
    pub paths: Vec<String>,
    /// Where binary files lie that a caller may ask for in parts (`Range`): a host of `hosts`, and a path at
    /// or below which all of them are, such as `files.example.com` or `api.example.com/v2/files`.
    /// Elsewhere a `Range` is refused: the pieces of an answer cannot be searched for the credential.
    #[serde(default)]
    pub ranges: Vec<String>,
    /// Headers of every API request, unless the caller sets them; values are templates.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Public pages that the facts of the file were checked against.
    #[serde(default)]
    pub sources: Vec<String>,
    /// Facts that could not be checked, in words. Operators see them.
    #[serde(default)]
    pub unverified: Vec<String>,
    /// Dated changes at the provider, shown until they are past.
    #[serde(default)]
    pub sunset: Vec<Sunset>,
    /// How the provider says "too many requests" when it does not say it by status 429.
    #[serde(default)]
    pub rate_limits: Vec<RateLimit>,
    /// Connection fields: non-secret values of one account that templates use, such as a subdomain.
    #[serde(default)]
    pub fields: Vec<Field>,
    /// `OAUTH2`: OAuth 2.0 authorization code (RFC 6749 section 4.1), by a browser or a device.
    pub oauth2: Option<OAuth2>,
    /// `DCR_OAUTH`: the same, with a client that registers itself (RFC 7591).
    pub dcr_oauth: Option<OAuth2>,
    /// `CIMD_OAUTH`: the same, with a client whose identifier is the URL of its description.
    pub cimd_oauth: Option<OAuth2>,
    /// `OAUTH1`: OAuth 1.0a (RFC 5849).
    pub oauth1: Option<OAuth1>,
    /// `S2S_OAUTH2`: the service gets tokens by itself, with client credentials or another grant
    /// that needs nobody.
    pub s2s_oauth2: Option<TokenScheme>,
    /// `GOOGLE_SERVICE_ACCOUNT`: a service account's key file, the secret field `credentials_json`.
    /// The members of that JSON are variables, too: `{client_email}`, `{private_key}`…
    pub google_service_account: Option<TokenScheme>,
    /// `SERVICE_ACCOUNT`: an app's installation, by `application_id`, `installation_id` and
    /// `private_key`.
    pub service_account: Option<TokenScheme>,
    /// `BASIC_WITH_JWT`: `username` and `password` are exchanged for a token.
    pub basic_with_jwt: Option<TokenScheme>,
    /// `BILLCOM_AUTH`: a login that yields a session.
    pub billcom_auth: Option<TokenScheme>,
    /// `SAML`: a SAML assertion is exchanged for a token (RFC 7522).
    pub saml: Option<TokenScheme>,
    /// `API_KEY`: a key that the user copies from the provider.
    pub api_key: Option<KeyScheme>,
    /// `BEARER_TOKEN`: a token that the user or the developer already has.
    pub bearer_token: Option<KeyScheme>,
    /// `BASIC`: user name and password (RFC 7617).
    pub basic: Option<BasicScheme>,
    /// `NO_AUTH`: the provider asks for no credential.
    pub no_auth: Option<NoAuth>,
    /// Requests made once after connecting, to learn where the account's data is.
    #[serde(default)]
    pub post_connect: Vec<PostConnect>,
    /// Who is this account?
    pub identity: Option<Identity>,
}

pub(crate) fn yes() -> bool {
    true
}
