//! Client authentication methods (RFC 6749 section 2.3.1), and the alternative method if the first one is
//! refused.
//!
//! In order of precedence, the method is determined by: the registration response or the auth config; the
//! method that was found to work; the toolkit file; the provider's metadata. If the first does not apply and
//! the provider answers `invalid_client`, the secret is sent once with the alternative method: in the body
//! instead of the header, or the other way round. The method that works is remembered; if it is found at the
//! token endpoint, it is stored with the auth config.
//!
//! A rotating refresh token may be sent again for this purpose. `invalid_client` with status 400 or 401 means
//! that client authentication failed (RFC 6749 section 5.2). A server checks that before the grant (sections
//! 3.2.1 and 6), so the token is not used up and the second request is no reuse. Any other error or status
//! proves nothing, and the request is not repeated. A code is never sent twice. Instead, the next attempt,
//! which has a new code, starts with the alternative method.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;
use switchboard_auth::{TokenError, TokenErrorKind};
use switchboard_catalog::{Call, ClientAuthentication, OAuth2, Scheme};
use switchboard_store::auth_configs::{self, AuthConfigRow};
use switchboard_store::{Unit, WriteError};
use switchboard_types::{AuditAction, AuditOutcome, Timestamp};

use super::{Failure, Provider};
use crate::app::Actor;
use crate::app::credential::client::Client;
use crate::app::model::auth_config_settings::{AuthConfigSettings, LearnedMethod};
use crate::app::provider::Providers;
use crate::error::{Error, Result};

/// Maximum number of clients remembered. Beyond it the cache is cleared, which costs each client one refused
/// request.
const CAPACITY: usize = 4_096;
/// After both methods were refused, the alternative is not tried for this long, in milliseconds. Providers lock
/// out clients that fail too often.
const REFUSAL_COOLDOWN: Duration = Duration::from_mins(10);
/// After a slower refusal, another request and introspection would not fit into the lease of a refresh.
const MAX_FIRST_ATTEMPT: Duration = Duration::from_secs(2);

/// Endpoints that may require different methods.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::app) enum Endpoint {
    /// The token endpoint, and those that share its authentication: device authorization and pushed
    /// authorization requests.
    Token,
    /// The introspection endpoint.
    Introspection,
    /// The revocation endpoint.
    Revocation,
}

/// What is known about a client at an endpoint.
#[derive(Clone, Copy, Debug)]
enum MethodState {
    Works(ClientAuthentication),
    AllRefused(Timestamp),
}

/// The methods that this process has found out.
#[derive(Debug, Default)]
pub struct Methods(Mutex<HashMap<String, MethodState>>);

impl Methods {
    fn get(&self, key: &str) -> Option<MethodState> {
        self.entries().get(key).copied()
    }

    fn put(&self, key: String, known: MethodState) {
        let mut entries = self.entries();
        if entries.len() >= CAPACITY {
            entries.clear();
        }
        entries.insert(key, known);
    }

