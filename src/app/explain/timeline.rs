//! Describes the events of the audit log, each with a title for people.

use switchboard_store::audit::AuditEvent;
use switchboard_types::AuditAction::{
    self, AccountConnect, AccountDisable, AccountEnable, AccountExpire, AccountImport, AccountRefresh, AccountRevoke,
    AccountRevokeUpstream, AccountUpdate, AuthConfigDisable, AuthConfigEnable, AuthConfigForgetClient,
    AuthConfigLearnMethod, AuthConfigRegisterClient, AuthConfigUpdate, LinkCallback, LinkChoose, LinkChooseScheme,
    LinkCode, LinkConfirm, LinkCreate, LinkEnd, LinkEnter, LinkFail, LinkOpen, LinkRefuse,
};
use switchboard_types::{AuditOutcome, Reason, ReasonCode, Timestamp};

use crate::app::audit::Facts;
use crate::text::capital;
use crate::time::iso;

/// Minimum number of consecutive successful refreshes that are grouped into one entry.
const MIN_GROUPED: usize = 3;

/// An event of the audit log with its parsed details.
#[derive(Debug)]
pub struct Event {
    audit: AuditEvent,
    /// The details.
    pub facts: Facts,
}

impl Event {
    /// Parses an event's details.
    pub fn new(audit: AuditEvent) -> Self {
        Self { facts: Facts::parse(audit.detail.as_deref()), audit }
    }

    /// The action; none for an action of a later version.
    pub fn action(&self) -> Option<AuditAction> {
        self.audit.action.known()
    }

    /// Whether this is the action.
    pub fn is(&self, action: AuditAction) -> bool {
        self.action() == Some(action)
    }

    /// The outcome; none if it is the sentence of a reason.
    pub fn outcome(&self) -> Option<AuditOutcome> {
        self.audit.outcome.known()
    }

    /// Whether its stored outcome is this text.
    pub fn has_outcome(&self, text: &str) -> bool {
        self.audit.outcome.as_str() == text
    }

    /// Why the account or link ended, or the attempt failed; none for other actions.
    pub fn reason(&self) -> Option<Reason> {
        matches!(self.action(), Some(LinkEnd | LinkFail | AccountExpire)).then(|| {
            let code = self.facts.reason.as_deref().and_then(ReasonCode::parse);
            code.map_or_else(
                || Reason::from_sentence(self.audit.outcome.as_str()),
                |code| Reason::of_sentence(code, self.audit.outcome.as_str()),
            )
        })
    }

    /// The link concerned: its visitor acted, or the details name it.
    pub fn link_id(&self) -> Option<&str> {
        self.facts.link_id.as_deref().or_else(|| self.audit.actor.strip_prefix("link:"))
    }

    /// Order: oldest first; within a millisecond, cause before effect.
    pub fn order(&self) -> (Timestamp, u8, &str) {
        let rank = match self.action() {
            Some(AccountImport | LinkCreate) => 0,
            Some(LinkOpen) => 1,
            Some(LinkRefuse) => 2,
            Some(LinkEnter | LinkCallback | LinkCode) => 3,
            Some(LinkConfirm) => 4,
            Some(LinkChoose) => 5,
            Some(LinkFail | LinkEnd | AccountConnect) => 6,
            _ => 7,
        };
        (self.audit.at, rank, &self.audit.id)
    }
}

/// The outcome of an event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ended {
    /// Success.
    Ok,
    /// Another step must follow.
    Waiting,
    /// Failure.
    Failed,
}

/// An entry of the timeline.
#[derive(Clone, Debug)]
pub struct Entry {
    /// When the event happened; for a group, the first one.
    pub at: Timestamp,
    /// For a group, the time of the last event and their number.
    pub repeated: Option<(Timestamp, usize)>,
    /// Stable code for programs.
    pub event: String,
    /// The outcome.
    pub outcome: Ended,
    /// Title for people.
    pub title: String,
    /// Details for people.
    pub detail: Option<String>,
    /// The provider's error text.
    pub provider_message: Option<String>,
    /// The provider's error code.
    pub provider_code: Option<String>,
    /// The HTTP status of the provider's response.
    pub http_status: Option<u16>,
    /// The link concerned.
    pub link_id: Option<String>,
    /// Our own id of the request that caused it.
    pub request_id: Option<String>,
    /// The caller's id of that request.
    pub caller_request_id: Option<String>,
    /// The actor, as recorded in the audit log.
    pub actor: String,
}

