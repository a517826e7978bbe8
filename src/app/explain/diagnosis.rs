//! Diagnoses a connection from its status, the code of its reason and its events.

use switchboard_catalog::Scheme;
use switchboard_store::accounts::{AccountRow, AccountStatus};
use switchboard_types::AuditAction::{
    self, AccountConnect, AccountDisable, AccountRefresh, AccountUpdate, AuthConfigDisable, LinkCallback, LinkChoose,
    LinkCode, LinkConfirm, LinkEnd, LinkEnter, LinkFail, LinkOpen, LinkRefuse,
};
use switchboard_types::AuditOutcome::{
    Asked, AuthorizationRequest, AwaitingConfirmation, BrowserMismatch, CredentialRefused, Ok, RedirectUriShared,
};
use switchboard_types::{Reason, ReasonCode, Timestamp};

use super::timeline::Event;
use super::words::Finding;
use crate::app::audit::Facts;

/// A finding and the event that supports it.
#[derive(Debug)]
pub struct Diagnosis<'e> {
    /// The finding.
    pub finding: Finding,
    /// The event that supports it.
    pub evidence: Option<&'e Event>,
}

impl<'e> Diagnosis<'e> {
    fn new(finding: Finding, evidence: Option<&'e Event>) -> Self {
        Self { finding, evidence }
    }
}

/// Diagnoses an account. `events` are all its events, oldest first; `effective_status` is its effective status.
pub fn of_account<'e>(
    account: &AccountRow,
    effective_status: AccountStatus,
    events: &'e [Event],
    now: Timestamp,
    is_paused: bool,
) -> Diagnosis<'e> {
    match effective_status {
        AccountStatus::Initializing | AccountStatus::Initiated => {
            of_open_link(events.iter().filter(|event| event.link_id() == account.link_id.as_deref()))
        }
        AccountStatus::Active => of_active(account, events, now, is_paused),
        AccountStatus::Inactive if account.status == AccountStatus::Active => {
            Diagnosis::new(Finding::ConfigDisabled, last(events, AuthConfigDisable))
        }
        AccountStatus::Inactive => Diagnosis::new(Finding::Disabled, last(events, AccountDisable)),
        AccountStatus::Failed | AccountStatus::Expired | AccountStatus::Revoked => account
            .status_reason
            .as_ref()
            .map_or(Diagnosis::new(Finding::Other, None), |reason| of_reason(reason, events)),
    }
}

/// Diagnoses a link that has not ended.
pub fn of_open_link<'e>(events: impl Iterator<Item = &'e Event>) -> Diagnosis<'e> {
    let mut found = Diagnosis::new(Finding::LinkOffered, None);
    for event in events {
        let Some(action) = event.action() else { continue };
        // One attempt failed; the user may try again.
        if action == LinkFail {
            found = event.reason().map_or(found, |reason| of_reason(&reason, std::slice::from_ref(event)));
            continue;
        }
        let finding = match (action, event.outcome()) {
            (LinkOpen, _) => Finding::AtProvider,
            (LinkRefuse, Some(BrowserMismatch)) => Finding::BrowserMismatch,
            (LinkRefuse, Some(RedirectUriShared)) => Finding::RedirectShared,
            (LinkRefuse, Some(CredentialRefused)) => Finding::EntryRefused,
            (LinkRefuse, Some(AuthorizationRequest)) => Finding::RequestRefused,
            (LinkCallback | LinkEnter, Some(AwaitingConfirmation)) => Finding::AwaitingConfirmation,
            (LinkChoose, Some(Asked)) => Finding::AwaitingChoice,
            (LinkCallback | LinkCode | LinkConfirm | LinkChoose, Some(Ok)) => Finding::Exchanging,
            _ => continue,
        };
        found = Diagnosis::new(finding, Some(event));
    }
    found
}

