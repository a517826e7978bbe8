//! Requests to providers and the meaning of their responses. `crates/auth` builds requests and parses
//! responses, and toolkit files describe the differences between providers. This folder sends the requests.
//!
//! - `token_request.rs`: one token request; `tokens.rs`: all ways to get tokens; `chain.rs`: without a user;
//! - `method.rs`: client authentication methods; `dpop.rs`: proof of possession; `signed.rs`: self-signed
//!   tokens;
//! - `oauth1.rs`: OAuth 1.0a; `register.rs`: dynamic client registration; `discovery.rs`: provider metadata;
//! - `identity.rs`: who an account is; `post_connect.rs`: which site or tenant it uses;
//! - `request.rs`: requests with an account's credential; `dry_run.rs`: the same, not sent;
//! - `breaker.rs`: circuit breakers; `lease.rs`: the lease of an account; `redirect_uris.rs`: redirect URIs.

mod breaker;
mod chain;
mod client_text;
mod discovery;
mod dpop;
pub mod dry_run;
pub(in crate::app) mod extra_tokens;
mod identity;
pub(in crate::app) mod lease;
mod method;
mod oauth1;
mod post_connect;
pub mod redirect_uris;
mod register;
pub mod request;
mod signed;
mod token_credential;
mod token_request;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use http::{HeaderMap, StatusCode, header};
use switchboard_auth::{TokenError, TokenErrorKind};
use switchboard_egress::{Egress, EgressError};
use switchboard_types::Timestamp;

use crate::app::audit::Facts;
use crate::app::base::core::Core;
use crate::app::credential::Credentials;
use crate::app::credential::unread::UnreadAnswer;
use crate::app::provider::redirect_uris::RedirectUris;
use crate::error::{Code, Error};

use request::egress_error;

pub use breaker::{Breakers, Health};
pub use discovery::{MetadataCache, MetadataReader};
pub use dpop::Nonces;
pub use method::Methods;
pub(in crate::app) use method::{Endpoint, is_unauthenticated, learned_by_exchange, select_method};
pub use post_connect::{ConnectOption, MAX_OPTIONS, PostConnectOutcome, Selections};
pub use token_credential::TokenCredential;
pub(in crate::app) use tokens::build_failure;
pub use tokens::{EXTRA_TOKEN_DEADLINE, FailedExchange, INTROSPECTION_TIMEOUT, Provider};

/// Why a token request failed.
#[derive(Debug)]
pub enum Failure {
    /// Nothing was sent, because of a fault on our side.
    Unsent(Error),
    /// The request was sent, but no readable response arrived.
    Lost(EgressError),
    /// The provider refused, or its response is unusable.
    Refused {
        /// The error.
        error: TokenError,
        /// The HTTP status.
        status: StatusCode,
        /// Value of `Retry-After`, in milliseconds.
        retry_after: Option<Duration>,
        /// The response, if it may contain tokens that cannot be requested again.
        unread: Option<UnreadAnswer>,
    },
}

impl From<EgressError> for Failure {
    fn from(error: EgressError) -> Self {
        if error.may_have_arrived() { Self::Lost(error) } else { Self::Unsent(egress_error(&error)) }
    }
}

impl Failure {
    /// The message for people: the provider's error text, or ours. Contains no secret.
    pub fn message(&self) -> Option<String> {
        match self {
            Self::Unsent(error) => Some(error.message().to_owned()),
            Self::Lost(error) => Some(egress_error(error).message().to_owned()),
            Self::Refused { error, .. } => error_text(error),
        }
    }

    /// The text for the log.
    pub fn log_text(&self) -> String {
        match self {
            Self::Unsent(error) => match error.causes() {
                Some(causes) => format!("{}: {causes}", error.message()),
                None => error.message().to_owned(),
            },
            Self::Lost(error) => error.to_string(),
            Self::Refused { error, .. } => error.to_string(),
        }
    }

    /// What the failure means for the provider, regardless of the account.
    pub fn health(&self) -> Health {
        match self {
            // The provider is unreachable, or its certificate is not trusted.
            Self::Unsent(error) => match error.code() {
                Code::UpstreamUnreachable | Code::UpstreamTimeout | Code::UpstreamTls => {
                    Health::Outage { retry_after: None }
                }
                _ => Health::NotSent,
            },
            Self::Lost(_) => Health::Outage { retry_after: None },
            // Statuses from 500, 429, and a web page instead of a response, with any status.
            Self::Refused { error, retry_after, .. } => match error.kind {
                TokenErrorKind::Transient | TokenErrorKind::Unreadable => Health::Outage { retry_after: *retry_after },
                _ => Health::Answered,
            },
        }
    }

    /// Whether the provider refused the client, regardless of the account.
    pub fn is_client_refused(&self) -> bool {
        matches!(self, Self::Refused { error, .. } if error.kind == TokenErrorKind::InvalidClient)
    }