/// The timeline of ordered events. `toolkit` is the provider's name.
pub fn timeline(events: &[Event], toolkit: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut rest = events;
    while let [first, ..] = rest {
        let is_refresh = |event: &&Event| event.is(AccountRefresh) && event.outcome() == Some(AuditOutcome::Ok);
        let run = rest.iter().take_while(is_refresh).count();
        if run >= MIN_GROUPED {
            let last = &rest[run - 1];
            let mut entry = entry(last, toolkit);
            entry.at = first.audit.at;
            entry.repeated = Some((last.audit.at, run));
            entry.title = format!("The token was refreshed {run} times");
            entries.push(entry);
            rest = &rest[run..];
        } else {
            entries.push(entry(first, toolkit));
            rest = &rest[1..];
        }
    }
    entries
}

fn entry(event: &Event, toolkit: &str) -> Entry {
    let facts = &event.facts;
    let (name, outcome, title) = describe(event, toolkit);
    Entry {
        at: event.audit.at,
        repeated: None,
        event: name,
        outcome,
        title,
        detail: detail(event),
        provider_message: facts.provider.clone(),
        provider_code: facts.code.clone(),
        http_status: facts.http_status,
        link_id: event.link_id().map(ToOwned::to_owned),
        request_id: event.audit.request_id.clone().map(Into::into),
        caller_request_id: event.audit.caller_request_id.clone().map(Into::into),
        actor: event.audit.actor.clone().into(),
    }
}

