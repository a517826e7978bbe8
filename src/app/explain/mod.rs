//! Explains what happened to a connection or in a call, and why: `GET …/explain`.
//!
//! For connections, the audit log is the only source; for calls (`call.rs`) it is the log of calls. `audit/facts.rs` defines the details of its events, `timeline.rs`
//! describes them, `diagnosis.rs` draws a conclusion, and `words.rs` has the texts. An explanation changes
//! nothing and sends no request to the provider.

mod call;
mod diagnosis;
mod timeline;
mod words;

use std::sync::Arc;
use std::time::Duration;

use switchboard_store::accounts::{AccountRow, AccountStatus};
use switchboard_store::links::{LinkRow, LinkState};
use switchboard_types::{AccountId, AuditAction, LinkId, LinkOutcome, ProjectId, Timestamp};

use self::diagnosis::Diagnosis;
use self::timeline::Event;
use crate::app::account::effective_status;
use crate::app::audit::Facts;
use crate::app::base::core::Core;
use crate::app::base::errors::account_not_found;
use crate::app::call_log::CallLog;
use crate::app::credential::Credentials;
use crate::app::credential::client::IssuedTo;
use crate::app::model::params::with_derived_values;
use crate::app::provider::lease::is_leased;
use crate::app::provider::redirect_uris::RedirectUris;
use crate::app::refresh::Refresher;
use crate::app::refresh::freshness::is_backing_off;
use crate::error::{Code, Error, Result};
use crate::id::Kind;
use crate::text::truncate_to;
use crate::time::iso;

pub use call::{CallExplanation, CallStep};
pub use timeline::{Ended, Entry};
pub use words::Finding;

/// Maximum number of events per account and per auth config.
const MAX_EVENTS: i64 = 1_000;
/// Length of a link's id, the public part of its token.
pub const LINK_ID_LENGTH: usize = 23;

/// The explanation of a connection.
#[derive(Debug)]
pub struct Explanation {
    /// The account.
    pub account_id: AccountId,
    /// The requested link and its status.
    pub link: Option<(LinkId, LinkStatus)>,
    /// The status for responses.
    pub status: AccountStatus,
    /// The finding.
    pub finding: Finding,
    /// The current situation.
    pub summary: String,
    /// The cause; none if nothing is wrong.
    pub cause: Option<String>,
    /// What to do.
    pub fix: Option<String>,
    /// The provider's error text, if it is the cause.
    pub provider_message: Option<String>,
    /// The events, oldest first.
    pub timeline: Vec<Entry>,
    /// Problems that are likely to occur.
    pub warnings: Vec<String>,
    /// Whether older events were left out.
    pub is_truncated: bool,
    /// What happens next.
    pub next: Next,
}

/// The status of a link.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LinkStatus {
    /// Continue was not pressed yet.
    Offered,
    /// Continue was pressed.
    Claimed,
    /// The account was connected.
    Succeeded,
    /// The connection failed.
    Failed,
    /// The link expired.
    Expired,
    /// A newer link replaced it.
    Replaced,
}

/// What happens next, and when.
#[derive(Clone, Copy, Debug, Default)]
pub struct Next {
    /// When the token is due for a refresh.
    pub refresh_due_at: Option<Timestamp>,
    /// When the next attempt may be made.
    pub retry_at: Option<Timestamp>,
    /// A refresh is running and ends by this time at the latest.
    pub leased_until: Option<Timestamp>,
    /// When the access token expires.
    pub expires_at: Option<Timestamp>,
    /// When the link expires.
    pub link_expires_at: Option<Timestamp>,
}

/// Explanations of accounts and links.
pub struct Explanations {
    core: Arc<Core>,
    credentials: Arc<Credentials>,
    redirect_uris: Arc<RedirectUris>,
    refresher: Arc<Refresher>,
    call_log: Arc<CallLog>,
}

crate::redacted_debug!(Explanations);

