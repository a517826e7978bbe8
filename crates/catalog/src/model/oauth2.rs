//! OAuth 2.0 as providers practise it: the RFCs' way by default, and every deviation a key.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Call, Capture, ExtraToken, Field, Identity, Placement, Reach, SigningAlgorithm, TokenName, TokenResponse};

/// OAuth 2.0 authorization code grant (RFC 6749 section 4.1) with its provider's deviations. The
/// defaults are what the RFCs say, so most providers need three or four of these keys.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct OAuth2 {
    /// Where to read the provider's metadata (RFC 8414, OpenID Connect Discovery). Endpoints, issuer
    /// and client authentication that the file leaves out come from there. A template.
    pub discovery_url: Option<String>,
    /// Protected resource of an MCP server: its metadata (RFC 9728) names the authorization server,
    /// and requests carry it as `resource` (RFC 8707). A template.
    pub resource: Option<String>,
    /// Authorization endpoint; a template. Required unless it is discovered.
    #[serde(default)]
    pub authorization_url: String,
    /// Token endpoint; a template. Required unless it is discovered.
    #[serde(default)]
    pub token_url: String,
    /// Where refresh requests go, if not to `token_url`.
    pub refresh_url: Option<String>,
    /// Revocation endpoint (RFC 7009), called when an account is deleted. Its requests are encoded
    /// and authenticated like token requests.
    pub revocation_url: Option<String>,
    /// Revocation that is not RFC 7009's. `{token}` is the token, `{access_token}` and
    /// `{refresh_token}` are both of the account.
    pub revoke: Option<Call>,
    /// What a revocation ends. Where that is more than a token, the last account that uses the same
    /// revokes it, and the others are left alone.
    #[serde(default)]
    pub revocation_reach: Reach,
    /// Tokens that a revocation is made for, in this order (default: the refresh token, then the access
    /// token). Where it ends more than a token, it is made for the first that the account has.
    #[serde(default)]
    pub revocation_tokens: Vec<TokenName>,
    /// Introspection endpoint (RFC 7662).
    pub introspection_url: Option<String>,
    /// Device authorization endpoint (RFC 8628): the user enters a code at the provider, from which no
    /// browser comes back. It takes the place of `authorization_url`.
    pub device_authorization_url: Option<String>,
    /// Pushed authorization request endpoint (RFC 9126); authorization requests are then pushed.
    pub pushed_authorization_request_url: Option<String>,
    /// How the client authenticates at the revocation endpoint, if not as at the token endpoint. Left
    /// out, the provider's metadata decides where it lists methods of that endpoint.
    pub revocation_client_authentication: Option<ClientAuthentication>,
    /// Client registration endpoint (RFC 7591); only in `[dcr_oauth]`.
    pub registration_url: Option<String>,
    /// Metadata of the client to register, besides what the service knows.
    #[serde(default)]
    pub registration_parameters: BTreeMap<String, String>,
    /// What `iss` in the callback must equal when the provider sends it (RFC 9207).
    pub issuer: Option<String>,
    /// The provider always sends `iss`: a callback without it is then refused.
    #[serde(default)]
    pub iss_required: bool,
    /// Proof Key for Code Exchange (RFC 7636).
    #[serde(default)]
    pub pkce: Pkce,
    /// How the client authenticates at the token endpoint (RFC 6749 section 2.3.1).
    #[serde(default)]
    pub client_authentication: ClientAuthentication,
    /// What `private_key_jwt` and `client_secret_jwt` sign.
    #[serde(default)]
    pub client_assertion: ClientAssertion,
    /// Tokens are bound to a key of the account, and each request proves that it is held (RFC 9449); the
    /// provider must answer with tokens of type `DPoP`.
    #[serde(default)]
    pub dpop: bool,
    /// Encoding of token requests.
    #[serde(default)]
    pub token_request_format: TokenRequestFormat,
    /// More headers of token requests: `{ Accept = "application/json" }`.
    #[serde(default)]
    pub token_headers: BTreeMap<String, String>,
    /// Scopes asked for when neither the auth config nor the link names any.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Scopes asked for in any case.
    #[serde(default)]
    pub always_scopes: Vec<String>,
    /// Scopes worth asking for that a user or an installation may lack; sent in
    /// `optional_scope_parameter`.
    #[serde(default)]
    pub optional_scopes: Vec<String>,
    /// All scopes worth offering to a developer.
    #[serde(default)]
    pub available_scopes: Vec<String>,
    /// Between scopes: `" "` (default), `","` or `"+"`.
    #[serde(default = "space")]
    pub scope_separator: String,
    /// Name of the scope parameter, if not `scope`.
    #[serde(default = "scope_parameter")]
    pub scope_parameter: String,
    /// Parameter of user-level scopes, where a provider has two kinds of token.
    pub user_scope_parameter: Option<String>,
    /// Parameter of optional scopes.
    pub optional_scope_parameter: Option<String>,
    /// More parameters of the authorization request: `{ prompt = "consent" }`. `{nonce}` is a fresh value
    /// (OpenID Connect Core section 3.1.2.1), which an ID token of the code must repeat.
    #[serde(default)]
    pub authorization_parameters: BTreeMap<String, String>,
    /// Parameters of the authorization request that the provider does not take.
    #[serde(default)]
    pub authorization_omit: Vec<String>,
    /// More parameters of the code exchange, and of refreshes unless `refresh_parameters` is given.
    /// `{state}` is the authorization request's.
    #[serde(default)]
    pub token_parameters: BTreeMap<String, String>,
    /// More parameters of refreshes. `{redirect_uri}` is the code exchange's.
    pub refresh_parameters: Option<BTreeMap<String, String>>,
    /// Parameters of token requests that the provider does not take.
    #[serde(default)]
    pub token_omit: Vec<String>,
    /// The provider's names for standard parameters: `{ client_id = "client_key" }`.
    #[serde(default)]
    pub parameter_names: BTreeMap<String, String>,
    /// How a space is written in the authorization URL.
    #[serde(default)]
    pub query_encoding: QueryEncoding,
    /// What the provider's callback deviates in.
    #[serde(default)]
    pub callback: Callback,
    /// Connection fields of this scheme alone.
    #[serde(default)]
    pub fields: Vec<Field>,
    /// Where relative endpoints go with this scheme, if not to the toolkit's `base_url`.
    pub base_url: Option<String>,
    /// Who an account of this scheme is, in the place of the toolkit's `identity`.
    pub identity: Option<Identity>,
    /// Requests made after the code exchange, each with what came before it: a token that lives
    /// longer, a token of another kind.
    #[serde(default)]
    pub steps: Vec<Call>,
    /// What a refresh does to the refresh token.
    #[serde(default)]
    pub refresh: Refresh,
    /// A refresh that is not RFC 6749's; with `{access_token}` instead of `{refresh_token}`, the
    /// living token buys the next.
    pub refresh_call: Option<Call>,
    /// Seconds for which a refresh token still works after it was used.
    #[serde(default)]
    pub refresh_grace: u64,
    /// Whether an answer to a code must hold a refresh token.
    #[serde(default)]
    pub refresh_token: RefreshToken,
    /// Seconds after which the user must connect again, however often the token was refreshed.
    pub refresh_token_lifetime: Option<u64>,
    /// Seconds without a refresh after which the refresh token ends.
    pub refresh_token_idle: Option<u64>,
    /// Most connections of one user with one client that live at once: one more, and the provider ends the
    /// oldest without a word.
    pub token_limit: Option<u32>,
    /// Where the end of an access token is known from.
    #[serde(default)]
    pub expiry: Expiry,
    /// Seconds an access token lives when nothing else says so.
    pub expires_in: Option<u64>,
    /// Longest life that is believed, in seconds.
    pub max_expires_in: Option<u64>,
    /// Seconds before its end at which a token is refreshed, at most (default 300).
    pub refresh_margin: Option<u64>,
    /// Where values stand in the token answer.
    #[serde(default)]
    pub response: TokenResponse,
    /// More tokens of the same account: another person's beside an app's, one for another API.
    #[serde(default)]
    pub tokens: Vec<ExtraToken>,
    /// How the token is sent. Default: header `Authorization: Bearer {access_token}`.
    #[serde(default = "bearer")]
    pub apply: Vec<Placement>,
}