/// Code, outcome and title of an event.
fn describe(event: &Event, toolkit: &str) -> (String, Ended, String) {
    use Ended::{Failed, Ok, Waiting};
    let Some(action) = event.action() else {
        // An event of a later version.
        let ended = if event.outcome() == Some(AuditOutcome::Ok) { Ok } else { Failed };
        let action = event.audit.action.as_str();
        return (action.replace('.', "_"), ended, capital(&action.replace(['.', '_'], " ")));
    };
    let reason = event.reason().map(|reason| reason.code());
    let (name, outcome, title) = match (action, event.outcome()) {
        (LinkCreate, _) if event.facts.is_reconnect => {
            ("link_created", Ok, "A link was created to reconnect the account".to_owned())
        }
        (LinkCreate, _) => ("link_created", Ok, "A link was created".to_owned()),
        (AccountImport, _) => ("imported", Ok, "The account was made with its credential".to_owned()),
        (LinkOpen, _) => ("redirected", Ok, format!("The user pressed Continue and was sent to {toolkit}")),
        (LinkRefuse, Some(AuditOutcome::BrowserMismatch)) => {
            ("browser_refused", Failed, "Another browser than the one that began was refused".to_owned())
        }
        (LinkRefuse, Some(AuditOutcome::CredentialRefused)) => {
            ("credential_refused", Failed, format!("{toolkit} did not accept what the user entered"))
        }
        (LinkRefuse, Some(AuditOutcome::RedirectUriShared)) => {
            ("request_refused", Failed, "The redirect URI belongs to another provider, too".to_owned())
        }
        (LinkRefuse, _) => {
            ("request_refused", Failed, format!("The authorization request could not be made at {toolkit}"))
        }
        (LinkCallback, Some(AuditOutcome::Ok)) => ("returned", Ok, format!("The user came back from {toolkit}")),
        (LinkCallback, Some(AuditOutcome::AwaitingConfirmation)) => {
            ("returned", Waiting, format!("The user came back from {toolkit} and waits for complete_auth"))
        }
        (LinkCode, Some(AuditOutcome::Ok)) => ("code_entered", Ok, format!("The user entered the code at {toolkit}")),
        (LinkCode, _) => ("code_refused", Failed, format!("{toolkit} gives no token for the code")),
        (LinkCallback, _) => ("returned", Failed, "The authorization response did not match a request".to_owned()),
        (LinkEnter, _) => ("entered", Waiting, "The user entered a credential and waits for complete_auth".to_owned()),
        (LinkChooseScheme, _) => ("way_chosen", Ok, "The user chose how to connect".to_owned()),
        (LinkChoose, Some(AuditOutcome::Asked)) => ("choice_asked", Waiting, "The user was asked to choose".to_owned()),
        (LinkChoose, _) => ("chosen", Ok, "The user made a choice".to_owned()),
        (LinkConfirm, Some(AuditOutcome::Ok)) => ("confirmed", Ok, "The user was confirmed".to_owned()),
        (LinkConfirm, _) => ("confirmed", Failed, "Another user finished the link".to_owned()),
        (LinkEnd, _) if reason == Some(ReasonCode::RejectedByUser) => {
            ("link_ended", Failed, "The visitor said \"This wasn't me\"".to_owned())
        }
        (LinkEnd, _) if reason == Some(ReasonCode::LinkExpired) => {
            ("link_ended", Failed, "The link ended before the connection was finished".to_owned())
        }
        (LinkEnd, _) => ("link_ended", Failed, failed(event, toolkit)),
        (LinkFail, _) => ("attempt_failed", Failed, failed(event, toolkit)),
        (AccountConnect, _) if event.facts.is_reconnect => {
            ("connected", Ok, "The account got a new credential from its user".to_owned())
        }
        (AccountConnect, _) => ("connected", Ok, "The account became ACTIVE".to_owned()),
        (AccountRefresh, Some(AuditOutcome::Ok)) => ("refreshed", Ok, "The token was refreshed".to_owned()),
        (AccountRefresh, Some(AuditOutcome::AnswerLost)) => {
            ("refresh_failed", Failed, format!("{toolkit}'s answer to a refresh was lost"))
        }
        (AccountRefresh, _) => ("refresh_failed", Failed, "The token could not be refreshed".to_owned()),
        (AccountExpire, _) => ("expired", Failed, "The account became EXPIRED".to_owned()),
        (AccountUpdate, _) => ("updated", Ok, "The account was changed".to_owned()),
        (AccountDisable, _) => ("disabled", Ok, "The account was switched off".to_owned()),
        (AccountEnable, _) => ("enabled", Ok, "The account was switched on".to_owned()),
        (AccountRevoke, Some(AuditOutcome::Ok)) => ("revoked", Ok, "The credential was revoked".to_owned()),
        (AccountRevoke, Some(AuditOutcome::Unwanted)) => {
            ("revoked", Waiting, format!("Unused tokens are being revoked at {toolkit}"))
        }
        (AccountRevoke, Some(AuditOutcome::Kept)) => {
            ("tokens_kept", Ok, "Tokens were not revoked: a working account may share their grant".to_owned())
        }
        (AccountRevoke, _) => ("revoked", Failed, format!("{toolkit} did not revoke the credential")),
        (AccountRevokeUpstream, Some(AuditOutcome::Revoked)) => {
            ("revoked_at_provider", Ok, format!("{toolkit} revoked the tokens"))
        }
        (AccountRevokeUpstream, Some(AuditOutcome::Kept)) => {
            ("revoked_at_provider", Ok, format!("{toolkit} was not asked: another account uses the same tokens' grant"))
        }
        (AccountRevokeUpstream, _) => ("revoked_at_provider", Failed, format!("{toolkit} did not revoke the tokens")),
        (AuthConfigRegisterClient, _) => {
            ("client_registered", Ok, format!("This server registered itself as a client at {toolkit}"))
        }
        (AuthConfigForgetClient, _) => {
            ("client_forgotten", Failed, format!("{toolkit} no longer knows the client that was registered there"))
        }
        (AuthConfigLearnMethod, _) => (
            "client_method_learned",
            Ok,
            format!("{toolkit} refused how the client authenticates, so the other way is used"),
        ),
        (AuthConfigUpdate, _) => ("auth_config_updated", Ok, "The auth config was changed".to_owned()),
        (AuthConfigDisable, _) => {
            ("auth_config_disabled", Ok, "The auth config was disabled, and the account with it".to_owned())
        }
        (AuthConfigEnable, _) => ("auth_config_enabled", Ok, "The auth config was enabled".to_owned()),
        // No event of an account or its links.
        (action, outcome) => {
            let ended = if outcome == Some(AuditOutcome::Ok) { Ok } else { Failed };
            return (action.as_str().replace('.', "_"), ended, capital(&action.as_str().replace(['.', '_'], " ")));
        }
    };
    (name.to_owned(), outcome, title)
}

/// The title of a failed attempt or link.
fn failed(event: &Event, toolkit: &str) -> String {
    let code = event.reason().map(|reason| reason.code());
    if matches!(code, Some(ReasonCode::ExchangeFailed | ReasonCode::ExchangeNotSent)) {
        return format!("{toolkit} gave no token for the code");
    }
    if event.facts.provider.is_some() {
        return format!("{toolkit} refused the connection");
    }
    "The connection was not completed".to_owned()
}

