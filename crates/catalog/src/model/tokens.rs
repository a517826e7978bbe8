//! More tokens of one account than the first, and what a revocation of one ends.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One more token of an account, kept beside the first as `{name}_access_token`.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ExtraToken {
    /// Name of the token: `[a-z][a-z0-9_]*`.
    pub name: String,
    /// Where it stands in the answer that holds the first token.
    pub access_token: String,
    /// Where its own refresh token stands, which is then used whenever the first token is renewed.
    pub refresh_token: Option<String>,
    /// Where it stands how long it lives; the account's token ends with the first that does.
    pub expires_in: Option<String>,
    /// Requests to these hosts, which are among the toolkit's, get it in the place of the first.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Requests whose path begins with one of these get it in the place of the first: `/api/search.`.
    #[serde(default)]
    pub paths: Vec<String>,
    /// It may be the only one: an answer without the first token is then about this one, and where only
    /// user-level scopes are set, no others are asked for.
    #[serde(default)]
    pub alone: bool,
    /// What its revocation ends.
    #[serde(default)]
    pub revocation_reach: Reach,
    /// Name of the captured value that says whose it is; needed with a reach of `grant`.
    pub owner: Option<String>,
}

/// What a revocation ends besides the token that it names.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// Nothing, or what was made of that token (default).
    #[default]
    Token,
    /// Everything that this person has granted this client, in whatever toolkit.
    Grant,
    /// The client's installation in the account's workspace, site or store, for everybody in it.
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