/// Use of PKCE.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Pkce {
    /// Always with the S256 method (default, R19).
    #[default]
    S256,
    /// The provider refuses a challenge.
    #[serde(rename = "off")]
    Off,
}

/// Client authentication methods, by their registered names where they have one.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuthentication {
    /// In the body (default, what most providers document).
    #[default]
    ClientSecretPost,
    /// HTTP Basic, both halves form-encoded first (RFC 6749 section 2.3.1).
    ClientSecretBasic,
    /// HTTP Basic with both halves as they are, for providers that do not decode them.
    ClientSecretBasicUnencoded,
    /// HTTP Basic with the secret as the user name and no password.
    ClientSecretAsUsername,
    /// An assertion signed with the client's private key (RFC 7523, OpenID Connect Core section 9).
    PrivateKeyJwt,
    /// An assertion signed with the client's secret.
    ClientSecretJwt,
    /// A public client: identifier only, no secret.
    None,
}

impl ClientAuthentication {
    /// The method that a registration (RFC 7591 section 2) or an auth config names.
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
        .find(|method| method.written() == name)
    }

    /// As toolkit files and auth configs write it.
    pub fn written(self) -> &'static str {
        match self {
            Self::ClientSecretBasicUnencoded => "client_secret_basic_unencoded",
            Self::ClientSecretAsUsername => "client_secret_as_username",
            method => method.name(),
        }
    }

    /// Its registered name; the nearest one for what has none.
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

