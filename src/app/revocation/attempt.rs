//! One try at the provider: the refresh token first, since without it nothing new can be had, then
//! the access token (RFC 7009; RFC 9700 section 4.14).

use std::time::Duration;

use chrono::DateTime;
use http::header;
use switchboard_auth::{
    ClientCredentials, RevocationAnswer, TokenError, parse_revocation_response, revocation_request,
};
use switchboard_catalog::OAuth2;
use switchboard_egress::EgressError;
use switchboard_vault::{Secret, Secrets};

use super::RevokedToken;
use crate::app::App;
use crate::app::params::AccountParams;
use crate::app::upstream::egress_error;
use crate::time::{Millis, millis};

/// What one try came to.
#[derive(Debug)]
pub(super) struct Verdict {
    /// All that is revoked by now, with earlier tries.
    pub(super) tokens: Vec<RevokedToken>,
    /// Whether more is to be done.
    pub(super) end: End,
}

/// Whether more is to be done.
#[derive(Debug)]
pub(super) enum End {
    /// Nothing is left.
    Revoked,
    /// The provider revokes no such tokens.
    NotSupported(String),
    /// The provider will not do it.
    Failed(String),
    /// Trying again may help, after this many milliseconds at the earliest.
    Later {
        /// What stood in the way.
        detail: String,
        /// What the provider asked for.
        wait: Option<Millis>,
    },
}

/// What is to be revoked, and with what.
pub(super) struct Task<'a> {
    pub(super) toolkit: &'a str,
    pub(super) oauth: &'a OAuth2,
    pub(super) is_managed: bool,
    pub(super) material: &'a Secrets,
    pub(super) params: &'a AccountParams,
    /// Revoked by an earlier try.
    pub(super) done: Vec<RevokedToken>,
}

/// What the provider said of one token.
enum OneToken {
    Revoked,
    Unsupported,
    Refused(String),
    Later(String, Option<Millis>),
}

impl App {
    /// Asks the provider to forget the tokens that are left.
    pub(super) async fn try_revoking(&self, task: Task<'_>) -> Verdict {
        let mut tokens = task.done.clone();
        let mut unsupported = false;
        let mut refusal = None;
        for token in [RevokedToken::RefreshToken, RevokedToken::AccessToken] {
            let Some(secret) = task.material.get(token.as_str()).filter(|_| !tokens.contains(&token)) else { continue };
            match self.revoke_token(&task, token, secret).await {
                OneToken::Revoked => tokens.push(token),
                OneToken::Unsupported => unsupported = true,
                OneToken::Refused(detail) => {
                    refusal.get_or_insert(detail);
                }
                OneToken::Later(detail, wait) => return Verdict { tokens, end: End::Later { detail, wait } },
            }
        }
        let end = match refusal {
            Some(detail) => End::Failed(detail),
            None if !tokens.is_empty() => End::Revoked,
            None if unsupported => End::NotSupported("The provider does not revoke tokens of this kind".to_owned()),
            None => End::NotSupported("The credential holds no token".to_owned()),
        };
        Verdict { tokens, end }
    }

    async fn revoke_token(&self, task: &Task<'_>, token: RevokedToken, secret: &str) -> OneToken {
        // The operator's client may no longer be offered to this project; the token is its all the same.
        let managed = self.settings.managed.get(task.toolkit).filter(|_| task.is_managed);
        let (client_id, client_secret) = match managed {
            Some(client) => (Some(client.client_id.as_str()), client.client_secret.as_ref().map(Secret::expose)),
            None => (task.material.get("client_id"), task.material.get("client_secret")),
        };
        let Some(client_id) = client_id else {
            let detail = "The operator's OAuth client for this toolkit is not configured any more";
            return OneToken::Later(detail.to_owned(), None);
        };
        let client = ClientCredentials { client_id, client_secret };
        let variables = |name: &str| self.variable(&task.params.fields, name);
        let request = match revocation_request(task.oauth, &client, secret, token.as_str(), &variables) {
            None => return OneToken::Unsupported,
            Some(Err(error)) => return OneToken::Refused(format!("The request cannot be made: {error}")),
            Some(Ok(request)) => request,
        };
        let answer = match self.send_protocol(request).await {
            Ok(answer) => answer,
            Err(error) => return undelivered(&error),
        };
        let text = |name| answer.headers().get(name).and_then(|value| value.to_str().ok());
        let status = answer.status().as_u16();
        let content_type = text(header::CONTENT_TYPE);
        let said = |error: TokenError| {
            let ours = task.material.iter().filter(|(name, _)| *name != "client_id");
            let ours: Vec<&str> = ours.map(|(_, secret)| secret.expose()).chain(client_secret).collect();
            words(token, status, &error.without(&ours))
        };
        match parse_revocation_response(task.oauth, status, content_type, answer.body()) {
            RevocationAnswer::Revoked => OneToken::Revoked,
            RevocationAnswer::UnsupportedToken => OneToken::Unsupported,
            RevocationAnswer::Refused(error) => OneToken::Refused(said(error)),
            RevocationAnswer::Later(error) => {
                let wait = text(header::RETRY_AFTER).and_then(|value| retry_after(value, self.now()));
                OneToken::Later(said(error), wait)
            }
        }
    }
}

/// A request that got no answer. What will never be sent is not tried again.
fn undelivered(error: &EgressError) -> OneToken {
    let detail = egress_error(error).message().to_owned();
    match error {
        EgressError::EndpointNotAllowed { .. } | EgressError::HostNotAllowed | EgressError::InvalidRequest { .. } => {
            OneToken::Refused(detail)
        }
        _ => OneToken::Later(detail, None),
    }
}

/// The provider's refusal, of which nothing is longer than what `TokenError` admits.
fn words(token: RevokedToken, status: u16, error: &TokenError) -> String {
    let mut text = format!("The provider answered {status} when asked to revoke the {}", token.as_str());
    for part in [&error.code, &error.description].into_iter().flatten() {
        text.push_str(": ");
        text.push_str(part);
    }
    text
}

/// `Retry-After` (RFC 9110 section 10.2.3) in milliseconds: seconds, or a date.
fn retry_after(value: &str, now: Millis) -> Option<Millis> {
    if let Ok(seconds) = value.trim().parse::<u64>() {
        return Some(millis(Duration::from_secs(seconds)));
    }
    let at = DateTime::parse_from_rfc2822(value.trim()).ok()?.timestamp_millis();
    Some((at - now).max(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_seconds_or_dates() {
        let now = 1_795_000_000_000;
        assert_eq!(retry_after(" 120 ", now), Some(120_000));
        assert_eq!(retry_after("Wed, 18 Nov 2026 11:07:40 GMT", now), Some(60_000));
        assert_eq!(retry_after("Wed, 18 Nov 2020 11:07:40 GMT", now), Some(0), "over already");
        for other in ["", "soon", "-1", "1.5"] {
            assert_eq!(retry_after(other, now), None, "{other}");
        }
    }
}
