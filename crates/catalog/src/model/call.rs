//! A request to a provider that no RFC defines: the file describes all of it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ClientAuthentication, TokenResponse};

/// A request for, about or with a token. All texts are templates over connection fields, fields of the
/// scheme, captured values, and `{client_id}`, `{client_secret}`, `{access_token}`, `{refresh_token}`,
/// `{redirect_uri}`, `{assertion}` if there are such values.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// `GET`, `POST` (default), `PUT` or `DELETE`.
    #[serde(default = "post")]
    pub method: String,
    /// The URL. `{client_id}` and, in a revocation, the token are encoded as a path segment; it must not
    /// contain any other secret.
    pub url: String,
    /// Headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Client authentication; if omitted, none.
    pub client_authentication: Option<ClientAuthentication>,
    /// Encoding of `parameters`.
    #[serde(default)]
    pub format: CallFormat,
    /// The parameters.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// The whole body, instead of `parameters`.
    pub body: Option<String>,
    /// Its media type; required with `body`.
    pub content_type: Option<String>,
    /// How values are escaped in `body`.
    #[serde(default)]
    pub escape: Escape,
    /// A signed assertion (RFC 7523) that templates use as `{assertion}`.
    pub assertion: Option<Assertion>,
    /// Locations of values in the response.
    #[serde(default)]
    pub response: TokenResponse,
}

/// Encoding of parameters.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CallFormat {
    /// `application/x-www-form-urlencoded`.
    #[default]
    Form,
    /// A JSON object of strings.
    Json,
    /// In the URL. Never for the client's secret (R22).
    Query,
}

/// Escaping of values in a body, so that none can break out of its position.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Escape {
    /// As the content of a JSON string.
    #[default]
    Json,
    /// As XML text or attribute value.
    Xml,
}

/// A signed JWT (RFC 7519) that authenticates a client or represents a user. `iat`, `exp` and `jti` are
/// added. `{key_fingerprint}` is the SHA-256 of the public key (`SubjectPublicKeyInfo`, RFC 5280) in base64.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Assertion {
    /// Signature algorithm.
    #[serde(default)]
    pub algorithm: SigningAlgorithm,
    /// The key: a PEM document, or the shared secret of `HS256`. A template.
    pub key: String,
    /// Header parameters besides `alg` and `typ`; values are templates, empty ones are omitted.
    #[serde(default)]
    pub header: BTreeMap<String, String>,
    /// A PEM certificate whose SHA-256 thumbprint becomes the header's `x5t#S256`. A template.
    pub certificate: Option<String>,
    /// Claims; values are templates, empty ones are omitted.
    #[serde(default)]
    pub claims: BTreeMap<String, String>,
    /// Lifetime in seconds (default 300).
    #[serde(default = "five_minutes")]
    pub lifetime: u64,
}

/// Signature algorithms of assertions (RFC 7518 section 3.1).
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum SigningAlgorithm {
    /// RSA PKCS #1 with SHA-256.
    #[default]
    RS256,
    /// RSA PSS with SHA-256.
    PS256,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// HMAC with SHA-256.
    HS256,
}

fn post() -> String {
    "POST".to_owned()
}

fn five_minutes() -> u64 {
    300
}