/// Further details, as text.
fn detail(event: &Event) -> Option<String> {
    let facts = &event.facts;
    let mut parts = Vec::new();
    let has_text = [&facts.provider, &facts.unanswered, &facts.detail].iter().any(|words| words.is_some());
    let reason = event
        .reason()
        .filter(|reason| event.is(AccountExpire) || (!has_text && reason.code() != ReasonCode::RejectedByUser));
    parts.extend(reason.map(|reason| capital(&reason.to_string())));
    let describe = [
        facts.link_expires_at.map(|at| format!("The link can be opened until {}", iso(at))),
        facts.redirect_uri.as_ref().map(|uri| format!("Redirect URI: {uri}")),
        (!facts.scopes.is_empty()).then(|| format!("Scopes: {}", facts.scopes.join(" "))),
        (!facts.missing_scopes.is_empty()).then(|| format!("Not granted: {}", facts.missing_scopes.join(" "))),
        facts.expires_at.map(|at| format!("The token lives until {}", iso(at))),
        (facts.expires_at.is_some() && facts.is_renewable == Some(false)).then(|| "It cannot be refreshed".to_owned()),
        facts.unanswered.clone(),
        facts.next_try_ms.map(|pause| format!("Next try in {} s at the earliest", pause.max(0) / 1_000 + 1)),
        (!facts.changed.is_empty()).then(|| format!("Changed: {}", facts.changed.join(", "))),
        (!facts.revoked_tokens.is_empty()).then(|| format!("Revoked: {}", facts.revoked_tokens.join(", "))),
        facts.revoke_job_id.as_ref().map(|job| format!("Receipt: {job}")),
        facts.is_kept.then(|| {
            "The answer is kept for seven days, since it may hold tokens: `switchboard answer` writes it to a file"
                .to_owned()
        }),
        facts.detail.clone(),
    ];
    parts.extend(describe.into_iter().flatten());
    let sentences = parts.iter().map(|part| part.trim_end_matches('.'));
    let text = sentences.collect::<Vec<_>>().join(". ");
    (!text.is_empty()).then(|| format!("{text}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(at: i64, action: &str, outcome: &str, detail: Option<&str>) -> Event {
        Event::new(AuditEvent {
            id: format!("evt_{at}").into(),
            project_id: None,
            at: Timestamp::from_millis(at),
            actor: "link:lt_1".into(),
            action: AuditAction::read(action.to_owned()),
            object: "ca_1".into(),
            outcome: AuditOutcome::read(outcome.to_owned()),
            request_id: None,
            caller_request_id: None,
            detail: detail.map(ToOwned::to_owned),
        })
    }

    #[test]
    fn consecutive_refreshes_are_grouped_but_failures_are_kept() {
        let refresh = |at, outcome| event(at, "connected_account.refresh", outcome, None);
        let mut events: Vec<Event> = (1..=5).map(|at| refresh(at, "ok")).collect();
        events.extend([refresh(6, "failed"), refresh(7, "ok"), refresh(8, "ok")]);
        let describe = timeline(&events, "Acme");
        let times: Vec<_> = describe
            .iter()
            .map(|entry| (entry.at.as_millis(), entry.repeated.map(|(until, count)| (until.as_millis(), count))))
            .collect();
        assert_eq!(times, [(1, Some((5, 5))), (6, None), (7, None), (8, None)]);
        assert_eq!(describe[0].title, "The token was refreshed 5 times");
    }

    #[test]
    fn events_of_one_millisecond_are_ordered_by_cause() {
        let mut events = [
            event(1, "connected_account.connect", "ok", None),
            event(1, "link.open", "ok", None),
            event(1, "link.callback", "ok", None),
        ];
        events.sort_by(|one, other| one.order().cmp(&other.order()));
        let actions: Vec<_> = events.iter().filter_map(Event::action).collect();
        assert_eq!(actions, [LinkOpen, LinkCallback, AccountConnect]);
    }

    #[test]
    fn events_of_other_versions_are_described() {
        let older =
            event(1, "connected_account.refresh", "failed", Some(r#"{"provider":"slow_down","next_try_ms":500}"#));
        let later = event(2, "connected_account.moved_house", "ok", Some("[7]"));
        let describe = timeline(&[older, later], "Acme");
        assert_eq!(describe[0].provider_message.as_deref(), Some("slow_down"));
        assert_eq!(describe[0].detail.as_deref(), Some("Next try in 1 s at the earliest."));
        assert_eq!(
            (describe[1].event.as_str(), describe[1].title.as_str()),
            ("connected_account_moved_house", "Connected account moved house")
        );
        assert_eq!(describe[1].link_id.as_deref(), Some("lt_1"));
    }
}
