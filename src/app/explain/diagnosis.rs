//! Diagnoses a connection from its status, its status reason and its events.
//!
//! Reasons are texts that responses contain and that old databases store (`docs/connecting.md` lists them), so
//! they are matched as they are written.

use switchboard_catalog::Scheme;
use switchboard_store::accounts::{AccountRow, AccountStatus};

use super::timeline::Event;
use super::words::Finding;
use crate::app::audit::Facts;
use crate::app::model::params::AccountParams;
use crate::app::provider::redirect_uris;
use crate::time::Millis;

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

/// Prefix of a reason and its finding, if no further facts are needed.
const REASONS: &[(&str, Finding)] = &[
    ("rejected_by_user", Finding::RejectedByUser),
    ("context_mismatch", Finding::ContextMismatch),
    ("IDENTITY_VERIFICATION_FAILED", Finding::WrongUser),
    ("account_mismatch: the provider did not say", Finding::AccountUnknown),
    ("account_mismatch", Finding::AccountMismatch),
    ("The provider returned neither a code nor an error", Finding::NoCode),
    ("The provider gave no refresh token", Finding::NoRefreshToken),
    ("The auth config was changed while", Finding::ConfigChanged),
    ("several to choose from", Finding::SeveralToChoose),
    ("Permanent auth error during token refresh: the provider refused what was entered", Finding::EnteredRefused),
    ("Permanent auth error during token refresh", Finding::GrantEnded),
    ("Permanent auth error: the provider no longer accepts the token", Finding::GrantEnded),
    ("The access token expired and the provider gave no refresh token", Finding::TokenEnded),
    ("refresh_interrupted", Finding::Interrupted),
    ("unclassified_rejections", Finding::Unclassified),
    ("client_forgotten", Finding::ClientForgotten),
    ("Revoked via user-initiated revoke endpoint", Finding::RevokedByRequest),
    ("Revoked via admin tool", Finding::RevokedByOperator),
];

/// Parts of reasons that come from the requests after a token exchange.
const POST_CONNECT: [&str; 4] = [
    "did not answer which data the account reaches",
    "says that the account reaches nothing that could be used",
    "says that the account no longer reaches what was chosen",
    "did not say a usable ",
];

/// Diagnoses an account. `events` are all its events, oldest first; `effective_status` is its effective status.
pub fn of_account<'e>(
    account: &AccountRow,
    effective_status: AccountStatus,
    events: &'e [Event],
    now: Millis,
    is_paused: bool,
) -> Diagnosis<'e> {
    match effective_status {
        AccountStatus::Initializing | AccountStatus::Initiated => {
            of_open_link(events.iter().filter(|event| event.link_id() == account.link_id.as_deref()))
        }
        AccountStatus::Active => of_active(account, events, now, is_paused),
        AccountStatus::Inactive if account.status == AccountStatus::Active => {
            Diagnosis::new(Finding::ConfigDisabled, last(events, "auth_config.disable"))
        }
        AccountStatus::Inactive => Diagnosis::new(Finding::Disabled, last(events, "connected_account.disable")),
        AccountStatus::Failed | AccountStatus::Expired | AccountStatus::Revoked => {
            of_reason(account.status_reason.as_deref().unwrap_or_default(), events)
        }
    }
}

/// Diagnoses a link that has not ended.
pub fn of_open_link<'e>(events: impl Iterator<Item = &'e Event>) -> Diagnosis<'e> {
    let mut found = Diagnosis::new(Finding::LinkOffered, None);
    for event in events {
        let finding = match (event.action(), event.outcome()) {
            // One attempt failed; the user may try again.
            ("link.fail", reason) => {
                found = of_reason(reason, std::slice::from_ref(event));
                continue;
            }
            ("link.open", _) => Finding::AtProvider,
            ("link.refuse", "browser_mismatch") => Finding::BrowserMismatch,
            ("link.refuse", redirect_uris::SHARED) => Finding::RedirectShared,
            ("link.refuse", "credential_refused") => Finding::EntryRefused,
            ("link.refuse", "authorization_request") => Finding::RequestRefused,
            ("link.callback" | "link.enter", "awaiting_confirmation") => Finding::AwaitingConfirmation,
            ("link.choose", "asked") => Finding::AwaitingChoice,
            ("link.callback" | "link.code" | "link.confirm" | "link.choose", "ok") => Finding::Exchanging,
            _ => continue,
        };
        found = Diagnosis::new(finding, Some(event));
    }
    found
}

