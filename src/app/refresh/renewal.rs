//! In which way an account gets its next token, and what the provider's refusal means for it (R26,
//! R27). `refresh/mod.rs` decides when, and that only one does it.

use switchboard_auth::{TokenError, TokenErrorKind, TokenSet};
use switchboard_catalog::{OAuth2, Refresh, Scheme, TokenScheme, Toolkit, template};
use switchboard_store::accounts::AccountRow;
use switchboard_store::auth_configs::AuthConfigRow;
use switchboard_vault::Secrets;
use url::Url;

use super::freshness::left_alone;
use crate::app::Actor;
use crate::app::base::errors::auth_config_not_found;
use crate::app::model::auth_config_settings::LearnedMethod;
use crate::app::model::params::AccountParams;
use crate::app::provider::lease::PREPARATION;
use crate::app::provider::{Failure, Health, said};
use crate::app::refresh::Refresher;
use crate::error::{Code, Error, Result};
use crate::time::Millis;

/// Refusals in a row that nobody can parse, before the account is given up (R26).
const MAX_REJECTIONS: i64 = 5;

/// How an account gets its next token.
#[derive(Clone, Copy, Debug)]
pub(in crate::app) enum Renewal<'t> {
    /// With what the provider gave for it.
    OAuth(&'t OAuth2),
    /// From what was entered, as the first time.
    Steps(&'t TokenScheme),
}

impl<'t> Renewal<'t> {
    /// The way of a scheme; none where credentials do not end, or cannot be renewed.
    pub(in crate::app) fn of(toolkit: &'t Toolkit, scheme: Scheme) -> Option<Self> {
        if let Some(tokens) = toolkit.token_scheme(scheme) {
            return Some(Self::Steps(tokens));
        }
        toolkit.oauth(scheme).filter(|oauth| oauth.refresh != Refresh::None).map(Self::OAuth)
    }

    /// Whether a credential holds what it takes.
    pub(in crate::app) fn is_possible(self, secrets: &Secrets) -> bool {
        match self {
            Self::OAuth(oauth) => secrets.get(spent(oauth)).is_some_and(|token| !token.is_empty()),
            Self::Steps(_) => true,
        }
    }

    /// Whether only a token that still lives buys the next one.
    pub(in crate::app) fn needs_life(self) -> bool {
        matches!(self, Self::OAuth(oauth) if spent(oauth) == "access_token")
    }

    /// Whether the same request may be made twice: nothing is used up by it.
    pub(in crate::app) fn is_repeatable(self) -> bool {
        match self {
            Self::OAuth(oauth) => oauth.refresh == Refresh::Stable || oauth.refresh_grace > 0,
            Self::Steps(_) => true,
        }
    }

    /// Seconds before its end at which a token is renewed, where the toolkit says so.
    pub(in crate::app) fn margin(self) -> Option<u64> {
        match self {
            Self::OAuth(oauth) => oauth.refresh_margin,
            Self::Steps(_) => None,
        }
    }
}

/// The part of a URL's template that decides the host.
fn authority(template: &str) -> &str {
    let rest = template.split_once("://").map_or(template, |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default()
}

/// Name of the secret that a renewal uses.
fn spent(oauth: &OAuth2) -> &'static str {
    let uses = |text: &String| template::variables(text).is_ok_and(|used| used.iter().any(|it| it == "refresh_token"));
    match &oauth.refresh_call {
        Some(call) if !call.parameters.values().chain(&call.body).chain(call.headers.values()).any(uses) => {
            "access_token"
        }
        _ => "refresh_token",
    }
}

/// How the client of an auth config was found to authenticate.
pub(in crate::app) struct FoundMethod {
    pub config: AuthConfigRow,
    pub learned: LearnedMethod,
}

/// What a failure means for the account.
#[derive(Debug)]
pub(in crate::app) enum Verdict {
    /// Over: with this reason.
    Dead(&'static str),
    /// The auth config is wrong; the account is not.
    ClientRefused,
    /// Not now. Whether the provider may have acted, and whether nobody understood its words.
    Later {
        /// The answer may be lost, and with it a rotation.
        lost: bool,
        /// A refusal that could not be understood.
        rejected: bool,
    },
}

impl Refresher {
    /// Asks the provider for the next token. What was found out on the way is stored after the token is.
    pub(in crate::app) async fn renew(
        &self,
        account: &AccountRow,
        toolkit: &Toolkit,
        scheme: Scheme,
        renewal: Renewal<'_>,
        secrets: &Secrets,
        params: &AccountParams,
    ) -> std::result::Result<(TokenSet, Option<FoundMethod>), Failure> {
        match renewal {
            Renewal::Steps(steps) => Ok((self.providers.fetch_token(steps, secrets, params).await?, None)),
            Renewal::OAuth(_) => {
                let config = self.config_of(account).await.map_err(Failure::Unsent)?;
                let provider =
                    tokio::time::timeout(PREPARATION, self.providers.provider_again(toolkit, scheme, &config, params));
                let late = || Error::new(Code::UpstreamUnreachable, "The provider's metadata did not arrive in time");
                let provider = provider.await.unwrap_or_else(|_| Err(late())).map_err(Failure::Unsent)?;
                let tokens = self.providers.refresh_tokens(&provider, secrets).await;
                if let Err(failure) = &tokens {
                    let actor = Actor::system(&account.project_id);
                    self.providers.note_forgotten(&actor, &config, &provider.client.client_id, failure).await;
                }
                let found = self.providers.found_way(&provider);
                Ok((tokens?, found.map(|learned| FoundMethod { config, learned })))
            }
        }
    }

    /// What the breaker knows an account's provider by: the toolkit, and the host where that is the
    /// account's own, so that one tenant's server that is down keeps no other waiting.
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

    /// How long an account's provider is left alone still; none while it is well.
    pub(in crate::app) fn provider_pause(&self, account: &AccountRow) -> Option<Millis> {
        let toolkit = self.core.toolkit(&account.toolkit)?;
        let scheme = account.scheme.parse().ok()?;
        let renewal = Renewal::of(&toolkit, scheme)?;
        let params = AccountParams::parse(&account.params).ok()?.completed(&toolkit, scheme);
        self.breakers.pause_of(&self.endpoint(&toolkit, renewal, &params), self.core.now())
    }

    async fn config_of(&self, account: &AccountRow) -> Result<AuthConfigRow> {
        let config = self.core.store.auth_config(&account.project_id, &account.auth_config_id).await?;
        config.ok_or_else(|| auth_config_not_found(&account.auth_config_id))
    }
}

/// The credential after a renewal: what the answer leaves out stays (R27), and what was entered is
/// needed again.
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

/// What a failed renewal means (R26): only the provider's clear word ends an account.
pub(in crate::app) fn judge(account: &AccountRow, renewal: Renewal<'_>, failure: &Failure, alive: bool) -> Verdict {
    let (error, status) = match failure {
        Failure::Unsent(_) => return Verdict::Later { lost: false, rejected: false },
        Failure::Lost(_) => return Verdict::Later { lost: !renewal.is_repeatable(), rejected: false },
        Failure::Refused { error, status, .. } => (error, *status),
    };
    match error.kind {
        // What the user or developer entered is refused: nothing but a new one helps.
        TokenErrorKind::InvalidGrant | TokenErrorKind::InvalidClient if matches!(renewal, Renewal::Steps(_)) => {
            Verdict::Dead("Permanent auth error during token refresh: the provider refused what was entered")
        }
        // A client that registered itself and was forgotten comes back under another name, which this
        // account's grant is not for.
        TokenErrorKind::InvalidClient if is_registered(account) => {
            if !alive && account.refresh_rejections + 1 >= MAX_REJECTIONS {
                Verdict::Dead(
                    "client_forgotten: the provider no longer knows the client that this account was connected with",
                )
            } else {
                Verdict::Later { lost: false, rejected: !alive }
            }
        }
        _ if is_client(error) => Verdict::ClientRefused,
        TokenErrorKind::InvalidGrant if account.refresh_started_at.is_some() => Verdict::Dead(
            "refresh_interrupted: the answer to an earlier refresh was lost, and the provider no longer accepts the old \
             token",
        ),
        TokenErrorKind::InvalidGrant => Verdict::Dead("Permanent auth error during token refresh"),
        TokenErrorKind::Unclassified | TokenErrorKind::Unusable
            if !alive && account.refresh_rejections + 1 >= MAX_REJECTIONS =>
        {
            Verdict::Dead("unclassified_rejections: the provider refused the refresh repeatedly")
        }
        TokenErrorKind::Unclassified => Verdict::Later { lost: false, rejected: !alive },
        TokenErrorKind::Unusable => Verdict::Later { lost: !renewal.is_repeatable(), rejected: !alive },
        // A success that cannot be read may hide a rotation (R38).
        _ => Verdict::Later { lost: status.is_success() && !renewal.is_repeatable(), rejected: false },
    }
}

/// Whether the account's client registered itself.
fn is_registered(account: &AccountRow) -> bool {
    account.scheme == Scheme::DcrOAuth.as_str()
}

fn is_client(error: &TokenError) -> bool {
    error.kind == TokenErrorKind::InvalidClient || error.code.as_deref() == Some("unauthorized_client")
}

/// The error for a caller who needs the token now; it is tried again in `wait` milliseconds.
pub(in crate::app) fn for_caller(account: &AccountRow, failure: Failure, wait: Millis) -> Error {
    match failure {
        Failure::Refused { error, .. } if is_registered(account) && error.kind == TokenErrorKind::InvalidClient => {
            let message = "The provider no longer knows the client that this account was connected with";
            Error::new(Code::ReauthRequired, message).fix(
                "Let the user connect again: POST /connected_accounts/{id}/refresh gives a link. A new client is registered for it.",
            )
        }
        Failure::Refused { error, .. } if is_client(&error) => {
            Error::new(Code::AuthConfigBadRequest, "The provider refused the auth config's client credentials")
                .fix("Correct client_id and client_secret of the auth config; the account itself is intact.")
        }
        // In the provider's words, where it has any.
        Failure::Refused { ref error, .. } => {
            let said = said(error).unwrap_or_else(|| "it gave no reason".to_owned());
            left_alone(&format!("The provider did not refresh the token ({said})"), wait)
        }
        other if other.health() == Health::NotAsked => other.into_error(),
        other => left_alone(&other.shown().unwrap_or_default(), wait),
    }
}
