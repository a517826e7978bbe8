//! The toolkit file, field by field: what `toolkits/<slug>/toolkit.toml` can say.
//!
//! A toolkit is data. Whatever a provider needs is expressed here, and no provider is named in
//! code. Every struct refuses unknown keys, so that a typing error is an error and not a silence.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A provider and the ways to authenticate with it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Toolkit {
    /// Lower-case identifier, equal to the folder's name: `[a-z0-9_-]{1,64}`.
    pub slug: String,
    /// Name shown to people.
    pub name: String,
    /// One sentence on what the provider is.
    pub description: String,
    /// Category identifiers such as `developer-tools`; at least one.
    pub categories: Vec<String>,
    /// Home page of the product.
    pub app_url: Option<String>,
    /// Where a developer learns how to register an OAuth client or make a key.
    pub auth_guide_url: Option<String>,
    /// Background colour of the monogram that stands in for a logo, `#rrggbb`.
    pub color: String,
    /// Version of this file, `YYYYMMDD_NN`; changes whenever its meaning does.
    pub version: String,
    /// Where relative proxy endpoints go. A template over connection fields.
    pub base_url: String,
    /// Hosts that may receive this toolkit's credentials, besides none other: `api.example.com`,
    /// `*.example.com` (any depth of subdomain, not the domain itself), `host:port`, or a template
    /// ([`Toolkit::host_rules`] expands them).
    pub hosts: Vec<String>,
    /// Headers sent with every API request unless the caller sets them; values are templates over
    /// connection fields.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Public pages that the facts of this file were checked against.
    #[serde(default)]
    pub sources: Vec<String>,
    /// Facts that could not be checked; shown to operators.
    #[serde(default)]
    pub unverified: Vec<String>,
    /// Connection fields: non-secret values of one account that templates use (`subdomain`…).
    #[serde(default)]
    pub fields: Vec<Field>,
    /// OAuth 2.0 authorization code (`OAUTH2`).
    pub oauth2: Option<OAuth2>,
    /// A key that the user copies from the provider (`API_KEY`).
    pub api_key: Option<KeyScheme>,
    /// A bearer token that the user or the developer already has (`BEARER_TOKEN`).
    pub bearer_token: Option<KeyScheme>,
    /// User name and password (`BASIC`).
    pub basic: Option<BasicScheme>,
    /// Present when the provider asks for no credential at all (`NO_AUTH`).
    pub no_auth: Option<NoAuth>,
    /// Who is this account: the request that answers it.
    pub identity: Option<Identity>,
}

/// A value that a person enters when connecting.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Name used in templates and in the API: `[a-z][a-z0-9_]*`.
    pub name: String,
    /// Label shown to people.
    pub display_name: String,
    /// What to enter and where to find it.
    #[serde(default)]
    pub description: String,
    /// Masked on the page, sealed at rest.
    #[serde(default)]
    pub secret: bool,
    /// Must be given (default true).
    #[serde(default = "yes")]
    pub required: bool,
    /// Used when nothing is entered.
    pub default: Option<String>,
    /// Example shown inside the empty input.
    pub example: Option<String>,
    /// What the value must look like.
    #[serde(default)]
    pub format: FieldFormat,
}

/// What a field's value must look like. A value that becomes part of a URL is never free text (R44).
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldFormat {
    /// Any text of 1 to 4,096 visible characters, no control characters.
    #[default]
    Text,
    /// One DNS label: `acme` in `acme.example.com`.
    DnsLabel,
    /// A host name with at least one dot and no port.
    Hostname,
    /// `https://host[:port]` without path, query or user info.
    Origin,
}

/// OAuth 2.0 authorization code grant (RFC 6749 section 4.1) with its provider's deviations.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct OAuth2 {
    /// Authorization endpoint; a template.
    pub authorization_url: String,
    /// Token endpoint; a template.
    pub token_url: String,
    /// Where refresh requests go when not to the token endpoint.
    pub refresh_url: Option<String>,
    /// RFC 7009 revocation endpoint; its requests are encoded and authenticated like token requests.
    pub revocation_url: Option<String>,
    /// Issuer identifier that `iss` in the callback must equal (RFC 9207).
    pub issuer: Option<String>,
    /// The provider always sends `iss` (RFC 9207 metadata); its absence is then an attack.
    #[serde(default)]
    pub iss_required: bool,
    /// Proof Key for Code Exchange (RFC 7636).
    #[serde(default)]
    pub pkce: Pkce,
    /// How the client authenticates at the token endpoint (RFC 6749 section 2.3.1).
    #[serde(default)]
    pub client_authentication: ClientAuthentication,
    /// Encoding of the token request's body.
    #[serde(default)]
    pub token_request_format: TokenRequestFormat,
    /// Additional headers of token requests; values are templates over connection fields.
    #[serde(default)]
    pub token_headers: BTreeMap<String, String>,
    /// Scopes asked for when neither the auth config nor the link names any.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// All scopes worth offering to a developer; shown by the API.
    #[serde(default)]
    pub available_scopes: Vec<String>,
    /// Between scopes: a space (default) or a comma.
    #[serde(default = "space")]
    pub scope_separator: String,
    /// Name of the scope parameter when it is not `scope`.
    #[serde(default = "scope_parameter")]
    pub scope_parameter: String,
    /// Parameter that carries user-level scopes, where a provider has two kinds of token.
    pub user_scope_parameter: Option<String>,
    /// Extra parameters of the authorization request; values are templates over connection fields.
    #[serde(default)]
    pub authorization_parameters: BTreeMap<String, String>,
    /// Extra parameters of the token request; values are templates over connection fields.
    #[serde(default)]
    pub token_parameters: BTreeMap<String, String>,
    /// What a refresh does to the refresh token.
    #[serde(default)]
    pub refresh: Refresh,
    /// Lifetime in seconds of an access token whose answer does not state one.
    pub expires_in: Option<u64>,
    /// Where values stand in the token answer, as JSON pointers.
    #[serde(default)]
    pub response: TokenResponse,
    /// How the access token is put on API requests. Template variable: `{access_token}`.
    #[serde(default = "bearer")]
    pub apply: Vec<Placement>,
}