    /// The facts for an audit event.
    pub fn facts(&self) -> Facts {
        match self {
            Self::Refused { error, status, unread, .. } => Facts {
                is_kept: unread.is_some(),
                meaning: meaning(error),
                provider: self.message(),
                code: error.code.clone(),
                http_status: Some(status.as_u16()),
                ..Facts::default()
            },
            Self::Lost(_) | Self::Unsent(_) => Facts { unanswered: self.message(), ..Facts::default() },
        }
    }

    /// The response, if it may contain tokens that cannot be requested again.
    pub fn unread(&self) -> Option<&UnreadAnswer> {
        match self {
            Self::Refused { unread, .. } => unread.as_ref(),
            Self::Unsent(_) | Self::Lost(_) => None,
        }
    }

    /// The error for a caller of the API.
    pub fn into_error(self) -> Error {
        match self {
            Self::Unsent(error) => error,
            Self::Lost(error) => egress_error(&error),
            Self::Refused { error, .. } => Error::new(Code::UpstreamUnreachable, error.to_string()),
        }
    }
}

/// The standard error code for a refusal, if the provider's code is another one.
fn meaning(error: &TokenError) -> Option<String> {
    let code = match error.kind {
        TokenErrorKind::InvalidGrant => "invalid_grant",
        TokenErrorKind::InvalidClient => "invalid_client",
        _ => return None,
    };
    (error.code.as_deref() != Some(code)).then(|| code.to_owned())
}

/// The provider's error code and description.
pub fn error_text(error: &TokenError) -> Option<String> {
    match (&error.code, &error.description) {
        (Some(code), Some(description)) => Some(format!("{code}: {description}")),
        (Some(code), None) => Some(code.clone()),
        (None, description) => description.clone(),
    }
}

/// `Retry-After` (RFC 9110 section 10.2.3), from now: seconds, or a date.
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number that is too large means a long wait, not none.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let at = Timestamp::from_millis(DateTime::parse_from_rfc2822(value).ok()?.timestamp_millis());
    Some(at.since(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn failures_have_a_health() {
        let outage = Health::Outage { retry_after: None };
        for (error, health) in [
            (EgressError::Timeout { sent: false }, outage),
            (EgressError::Timeout { sent: true }, outage),
            (EgressError::Tls, outage),
            (EgressError::Dns, outage),
            (EgressError::Connect, outage),
            (EgressError::Interrupted, outage),
            (EgressError::TooLarge { limit: 1 }, outage),
            (EgressError::AddressDenied, Health::NotSent),
            (EgressError::HostNotAllowed, Health::NotSent),
            (EgressError::InvalidRequest { reason: "x" }, Health::NotSent),
        ] {
            assert_eq!(Failure::from(error.clone()).health(), health, "{error}");
        }
        let ours = Error::new(Code::NoManagedAuth, "The operator offers no client");
        assert_eq!(Failure::Unsent(ours).health(), Health::NotSent);
        let refused = |kind, retry_after| Failure::Refused {
            error: TokenError { kind, code: None, description: None },
            status: StatusCode::OK,
            retry_after,
            unread: None,
        };
        assert_eq!(
            refused(TokenErrorKind::Transient, Some(SECOND)).health(),
            Health::Outage { retry_after: Some(SECOND) }
        );
        assert_eq!(refused(TokenErrorKind::Unreadable, None).health(), outage);
        for kind in [
            TokenErrorKind::InvalidGrant,
            TokenErrorKind::InvalidClient,
            TokenErrorKind::InvalidRequest,
            TokenErrorKind::Unclassified,
            TokenErrorKind::Unusable,
            TokenErrorKind::UnsupportedTokenType,
        ] {
            assert_eq!(refused(kind, None).health(), Health::Answered, "{kind:?}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Timestamp::from_millis(1_795_000_000_000);
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        let wait = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, value.parse().unwrap());
            retry_after(&headers, now)
        };
        assert_eq!(wait(" 120 "), seconds(120));
        assert_eq!(wait("99999999999999999999999999"), seconds(u64::MAX));
        assert_eq!(wait("Wed, 18 Nov 2026 11:07:40 GMT"), seconds(60));
        assert_eq!(wait("Wed, 18 Nov 2020 11:07:40 GMT"), seconds(0), "in the past");
        for other in ["", "soon", "-1", "1.5"] {
            assert_eq!(wait(other), None, "{other}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}

/// Requests to providers: discovery, token endpoints, identity.
pub struct Providers {
    core: Arc<Core>,
    credentials: Arc<Credentials>,
    redirect_uris: Arc<RedirectUris>,
    egress: Egress,
    dpop_nonces: Nonces,
    discovered: MetadataCache,
    methods: Methods,
}

crate::redacted_debug!(Providers);

impl Providers {
    /// Creates the service.
    pub fn new(
        core: Arc<Core>,
        credentials: Arc<Credentials>,
        redirect_uris: Arc<RedirectUris>,
        egress: Egress,
    ) -> Self {
        Self {
            core,
            credentials,
            redirect_uris,
            egress,
            dpop_nonces: Nonces::default(),
            discovered: MetadataCache::default(),
            methods: Methods::default(),
        }
    }

    /// Forgets refused authentication methods, because a client's settings changed.
    pub(in crate::app) fn forget_method_refusals(&self) {
        self.methods.forget_refusals();
    }
}