    /// Forgets refusals, because the client's secret may have changed.
    pub fn forget_refusals(&self) {
        self.entries().retain(|_, known| matches!(known, MethodState::Works(_)));
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, MethodState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The cache key of a client at an endpoint.
fn key(endpoint: Endpoint, url: &str, client_id: &str) -> String {
    format!("{endpoint:?} {url} {client_id}")
}

/// The alternative method for a client's secret; none if there is only one.
fn alternative_method(method: ClientAuthentication) -> Option<ClientAuthentication> {
    use ClientAuthentication::{ClientSecretBasic, ClientSecretBasicUnencoded, ClientSecretPost};
    match method {
        ClientSecretPost => Some(ClientSecretBasic),
        ClientSecretBasic | ClientSecretBasicUnencoded => Some(ClientSecretPost),
        _ => None,
    }
}

/// Whether a refusal proves that client authentication failed, so that the grant was not used up.
pub(in crate::app) fn is_unauthenticated(error: &TokenError, status: u16) -> bool {
    error.code.as_deref() == Some("invalid_client") && matches!(status, 400 | 401)
}

fn is_refusal_of_client(failure: &Failure) -> bool {
    matches!(failure, Failure::Refused { error, status, .. } if is_unauthenticated(error, status.as_u16()))
}

/// Whether the client was refused. None if the result does not tell.
pub(super) fn was_refused<T>(result: &std::result::Result<T, Failure>) -> Option<bool> {
    match result {
        Ok(_) => Some(false),
        Err(Failure::Refused { error, status, .. }) if error.kind != TokenErrorKind::Transient => {
            Some(is_unauthenticated(error, status.as_u16()))
        }
        Err(_) => None,
    }
}

/// Selects the client authentication method: from the registration or auth config, else the learned one, else
/// from the toolkit file or the provider's metadata. This is decided before a code is used.
pub(in crate::app) fn select_method(
    oauth: &mut Cow<'_, OAuth2>,
    scheme: Scheme,
    client: &Client,
    learned: Option<ClientAuthentication>,
) {
    let is_public = scheme == Scheme::CimdOAuth || (scheme == Scheme::DcrOAuth && client.client_secret.is_none());
    // Only the alternative method may be learned. A toolkit file that requires no secret, or a signature, is
    // respected.
    let learned = learned.filter(|method| alternative_method(oauth.client_authentication) == Some(*method));
    let method = if is_public { Some(ClientAuthentication::None) } else { client.method.or(learned) };
    if let Some(method) = method.filter(|method| *method != oauth.client_authentication) {
        oauth.to_mut().client_authentication = method;
    }
}

/// The method that an auth config has learned for a client.
pub(in crate::app) fn learned(config: &AuthConfigRow, client_id: &str) -> Result<Option<LearnedMethod>> {
    let settings = AuthConfigSettings::parse(&config.settings)?;
    Ok(settings.learned_method.filter(|learned| learned.client_id == client_id))
}

/// The OAuth section with this client authentication method.
pub(in crate::app) fn with_method(oauth: &OAuth2, method: ClientAuthentication) -> OAuth2 {
    OAuth2 { client_authentication: method, ..oauth.clone() }
}

impl Provider<'_> {
    /// Whether the alternative method may be tried.
    fn may_try_alternative(&self, endpoint: Endpoint) -> bool {
        // A method registered for the token endpoint does not apply to other endpoints.
        self.client.client_secret.is_some() && (endpoint != Endpoint::Token || self.client.method.is_none())
    }

    fn key(&self, endpoint: Endpoint) -> String {
        key(endpoint, &self.oauth.token_url, &self.client.client_id)
    }
}

impl Providers {
    /// The OAuth section for a request to an endpoint, with the method that was found to work there.
    pub(in crate::app) fn with_known_method<'p>(
        &self,
        provider: &'p Provider<'_>,
        endpoint: Endpoint,
    ) -> Cow<'p, OAuth2> {
        let known = Cow::Borrowed(provider.oauth.as_ref());
        if !provider.may_try_alternative(endpoint) {
            return known;
        }
        let at = |endpoint: Endpoint| match self.methods.get(&provider.key(endpoint)) {
            Some(MethodState::Works(method)) if provider.may_try_alternative(endpoint) => Some(method),
            _ => None,
        };
        // The metadata may define another method for the revocation endpoint.
        let found = at(endpoint).or_else(|| at(Endpoint::Token).filter(|_| endpoint == Endpoint::Introspection));
        match found.filter(|method| alternative_method(known.client_authentication) == Some(*method)) {
            Some(method) => Cow::Owned(with_method(&known, method)),
            None => known,
        }
    }

    /// The OAuth section with the alternative method, if the error response to `used` allows another try.
    pub(in crate::app) fn alternative_method(
        &self,
        provider: &Provider<'_>,
        endpoint: Endpoint,
        used: &OAuth2,
        (error, status): (&TokenError, u16),
        started_at: Instant,
    ) -> Option<OAuth2> {
        let method = alternative_method(used.client_authentication)?;
        let is_allowed = is_unauthenticated(error, status) && provider.may_try_alternative(endpoint);
        (is_allowed && self.may_retry(&provider.key(endpoint), started_at)).then(|| with_method(used, method))
    }

    /// The same after a token request.
    pub(super) fn alternative_method_after<T>(
        &self,
        provider: &Provider<'_>,
        used: &OAuth2,
        result: &std::result::Result<T, Failure>,
        started_at: Instant,
    ) -> Option<OAuth2> {
        let Err(Failure::Refused { error, status, .. }) = result else { return None };
        self.alternative_method(provider, Endpoint::Token, used, (error, status.as_u16()), started_at)
    }

    /// Records the result of a request with the alternative method.
    pub(in crate::app) fn record_method(
        &self,
        provider: &Provider<'_>,
        endpoint: Endpoint,
        used: &OAuth2,
        was_refused: bool,
    ) {
        self.remember_method(provider.key(endpoint), used.client_authentication, was_refused);
    }

    /// The same after a token request.
    pub(super) fn record_method_after<T>(
        &self,
        provider: &Provider<'_>,
        used: &OAuth2,
        result: &std::result::Result<T, Failure>,
    ) {
        if let Some(was_refused) = was_refused(result) {
            self.record_method(provider, Endpoint::Token, used, was_refused);
        }
    }

    /// A call of a chain, with the method that was found to work.
    pub(super) fn call_with_known_method<'c>(&self, call: &'c Call, client_id: &str) -> Cow<'c, Call> {
        match (call.client_authentication, self.methods.get(&key(Endpoint::Token, &call.url, client_id))) {
            (Some(known), Some(MethodState::Works(found))) if alternative_method(known) == Some(found) => {
                Cow::Owned(Call { client_authentication: Some(found), ..call.clone() })
            }
            _ => Cow::Borrowed(call),
        }
    }

    /// Records the result of a call with the alternative method. A second refusal is not remembered: the user
    /// enters another secret, or the account ends.
    pub(super) fn record_call_method<T>(&self, used: &Call, client_id: &str, result: &std::result::Result<T, Failure>) {
        let (Some(method), Some(was_refused)) = (used.client_authentication, was_refused(result)) else { return };
        if !was_refused {
            self.remember_method(key(Endpoint::Token, &used.url, client_id), method, false);
        }
    }

    fn may_retry(&self, key: &str, started_at: Instant) -> bool {
        let is_paused = |at: Timestamp| (at..at + REFUSAL_COOLDOWN).contains(&self.core.now());
        let is_refused = matches!(self.methods.get(key), Some(MethodState::AllRefused(at)) if is_paused(at));
        !is_refused && started_at.elapsed() <= MAX_FIRST_ATTEMPT
    }

    fn remember_method(&self, key: String, method: ClientAuthentication, was_refused: bool) {
        self.methods
            .put(key, if was_refused { MethodState::AllRefused(self.core.now()) } else { MethodState::Works(method) });
    }

    /// The alternative method, if it was found to work at the token endpoint and the auth config has not stored
    /// it.
    pub(in crate::app) fn discovered_method(&self, provider: &Provider<'_>) -> Option<LearnedMethod> {
        let used = self.with_known_method(provider, Endpoint::Token);
        (used.client_authentication != provider.oauth.client_authentication).then(|| LearnedMethod {
            client_id: provider.client.client_id.clone(),
            works: Some(used.client_authentication),
            next: None,
        })
    }

    /// Stores a client authentication method with an auth config. If this fails, it will be found out again.
    pub(in crate::app) async fn store_method(&self, actor: &Actor, config: &AuthConfigRow, learned: LearnedMethod) {
        if let Err(error) = self.try_store_method(actor, config, learned).await {
            tracing::warn!(auth_config.id = %config.id, error = error.message(), "a client authentication method could not be stored");
        }
    }

    async fn try_store_method(&self, actor: &Actor, config: &AuthConfigRow, learned: LearnedMethod) -> Result<()> {
        let found = self.core.store.auth_config(&config.project_id, &config.id).await?;
        let Some(config) = found else { return Ok(()) };
        let mut settings = AuthConfigSettings::parse(&config.settings)?;
        if settings.learned_method.as_ref() == Some(&learned) {
            return Ok(());
        }
        let detail = json!({ "works": learned.works, "next": learned.next });
        settings.learned_method = Some(learned);
        let unit = Unit::new().with(auth_configs::set_settings(&config, &settings.to_text())).with(self.core.audit(
            actor,
            AuditAction::AuthConfigLearnMethod,
            &config.id,
            AuditOutcome::Ok,
            Some(detail.to_string()),
        ));
        match self.core.store.apply(unit).await {
            // The auth config was changed concurrently.
            Ok(_) | Err(WriteError::Refused(_)) => Ok(()),
            Err(error) => Err(Error::from(error)),
        }
    }
}

