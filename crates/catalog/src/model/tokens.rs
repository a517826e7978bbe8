//! Further tokens of an account, and what a revocation ends.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A further token of an account, stored as `{name}_access_token`.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ExtraToken {
    /// Name of the token: `[a-z][a-z0-9_]*`.
    pub name: String,
    /// Its location in the response that contains the first token.
    pub access_token: String,
    /// Location of its own refresh token, which is used whenever the first token is refreshed.
    pub refresh_token: Option<String>,
    /// Location of its lifetime; the account's token expires with the first to expire.
    pub expires_in: Option<String>,
    /// Requests to these hosts of the toolkit use it instead of the first token.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Requests whose path begins with one of these use it instead of the first token: `/api/search.`.
    #[serde(default)]
    pub paths: Vec<String>,
    /// Whether it may be the only token: a response without the first token then describes this one, and if
    /// only user-level scopes are set, no others are requested.
    #[serde(default)]
    pub alone: bool,
    /// What its revocation ends.
    #[serde(default)]
    pub revocation_reach: Reach,
    /// Name of the captured value that identifies its owner; required with a reach of `grant`.
    pub owner: Option<String>,
}

/// What a revocation ends besides the token itself.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// Nothing, or tokens derived from it (default).
    #[default]
    Token,
    /// Everything that this user has granted to this client, in any toolkit.
    Grant,
    /// The client's installation in the account's workspace, site or store, for all its users.
    Installation,
}

/// A token of an account.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenName {
    /// The access token.
    AccessToken,
    /// The refresh token.
    RefreshToken,
}
