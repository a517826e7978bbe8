//! OAuth 2.0 in practice: the RFCs by default, with a key for every deviation.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Call, Capture, ExtraToken, Field, Identity, Placement, Reach, SigningAlgorithm, TokenName, TokenResponse};

/// OAuth 2.0 authorization code grant (RFC 6749 section 4.1) with the provider's deviations. The defaults
/// follow the RFCs, so that most providers need only three or four keys.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct OAuth2 {
    /// URL of the provider's metadata (RFC 8414, OpenID Connect Discovery), which supplies endpoints, issuer
    /// and client authentication if the file omits them. A template.
    pub discovery_url: Option<String>,
    /// Protected resource of an MCP server: its metadata (RFC 9728) names the authorization server, and
    /// requests contain it as `resource` (RFC 8707). A template.
    pub resource: Option<String>,
    /// Authorization endpoint; a template. Required unless discovered.
    #[serde(default)]
    pub authorization_url: String,
    /// Token endpoint; a template. Required unless discovered.
    #[serde(default)]
    pub token_url: String,
    /// Endpoint for refresh requests, if not `token_url`.
    pub refresh_url: Option<String>,
    /// Revocation endpoint (RFC 7009), called when an account is deleted. Its requests are encoded
    /// and authenticated like token requests.
    pub revocation_url: Option<String>,
    /// A revocation request other than RFC 7009's. `{token}` is the token to revoke; `{access_token}` and
    /// `{refresh_token}` are those of the account.
    pub revoke: Option<Call>,
    /// What a revocation ends. If that is more than one token, only the last account that uses the grant
    /// revokes it; the others are not revoked.
    #[serde(default)]
    pub revocation_reach: Reach,
    /// Tokens to revoke, in this order (default: the refresh token, then the access token). If a revocation
    /// ends more than one token, only the first available one is revoked.
    #[serde(default)]
    pub revocation_tokens: Vec<TokenName>,
    /// Introspection endpoint (RFC 7662).
    pub introspection_url: Option<String>,
    /// Device authorization endpoint (RFC 8628): the user enters a code at the provider, and there is no
    /// callback. Replaces `authorization_url`.
    pub device_authorization_url: Option<String>,
    /// Pushed authorization request endpoint (RFC 9126); authorization requests are then pushed.
    pub pushed_authorization_request_url: Option<String>,
    /// Client authentication at the revocation endpoint, if not as at the token endpoint. If omitted, the
    /// provider's metadata decides, if it lists methods for that endpoint.
    pub revocation_client_authentication: Option<ClientAuthentication>,
    /// Client registration endpoint (RFC 7591); only in `[dcr_oauth]`.
    pub registration_url: Option<String>,
    /// Metadata of the client to register, in addition to what the service sets.
    #[serde(default)]
    pub registration_parameters: BTreeMap<String, String>,
    /// Expected `iss` of the callback, if the provider sends it (RFC 9207).
    pub issuer: Option<String>,
    /// Whether the provider always sends `iss`: a callback without it is then rejected.
    #[serde(default)]
    pub iss_required: bool,
    /// Proof Key for Code Exchange (RFC 7636).
    #[serde(default)]
    pub pkce: Pkce,
    /// Client authentication at the token endpoint (RFC 6749 section 2.3.1).
    #[serde(default)]
    pub client_authentication: ClientAuthentication,
    /// The assertion for `private_key_jwt` and `client_secret_jwt`.
    #[serde(default)]
    pub client_assertion: ClientAssertion,
    /// Whether tokens are bound to a key of the account, and each request proves its possession (RFC 9449);
    /// the provider must issue tokens of type `DPoP`.
    #[serde(default)]
    pub dpop: bool,
    /// Encoding of token requests.
    #[serde(default)]
    pub token_request_format: TokenRequestFormat,
    /// Additional headers of token requests: `{ Accept = "application/json" }`.
    #[serde(default)]
    pub token_headers: BTreeMap<String, String>,
    /// Scopes to request if neither the auth config nor the link names any.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Scopes that are always requested.
    #[serde(default)]
    pub always_scopes: Vec<String>,
    /// Useful scopes that a user or an installation may lack; sent in `optional_scope_parameter`.
    #[serde(default)]
    pub optional_scopes: Vec<String>,
    /// All scopes to offer to a developer. Links that ask for what tools need choose among them.
    #[serde(default)]
    pub available_scopes: Vec<String>,
    /// Separator of scopes: `" "` (default), `","` or `"+"`.
    #[serde(default = "space")]
    pub scope_separator: String,
    /// Name of the scope parameter, if not `scope`.
    #[serde(default = "scope_parameter")]
    pub scope_parameter: String,
    /// Parameter of user-level scopes, for providers with two kinds of token.
    pub user_scope_parameter: Option<String>,
    /// Parameter of optional scopes.
    pub optional_scope_parameter: Option<String>,
    /// Additional parameters of the authorization request: `{ prompt = "consent" }`. `{nonce}` is a fresh
    /// value (OpenID Connect Core section 3.1.2.1), which an ID token of the code must repeat.
    #[serde(default)]
    pub authorization_parameters: BTreeMap<String, String>,
    /// Parameters of the authorization request that the provider rejects.
    #[serde(default)]
    pub authorization_omit: Vec<String>,
    /// Additional parameters of the code exchange, and of refreshes unless `refresh_parameters` is given.
    /// `{state}` is that of the authorization request.
    #[serde(default)]
    pub token_parameters: BTreeMap<String, String>,
    /// Additional parameters of refreshes. `{redirect_uri}` is that of the code exchange.
    pub refresh_parameters: Option<BTreeMap<String, String>>,
    /// Parameters of token requests that the provider rejects.
    #[serde(default)]
    pub token_omit: Vec<String>,
    /// The provider's names for standard parameters: `{ client_id = "client_key" }`.
    #[serde(default)]
    pub parameter_names: BTreeMap<String, String>,
    /// Encoding of spaces in the authorization URL.
    #[serde(default)]
    pub query_encoding: QueryEncoding,
    /// Deviations of the provider's callback.
    #[serde(default)]
    pub callback: Callback,
    /// Connection fields of this scheme only.
    #[serde(default)]
    pub fields: Vec<Field>,
    /// Base URL of relative endpoints with this scheme, if not the toolkit's `base_url`.
    pub base_url: Option<String>,
    /// Identity of accounts of this scheme, instead of the toolkit's `identity`.
    pub identity: Option<Identity>,
    /// Requests made after the code exchange, each with the values of the previous ones: for a longer-lived
    /// token or a token of another kind.
    #[serde(default)]
    pub steps: Vec<Call>,
    /// Effect of a refresh on the refresh token.
    #[serde(default)]
    pub refresh: Refresh,
    /// A refresh request other than RFC 6749's. With `{access_token}` instead of `{refresh_token}`, a valid
    /// access token is exchanged for the next.
    pub refresh_call: Option<Call>,
    /// Seconds for which a used refresh token still works.
    #[serde(default)]
    pub refresh_grace: u64,
    /// Whether a response to a code must contain a refresh token.
    #[serde(default)]
    pub refresh_token: RefreshToken,
    /// Seconds after which the user must connect again, regardless of refreshes.
    pub refresh_token_lifetime: Option<u64>,
    /// Seconds without a refresh after which the refresh token expires.
    pub refresh_token_idle: Option<u64>,
    /// Maximum number of connections per user and client. With one more, the provider silently revokes the
    /// oldest.
    pub token_limit: Option<u32>,
    /// Source of an access token's expiry.
    #[serde(default)]
    pub expiry: Expiry,
    /// Default lifetime of an access token in seconds.
    pub expires_in: Option<u64>,
    /// Maximum accepted lifetime in seconds.
    pub max_expires_in: Option<u64>,
    /// Maximum number of seconds before expiry at which a token is refreshed (default 300).
    pub refresh_margin: Option<u64>,
    /// Locations of values in the token response.
    #[serde(default)]
    pub response: TokenResponse,
    /// Further tokens of the same account, such as one for another API, or a user's in addition to an app's.
    #[serde(default)]
    pub tokens: Vec<ExtraToken>,
    /// Placement of the token. Default: header `Authorization: Bearer {access_token}`.
    #[serde(default = "bearer")]
    pub apply: Vec<Placement>,
}

