//! Describes the events of the audit log, each with a title for people.

use switchboard_store::audit::AuditEvent;

use crate::app::audit::Facts;
use crate::text::capital;
use crate::time::{Millis, iso};

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

    /// `noun.verb`.
    pub fn action(&self) -> &str {
        &self.audit.action
    }

    /// `ok`, or the reason of the failure.
    pub fn outcome(&self) -> &str {
        &self.audit.outcome
    }

    /// The link concerned: its visitor acted, or the details name it.
    pub fn link_id(&self) -> Option<&str> {
        self.facts.link_id.as_deref().or_else(|| self.audit.actor.strip_prefix("link:"))
    }

    /// Order: oldest first; within a millisecond, cause before effect.
    pub fn order(&self) -> (Millis, u8, &str) {
        let rank = match self.action() {
            "connected_account.import" | "link.create" => 0,
            "link.open" => 1,
            "link.refuse" => 2,
            "link.enter" | "link.callback" | "link.code" => 3,
            "link.confirm" => 4,
            "link.choose" => 5,
            "link.fail" | "link.end" | "connected_account.connect" => 6,
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
    pub at: Millis,
    /// For a group, the time of the last event and their number.
    pub repeated: Option<(Millis, usize)>,
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
        let is_refresh = |event: &&Event| event.action() == "connected_account.refresh" && event.outcome() == "ok";
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
        request_id: event.audit.request_id.clone(),
        caller_request_id: event.audit.caller_request_id.clone(),
        actor: event.audit.actor.clone(),
    }
}