/// Diagnoses why an account or link ended. `events` are its events.
pub fn of_reason<'e>(reason: &Reason, events: &'e [Event]) -> Diagnosis<'e> {
    let sentence = reason.to_string();
    let matches_reason = |event: &&Event| event.has_outcome(&sentence);
    // An attempt's own event has more details than the event of its link, which ended later for the same
    // reason.
    let attempt = events.iter().rev().find(|event| event.is(LinkFail) && matches_reason(event));
    let evidence = attempt.or_else(|| events.iter().rev().find(matches_reason));
    let nothing = Facts::default();
    let facts = evidence.map_or(&nothing, |event| &event.facts);
    let detail = reason.detail().unwrap_or_default();
    let finding = match reason.code() {
        ReasonCode::LinkExpired => return of_expired_link(events, evidence),
        ReasonCode::RejectedByUser => Finding::RejectedByUser,
        ReasonCode::AccessDenied | ReasonCode::AuthorizationRefused | ReasonCode::Other => {
            of_authorization(facts.code.as_deref().or_else(|| leading_code(detail)), detail)
        }
        ReasonCode::DeviceCodeExpired => Finding::LinkNotFinished,
        ReasonCode::NoCode => Finding::NoCode,
        ReasonCode::ContextMismatch => Finding::ContextMismatch,
        ReasonCode::WrongUser => Finding::WrongUser,
        ReasonCode::AuthConfigChanged | ReasonCode::AuthConfigChangedLater => Finding::ConfigChanged,
        ReasonCode::ConfirmationRequired | ReasonCode::Disabled => Finding::Other,
        ReasonCode::ExchangeFailed => of_exchange(facts, detail),
        ReasonCode::ExchangeNotSent => Finding::ClientIncomplete,
        ReasonCode::NoRefreshToken => Finding::NoRefreshToken,
        ReasonCode::PostConnectFailed => Finding::PostConnectFailed,
        ReasonCode::ChoiceNeeded => Finding::SeveralToChoose,
        ReasonCode::CredentialRefused => Finding::EntryRefused,
        ReasonCode::AccountUnknown => Finding::AccountUnknown,
        ReasonCode::UnexpectedAccount | ReasonCode::DifferentAccount => Finding::AccountMismatch,
        ReasonCode::GrantEnded | ReasonCode::TokenRevoked => Finding::GrantEnded,
        ReasonCode::EnteredCredentialRefused => Finding::EnteredRefused,
        ReasonCode::TokenExpired => Finding::TokenEnded,
        ReasonCode::RefreshInterrupted => Finding::Interrupted,
        ReasonCode::UnclassifiedRejections => Finding::Unclassified,
        ReasonCode::ClientForgotten => Finding::ClientForgotten,
        ReasonCode::RevokedByRequest => Finding::RevokedByRequest,
        ReasonCode::RevokedByOperator => Finding::RevokedByOperator,
    };
    Diagnosis::new(finding, evidence)
}

/// Diagnoses a link that was not used in time: how far the user came.
fn of_expired_link<'e>(events: &'e [Event], evidence: Option<&'e Event>) -> Diagnosis<'e> {
    let link_id = evidence.and_then(|event| event.facts.link_id.as_deref());
    let of_link = |event: &&Event| event.link_id().is_some_and(|id| link_id == Some(id));
    let mut link_events = events.iter().filter(of_link);
    let opened = link_events.clone().any(|event| event.is(LinkOpen));
    match link_events.rfind(|event| event.is(LinkRefuse) || event.is(LinkOpen)) {
        Some(event) if event.is(LinkRefuse) => of_open_link(std::iter::once(event)),
        _ if opened => Diagnosis::new(Finding::LinkNotFinished, evidence),
        _ => Diagnosis::new(Finding::LinkNotOpened, evidence),
    }
}

/// The provider redirected back with an error (RFC 6749 section 4.1.2.1).
fn of_authorization(code: Option<&str>, message: &str) -> Finding {
    if is_about_redirect(message) {
        return Finding::RedirectUri;
    }
    match code {
        Some("access_denied") => Finding::AccessDenied,
        Some("expired_token") => Finding::LinkNotFinished,
        Some("invalid_client" | "unauthorized_client") => Finding::ClientRefused,
        Some("invalid_scope") => Finding::InvalidScope,
        Some("server_error" | "temporarily_unavailable") => Finding::Unreachable,
        Some("login_required" | "consent_required" | "interaction_required" | "account_selection_required") => {
            Finding::InteractionRequired
        }
        Some(_) => Finding::AuthorizationRefused,
        None => Finding::Other,
    }
}

/// The code exchange failed. `message` is the provider's error, for events without facts.
fn of_exchange(facts: &Facts, message: &str) -> Finding {
    if facts.unanswered.is_some() || facts.http_status.is_some_and(is_outage) {
        return Finding::Unreachable;
    }
    if is_about_redirect(message) {
        return Finding::RedirectUri;
    }
    let code = facts.meaning.as_deref().or(facts.code.as_deref()).or_else(|| leading_code(message));
    match code {
        Some("invalid_client" | "unauthorized_client") => Finding::ClientRefused,
        None if facts.http_status == Some(401) => Finding::ClientRefused,
        Some("invalid_grant") => Finding::CodeRefused,
        Some("invalid_scope") => Finding::InvalidScope,
        _ => Finding::ExchangeRefused,
    }
}

