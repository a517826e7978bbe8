//! Schemes whose credential is entered or fetched by the service itself, and how any credential is
//! put on requests.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Assertion, Call, Field, FieldText, Identity, Probe};

/// One place of an API request where a credential goes: exactly one of `header`, `query`, `cookie`
/// and `body`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Placement {
    /// Name of a header.
    pub header: Option<String>,
    /// Name of a query parameter; only where the provider demands it, because URLs end up in logs.
    pub query: Option<String>,
    /// Name of a cookie.
    pub cookie: Option<String>,
    /// Name of a member of a JSON body, or of a form's parameter.
    pub body: Option<String>,
    /// Template over the credential's values and connection fields.
    pub value: String,
}

/// A signature that each request gets. All texts are templates over the scheme's fields.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(tag = "method", rename_all = "snake_case", deny_unknown_fields)]
pub enum Sign {
    /// AWS Signature Version 4.
    AwsSigv4 {
        /// Access key id.
        access_key_id: String,
        /// Secret access key.
        secret_access_key: String,
        /// Token of temporary credentials; empty when there is none.
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
        /// What is signed; also over `{method}`, `{path}`, `{query}`, `{body}` and `{timestamp}`.
        message: String,
        /// Header that carries it.
        header: String,
        /// The header's value, over `{signature}`, `{timestamp}` and the scheme's fields.
        value: String,
    },
}

/// A scheme whose credential is one or a few values that the user enters.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct KeyScheme {
    /// What the user enters; at least one with `secret = true`. Name it `generic_api_key` in
    /// `[api_key]` and `token` in `[bearer_token]`: clients of the API send it under these names.
    pub fields: Vec<Field>,
    /// Where it goes on requests.
    #[serde(default)]
    pub apply: Vec<Placement>,
    /// A signature in the place of, or besides, `apply`.
    pub sign: Option<Sign>,
    /// Where relative endpoints go with this scheme, if not to the toolkit's `base_url`.
    pub base_url: Option<String>,
    /// A request that proves the credential before it is saved.
    pub verify: Option<Probe>,
    /// Who an account of this scheme is, in the place of the toolkit's `identity`.
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
    /// The provider takes a key as the user name, and no password: nobody is asked for one.
    #[serde(default)]
    pub without_password: bool,
    /// Template of the user name that is sent, over `{username}`: `"{username}/token"`.
    pub username_template: Option<String>,
    /// Connection fields of this scheme alone.
    #[serde(default)]
    pub fields: Vec<Field>,
    /// Where relative endpoints go with this scheme, if not to the toolkit's `base_url`.
    pub base_url: Option<String>,
    /// A request that proves the credential before it is saved.
    pub verify: Option<Probe>,
    /// Who an account of this scheme is, in the place of the toolkit's `identity`.
    pub identity: Option<Identity>,
}

/// A provider without credentials.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NoAuth {}

/// A scheme in which the service exchanges entered values for a token, again and again, without
/// anybody: client credentials, a signed assertion, a login.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TokenScheme {
    /// What is entered; at least one with `secret = true`.
    pub fields: Vec<Field>,
    /// Requests in their order; each may use what the ones before it answered. The last one's access
    /// token is the credential. `client_authentication` uses the fields `client_id` and
    /// `client_secret`.
    #[serde(default)]
    pub steps: Vec<Call>,
    /// In the place of `steps`: the token is this assertion, which is signed here, anew before it ends.
    pub assertion: Option<Assertion>,
    /// A request that proves the token before it is saved; needed with `assertion`.
    pub verify: Option<Probe>,
    /// Seconds a token lives whose answer does not say.
    pub expires_in: Option<u64>,
    /// How the token is sent. Default: header `Authorization: Bearer {access_token}`.
    #[serde(default = "super::oauth2::bearer")]
    pub apply: Vec<Placement>,
    /// The token is given back with this request when the account is deleted.
    pub revoke: Option<Call>,
    /// Where relative endpoints go with this scheme, if not to the toolkit's `base_url`.
    pub base_url: Option<String>,
    /// Who an account of this scheme is, in the place of the toolkit's `identity`.
    pub identity: Option<Identity>,
}