/// Code, outcome and title of an event.
fn describe(event: &Event, toolkit: &str) -> (String, Ended, String) {
    use Ended::{Failed, Ok, Waiting};
    let (name, outcome, title) = match (event.action(), event.outcome()) {
        ("link.create", _) if event.facts.is_reconnect => {
            ("link_created", Ok, "A link was created to reconnect the account".to_owned())
        }
        ("link.create", _) => ("link_created", Ok, "A link was created".to_owned()),
        ("connected_account.import", _) => ("imported", Ok, "The account was made with its credential".to_owned()),
        ("link.open", _) => ("redirected", Ok, format!("The user pressed Continue and was sent to {toolkit}")),
        ("link.refuse", "browser_mismatch") => {
            ("browser_refused", Failed, "Another browser than the one that began was refused".to_owned())
        }
        ("link.refuse", "credential_refused") => {
            ("credential_refused", Failed, format!("{toolkit} did not accept what the user entered"))
        }
        ("link.refuse", crate::app::provider::redirect_uris::SHARED) => {
            ("request_refused", Failed, "The redirect URI belongs to another provider, too".to_owned())
        }
        ("link.refuse", _) => {
            ("request_refused", Failed, format!("The authorization request could not be made at {toolkit}"))
        }
        ("link.callback", "ok") => ("returned", Ok, format!("The user came back from {toolkit}")),
        ("link.callback", "awaiting_confirmation") => {
            ("returned", Waiting, format!("The user came back from {toolkit} and waits for complete_auth"))
        }
        ("link.code", "ok") => ("code_entered", Ok, format!("The user entered the code at {toolkit}")),
        ("link.code", _) => ("code_refused", Failed, format!("{toolkit} gives no token for the code")),
        ("link.callback", _) => ("returned", Failed, "The authorization response did not match a request".to_owned()),
        ("link.enter", _) => {
            ("entered", Waiting, "The user entered a credential and waits for complete_auth".to_owned())
        }
        ("link.choose_scheme", _) => ("way_chosen", Ok, "The user chose how to connect".to_owned()),
        ("link.choose", "asked") => ("choice_asked", Waiting, "The user was asked to choose".to_owned()),
        ("link.choose", _) => ("chosen", Ok, "The user made a choice".to_owned()),
        ("link.confirm", "ok") => ("confirmed", Ok, "The user was confirmed".to_owned()),
        ("link.confirm", _) => ("confirmed", Failed, "Another user finished the link".to_owned()),
        ("link.end", "rejected_by_user") => ("link_ended", Failed, "The visitor said \"This wasn't me\"".to_owned()),
        ("link.end", reason) if reason.starts_with("Connection initiation did not complete") => {
            ("link_ended", Failed, "The link ended before the connection was finished".to_owned())
        }
        ("link.end", _) => ("link_ended", Failed, failed(event, toolkit)),
        ("link.fail", _) => ("attempt_failed", Failed, failed(event, toolkit)),
        ("connected_account.connect", _) if event.facts.is_reconnect => {
            ("connected", Ok, "The account got a new credential from its user".to_owned())
        }
        ("connected_account.connect", _) => ("connected", Ok, "The account became ACTIVE".to_owned()),
        ("connected_account.refresh", "ok") => ("refreshed", Ok, "The token was refreshed".to_owned()),
        ("connected_account.refresh", "answer_lost") => {
            ("refresh_failed", Failed, format!("{toolkit}'s answer to a refresh was lost"))
        }
        ("connected_account.refresh", _) => ("refresh_failed", Failed, "The token could not be refreshed".to_owned()),
        ("connected_account.expire", _) => ("expired", Failed, "The account became EXPIRED".to_owned()),
        ("connected_account.update", _) => ("updated", Ok, "The account was changed".to_owned()),
        ("connected_account.disable", _) => ("disabled", Ok, "The account was switched off".to_owned()),
        ("connected_account.enable", _) => ("enabled", Ok, "The account was switched on".to_owned()),
        ("connected_account.revoke", "ok") => ("revoked", Ok, "The credential was revoked".to_owned()),
        ("connected_account.revoke", "unwanted") => {
            ("revoked", Waiting, format!("Unused tokens are being revoked at {toolkit}"))
        }
        ("connected_account.revoke", "kept") => {
            ("tokens_kept", Ok, "Tokens were not revoked: a working account may share their grant".to_owned())
        }
        ("connected_account.revoke", _) => ("revoked", Failed, format!("{toolkit} did not revoke the credential")),
        ("connected_account.revoke_upstream", "revoked") => {
            ("revoked_at_provider", Ok, format!("{toolkit} revoked the tokens"))
        }
        ("connected_account.revoke_upstream", "kept") => {
            ("revoked_at_provider", Ok, format!("{toolkit} was not asked: another account uses the same tokens' grant"))
        }
        ("connected_account.revoke_upstream", _) => {
            ("revoked_at_provider", Failed, format!("{toolkit} did not revoke the tokens"))
        }
        ("auth_config.register_client", _) => {
            ("client_registered", Ok, format!("This server registered itself as a client at {toolkit}"))
        }
        ("auth_config.forget_client", _) => {
            ("client_forgotten", Failed, format!("{toolkit} no longer knows the client that was registered there"))
        }
        ("auth_config.learn_method", _) => (
            "client_method_learned",
            Ok,
            format!("{toolkit} refused how the client authenticates, so the other way is used"),
        ),
        ("auth_config.update", _) => ("auth_config_updated", Ok, "The auth config was changed".to_owned()),
        ("auth_config.disable", _) => {
            ("auth_config_disabled", Ok, "The auth config was disabled, and the account with it".to_owned())
        }
        ("auth_config.enable", _) => ("auth_config_enabled", Ok, "The auth config was enabled".to_owned()),
        // An event of a later version.
        (action, outcome) => {
            let ended = if outcome == "ok" { Ok } else { Failed };
            return (action.replace('.', "_"), ended, capital(&action.replace(['.', '_'], " ")));
        }
    };
    (name.to_owned(), outcome, title)
}

/// The title of a failed attempt or link.
fn failed(event: &Event, toolkit: &str) -> String {
    if event.outcome().starts_with("OAuth callback failed during token exchange") {
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
    let has_reason = match event.action() {
        "connected_account.expire" => true,
        "link.end" | "link.fail" => !has_text && event.outcome() != "rejected_by_user",
        _ => false,
    };
    if has_reason {
        parts.push(capital(event.outcome()));
    }
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

    fn event(at: Millis, action: &str, outcome: &str, detail: Option<&str>) -> Event {
        Event::new(AuditEvent {
            id: format!("evt_{at}"),
            project_id: None,
            at,
            actor: "link:lt_1".to_owned(),
            action: action.to_owned(),
            object: "ca_1".to_owned(),
            outcome: outcome.to_owned(),
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
        let times: Vec<_> = describe.iter().map(|entry| (entry.at, entry.repeated)).collect();
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
        let actions: Vec<&str> = events.iter().map(Event::action).collect();
        assert_eq!(actions, ["link.open", "link.callback", "connected_account.connect"]);
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