fn of_active<'e>(account: &AccountRow, events: &'e [Event], now: Timestamp, is_paused: bool) -> Diagnosis<'e> {
    if account.refresh_failures > 0 {
        let evidence = events.iter().rev().find(|event| event.is(AccountRefresh) && event.outcome() != Some(Ok));
        let facts = evidence.map(|event| &event.facts);
        let code = facts.and_then(|facts| facts.meaning.as_deref().or(facts.code.as_deref()));
        let is_unreachable =
            facts.is_some_and(|facts| facts.unanswered.is_some() || facts.http_status.is_some_and(is_outage));
        let is_registered = account.scheme == Scheme::DcrOAuth;
        let finding = if is_registered && code == Some("invalid_client") {
            Finding::ClientForgotten
        } else if matches!(code, Some("invalid_client" | "unauthorized_client")) {
            Finding::RefreshClientRefused
        } else if account.refresh_started_at.is_some() && account.refresh_lease_until.is_none() {
            Finding::AnswerLost
        } else if is_paused {
            Finding::ProviderPaused
        } else if is_unreachable {
            Finding::RefreshUnreachable
        } else if account.refresh_rejections > 0 {
            Finding::RefreshRejected
        } else {
            Finding::RefreshRefused
        };
        return Diagnosis::new(finding, evidence);
    }
    let is_expired = account.expires_at.is_some_and(|at| at <= now);
    if is_expired && account.refresh_due_at.is_none() {
        return Diagnosis::new(Finding::NothingToRenew, None);
    }
    // The current scopes count, as in account responses: a refresh may have removed some.
    let lacks_scopes = !account.params.missing_scopes().is_empty();
    match last(events, AccountConnect) {
        connected if lacks_scopes => Diagnosis::new(Finding::MissingScopes, connected),
        _ if is_paused && is_expired => Diagnosis::new(Finding::ProviderPaused, None),
        _ => Diagnosis::new(Finding::Works, None),
    }
}

/// Diagnoses why the newest attempt to reconnect a working account failed, if it did.
pub fn of_reconnection(events: &[Event]) -> Option<Diagnosis<'_>> {
    let newest = events
        .iter()
        .rev()
        .find(|event| matches!(event.action(), Some(AccountConnect | LinkEnd | LinkFail | AccountUpdate)))?;
    let is_failed_reconnection = matches!(newest.action(), Some(LinkEnd | LinkFail)) && newest.facts.is_reconnect;
    is_failed_reconnection.then(|| newest.reason().map(|reason| of_reason(&reason, events))).flatten()
}

/// The newest event with an action.
pub fn last(events: &[Event], action: AuditAction) -> Option<&Event> {
    events.iter().rev().find(|event| event.is(action))
}

/// Whether a status means that the provider itself has a problem.
fn is_outage(status: u16) -> bool {
    status >= 500 || status == 429
}

fn is_about_redirect(message: &str) -> bool {
    let message = message.to_ascii_lowercase().replace(['_', '-'], " ");
    message.contains("redirect uri") || message.contains("redirect url") || message.contains("callback url")
}

/// The error code that a reason starts with.
fn leading_code(message: &str) -> Option<&str> {
    let code = message.split(':').next().unwrap_or_default();
    let is_code = !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    is_code.then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_classified_without_events() {
        let cases = [
            (ReasonCode::AccessDenied, "access_denied", Finding::AccessDenied),
            (ReasonCode::AccessDenied, "access_denied: The user said no", Finding::AccessDenied),
            (
                ReasonCode::AuthorizationRefused,
                "invalid_request: The redirect_uri is not registered",
                Finding::RedirectUri,
            ),
            (ReasonCode::AuthorizationRefused, "unauthorized_client", Finding::ClientRefused),
            (ReasonCode::AuthorizationRefused, "something_else: x", Finding::AuthorizationRefused),
            (ReasonCode::ExchangeFailed, "invalid_client: no", Finding::ClientRefused),
            (ReasonCode::ExchangeFailed, "invalid_grant", Finding::CodeRefused),
            (ReasonCode::ExchangeFailed, "invalid_grant: redirect-URI differs", Finding::RedirectUri),
            (ReasonCode::ExchangeNotSent, "The request cannot be made: x", Finding::ClientIncomplete),
            (ReasonCode::LinkExpired, "10 minutes", Finding::LinkNotOpened),
            (ReasonCode::PostConnectFailed, "Acme did not say a usable site", Finding::PostConnectFailed),
            (ReasonCode::Other, "words of an earlier version", Finding::Other),
        ];
        for (code, detail, expected) in cases {
            assert_eq!(of_reason(&Reason::with_detail(code, detail), &[]).finding, expected, "{code:?} {detail}");
        }
        for (code, expected) in [
            (ReasonCode::ExchangeFailed, Finding::ExchangeRefused),
            (ReasonCode::GrantEnded, Finding::GrantEnded),
            (ReasonCode::EnteredCredentialRefused, Finding::EnteredRefused),
            (ReasonCode::DifferentAccount, Finding::AccountMismatch),
            (ReasonCode::AccountUnknown, Finding::AccountUnknown),
            (ReasonCode::DeviceCodeExpired, Finding::LinkNotFinished),
        ] {
            assert_eq!(of_reason(&Reason::new(code), &[]).finding, expected, "{code:?}");
        }
    }
}
