//! Where values stand in a provider's answer to a token request, and what its errors mean.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::FieldFormat;

/// Where values stand in a token answer. A place is a JSON pointer (RFC 6901), `/data/token`, or
/// `header:Name` or `cookie:Name`. The defaults are RFC 6749's names.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TokenResponse {
    /// The access token (default `/access_token`).
    pub access_token: String,
    /// The refresh token (default `/refresh_token`).
    pub refresh_token: String,
    /// How long the access token lives (default `/expires_in`).
    pub expires_in: String,
    /// When the access token ends: a number since 1970 or RFC 3339 text.
    pub expires_at: Option<String>,
    /// How long the refresh token lives (default `/refresh_token_expires_in`).
    pub refresh_token_expires_in: String,
    /// Unit of all of them.
    pub time_unit: TimeUnit,
    /// Granted scopes, a string or a list (default `/scope`).
    pub scope: String,
    /// `Bearer`, in any case (default `/token_type`); another type is refused.
    pub token_type: String,
    /// With `error_value`: an answer that has this value there is an error, whatever its status.
    pub error_pointer: Option<String>,
    /// The value at `error_pointer` that means failure.
    pub error_value: Option<serde_json::Value>,
    /// With `ok_value`: an answer without this value there is an error, whatever its status.
    pub ok_pointer: Option<String>,
    /// The value at `ok_pointer` that means success.
    pub ok_value: Option<serde_json::Value>,
    /// What error codes mean that are not the standard's.
    pub errors: TokenErrors,
    /// Non-secret values to keep with the account; templates may use them.
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

/// What a provider's own error codes mean, besides those of RFC 6749 section 5.2.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TokenErrors {
    /// Pointer to the error code, when it is not where it usually is.
    pub code: Option<String>,
    /// Pointer to the explanation.
    pub description: Option<String>,
    /// Codes that mean what `invalid_grant` does: the credential is dead for good. `status:400` stands
    /// for an answer of that status that has no code.
    pub invalid_grant: Vec<String>,
    /// Codes that mean what `invalid_client` does: the auth config is wrong, the account is not.
    pub invalid_client: Vec<String>,
    /// Codes that pass by themselves.
    pub transient: Vec<String>,
}

/// A non-secret value that is kept with the account.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Capture {
    /// Name in templates and in the account: `[a-z][a-z0-9_]*`.
    pub name: String,
    /// Where it stands: a place in an answer, or the name of a parameter in `[oauth2.callback]`.
    pub at: String,
    /// What it must look like; only a format other than `text` may be part of a URL.
    #[serde(default)]
    pub format: FieldFormat,
    /// The only values that are taken; `*.example.com` stands for any host below that domain.
    #[serde(default)]
    pub allowed: Vec<String>,
    /// Without it, connecting fails.
    #[serde(default)]
    pub required: bool,
}