/// Use of PKCE.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Pkce {
    /// Always with the S256 method (default, R19).
    #[default]
    S256,
    /// The provider rejects a challenge.
    #[serde(rename = "off")]
    Off,
}

/// Client authentication methods, by their registered names if they have one.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuthentication {
    /// In the body (default; what most providers document).
    #[default]
    ClientSecretPost,
    /// HTTP Basic, with both parts form-encoded first (RFC 6749 section 2.3.1).
    ClientSecretBasic,
    /// HTTP Basic with both parts as they are, for providers that do not decode them.
    ClientSecretBasicUnencoded,
    /// HTTP Basic with the secret as the user name and no password.
    ClientSecretAsUsername,
    /// An assertion signed with the client's private key (RFC 7523, OpenID Connect Core section 9).
    PrivateKeyJwt,
    /// An assertion signed with the client's secret.
    ClientSecretJwt,
    /// A public client: client id only, no secret.
    None,
}

impl ClientAuthentication {
    /// Parses the name in a registration (RFC 7591 section 2) or an auth config.
    pub fn from_name(name: &str) -> Option<Self> {
        [
            Self::ClientSecretPost,
            Self::ClientSecretBasic,
            Self::ClientSecretBasicUnencoded,
            Self::PrivateKeyJwt,
            Self::ClientSecretJwt,
            Self::None,
        ]
        .into_iter()
        .find(|method| method.config_name() == name)
    }