impl Explanations {
    /// Creates the service.
    pub fn new(
        core: Arc<Core>,
        credentials: Arc<Credentials>,
        redirect_uris: Arc<RedirectUris>,
        refresher: Arc<Refresher>,
        call_log: Arc<CallLog>,
    ) -> Self {
        Self { core, credentials, redirect_uris, refresher, call_log }
    }
}

impl Explanations {
    /// Explains an account.
    pub async fn of_account(&self, project: &ProjectId, id: &AccountId) -> Result<Explanation> {
        let account = self.core.store.account(project, id).await?.ok_or_else(|| account_not_found(id))?;
        let (events, is_truncated) = self.events_of(&account).await?;
        let now = self.core.now();
        let pause = self.refresher.provider_pause(&account).filter(|_| is_refreshable(&account));
        let effective = effective_status(&account);
        let mut diagnosis = diagnosis::of_account(&account, effective, &events, now, pause.is_some());
        if effective == AccountStatus::Active && self.has_address_changed(&account).await? {
            diagnosis = Diagnosis { finding: Finding::HostChanged, evidence: None };
        }
        self.check_redirect_uri(&account, &mut diagnosis).await?;
        let link = match &account.link_id {
            Some(id) => self.core.store.link(id).await?,
            None => None,
        };
        let next = next(&account, link.as_ref(), now, pause);
        let mut explanation = self.explanation(&account, effective, &events, &diagnosis);
        if effective == AccountStatus::Active {
            explanation.summary.push_str(&refresh_impact(&account, diagnosis.finding, now));
            let is_well = matches!(diagnosis.finding, Finding::Works | Finding::MissingScopes);
            if let Some(failed) = diagnosis::of_reconnection(&events).filter(|_| is_well) {
                explanation = self.explanation(&account, effective, &events, &failed);
                explanation.summary = format!("The account works; reconnecting it failed: {}", explanation.summary);
            }
        }
        let warnings = self.token_limit_warning(&account).await?.into_iter().collect();
        Ok(Explanation { warnings, is_truncated, next, ..explanation })
    }

    /// A warning if the user has as many connected accounts as the provider keeps valid.
    async fn token_limit_warning(&self, account: &AccountRow) -> Result<Option<String>> {
        let Some(toolkit) = self.core.toolkit(&account.toolkit) else { return Ok(None) };
        let scheme = account.scheme;
        let Some(limit) = toolkit.oauth(scheme).and_then(|oauth| oauth.token_limit) else { return Ok(None) };
        let Some(identity) = account.params.identity.clone() else { return Ok(None) };
        let (project, config) = (&account.project_id, &account.auth_config_id);
        let connected = self.core.store.count_connected_as(project, config, &identity.id, i64::from(limit) + 1).await?;
        let limit_text = match limit {
            1 => "one connection".to_owned(),
            limit => format!("{limit} connections"),
        };
        let effective = if connected > i64::from(limit) { format!("more than {limit}") } else { connected.to_string() };
        // One account is normal if the provider keeps only one valid.
        Ok((connected >= i64::from(limit).max(2)).then(|| {
            format!(
                "{} keeps {limit_text} of one user with one OAuth client alive, and {effective} accounts of this auth config are \
                 connected as this user: with each further one the oldest stops working. Delete unused ones.",
                toolkit.name
            )
        }))
    }

    /// Explains a link. `id` is the public part of its token.
    pub async fn of_link(&self, project: &ProjectId, id: &LinkId) -> Result<Explanation> {
        let unknown = || Error::of(Code::LinkNotFound, &[("id", &truncate_to(id, LINK_ID_LENGTH))]);
        // The whole token is a secret that must not appear in a URL, so it is not accepted.
        if !Kind::Link.admits(id) {
            return Err(unknown());
        }
        let link = self.core.store.link(id).await?.filter(|link| link.project_id == *project).ok_or_else(unknown)?;
        let account = self.core.store.account(project, &link.account_id).await?.ok_or_else(unknown)?;
        let (events, is_truncated) = self.events_of(&account).await?;
        let events: Vec<Event> = events.into_iter().filter(|event| event.link_id() == Some(id.as_str())).collect();
        let (status, mut diagnosis) = of_link(&link, &events, self.core.now());
        self.check_redirect_uri(&account, &mut diagnosis).await?;
        let effective = effective_status(&account);
        let link_expires_at = matches!(status, LinkStatus::Offered | LinkStatus::Claimed).then_some(link.expires_at);
        let next = Next { link_expires_at, ..Next::default() };
        let explanation = self.explanation(&account, effective, &events, &diagnosis);
        Ok(Explanation { link: Some((link.id, status)), is_truncated, next, ..explanation })
    }

