//! Schemes whose credential is entered or fetched by the service itself, and how credentials are added to
//! requests.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Assertion, Call, Field, FieldText, Identity, Probe};

/// The place of a credential in an API request: exactly one of `header`, `query`, `cookie` and `body`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Placement {
    /// Name of a header.
    pub header: Option<String>,
    /// Name of a query parameter; only if the provider requires it, because URLs end up in logs.
    pub query: Option<String>,
    /// Name of a cookie.
    pub cookie: Option<String>,
    /// Name of a member of a JSON body, or of a form parameter.
    pub body: Option<String>,
    /// Template over the credential's values and connection fields.
    pub value: String,
}

/// A signature of each request. All texts are templates over the scheme's fields.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(tag = "method", rename_all = "snake_case", deny_unknown_fields)]
pub enum Sign {
    /// AWS Signature Version 4.
    AwsSigv4 {
        /// Access key id.
        access_key_id: String,
        /// Secret access key.
        secret_access_key: String,
        /// Token of temporary credentials; empty if there is none.
        #[serde(default)]
        session_token: String,
        /// `us-east-1`.
        region: String,
        /// `s3`.
        service: String,
    },
    /// WSSE `UsernameToken` with a password digest.
    Wsse {
        /// User name.
        username: String,
        /// The shared secret.
        secret: String,
    },
    /// HMAC-SHA256 of a text about the request, in hexadecimal.
    HmacSha256 {
        /// The shared secret.
        key: String,
        /// The signed text; also over `{method}`, `{path}`, `{query}`, `{body}` and `{timestamp}`.
        message: String,
        /// Header for the signature.
        header: String,
        /// The header's value, over `{signature}`, `{timestamp}` and the scheme's fields.
        value: String,
    },
}

/// A scheme whose credential is one or a few values that the user enters.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct KeyScheme {
    /// What the user enters; at least one with `secret = true`. Name it `generic_api_key` in `[api_key]` and
    /// `token` in `[bearer_token]`: clients of the API send it under these names.
    pub fields: Vec<Field>,
    /// Placement on requests.
    #[serde(default)]
    pub apply: Vec<Placement>,
    /// A signature, instead of or in addition to `apply`.
    pub sign: Option<Sign>,
    /// Base URL of relative endpoints with this scheme, if not the toolkit's `base_url`.
    pub base_url: Option<String>,
    /// A request that verifies the credential before it is stored.
    pub verify: Option<Probe>,
    /// Identity of accounts of this scheme, instead of the toolkit's `identity`.
    pub identity: Option<Identity>,
}

/// HTTP Basic authentication (RFC 7617) with fields `username` and `password`.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct BasicScheme {
    /// Label and help of the user name (default: "User name").
    pub username: Option<FieldText>,
    /// Label and help of the password (default: "Password").
    pub password: Option<FieldText>,
    /// The provider takes a key as the user name and no password: the password is not asked for.
    #[serde(default)]
    pub without_password: bool,
    /// Template of the sent user name, over `{username}`: `"{username}/token"`.
    pub username_template: Option<String>,
    /// Connection fields of this scheme only.
    #[serde(default)]
    pub fields: Vec<Field>,
    /// Base URL of relative endpoints with this scheme, if not the toolkit's `base_url`.
    pub base_url: Option<String>,
    /// A request that verifies the credential before it is stored.
    pub verify: Option<Probe>,
    /// Identity of accounts of this scheme, instead of the toolkit's `identity`.
    pub identity: Option<Identity>,
}

/// A provider without credentials.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NoAuth {}

/// A scheme in which the service repeatedly exchanges entered values for a token, without user interaction:
/// client credentials, a signed assertion, a login.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TokenScheme {
    /// What is entered; at least one with `secret = true`.
    pub fields: Vec<Field>,
    /// Requests in order; each may use the values of the previous responses. The access token of the last one
    /// is the credential. `client_authentication` uses the fields `client_id` and `client_secret`.
    #[serde(default)]
    pub steps: Vec<Call>,
    /// Instead of `steps`: the token is this assertion, signed by the service and renewed before it expires.
    pub assertion: Option<Assertion>,
    /// A request that verifies the token before it is stored; required with `assertion`.
    pub verify: Option<Probe>,
    /// Default lifetime of a token in seconds.
    pub expires_in: Option<u64>,
    /// Placement of the token. Default: header `Authorization: Bearer {access_token}`.
    #[serde(default = "super::oauth2::bearer")]
    pub apply: Vec<Placement>,
    /// A request that revokes the token when the account is deleted.
    pub revoke: Option<Call>,
    /// Base URL of relative endpoints with this scheme, if not the toolkit's `base_url`.
    pub base_url: Option<String>,
    /// Identity of accounts of this scheme, instead of the toolkit's `identity`.
    pub identity: Option<Identity>,
}
