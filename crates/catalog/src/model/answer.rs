//! Locations of values in token responses, and the meaning of error codes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::FieldFormat;

/// Locations of values in a token response. A location is a JSON pointer (RFC 6901) such as `/data/token`, or
/// `header:Name` or `cookie:Name`. The defaults are the names of RFC 6749.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TokenResponse {
    /// The access token (default `/access_token`).
    pub access_token: String,
    /// The refresh token (default `/refresh_token`).
    pub refresh_token: String,
    /// Lifetime of the access token (default `/expires_in`).
    pub expires_in: String,
    /// When the access token expires: a number since 1970 or RFC 3339 text.
    pub expires_at: Option<String>,
    /// Lifetime of the refresh token (default `/refresh_token_expires_in`).
    pub refresh_token_expires_in: String,
    /// Unit of all these times.
    pub time_unit: TimeUnit,
    /// Granted scopes, a string or a list (default `/scope`).
    pub scope: String,
    /// `Bearer`, in any case (default `/token_type`); other types are rejected.
    pub token_type: String,
    /// With `error_value`: a response with this value there is an error, whatever its status.
    pub error_pointer: Option<String>,
    /// The value at `error_pointer` that means failure.
    pub error_value: Option<serde_json::Value>,
    /// With `ok_value`: a response without this value there is an error, whatever its status.
    pub ok_pointer: Option<String>,
    /// The value at `ok_pointer` that means success.
    pub ok_value: Option<serde_json::Value>,
    /// Meaning of non-standard error codes.
    pub errors: TokenErrors,
    /// Non-secret values to store with the account; available to templates.
    pub capture: Vec<Capture>,
}

impl Default for TokenResponse {
    fn default() -> Self {
        Self {
            access_token: "/access_token".to_owned(),
            refresh_token: "/refresh_token".to_owned(),
            expires_in: "/expires_in".to_owned(),
            expires_at: None,
            refresh_token_expires_in: "/refresh_token_expires_in".to_owned(),
            time_unit: TimeUnit::default(),
            scope: "/scope".to_owned(),
            token_type: "/token_type".to_owned(),
            error_pointer: None,
            error_value: None,
            ok_pointer: None,
            ok_value: None,
            errors: TokenErrors::default(),
            capture: Vec::new(),
        }
    }
}

/// Unit of a provider's times.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeUnit {
    /// Seconds.
    #[default]
    Seconds,
    /// Milliseconds.
    Milliseconds,
}

/// Meaning of the provider's own error codes, in addition to those of RFC 6749 section 5.2.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TokenErrors {
    /// Pointer to the error code, if not in the usual place.
    pub code: Option<String>,
    /// Pointer to the description.
    pub description: Option<String>,
    /// Codes equivalent to `invalid_grant`: the credential is permanently invalid. `status:400` matches a
    /// response with that status and no code.
    pub invalid_grant: Vec<String>,
    /// Codes equivalent to `invalid_client`: the auth config is wrong, the account is not.
    pub invalid_client: Vec<String>,
    /// Codes of transient failures.
    pub transient: Vec<String>,
}

/// A non-secret value that is stored with the account.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Capture {
    /// Name in templates and in the account: `[a-z][a-z0-9_]*`.
    pub name: String,
    /// Its location in the response, or the name of a parameter in `[oauth2.callback]`.
    pub at: String,
    /// Format of the value; only a format other than `text` may be part of a URL.
    #[serde(default)]
    pub format: FieldFormat,
    /// The only accepted values; `*.example.com` matches any host below that domain.
    #[serde(default)]
    pub allowed: Vec<String>,
    /// Whether connecting fails without it.
    #[serde(default)]
    pub required: bool,
}