    /// The name in toolkit files and auth configs.
    pub fn config_name(self) -> &'static str {
        match self {
            Self::ClientSecretBasicUnencoded => "client_secret_basic_unencoded",
            Self::ClientSecretAsUsername => "client_secret_as_username",
            method => method.name(),
        }
    }

    /// The registered name, or the closest one.
    pub fn name(self) -> &'static str {
        match self {
            Self::ClientSecretPost => "client_secret_post",
            Self::ClientSecretBasic | Self::ClientSecretBasicUnencoded | Self::ClientSecretAsUsername => {
                "client_secret_basic"
            }
            Self::PrivateKeyJwt => "private_key_jwt",
            Self::ClientSecretJwt => "client_secret_jwt",
            Self::None => "none",
        }
    }
}

/// Claims of a client assertion (RFC 7523 section 3). Issuer and subject are the client.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClientAssertion {
    /// Signature algorithm; `client_secret_jwt` requires `HS256`.
    pub algorithm: SigningAlgorithm,
    /// Audience (default: the issuer if known, else the token endpoint). A template.
    pub audience: Option<String>,
    /// Issuer, if not the client id. A template.
    pub issuer: Option<String>,
}

/// Encoding of token requests.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenRequestFormat {
    /// `application/x-www-form-urlencoded` (RFC 6749).
    #[default]
    Form,
    /// `application/json`.
    Json,
    /// In the URL; the client's secret must then be in a header (R22).
    Query,
}

/// Encoding of spaces in a query.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum QueryEncoding {
    /// `+` (RFC 6749 appendix B).
    #[default]
    Plus,
    /// `%20`.
    Percent,
}

/// Deviations of the provider's callback.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Callback {
    /// Name of the code parameter, if not `code`.
    pub code: Option<String>,
    /// Name of a parameter that signs all others with the client's secret: HMAC-SHA256, in hexadecimal, of
    /// the sorted parameters. A callback without it is rejected.
    pub hmac: Option<String>,
    /// Values to store with the account. The user who completes the flow can choose them, so that a value
    /// that determines a host requires `allowed`.
    pub capture: Vec<Capture>,
    /// Values of `error` that mean that access was denied, in addition to the standard ones: `access_denied`,
    /// `consent_required`, `interaction_required` and `login_required`.
    pub denied: Vec<String>,
}

/// Effect of a refresh on the refresh token.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Refresh {
    /// Each refresh token works once (default); a lost response may lose the account.
    #[default]
    Rotating,
    /// The refresh token stays the same; a repeated request is harmless.
    Stable,
    /// Tokens are never refreshed.
    None,
}

/// Whether the first token response contains a refresh token.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RefreshToken {
    /// Optional.
    #[default]
    Optional,
    /// Required: without one, connecting fails.
    Required,
    /// Only at the user's first consent; without one, the account reports it.
    FirstConsent,
}

/// Source of an access token's expiry.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Expiry {
    /// The token response, else `expires_in`.
    #[default]
    Stated,
    /// `expires_in`, whatever the response says.
    Fixed,
    /// Tokens do not expire.
    Never,
    /// The token's own `exp` claim, else as `stated`.
    Jwt,
    /// The introspection endpoint, else as `stated`.
    Introspection,
}

fn space() -> String {
    " ".to_owned()
}

fn scope_parameter() -> String {
    "scope".to_owned()
}

pub(crate) fn bearer() -> Vec<Placement> {
    vec![Placement {
        header: Some("Authorization".to_owned()),
        value: "Bearer {access_token}".to_owned(),
        ..Placement::default()
    }]
}
