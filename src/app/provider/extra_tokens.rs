//! Additional tokens of an account besides the first one: which of them a request uses, and how they are
//! refreshed.

use std::time::Instant;

use switchboard_auth::{TokenErrorKind, TokenSet, UnsentRequest};
use switchboard_catalog::{ExtraToken, Scheme, Toolkit};
use switchboard_egress::Destination;
use switchboard_vault::{Secret, Secrets};
use url::Url;

use super::{EXTRA_TOKEN_DEADLINE, Failure, Provider};
use crate::app::provider::Providers;
use crate::error::{Error, Result};
use crate::text::truncate;
use switchboard_types::AccountParams;

/// The name of the primary token in requests.
const PRIMARY: &str = "access_token";
/// Seconds until an additional token that could not be refreshed is tried again.
const RETRY_AFTER_SECONDS: u64 = 600;

/// Name of an additional token among an account's secrets.
pub fn extra_token_name(name: &str) -> String {
    format!("{name}_access_token")
}

/// Name of its refresh token among an account's secrets.
pub fn extra_refresh_name(name: &str) -> String {
    format!("{name}_refresh_token")
}

impl Providers {
    /// The credential with an additional token in place of the primary one, if the request's host or path
    /// requires it.
    pub(in crate::app) fn token_for(
        &self,
        toolkit: &Toolkit,
        scheme: Scheme,
        secrets: &Secrets,
        params: &AccountParams,
        draft: &UnsentRequest,
    ) -> Result<Option<Secrets>> {
        let Some(oauth) = toolkit.oauth(scheme) else { return Ok(None) };
        for token in oauth.tokens.iter().filter(|token| !token.hosts.is_empty() || !token.paths.is_empty()) {
            if self.applies_to(token, params, &draft.url)? && secrets.get(&extra_token_name(&token.name)).is_some() {
                return Ok(with_primary(secrets, &token.name));
            }
        }
        Ok(None)
    }

    fn applies_to(&self, token: &ExtraToken, params: &AccountParams, url: &Url) -> Result<bool> {
        let hosts: Vec<String> = token.hosts.iter().map(|host| self.expand(host, params)).collect::<Result<_>>()?;
        let is_host = !hosts.is_empty() && Destination::new(hosts).is_ok_and(|hosts| hosts.admits(url));
        Ok(is_host || token.paths.iter().any(|prefix| url.path().starts_with(prefix.as_str())))
    }

    /// Refreshes the additional tokens that have their own refresh token. One that the provider no longer
    /// accepts is dropped. One that cannot be refreshed now is retried soon, and the primary token stays in
    /// use. No request is sent unless the lease covers it, because a rotated token must not be lost.
    pub(in crate::app) async fn refresh_extra_tokens(
        &self,
        provider: &Provider<'_>,
        secrets: &Secrets,
        started_at: Instant,
        tokens: &mut TokenSet,
    ) {
        for token in &provider.oauth.tokens {
            let Some(refresh) = secrets.get(&extra_refresh_name(&token.name)) else { continue };
            let renewed = if started_at.elapsed() < EXTRA_TOKEN_DEADLINE {
                self.refresh_with(provider, refresh, secrets).await
            } else {
                Err(Failure::Unsent(Error::internal("the lease does not cover an additional token")))
            };
            match renewed {
                Ok(renewed) => {
                    tokens.expires_in = tokens.expires_in.into_iter().chain(renewed.expires_in).min();
                    tokens.extra.insert(token.name.clone(), renewed.access_token);
                    if let Some(next) = renewed.refresh_token {
                        tokens.extra_refresh.insert(token.name.clone(), next);
                    }
                }
                Err(Failure::Refused { error, .. }) if error.kind == TokenErrorKind::InvalidGrant => {
                    tracing::warn!(token = %token.name, "an additional token has expired");
                    tokens.extra.insert(token.name.clone(), Secret::from(""));
                    tokens.extra_refresh.insert(token.name.clone(), Secret::from(""));
                }
                Err(failure) => {
                    tracing::warn!(token = %token.name, reason = %failure.log_text(), "an additional token could not be refreshed");
                    tokens.expires_in = Some(tokens.expires_in.unwrap_or(RETRY_AFTER_SECONDS).min(RETRY_AFTER_SECONDS));
                }
            }
        }
    }
}

/// The credential with the token that the caller names in place of the primary one, and no other token; none if
/// the caller names none.
///
/// # Errors
/// The account does not have this token.
pub(in crate::app) fn select_token(
    toolkit: &Toolkit,
    scheme: Scheme,
    secrets: &Secrets,
    params: &AccountParams,
    requested: Option<&str>,
) -> Result<Option<Secrets>> {
    let Some(requested) = requested else { return Ok(None) };
    let known = toolkit.oauth(scheme).map_or(&[][..], |oauth| oauth.tokens.as_slice());
    let is_first = requested == PRIMARY || params.only_token.as_deref() == Some(requested);
    if let Some(mut select_token) = if is_first { Some(secrets.clone()) } else { with_primary(secrets, requested) } {
        for token in known {
            select_token.remove(&extra_token_name(&token.name));
        }
        return Ok(Some(select_token));
    }
    let available =
        known.iter().filter(|token| secrets.get(&extra_token_name(&token.name)).is_some_and(|token| !token.is_empty()));
    let available: Vec<&str> = std::iter::once(PRIMARY).chain(available.map(|token| token.name.as_str())).collect();
    Err(Error::field(
        "token",
        format!("is not a token of this account: \"{}\"; it has {}", truncate(requested), available.join(", ")),
    ))
}

/// The credential with an additional token in place of the primary one; none if the account does not have it.
fn with_primary(secrets: &Secrets, name: &str) -> Option<Secrets> {
    let found = secrets.get(&extra_token_name(name)).filter(|token| !token.is_empty())?;
    let mut primary = secrets.clone();
    primary.insert("access_token", Secret::from(found));
    Some(primary)
}
