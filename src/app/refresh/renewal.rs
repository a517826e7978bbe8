//! How an account gets its next token, and what a provider's refusal means for it (R26, R27).
//! `refresh/mod.rs` decides when, and ensures that only one refresh runs.

use std::time::Duration;

use switchboard_auth::{TokenError, TokenErrorKind, TokenSet};
use switchboard_catalog::{OAuth2, Refresh, Scheme, TokenScheme, Toolkit, template};
use switchboard_store::accounts::AccountRow;
use switchboard_store::auth_configs::AuthConfigRow;
use switchboard_types::{AccountParams, ReasonCode};
use switchboard_vault::Secrets;
use url::Url;

use super::freshness::provider_paused;
use crate::app::Actor;
use crate::app::base::errors::auth_config_not_found;
use crate::app::model::auth_config_settings::LearnedMethod;
use crate::app::model::params::with_derived_values;
use crate::app::provider::lease::PREPARATION;
use crate::app::provider::{Failure, Health, error_text};
use crate::app::refresh::Refresher;
use crate::error::{Code, Error, Result};

/// Consecutive unclassified refusals after which the account expires (R26).
const MAX_REJECTIONS: i64 = 5;

/// How an account gets its next token.
#[derive(Clone, Copy, Debug)]
pub(in crate::app) enum Renewal<'t> {
    /// With the refresh token, or the token itself.
    OAuth(&'t OAuth2),
    /// From the entered credential, with the same requests as at first.
    Steps(&'t TokenScheme),
}

impl<'t> Renewal<'t> {
    /// The renewal of a scheme; none where credentials do not expire or cannot be renewed.
    pub(in crate::app) fn of(toolkit: &'t Toolkit, scheme: Scheme) -> Option<Self> {
        if let Some(tokens) = toolkit.token_scheme(scheme) {
            return Some(Self::Steps(tokens));
        }
        toolkit.oauth(scheme).filter(|oauth| oauth.refresh != Refresh::None).map(Self::OAuth)
    }

    /// Whether a credential contains what the renewal needs.
    pub(in crate::app) fn is_possible(self, secrets: &Secrets) -> bool {
        match self {
            Self::OAuth(oauth) => secrets.get(refresh_input_field(oauth)).is_some_and(|token| !token.is_empty()),
            Self::Steps(_) => true,
        }
    }

    /// Whether a renewal needs an access token that has not expired.
    pub(in crate::app) fn requires_live_token(self) -> bool {
        matches!(self, Self::OAuth(oauth) if refresh_input_field(oauth) == "access_token")
    }

    /// Whether the request may be repeated without using anything up.
    pub(in crate::app) fn is_repeatable(self) -> bool {
        match self {
            Self::OAuth(oauth) => oauth.refresh == Refresh::Stable || oauth.refresh_grace > 0,
            Self::Steps(_) => true,
        }
    }

    /// Seconds before expiry at which a token is renewed, where the toolkit sets it.
    pub(in crate::app) fn margin(self) -> Option<u64> {
        match self {
            Self::OAuth(oauth) => oauth.refresh_margin,
            Self::Steps(_) => None,
        }
    }
}

/// The part of a URL template that determines the host.
fn authority(template: &str) -> &str {
    let rest = template.split_once("://").map_or(template, |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default()
}

/// Name of the secret that a renewal sends.
fn refresh_input_field(oauth: &OAuth2) -> &'static str {
    let uses =
        |text: &String| template::variables(text).is_ok_and(|used| used.iter().any(|name| name == "refresh_token"));
    match &oauth.refresh_call {
        Some(call) if !call.parameters.values().chain(&call.body).chain(call.headers.values()).any(uses) => {
            "access_token"
        }
        _ => "refresh_token",
    }
}

/// The client authentication method that was detected for an auth config.
pub(in crate::app) struct DetectedMethod {
    pub config: AuthConfigRow,
    pub learned: LearnedMethod,
}

/// What a failure means for the account.
#[derive(Debug)]
pub(in crate::app) enum Verdict {
    /// The account expires, for this reason.
    Expired(ReasonCode),
    /// The auth config is wrong; the account is unchanged.
    ClientRefused,
    /// Retry later.
    Later {
        /// The response may be lost, and with it a rotation.
        lost: bool,
        /// The refusal could not be classified.
        rejected: bool,
    },
}

impl Refresher {
    /// Requests the next token. A detected client authentication method is stored after the token is.
    pub(in crate::app) async fn renew(
        &self,
        account: &AccountRow,
        toolkit: &Toolkit,
        scheme: Scheme,
        renewal: Renewal<'_>,
        secrets: &Secrets,
        params: &AccountParams,
    ) -> std::result::Result<(TokenSet, Option<DetectedMethod>), Failure> {
        match renewal {
            Renewal::Steps(steps) => Ok((self.providers.fetch_token(steps, secrets, params).await?, None)),
            Renewal::OAuth(_) => {
                let config = self.config_of(account).await.map_err(Failure::Unsent)?;
                let provider = tokio::time::timeout(
                    PREPARATION,
                    self.providers.provider_for_account(toolkit, scheme, &config, params),
                );
                let late = || Error::new(Code::UpstreamUnreachable, "The provider's metadata did not arrive in time");
                let provider = provider.await.unwrap_or_else(|_| Err(late())).map_err(Failure::Unsent)?;
                let tokens = self.providers.refresh_tokens(&provider, secrets).await;
                if let Err(failure) = &tokens {
                    let actor = Actor::system(&account.project_id);
                    self.providers.handle_forgotten_client(&actor, &config, &provider.client.client_id, failure).await;
                }
                let found = self.providers.discovered_method(&provider);
                Ok((tokens?, found.map(|learned| DetectedMethod { config, learned })))
            }
        }
    }

    /// The circuit breaker's key for an account's provider: the toolkit, and the host where the account
    /// has its own. One tenant's failing server does not block the others.
    pub(in crate::app) fn endpoint(&self, toolkit: &Toolkit, renewal: Renewal<'_>, params: &AccountParams) -> String {
        let given = |url: &&String| !url.is_empty();
        let url = match renewal {
            Renewal::Steps(steps) => steps.steps.last().map(|call| &call.url),
            Renewal::OAuth(oauth) => (oauth.refresh_call.as_ref().map(|call| &call.url))
                .or_else(|| Some(&oauth.token_url).filter(given))
                .or(oauth.discovery_url.as_ref())
                .or(oauth.resource.as_ref()),
        };
        let is_own = |url: &&String| authority(url).contains('{');
        let host = url.filter(is_own).and_then(|url| {
            let url = Url::parse(&self.providers.expand(url, params).ok()?).ok()?;
            Some(url.authority().to_owned())
        });
        match host {
            Some(host) => format!("{} {host}", toolkit.slug),
            None => toolkit.slug.clone(),
        }
    }

    /// How long an account's provider is still paused; none while its circuit breaker is closed.
    pub(in crate::app) fn provider_pause(&self, account: &AccountRow) -> Option<Duration> {
        let toolkit = self.core.toolkit(&account.toolkit)?;
        let scheme = account.scheme;
        let renewal = Renewal::of(&toolkit, scheme)?;
        let params = with_derived_values(&account.params, &toolkit, scheme);
        self.breakers.remaining_pause(&self.endpoint(&toolkit, renewal, &params), self.core.now())
    }

    async fn config_of(&self, account: &AccountRow) -> Result<AuthConfigRow> {
        let config = self.core.store.auth_config(&account.project_id, &account.auth_config_id).await?;
        config.ok_or_else(|| auth_config_not_found(&account.auth_config_id))
    }
}

/// Carries over what the response omits (R27) and what was entered.
pub(in crate::app) fn carry_over(new: &mut Secrets, old: &Secrets, renewal: Renewal<'_>) {
    for (name, secret) in old.iter() {
        let stays = match renewal {
            Renewal::Steps(_) => name != "access_token",
            Renewal::OAuth(_) => name != "access_token" && name != "id_token",
        };
        if stays && new.get(name).is_none() {
            new.insert(name, secret.clone());
        }
    }
}

/// What a failed renewal means (R26). Only an unambiguous refusal expires an account.
pub(in crate::app) fn classify_failure(
    account: &AccountRow,
    renewal: Renewal<'_>,
    failure: &Failure,
    is_live: bool,
) -> Verdict {
    let (error, status) = match failure {
        Failure::Unsent(_) => return Verdict::Later { lost: false, rejected: false },
        Failure::Lost(_) => return Verdict::Later { lost: !renewal.is_repeatable(), rejected: false },
        Failure::Refused { error, status, .. } => (error, *status),
    };
    match error.kind {
        // The entered credential is refused: only a new one helps.
        TokenErrorKind::InvalidGrant | TokenErrorKind::InvalidClient if matches!(renewal, Renewal::Steps(_)) => {
            Verdict::Expired(ReasonCode::EnteredCredentialRefused)
        }
        // A new dynamic registration gets another client id, for which this account's grant is not
        // valid.
        TokenErrorKind::InvalidClient if is_registered(account) => {
            if !is_live && account.refresh_rejections + 1 >= MAX_REJECTIONS {
                Verdict::Expired(ReasonCode::ClientForgotten)
            } else {
                Verdict::Later { lost: false, rejected: !is_live }
            }
        }
        _ if is_client_error(error) => Verdict::ClientRefused,
        TokenErrorKind::InvalidGrant if account.refresh_started_at.is_some() => {
            Verdict::Expired(ReasonCode::RefreshInterrupted)
        }
        TokenErrorKind::InvalidGrant => Verdict::Expired(ReasonCode::GrantEnded),
        TokenErrorKind::Unclassified | TokenErrorKind::Unusable
            if !is_live && account.refresh_rejections + 1 >= MAX_REJECTIONS =>
        {
            Verdict::Expired(ReasonCode::UnclassifiedRejections)
        }
        TokenErrorKind::Unclassified => Verdict::Later { lost: false, rejected: !is_live },
        TokenErrorKind::Unusable => Verdict::Later { lost: !renewal.is_repeatable(), rejected: !is_live },
        // A success response that cannot be parsed may hide a rotation (R38).
        _ => Verdict::Later { lost: status.is_success() && !renewal.is_repeatable(), rejected: false },
    }
}

/// Whether the account's client was registered dynamically.
fn is_registered(account: &AccountRow) -> bool {
    account.scheme == Scheme::DcrOAuth
}

fn is_client_error(error: &TokenError) -> bool {
    error.kind == TokenErrorKind::InvalidClient || error.code.as_deref() == Some("unauthorized_client")
}

/// The error for a caller that needs the token now; the next attempt is after `wait`.
pub(in crate::app) fn caller_error(account: &AccountRow, failure: Failure, wait: Duration) -> Error {
    match failure {
        Failure::Refused { error, .. } if is_registered(account) && error.kind == TokenErrorKind::InvalidClient => {
            let message = "The provider no longer knows the client that this account was connected with";
            Error::new(Code::ReauthRequired, message).fix(
                "Let the user connect again: POST /connected_accounts/{id}/refresh gives a link. A new client is registered for it.",
            )
        }
        Failure::Refused { error, .. } if is_client_error(&error) => {
            Error::new(Code::AuthConfigBadRequest, "The provider refused the auth config's client credentials")
                .fix("Correct client_id and client_secret of the auth config; the account itself is intact.")
        }
        // With the provider's own message, where it has one.
        Failure::Refused { ref error, .. } => {
            let reason = error_text(error).unwrap_or_else(|| "it gave no reason".to_owned());
            provider_paused(&format!("The provider did not refresh the token ({reason})"), wait)
        }
        other if other.health() == Health::NotSent => other.into_error(),
        other => provider_paused(&other.message().unwrap_or_default(), wait),
    }
}
