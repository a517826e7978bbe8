//! The connect flow: what happens between a link and an ACTIVE account.
//!
//! `visit.rs` finds the link behind a token, without side effects; `start.rs` begins an attempt, which
//! belongs to one browser, and sends that to the provider; `secrets.rs` takes an entered key;
//! `callback.rs` takes the provider's answer, and `device.rs` asks for it where no browser comes back;
//! `exchange.rs` turns a code into a credential; `park.rs` keeps either until the developer has
//! confirmed who finished, where the project asks for that; `settle.rs` learns who and where the account
//! is; `choose.rs` asks the user which of several things is meant, and `choose_way.rs` how to connect, where the
//! developer leaves that to the user. `attempt.rs` has the rules of several attempts of one link: who may
//! exchange a code, and what a failed one ends.

mod attempt;
mod callback;
mod choose;
mod choose_way;
mod context;
mod cookies;
mod depart;
mod device;
mod exchange;
mod park;
mod secrets;
mod settle;
mod start;
mod visit;

pub use callback::{Arrived, CallbackParameters, Returned};
pub use choose::{Choice, Chose};
pub use choose_way::WayChosen;
pub use cookies::{attempt_cookie_name, link_cookie_name};
pub use device::{DeviceCode, DevicePage};
pub use start::Started;
pub use visit::{Offer, Visit};

use std::sync::Arc;

use switchboard_store::links::LinkRow;

use crate::app::auth_config::AuthConfigs;
use crate::app::base::core::Core;
use crate::app::base::rate_limits::Limits;
use crate::app::credential::Credentials;
use crate::app::provider::Providers;
use crate::app::provider::redirect_uris::RedirectUris;
use crate::app::refresh::Refresher;
use crate::app::revocation::Revocations;
use crate::app::spool::Spool;

/// How a person's visit ends. Each has a page that says what happened and what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Connected.
    Success,
    /// Connected before, by this browser or for it to know.
    Connected,
    /// Somebody looks for an end that is not his to see.
    Closed,
    /// Another attempt of the link is being finished in this moment.
    Busy,
    /// Another account signed in than the one that the link is for.
    AccountMismatch,
    /// Finished, and waiting for the developer's word on who it was.
    Unconfirmed,
    /// There are several things to connect, and the user is to say which.
    Choose,
    /// The user said no at the provider.
    Denied,
    /// The user said "this wasn't me".
    Rejected,
    /// Too late.
    Expired,
    /// The link was used before.
    Used,
    /// Another browser started this.
    BrowserMismatch,
    /// The link, or the provider's answer, fits nothing we know.
    Invalid,
    /// The answer came for another provider than the question (R16).
    ContextMismatch,
    /// The provider did not give a credential.
    ProviderError,
    /// The form was posted from another site.
    CrossSite,
    /// Too often in a short time; later it may go on.
    TooMany,
    /// We failed.
    Internal,
}

/// The end of a visit and where the browser may go.
#[derive(Clone)]
pub struct Finished {
    /// How it ended.
    pub ending: Ending,
    /// The account, once the visitor has proven to hold the link.
    pub account_id: Option<String>,
    /// Toolkit slug.
    pub toolkit: Option<String>,
    /// Where the app wants its user back.
    pub callback_url: Option<String>,
    /// For people: what the provider said, already made harmless.
    pub detail: Option<String>,
    /// For people: what we found, in words of our own.
    pub finding: Option<String>,
    /// Where the developer confirms who finished, with the session URI in it.
    pub verify_url: Option<String>,
    /// Where the user says which of several things is meant.
    pub choose_url: Option<String>,
    /// Which account signed in; for its own user, on the page alone.
    pub signed_in: Option<String>,
    /// The link is open for another try.
    pub may_retry: bool,
    /// Its link, and what a browser that goes through it keeps of that.
    pub link: Option<(String, String)>,
    /// Whose it is.
    pub project_id: Option<String>,
}

impl Finished {
    /// An end that tells a stranger nothing.
    pub fn bare(ending: Ending) -> Self {
        Self {
            ending,
            account_id: None,
            toolkit: None,
            callback_url: None,
            detail: None,
            finding: None,
            verify_url: None,
            choose_url: None,
            signed_in: None,
            may_retry: false,
            link: None,
            project_id: None,
        }
    }

    /// An end of a known link.
    pub fn of(ending: Ending, link: &LinkRow, toolkit: &str) -> Self {
        Self {
            ending,
            account_id: Some(link.account_id.clone()),
            toolkit: Some(toolkit.to_owned()),
            callback_url: link.callback_url.clone(),
            detail: None,
            finding: None,
            verify_url: None,
            choose_url: None,
            signed_in: None,
            may_retry: false,
            link: Some((link.id.clone(), cookies::link_cookie(link))),
            project_id: Some(link.project_id.clone()),
        }
    }

    /// With words of our own.
    #[must_use]
    pub fn finding(mut self, finding: impl Into<String>) -> Self {
        self.finding = Some(finding.into());
        self
    }

    /// With words of the provider.
    #[must_use]
    pub fn saying(mut self, detail: Option<String>) -> Self {
        self.detail = detail;
        self
    }
}

// `verify_url` carries a session URI, which is for its one browser; `signed_in` is a name.
crate::redacted_debug!(Finished);

/// The connect flow, from an opened link to an ACTIVE account.
pub struct Connector {
    core: Arc<Core>,
    limits: Arc<Limits>,
    credentials: Arc<Credentials>,
    redirect_uris: Arc<RedirectUris>,
    auth_configs: Arc<AuthConfigs>,
    providers: Arc<Providers>,
    spool: Arc<Spool>,
    refresher: Arc<Refresher>,
    revocations: Arc<Revocations>,
}

crate::redacted_debug!(Connector);

impl Connector {
    /// With the services that it calls.
    #[expect(clippy::too_many_arguments, reason = "each is a service that it calls")]
    pub fn new(
        core: Arc<Core>,
        limits: Arc<Limits>,
        credentials: Arc<Credentials>,
        redirect_uris: Arc<RedirectUris>,
        auth_configs: Arc<AuthConfigs>,
        providers: Arc<Providers>,
        spool: Arc<Spool>,
        refresher: Arc<Refresher>,
        revocations: Arc<Revocations>,
    ) -> Self {
        Self { core, limits, credentials, redirect_uris, auth_configs, providers, spool, refresher, revocations }
    }
}