    /// Whether the auth config names another address for its client than the account was connected at.
    async fn has_address_changed(&self, account: &AccountRow) -> Result<bool> {
        let Some(toolkit) = self.core.toolkit(&account.toolkit) else { return Ok(false) };
        let scheme = account.scheme;
        if toolkit.client_fields(scheme).is_empty() {
            return Ok(false);
        }
        let Some(config) = self.core.store.auth_config(&account.project_id, &account.auth_config_id).await? else {
            return Ok(false);
        };
        let params = with_derived_values(&account.params, &toolkit, scheme);
        Ok(self
            .credentials
            .client_for(&toolkit, scheme, &config, &params, IssuedTo::ClientId(params.client_id.as_deref()))
            .is_err_and(|error| error.code() == Code::ReauthRequired))
    }

    /// Reports an unusable auth config before the user tries the link.
    async fn check_redirect_uri(&self, account: &AccountRow, diagnosis: &mut Diagnosis<'_>) -> Result<()> {
        if matches!(diagnosis.finding, Finding::LinkOffered | Finding::LinkNotOpened | Finding::ContextMismatch)
            && let Some(config) = self.core.store.auth_config(&account.project_id, &account.auth_config_id).await?
            && self.redirect_uris.is_shared(&config).await?
        {
            diagnosis.finding = Finding::RedirectShared;
        }
        Ok(())
    }

    /// Events of an account, and of its auth config since the account was created.
    async fn events_of(&self, account: &AccountRow) -> Result<(Vec<Event>, bool)> {
        let project = &account.project_id;
        let own = self.core.store.newest_audit_events(project, &account.id, MAX_EVENTS).await?;
        let of_config = self.core.store.newest_audit_events(project, &account.auth_config_id, MAX_EVENTS).await?;
        let is_truncated = i64::try_from(own.len()).is_ok_and(|count| count >= MAX_EVENTS);
        let since = |at: Timestamp| at >= account.created_at;
        let of_config = of_config
            .into_iter()
            .filter(|event| since(event.at) && event.action.known() != Some(AuditAction::AuthConfigCreate));
        let mut events: Vec<Event> = own.into_iter().chain(of_config).map(Event::new).collect();
        events.sort_by(|one, other| one.order().cmp(&other.order()));
        Ok((events, is_truncated))
    }

    fn explanation(
        &self,
        account: &AccountRow,
        status: AccountStatus,
        events: &[Event],
        diagnosis: &Diagnosis<'_>,
    ) -> Explanation {
        let toolkit = self.core.toolkit(&account.toolkit);
        let name = toolkit.as_ref().map_or(account.toolkit.as_str(), |toolkit| toolkit.name.as_str());
        let params = &account.params;
        let nothing = Facts::default();
        let opened = diagnosis::last(events, AuditAction::LinkOpen).map_or(&nothing, |event| &event.facts);
        let found = diagnosis.evidence.map_or(&nothing, |event| &event.facts);
        let scopes = params.missing_scopes().join(" ");
        let reason = account.status_reason.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string);
        let placeholders = [
            ("toolkit", name),
            ("auth_config", account.auth_config_id.as_str()),
            ("id", account.id.as_str()),
            ("host", opened.host.as_deref().unwrap_or(name)),
            ("redirect_uri", opened.redirect_uri.as_deref().unwrap_or("the redirect URI of the auth config")),
            ("scopes", scopes.as_str()),
            ("reason", reason.as_str()),
        ];
        let finding = diagnosis.finding;
        let mut timeline = timeline::timeline(events, name);
        if let Some(identity) = &params.identity
            && let Some(connected) = timeline.iter_mut().rfind(|entry| entry.event == "connected")
        {
            let who = format!("It is {} at {name}.", identity.display_name());
            connected.detail = Some(connected.detail.take().map_or(who.clone(), |detail| format!("{who} {detail}")));
        }
        Explanation {
            account_id: account.id.clone(),
            link: None,
            status,
            finding,
            summary: finding.summary(&placeholders),
            cause: finding.cause(&placeholders),
            fix: finding.fix(&placeholders),
            provider_message: found.provider.clone(),
            timeline,
            warnings: Vec::new(),
            is_truncated: false,
            next: Next::default(),
        }
    }
}