/// Use of PKCE.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub enum Pkce {
    /// Always with the S256 method (default, R19).
    #[default]
    S256,
    /// The provider refuses a challenge.
    #[serde(rename = "off")]
    Off,
}

/// Client authentication methods, by their registered names.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuthentication {
    /// In the body (default, what most providers document).
    #[default]
    ClientSecretPost,
    /// HTTP Basic, both halves form-encoded first (RFC 6749 section 2.3.1).
    ClientSecretBasic,
    /// A public client: identifier only, no secret.
    None,
}

/// Encoding of token requests.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenRequestFormat {
    /// `application/x-www-form-urlencoded` (RFC 6749).
    #[default]
    Form,
    /// `application/json`.
    Json,
}

/// What a refresh does to the refresh token.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Refresh {
    /// Each refresh token works once; losing an answer may lose the account.
    #[default]
    Rotating,
    /// The refresh token stays the same; a repeated request is harmless.
    Stable,
    /// Tokens are never refreshed.
    None,
}

/// JSON pointers (RFC 6901) into the token answer. The defaults are RFC 6749's names.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TokenResponse {
    /// The access token.
    pub access_token: String,
    /// The refresh token.
    pub refresh_token: String,
    /// Seconds to live.
    pub expires_in: String,
    /// Granted scopes: a string, or a list of strings.
    pub scope: String,
    /// `Bearer`, in any case.
    pub token_type: String,
    /// When this pointer's value equals `error_value`, a 200 answer is an error.
    pub error_pointer: Option<String>,
    /// Value at `error_pointer` that means failure.
    pub error_value: Option<serde_json::Value>,
    /// Non-secret values to keep with the account: name → pointer.
    pub capture: BTreeMap<String, String>,
}

impl Default for TokenResponse {
    fn default() -> Self {
        Self {
            access_token: "/access_token".to_owned(),
            refresh_token: "/refresh_token".to_owned(),
            expires_in: "/expires_in".to_owned(),
            scope: "/scope".to_owned(),
            token_type: "/token_type".to_owned(),
            error_pointer: None,
            error_value: None,
            capture: BTreeMap::new(),
        }
    }
}

/// One place of an API request where a credential goes. Exactly one of `header` and `query`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Placement {
    /// Header name.
    pub header: Option<String>,
    /// Query parameter name; only where the provider demands it (R50).
    pub query: Option<String>,
    /// Template of the value, over credential and connection fields.
    pub value: String,
}

/// A scheme whose credential is one or a few values that the user enters.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct KeyScheme {
    /// What the user enters; at least one secret field.
    pub fields: Vec<Field>,
    /// How it is put on API requests.
    pub apply: Vec<Placement>,
    /// Request that proves the credential before it is saved.
    pub verify: Option<Probe>,
}

/// HTTP Basic authentication (RFC 7617) with fields `username` and `password`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct BasicScheme {
    /// Label and help of the user name (default: "User name").
    pub username: Option<FieldText>,
    /// Label and help of the password (default: "Password").
    pub password: Option<FieldText>,
    /// Request that proves the credential before it is saved.
    pub verify: Option<Probe>,
}

/// Label and help of a fixed field.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct FieldText {
    /// Label shown to people.
    pub display_name: String,
    /// What to enter and where to find it.
    #[serde(default)]
    pub description: String,
}

/// A provider without credentials.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NoAuth {}

/// A request made with the account's credential.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// HTTP method (default GET).
    #[serde(default = "get")]
    pub method: String,
    /// Absolute, or relative to `base_url`; a template.
    pub url: String,
    /// Extra headers; values are templates over connection fields.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Body, sent as `application/json`, as it is: not a template.
    pub json: Option<serde_json::Value>,
    /// Pointer whose value must equal `ok_value` for success, besides a 2xx status.
    pub ok_pointer: Option<String>,
    /// Value at `ok_pointer` that means success.
    pub ok_value: Option<serde_json::Value>,
}

/// Who an account is: a request and where its answer holds what.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The request.
    pub request: Probe,
    /// Pointer to the stable upstream identifier.
    pub id: String,
    /// Pointer to an e-mail address.
    pub email: Option<String>,
    /// Pointer to a display name.
    pub name: Option<String>,
}

fn yes() -> bool {
    true
}

fn space() -> String {
    " ".to_owned()
}

fn scope_parameter() -> String {
    "scope".to_owned()
}

fn get() -> String {
    "GET".to_owned()
}

fn bearer() -> Vec<Placement> {
    vec![Placement { header: Some("Authorization".to_owned()), query: None, value: "Bearer {access_token}".to_owned() }]
}