/// A call of a chain with the alternative method, if the result of `used` allows another try.
pub(super) fn alternative_call<T>(
    used: &Call,
    result: &std::result::Result<T, Failure>,
    started_at: Instant,
) -> Option<Call> {
    let method = alternative_method(used.client_authentication?)?;
    let is_refused = result.as_ref().is_err_and(is_refusal_of_client);
    let is_allowed = is_refused && started_at.elapsed() <= MAX_FIRST_ATTEMPT;
    is_allowed.then(|| Call { client_authentication: Some(method), ..used.clone() })
}

/// What a code exchange teaches about the method. After a refusal the next exchange starts with the alternative
/// method, and a success with it is kept. A dynamically registered client is registered again instead.
pub(in crate::app) fn learned_by_exchange<T>(
    config: &AuthConfigRow,
    provider: &Provider<'_>,
    exchanged: std::result::Result<&T, &Failure>,
) -> Option<LearnedMethod> {
    let client_id = &provider.client.client_id;
    let before = learned(config, client_id).ok()?.unwrap_or_default();
    let used = provider.oauth.client_authentication;
    let (works, next) = match exchanged {
        Ok(_) if before.next == Some(used) => (Some(used), None),
        Err(failure)
            if is_refusal_of_client(failure)
                && provider.may_try_alternative(Endpoint::Token)
                && config.scheme != Scheme::DcrOAuth =>
        {
            (before.works, if before.next.is_some() { None } else { Some(alternative_method(used)?) })
        }
        _ => return None,
    };
    Some(LearnedMethod { client_id: client_id.clone(), works, next })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_invalid_client_with_400_or_401_proves_that_nothing_was_used_up() {
        let refusal = |code: Option<&str>| TokenError {
            kind: TokenErrorKind::InvalidClient,
            code: code.map(str::to_owned),
            description: None,
        };
        for (code, status, is_proof) in [
            (Some("invalid_client"), 400, true),
            (Some("invalid_client"), 401, true),
            // A success status does not prove that the request was not processed.
            (Some("invalid_client"), 200, false),
            (Some("invalid_client"), 500, false),
            (Some("bad_client_secret"), 401, false),
            (Some("invalid_grant"), 400, false),
            (None, 401, false),
        ] {
            assert_eq!(is_unauthenticated(&refusal(code), status), is_proof, "{code:?} {status}");
        }
    }

    #[test]
    fn signatures_and_public_clients_have_no_alternative() {
        use ClientAuthentication::*;
        assert_eq!(alternative_method(ClientSecretPost), Some(ClientSecretBasic));
        assert_eq!(alternative_method(ClientSecretBasic), Some(ClientSecretPost));
        assert_eq!(alternative_method(ClientSecretBasicUnencoded), Some(ClientSecretPost));
        for method in [None, PrivateKeyJwt, ClientSecretJwt, ClientSecretAsUsername] {
            assert_eq!(alternative_method(method), Option::None, "{method:?}");
        }
    }
}