/// The status of a link, with its diagnosis.
fn of_link<'e>(link: &LinkRow, events: &'e [Event], now: Timestamp) -> (LinkStatus, Diagnosis<'e>) {
    let without_evidence = |finding| Diagnosis { finding, evidence: None };
    let ended = || {
        let reason = diagnosis::last(events, AuditAction::LinkEnd).and_then(Event::reason);
        reason.map_or(without_evidence(Finding::Other), |reason| diagnosis::of_reason(&reason, events))
    };
    let open_status = |status: LinkStatus| {
        let is_expired = now >= link.expires_at && status == LinkStatus::Offered;
        if is_expired {
            (LinkStatus::Expired, without_evidence(Finding::LinkNotOpened))
        } else {
            (status, diagnosis::of_open_link(events.iter()))
        }
    };
    match &link.state {
        LinkState::Open | LinkState::Exchanging { .. } => {
            let is_started = events.iter().any(|event| event.is(AuditAction::LinkOpen));
            open_status(if is_started { LinkStatus::Claimed } else { LinkStatus::Offered })
        }
        LinkState::Finished { outcome } => match outcome {
            LinkOutcome::Success => (LinkStatus::Succeeded, without_evidence(Finding::LinkFinished)),
            LinkOutcome::Replaced => (LinkStatus::Replaced, without_evidence(Finding::LinkReplaced)),
            LinkOutcome::Expired => (LinkStatus::Expired, ended()),
            LinkOutcome::Failed | LinkOutcome::Rejected | LinkOutcome::Deleted => (LinkStatus::Failed, ended()),
        },
    }
}

/// Whether the account's tokens are ever refreshed.
fn is_refreshable(account: &AccountRow) -> bool {
    account.status == AccountStatus::Active && account.refresh_due_at.is_some()
}

fn next(account: &AccountRow, link: Option<&LinkRow>, now: Timestamp, pause: Option<Duration>) -> Next {
    let is_open = |link: &&LinkRow| !matches!(link.state, LinkState::Finished { .. }) && now < link.expires_at;
    let link_expires_at = link.filter(is_open).map(|link| link.expires_at);
    if account.status != AccountStatus::Active {
        return Next { link_expires_at, ..Next::default() };
    }
    let own = account.refresh_retry_at.filter(|_| is_backing_off(account, now));
    Next {
        refresh_due_at: account.refresh_due_at,
        retry_at: own.max(pause.map(|pause| now + pause)),
        leased_until: account.refresh_lease_until.filter(|_| is_leased(account, now)),
        expires_at: account.expires_at,
        link_expires_at,
    }
}

/// What failing refreshes mean for calls.
fn refresh_impact(account: &AccountRow, finding: Finding, now: Timestamp) -> String {
    if account.refresh_failures == 0 && finding != Finding::ProviderPaused {
        return String::new();
    }
    let failed = match account.refresh_failures {
        0 => String::new(),
        1 => " One try failed.".to_owned(),
        tries => format!(" {tries} tries in a row failed."),
    };
    match account.expires_at {
        Some(at) if now >= at => format!("{failed} Its token is over, so calls fail until a refresh succeeds."),
        Some(at) => format!("{failed} The token that it has works until {}.", iso(at)),
        None => format!("{failed} The token that it has goes on working."),
    }
}
