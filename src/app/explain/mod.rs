//! What became of a connection, and why, for the developer who asks: `GET …/explain`.
//!
//! Nothing is kept for it but the audit log: `audit/facts.rs` is what its events say, `timeline.rs` tells
//! them, `diagnosis.rs` finds what they come to, `words.rs` has the words. Reading changes nothing
//! and asks no provider.

mod diagnosis;
mod timeline;
mod words;

use std::sync::Arc;

use switchboard_store::accounts::{AccountRow, AccountStatus};
use switchboard_store::links::{LinkRow, LinkState};

use self::diagnosis::Diagnosis;
use self::timeline::Event;
use crate::app::account::shown_status;
use crate::app::audit::Facts;
use crate::app::base::core::Core;
use crate::app::base::errors::account_not_found;
use crate::app::credential::Credentials;
use crate::app::credential::client::Issued;
use crate::app::model::params::AccountParams;
use crate::app::provider::lease::is_leased;
use crate::app::provider::redirect_uris::RedirectUris;
use crate::app::refresh::Refresher;
use crate::app::refresh::freshness::is_backing_off;
use crate::error::{Code, Error, Result};
use crate::id::Kind;
use crate::text::truncate_to;
use crate::time::{Millis, iso};

pub use timeline::{Ended, Entry};
pub use words::Finding;

/// Most events that are told of an account, and of its auth config.
const MOST: i64 = 1_000;
/// Length of a link's id, the public part of its token.
pub const LINK_ID_LENGTH: usize = 23;

/// What became of a connection.
#[derive(Debug)]
pub struct Explanation {
    /// The account.
    pub account_id: String,
    /// The link that was asked for, and how far it got.
    pub link: Option<(String, LinkStatus)>,
    /// Status as answers show it.
    pub status: AccountStatus,
    /// What was found.
    pub finding: Finding,
    /// Where it stands.
    pub summary: String,
    /// Why; none where nothing is wrong.
    pub cause: Option<String>,
    /// What to do.
    pub fix: Option<String>,
    /// The provider's own words, where they are why.
    pub provider_message: Option<String>,
    /// What happened, oldest first.
    pub timeline: Vec<Entry>,
    /// What will go wrong sooner or later.
    pub warnings: Vec<String>,
    /// There were more events, which are not told.
    pub is_cut: bool,
    /// What comes next.
    pub next: Next,
}

/// How far a link got.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LinkStatus {
    /// Nobody pressed Continue.
    Offered,
    /// Somebody did.
    Claimed,
    /// It did its work.
    Succeeded,
    /// It did not.
    Failed,
    /// Its time is over.
    Expired,
    /// A newer one took its place.
    Replaced,
}

/// What comes next, and when.
#[derive(Clone, Copy, Debug, Default)]
pub struct Next {
    /// From then on the token is refreshed.
    pub refresh_due_at: Option<Millis>,
    /// It is not tried before that.
    pub retry_at: Option<Millis>,
    /// Somebody refreshes it now, until then at the latest.
    pub leased_until: Option<Millis>,
    /// The access token ends.
    pub expires_at: Option<Millis>,
    /// The link ends.
    pub link_expires_at: Option<Millis>,
}

/// What happened to an account or a link, and what to do.
pub struct Explanations {
    core: Arc<Core>,
    credentials: Arc<Credentials>,
    redirect_uris: Arc<RedirectUris>,
    refresher: Arc<Refresher>,
}

crate::redacted_debug!(Explanations);

impl Explanations {
    /// With the services that it calls.
    pub fn new(
        core: Arc<Core>,
        credentials: Arc<Credentials>,
        redirect_uris: Arc<RedirectUris>,
        refresher: Arc<Refresher>,
    ) -> Self {
        Self { core, credentials, redirect_uris, refresher }
    }
}

impl Explanations {
    /// What became of an account.
    pub async fn of_account(&self, project: &str, id: &str) -> Result<Explanation> {
        let account = self.core.store.account(project, id).await?.ok_or_else(|| account_not_found(id))?;
        let (events, is_cut) = self.events_of(&account).await?;
        let now = self.core.now();
        let pause = self.refresher.provider_pause(&account).filter(|_| can_renew(&account));
        let shown = shown_status(&account);
        let mut diagnosis = diagnosis::of_account(&account, shown, &events, now, pause.is_some());
        if shown == AccountStatus::Active && self.has_moved(&account).await? {
            diagnosis = Diagnosis { finding: Finding::HostChanged, evidence: None };
        }
        self.look_at_redirect_uri(&account, &mut diagnosis).await?;
        let link = match &account.link_id {
            Some(id) => self.core.store.link(id).await?,
            None => None,
        };
        let next = next(&account, link.as_ref(), now, pause);
        let mut told = self.explanation(&account, shown, &events, &diagnosis)?;
        if shown == AccountStatus::Active {
            told.summary.push_str(&life(&account, diagnosis.finding, now));
            let is_well = matches!(diagnosis.finding, Finding::Works | Finding::MissingScopes);
            if let Some(failed) = diagnosis::of_reconnection(&events).filter(|_| is_well) {
                told = self.explanation(&account, shown, &events, &failed)?;
                told.summary = format!("The account works; connecting it once more did not: {}", told.summary);
            }
        }
        let warnings = self.limit_reached(&account).await?.into_iter().collect();
        Ok(Explanation { warnings, is_cut, next, ..told })
    }

