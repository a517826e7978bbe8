//! The toolkit file format: the keys of `toolkits/<slug>/toolkit.toml`.
//!
//! A toolkit is data: everything that a provider needs is expressed here, and no provider is named in code.
//! Every table rejects unknown keys, so that a typing error is reported. The doc comments are the reference
//! for authors: `docs/toolkit-keys.md` and the JSON Schema are generated from them.

mod account;
mod answer;
mod call;
mod field;
mod key;
mod oauth1;
mod oauth2;
mod tokens;
mod tool;
mod version;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::tool::Tools;

pub use account::{Choice, Filter, Identity, LimitHeaders, PostConnect, Probe, RateLimit, RateLimitUnit, Sunset};
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
pub(crate) use tool::ToolFile;
pub use tool::{Argument, BodyFormat, Effect, FailureRule, Location, Paging, PagingStyle, Style, Tool, ToolMethod};
pub use version::{VersionNote, Withdrawn};

/// A provider and the ways to authenticate with it.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Toolkit {
    /// Lower-case identifier, equal to the folder's name: 1 to 64 of `a-z`, `0-9`, `_`, `-`.
    pub slug: String,
    /// Display name.
    pub name: String,
    /// One sentence that describes the provider.
    pub description: String,
    /// At least one, of `a-z`, `0-9`, `-`: `["developer-tools"]`.
    pub categories: Vec<String>,
    /// Home page of the product.
    pub app_url: Option<String>,
    /// Documentation on how to register an OAuth client or create a key.
    pub auth_guide_url: Option<String>,
    /// `#rrggbb`, the background of the monogram that replaces a logo.
    pub color: String,
    /// `YYYYMMDD_NN`. Changes whenever the meaning of the file does.
    pub version: String,
    /// Base URL of relative endpoints, without a trailing `/`. A template; its host must be in `hosts`.
    pub base_url: String,
    /// The only hosts that may receive credentials: `api.example.com`, `*.example.com` (any depth of
    /// subdomain, not the domain itself), `host:port`, or a template.
    pub hosts: Vec<String>,
    /// Further paths of the base URL's host that belong to the API: `["/upload/drive/v3"]`. An absolute
    /// endpoint may be at or below them, or the base URL's own path; everything else on that host is refused.
    /// Not allowed if the path of a base URL contains a variable, such as a site or a tenant, because it
    /// would give access to the others.
    #[serde(default)]
    pub paths: Vec<String>,
    /// Locations of binary files that a caller may request in parts (`Range`): a host of `hosts` with an
    /// optional path, such as `files.example.com` or `api.example.com/v2/files`. Elsewhere a `Range` is
    /// refused, because partial responses cannot be searched for the credential.
    #[serde(default)]
    pub ranges: Vec<String>,
    /// Headers of every API request, unless the caller sets them; values are templates.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Public pages with which the facts of the file were checked.
    #[serde(default)]
    pub sources: Vec<String>,
    /// Facts that could not be checked. Shown to operators.
    #[serde(default)]
    pub unverified: Vec<String>,
    /// Dated changes at the provider, shown until their date.
    #[serde(default)]
    pub sunset: Vec<Sunset>,
    /// What is new in versions of the tools, for `GET /toolkits/changelog`.
    #[serde(default)]
    pub changelog: Vec<VersionNote>,
    /// Earlier versions of the tools that are not run any more, such as one with a security problem. A session that
    /// uses one gets an error that names the version to use instead.
    #[serde(default)]
    pub withdrawn: Vec<Withdrawn>,
    /// How the provider reports "too many requests" other than with status 429.
    #[serde(default)]
    pub rate_limits: Vec<RateLimit>,
    /// How the provider names the headers in which it reports a limit before it is reached.
    pub limit_headers: Option<LimitHeaders>,
    /// Connection fields: non-secret values of an account for templates, such as a subdomain.
    #[serde(default)]
    pub fields: Vec<Field>,
    /// `OAUTH2`: OAuth 2.0 authorization code (RFC 6749 section 4.1), in a browser or with a device code.
    pub oauth2: Option<OAuth2>,
    /// `DCR_OAUTH`: the same, with dynamic client registration (RFC 7591).
    pub dcr_oauth: Option<OAuth2>,
    /// `CIMD_OAUTH`: the same, with a client whose identifier is the URL of its metadata document.
    pub cimd_oauth: Option<OAuth2>,
    /// `OAUTH1`: OAuth 1.0a (RFC 5849).
    pub oauth1: Option<OAuth1>,
    /// `S2S_OAUTH2`: the service fetches tokens itself, with client credentials or another grant without a
    /// user.
    pub s2s_oauth2: Option<TokenScheme>,
    /// `GOOGLE_SERVICE_ACCOUNT`: a service account's key file, the secret field `credentials_json`. The
    /// members of that JSON are also variables: `{client_email}`, `{private_key}`…
    pub google_service_account: Option<TokenScheme>,
    /// `SERVICE_ACCOUNT`: an app's installation, by `application_id`, `installation_id` and
    /// `private_key`.
    pub service_account: Option<TokenScheme>,
    /// `BASIC_WITH_JWT`: `username` and `password` are exchanged for a token.
    pub basic_with_jwt: Option<TokenScheme>,
    /// `BILLCOM_AUTH`: a login that returns a session.
    pub billcom_auth: Option<TokenScheme>,
    /// `SAML`: a SAML assertion is exchanged for a token (RFC 7522).
    pub saml: Option<TokenScheme>,
    /// `API_KEY`: a key that the user copies from the provider.
    pub api_key: Option<KeyScheme>,
    /// `BEARER_TOKEN`: a token that the user or the developer already has.
    pub bearer_token: Option<KeyScheme>,
    /// `BASIC`: user name and password (RFC 7617).
    pub basic: Option<BasicScheme>,
    /// `NO_AUTH`: the provider requires no credential.
    pub no_auth: Option<NoAuth>,
    /// Requests made once after connecting, to find the account's data.
    #[serde(default)]
    pub post_connect: Vec<PostConnect>,
    /// Identity of an account.
    pub identity: Option<Identity>,
    /// Its tools, from `tools.toml` beside the file.
    #[serde(skip)]
    #[schemars(skip)]
    pub(crate) tools: Tools,
}

pub(crate) fn yes() -> bool {
    true
}