/// What a client's assertion says (RFC 7523 section 3). Issuer and subject are the client.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClientAssertion {
    /// Signature algorithm; `client_secret_jwt` takes `HS256` only.
    pub algorithm: SigningAlgorithm,
    /// Its audience (default: the issuer, where one is known, else the token endpoint). A template.
    pub audience: Option<String>,
    /// Its issuer, where that is not the client identifier. A template.
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

/// How a space is written in a query.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum QueryEncoding {
    /// `+` (RFC 6749 appendix B).
    #[default]
    Plus,
    /// `%20`.
    Percent,
}

/// The provider's way back through the browser.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Callback {
    /// Name of the code's parameter, if not `code`.
    pub code: Option<String>,
    /// Name of a parameter that signs all others with the client's secret: HMAC-SHA256, in
    /// hexadecimal, of the sorted parameters. A callback without it is refused.
    pub hmac: Option<String>,
    /// Values to keep with the account. Whoever completes the flow can choose them, so one that
    /// decides a host needs `allowed`.
    pub capture: Vec<Capture>,
    /// Values of `error` by which the provider says that nobody gave access, besides the standards' own:
    /// `access_denied`, `consent_required`, `interaction_required` and `login_required`.
    pub denied: Vec<String>,
}

/// What a refresh does to the refresh token.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Refresh {
    /// Each refresh token works once (default); losing an answer may lose the account.
    #[default]
    Rotating,
    /// The refresh token stays the same; a repeated request is harmless.
    Stable,
    /// Tokens are never refreshed.
    None,
}

/// Whether the first token answer holds a refresh token.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RefreshToken {
    /// It may.
    #[default]
    Optional,
    /// It must: without one, connecting fails.
    Required,
    /// Only when the user consents for the first time; without one, the account says so.
    FirstConsent,
}

/// Where the end of an access token is known from.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Expiry {
    /// The token answer, else `expires_in`.
    #[default]
    Stated,
    /// `expires_in`, whatever the answer says.
    Fixed,
    /// Tokens do not end.
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