/// Diagnoses why an account or link ended. `events` are its events.
pub fn of_reason<'e>(reason: &str, events: &'e [Event]) -> Diagnosis<'e> {
    let matches_reason = |event: &&Event| event.outcome() == reason;
    // An attempt's own event has more details than the event of its link, which ended later for the same
    // reason.
    let attempt = events.iter().rev().find(|event| event.action() == "link.fail" && matches_reason(event));
    let evidence = attempt.or_else(|| events.iter().rev().find(matches_reason));
    let nothing = Facts::default();
    let facts = evidence.map_or(&nothing, |event| &event.facts);
    if reason.starts_with("Connection initiation did not complete") {
        let of_link = |event: &&Event| event.link_id().is_some_and(|id| facts.link_id.as_deref() == Some(id));
        let mut link_events = events.iter().filter(of_link);
        let opened = link_events.clone().any(|event| event.action() == "link.open");
        let last_step = link_events.rfind(|event| event.action() == "link.refuse" || event.action() == "link.open");
        return match last_step {
            Some(event) if event.action() == "link.refuse" => of_open_link(std::iter::once(event)),
            _ if opened => Diagnosis::new(Finding::LinkNotFinished, evidence),
            _ => Diagnosis::new(Finding::LinkNotOpened, evidence),
        };
    }
    let finding = if let Some(message) = reason.strip_prefix("OAuth callback failed during token exchange") {
        of_exchange(facts, message.trim_start_matches([':', ' ']))
    } else if let Some((_, finding)) = REASONS.iter().find(|(start, _)| reason.starts_with(start)) {
        *finding
    } else if POST_CONNECT.iter().any(|part| reason.contains(part)) {
        Finding::PostConnectFailed
    } else if reason.contains(" does not accept this") || reason.contains("could not be reached to confirm this") {
        Finding::EntryRefused
    } else {
        of_authorization(facts.code.as_deref().or_else(|| leading_code(reason)), reason)
    };
    Diagnosis::new(finding, evidence)
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

/// The code exchange failed. `message` is the end of the reason, for events without facts.
fn of_exchange(facts: &Facts, message: &str) -> Finding {
    if message.starts_with("The request cannot be made") {
        return Finding::ClientIncomplete;
    }
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

fn of_active<'e>(account: &AccountRow, events: &'e [Event], now: Millis, is_paused: bool) -> Diagnosis<'e> {
    if account.refresh_failures > 0 {
        let evidence =
            events.iter().rev().find(|event| event.action() == "connected_account.refresh" && event.outcome() != "ok");
        let facts = evidence.map(|event| &event.facts);
        let code = facts.and_then(|facts| facts.meaning.as_deref().or(facts.code.as_deref()));
        let is_unreachable =
            facts.is_some_and(|facts| facts.unanswered.is_some() || facts.http_status.is_some_and(is_outage));
        let is_registered = account.scheme == Scheme::DcrOAuth.as_str();
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
    let lacks_scopes = AccountParams::parse(&account.params).is_ok_and(|params| !params.missing_scopes().is_empty());
    match last(events, "connected_account.connect") {
        connected if lacks_scopes => Diagnosis::new(Finding::MissingScopes, connected),
        _ if is_paused && is_expired => Diagnosis::new(Finding::ProviderPaused, None),
        _ => Diagnosis::new(Finding::Works, None),
    }
}

/// Diagnoses why the newest attempt to reconnect a working account failed, if it did.
pub fn of_reconnection(events: &[Event]) -> Option<Diagnosis<'_>> {
    let newest = events.iter().rev().find(|event| {
        matches!(event.action(), "connected_account.connect" | "link.end" | "link.fail" | "connected_account.update")
    })?;
    let is_failed_reconnection = matches!(newest.action(), "link.end" | "link.fail") && newest.facts.is_reconnect;
    is_failed_reconnection.then(|| of_reason(newest.outcome(), events))
}

/// The newest event with an action.
pub fn last<'e>(events: &'e [Event], action: &str) -> Option<&'e Event> {
    events.iter().rev().find(|event| event.action() == action)
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
            ("access_denied", Finding::AccessDenied),
            ("access_denied: The user said no", Finding::AccessDenied),
            ("invalid_request: The redirect_uri is not registered", Finding::RedirectUri),
            ("unauthorized_client", Finding::ClientRefused),
            ("something_else: x", Finding::AuthorizationRefused),
            ("OAuth callback failed during token exchange", Finding::ExchangeRefused),
            ("OAuth callback failed during token exchange: invalid_client: no", Finding::ClientRefused),
            ("OAuth callback failed during token exchange: invalid_grant", Finding::CodeRefused),
            ("OAuth callback failed during token exchange: invalid_grant: redirect-URI differs", Finding::RedirectUri),
            ("OAuth callback failed during token exchange: The request cannot be made: x", Finding::ClientIncomplete),
            ("Permanent auth error during token refresh", Finding::GrantEnded),
            (
                "Permanent auth error during token refresh: the provider refused what was entered",
                Finding::EnteredRefused,
            ),
            ("account_mismatch: this connection belongs to a, and b signed in", Finding::AccountMismatch),
            ("account_mismatch: the provider did not say which account signed in", Finding::AccountUnknown),
            ("Connection initiation did not complete within 10 minutes", Finding::LinkNotOpened),
            ("Acme did not say a usable site", Finding::PostConnectFailed),
            ("words of a later program", Finding::Other),
            ("", Finding::Other),
        ];
        for (reason, expected) in cases {
            assert_eq!(of_reason(reason, &[]).finding, expected, "{reason}");
        }
    }
}