    /// What to say where as many accounts of one person hold a credential as the provider keeps alive.
    async fn limit_reached(&self, account: &AccountRow) -> Result<Option<String>> {
        let Some(toolkit) = self.core.toolkit(&account.toolkit) else { return Ok(None) };
        let scheme = account.scheme.parse().map_err(Error::internal)?;
        let Some(most) = toolkit.oauth(scheme).and_then(|oauth| oauth.token_limit) else { return Ok(None) };
        let Some(identity) = AccountParams::parse(&account.params)?.identity else { return Ok(None) };
        let (project, config) = (&account.project_id, &account.auth_config_id);
        let held = self.core.store.count_connected_as(project, config, &identity.id, i64::from(most) + 1).await?;
        let kept = match most {
            1 => "one connection".to_owned(),
            most => format!("{most} connections"),
        };
        let shown = if held > i64::from(most) { format!("more than {most}") } else { held.to_string() };
        // One account of a provider that keeps one is as it should be.
        Ok((held >= i64::from(most).max(2)).then(|| {
            format!(
                "{} keeps {kept} of one user with one OAuth client alive, and {shown} accounts of this auth config are \
                 connected as this user: with each further one the oldest stops working. Delete those that nobody uses.",
                toolkit.name
            )
        }))
    }

    /// What became of a link. `id` is the public part of its token.
    pub async fn of_link(&self, project: &str, id: &str) -> Result<Explanation> {
        let unknown = || Error::of(Code::LinkNotFound, &[("id", &truncate_to(id, LINK_ID_LENGTH))]);
        // The whole token is a secret that has no place in an address, so it finds nothing.
        if !Kind::Link.admits(id) {
            return Err(unknown());
        }
        let link = self.core.store.link(id).await?.filter(|link| link.project_id == project).ok_or_else(unknown)?;
        let account = self.core.store.account(project, &link.account_id).await?.ok_or_else(unknown)?;
        let (events, is_cut) = self.events_of(&account).await?;
        let events: Vec<Event> = events.into_iter().filter(|event| event.link_id() == Some(id)).collect();
        let (status, mut diagnosis) = of_link(&link, &events, self.core.now());
        self.look_at_redirect_uri(&account, &mut diagnosis).await?;
        let shown = shown_status(&account);
        let link_expires_at = matches!(status, LinkStatus::Offered | LinkStatus::Claimed).then_some(link.expires_at);
        let next = Next { link_expires_at, ..Next::default() };
        let told = self.explanation(&account, shown, &events, &diagnosis)?;
        Ok(Explanation { link: Some((link.id, status)), is_cut, next, ..told })
    }

    /// Whether the auth config names another place for its client than where the account was connected.
    async fn has_moved(&self, account: &AccountRow) -> Result<bool> {
        let (Some(toolkit), Ok(scheme)) = (self.core.toolkit(&account.toolkit), account.scheme.parse()) else {
            return Ok(false);
        };
        if toolkit.client_fields(scheme).is_empty() {
            return Ok(false);
        }
        let Some(config) = self.core.store.auth_config(&account.project_id, &account.auth_config_id).await? else {
            return Ok(false);
        };
        let params = AccountParams::parse(&account.params)?.completed(&toolkit, scheme);
        Ok(self
            .credentials
            .client_for(&toolkit, scheme, &config, &params, Issued::Earlier(params.client_id.as_deref()))
            .is_err_and(|it| it.code() == Code::ReauthRequired))
    }

    /// A link whose auth config cannot be used says so before anybody has tried.
    async fn look_at_redirect_uri(&self, account: &AccountRow, diagnosis: &mut Diagnosis<'_>) -> Result<()> {
        if matches!(diagnosis.finding, Finding::LinkOffered | Finding::LinkNotOpened | Finding::ContextMismatch)
            && let Some(config) = self.core.store.auth_config(&account.project_id, &account.auth_config_id).await?
            && self.redirect_uris.is_shared(&config).await?
        {
            diagnosis.finding = Finding::RedirectShared;
        }
        Ok(())
    }

