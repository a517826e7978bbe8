//! More tokens of one account beside the first: which of them a request gets, and how they are renewed.

use std::time::Instant;

use switchboard_auth::{TokenErrorKind, TokenSet, UnsentRequest};
use switchboard_catalog::{ExtraToken, Scheme, Toolkit};
use switchboard_egress::Destination;
use switchboard_vault::{Secret, Secrets};
use url::Url;

use super::{Failure, Provider, ROOM_FOR_ANOTHER};
use crate::app::model::params::AccountParams;
use crate::app::provider::Providers;
use crate::error::{Error, Result};
use crate::text::truncate;

/// What a caller names the first token.
const FIRST: &str = "access_token";
/// Seconds after which a further token is asked for again that could not be renewed.
const AGAIN: u64 = 600;

/// Name of a further token among an account's secrets.
pub fn extra_token_name(name: &str) -> String {
    format!("{name}_access_token")
}

/// Name of its refresh token there.
pub fn extra_refresh_name(name: &str) -> String {
    format!("{name}_refresh_token")
}

impl Providers {
    /// The credential with another of the account's tokens in the first place, where the request goes to a
    /// host or path that wants it.
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
            if self.is_meant(token, params, &draft.url)? && secrets.get(&extra_token_name(&token.name)).is_some() {
                return Ok(with_first(secrets, &token.name));
            }
        }
        Ok(None)
    }

    fn is_meant(&self, token: &ExtraToken, params: &AccountParams, url: &Url) -> Result<bool> {
        let hosts: Vec<String> = token.hosts.iter().map(|host| self.expand(host, params)).collect::<Result<_>>()?;
        let is_host = !hosts.is_empty() && Destination::new(hosts).is_ok_and(|hosts| hosts.admits(url));
        Ok(is_host || token.paths.iter().any(|prefix| url.path().starts_with(prefix.as_str())))
    }

    /// Renews the further tokens that have refresh tokens of their own. One that the provider no longer
    /// knows is given up; one that cannot be had now is asked for again soon, and the first goes on. None is
    /// asked for unless the lease lasts for the whole request: what a provider rotates may not be dropped.
    pub(in crate::app) async fn renew_further(
        &self,
        provider: &Provider<'_>,
        secrets: &Secrets,
        began: Instant,
        tokens: &mut TokenSet,
    ) {
        for token in &provider.oauth.tokens {
            let Some(refresh) = secrets.get(&extra_refresh_name(&token.name)) else { continue };
            let renewed = if began.elapsed() < ROOM_FOR_ANOTHER {
                self.refresh_with(provider, refresh, secrets).await
            } else {
                Err(Failure::Unsent(Error::internal("the lease does not last for a further token")))
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
                    tracing::warn!(token = %token.name, "a further token is dead");
                    tokens.extra.insert(token.name.clone(), Secret::from(""));
                    tokens.extra_refresh.insert(token.name.clone(), Secret::from(""));
                }
                Err(failure) => {
                    tracing::warn!(token = %token.name, reason = %failure.logged(), "a further token was not renewed");
                    tokens.expires_in = Some(tokens.expires_in.unwrap_or(AGAIN).min(AGAIN));
                }
            }
        }
    }
}

/// The credential with the token that a caller names in the first place, and no other beside it; none where
/// nothing is named.
///
/// # Errors
/// A token that the account does not have.
pub(in crate::app) fn chosen(
    toolkit: &Toolkit,
    scheme: Scheme,
    secrets: &Secrets,
    params: &AccountParams,
    wanted: Option<&str>,
) -> Result<Option<Secrets>> {
    let Some(wanted) = wanted else { return Ok(None) };
    let known = toolkit.oauth(scheme).map_or(&[][..], |oauth| oauth.tokens.as_slice());
    let is_first = wanted == FIRST || params.only_token.as_deref() == Some(wanted);
    if let Some(mut chosen) = if is_first { Some(secrets.clone()) } else { with_first(secrets, wanted) } {
        for token in known {
            chosen.remove(&extra_token_name(&token.name));
        }
        return Ok(Some(chosen));
    }
    let held =
        known.iter().filter(|token| secrets.get(&extra_token_name(&token.name)).is_some_and(|it| !it.is_empty()));
    let held: Vec<&str> = std::iter::once(FIRST).chain(held.map(|token| token.name.as_str())).collect();
    Err(Error::field(
        "token",
        format!("is not a token of this account: \"{}\"; it has {}", truncate(wanted), held.join(", ")),
    ))
}

/// The credential with a further token in the first place; none where the account does not have it.
fn with_first(secrets: &Secrets, name: &str) -> Option<Secrets> {
    let found = secrets.get(&extra_token_name(name)).filter(|token| !token.is_empty())?;
    let mut first = secrets.clone();
    first.insert("access_token", Secret::from(found));
    Some(first)
}
