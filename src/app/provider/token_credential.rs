//! A token response in the form that an account stores.

use std::time::Duration;

use switchboard_auth::TokenSet;
use switchboard_types::{AccountParams, Timestamp};
use switchboard_vault::Secrets;

use super::extra_tokens::{extra_refresh_name, extra_token_name};

/// A token response, separated into secrets and an expiry.
#[derive(Debug)]
pub struct TokenCredential {
    /// `access_token`, `refresh_token`, `id_token`, additional tokens.
    pub secrets: Secrets,
    /// When the access token expires.
    pub expires_at: Option<Timestamp>,
}

impl TokenCredential {
    /// Splits a token response that arrived at `now`. Its public values go into `params`.
    pub fn new(token: TokenSet, params: &mut AccountParams, now: Timestamp) -> Self {
        let after = |seconds: u64| now + Duration::from_secs(seconds);
        // The response may not repeat the expiry of a refresh token that stays the same.
        if token.refresh_token.is_some() || token.refresh_token_expires_in.is_some() {
            params.refresh_expires_at = token.refresh_token_expires_in.map(after);
        }
        let mut secrets = Secrets::from([("access_token", token.access_token)]);
        if let Some(refresh_token) = token.refresh_token {
            secrets.insert("refresh_token", refresh_token);
        }
        if let Some(id_token) = token.id_token {
            secrets.insert("id_token", id_token);
        }
        if let Some(key) = token.dpop_key {
            secrets.insert("dpop_key", key);
        }
        for (name, token) in token.extra {
            secrets.insert(&extra_token_name(&name), token);
        }
        for (name, token) in token.extra_refresh {
            secrets.insert(&extra_refresh_name(&name), token);
        }
        if token.alone.is_some() {
            params.only_token = token.alone;
        }
        params.token_type = Some(token.token_type);
        params.expires_in = token.expires_in;
        if token.scope.is_some() {
            params.granted_scopes = token.scope;
        }
        params.captured.extend(token.captured);
        let expires_at = token.expires_in.map(after);
        Self { secrets, expires_at }
    }
}