    /// Events about an account, and about its auth config since there is the account.
    async fn events_of(&self, account: &AccountRow) -> Result<(Vec<Event>, bool)> {
        let project = &account.project_id;
        let own = self.core.store.newest_audit_events(project, &account.id, MOST).await?;
        let of_config = self.core.store.newest_audit_events(project, &account.auth_config_id, MOST).await?;
        let is_cut = i64::try_from(own.len()).is_ok_and(|count| count >= MOST);
        let since = |at: Millis| at >= account.created_at;
        let of_config = of_config.into_iter().filter(|event| since(event.at) && event.action != "auth_config.create");
        let mut events: Vec<Event> = own.into_iter().chain(of_config).map(Event::new).collect();
        events.sort_by(|one, other| one.order().cmp(&other.order()));
        Ok((events, is_cut))
    }

    fn explanation(
        &self,
        account: &AccountRow,
        status: AccountStatus,
        events: &[Event],
        diagnosis: &Diagnosis<'_>,
    ) -> Result<Explanation> {
        let toolkit = self.core.toolkit(&account.toolkit);
        let name = toolkit.as_ref().map_or(account.toolkit.as_str(), |toolkit| toolkit.name.as_str());
        let params = AccountParams::parse(&account.params)?;
        let nothing = Facts::default();
        let opened = diagnosis::last(events, "link.open").map_or(&nothing, |event| &event.facts);
        let found = diagnosis.evidence.map_or(&nothing, |event| &event.facts);
        let scopes = params.missing_scopes().join(" ");
        let holes = [
            ("toolkit", name),
            ("auth_config", account.auth_config_id.as_str()),
            ("id", account.id.as_str()),
            ("host", opened.host.as_deref().unwrap_or(name)),
            ("redirect_uri", opened.redirect_uri.as_deref().unwrap_or("the redirect URI of the auth config")),
            ("scopes", scopes.as_str()),
            ("reason", account.status_reason.as_deref().unwrap_or("nothing")),
        ];
        let finding = diagnosis.finding;
        let mut timeline = timeline::timeline(events, name);
        if let Some(identity) = &params.identity
            && let Some(connected) = timeline.iter_mut().rfind(|entry| entry.event == "connected")
        {
            let who = format!("It is {} at {name}.", identity.shown());
            connected.detail = Some(connected.detail.take().map_or(who.clone(), |detail| format!("{who} {detail}")));
        }
        Ok(Explanation {
            account_id: account.id.clone(),
            link: None,
            status,
            finding,
            summary: finding.summary(&holes),
            cause: finding.cause(&holes),
            fix: finding.fix(&holes),
            provider_message: found.provider.clone(),
            timeline,
            warnings: Vec::new(),
            is_cut: false,
            next: Next::default(),
        })
    }
}

/// How far a link got, and what that means.
fn of_link<'e>(link: &LinkRow, events: &'e [Event], now: Millis) -> (LinkStatus, Diagnosis<'e>) {
    let bare = |finding| Diagnosis { finding, evidence: None };
    let ended = || {
        let reason = diagnosis::last(events, "link.end").map(|event| event.outcome().to_owned());
        diagnosis::of_reason(&reason.unwrap_or_default(), events)
    };
    let is_reached = |status: LinkStatus| {
        let is_over = now >= link.expires_at && status == LinkStatus::Offered;
        if is_over {
            (LinkStatus::Expired, bare(Finding::LinkNotOpened))
        } else {
            (status, diagnosis::of_open_link(events.iter()))
        }
    };
    match &link.state {
        LinkState::Open | LinkState::Exchanging { .. } => {
            let is_begun = events.iter().any(|event| event.action() == "link.open");
            is_reached(if is_begun { LinkStatus::Claimed } else { LinkStatus::Offered })
        }
        LinkState::Finished { outcome } => match outcome.as_str() {
            "success" => (LinkStatus::Succeeded, bare(Finding::LinkFinished)),
            "replaced" => (LinkStatus::Replaced, bare(Finding::LinkReplaced)),
            "expired" => (LinkStatus::Expired, ended()),
            _ => (LinkStatus::Failed, ended()),
        },
    }
}

/// Whether anything is ever refreshed for the account.
fn can_renew(account: &AccountRow) -> bool {
    account.status == AccountStatus::Active && account.refresh_due_at.is_some()
}

fn next(account: &AccountRow, link: Option<&LinkRow>, now: Millis, pause: Option<Millis>) -> Next {
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

/// What a failing refresh means for calls.
fn life(account: &AccountRow, finding: Finding, now: Millis) -> String {
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
