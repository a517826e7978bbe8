//! The connect flow: from a link to an ACTIVE account.
//!
//! - `visit.rs` finds the link behind a token, without side effects.
//! - `start.rs` starts an attempt, which belongs to one browser, and sends that browser to the provider
//!   (`authorize.rs`). `asked.rs` says which scopes it asks for.
//! - `secrets.rs` accepts an entered key.
//! - `callback.rs` handles the authorization response; `device.rs` polls where no browser comes back.
//! - `exchange.rs` turns a code into a credential.
//! - `confirm.rs` stores either until the developer has confirmed the user, where the project requires it.
//! - `complete.rs` identifies the account and activates it.
//! - `choose.rs` asks the user to choose one of several sites or workspaces; `choose_scheme.rs` asks for
//!   the scheme.
//! - `attempt.rs` has the rules for several attempts of one link: which may exchange its code, and what
//!   a failed one ends.

mod asked;
mod attempt;
mod authorize;
mod callback;
mod choose;
mod choose_scheme;
mod complete;
mod confirm;
mod context;
mod cookies;
mod device;
mod exchange;
mod secrets;
mod start;
mod visit;

pub use callback::{CallbackOutcome, CallbackParameters, CallbackRequest};
pub use choose::{Choice, ChoiceResult};
pub use choose_scheme::SchemeChosen;
pub use cookies::{attempt_cookie_name, link_cookie_name};
pub use device::{DeviceCode, DevicePage};
pub use start::Started;
pub use visit::{Offer, Visit};

use std::sync::Arc;

use switchboard_store::links::LinkRow;
use switchboard_types::{AccountId, LinkId, ProjectId, ReasonCode};

use self::asked::LeastScopes;
use crate::app::auth_config::AuthConfigs;
use crate::app::base::core::Core;
use crate::app::base::rate_limits::Limits;
use crate::app::credential::Credentials;
use crate::app::provider::Providers;
use crate::app::provider::redirect_uris::RedirectUris;
use crate::app::refresh::Refresher;
use crate::app::revocation::Revocations;
use crate::app::spool::Spool;

/// How a visit ends. Each has a page that says what happened and what to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Connected.
    Success,
    /// Connected earlier, and this browser may see it.
    Connected,
    /// The visitor may not see how the link ended.
    Closed,
    /// Another attempt of the link is being completed right now.
    Busy,
    /// The user signed in with another account than the one that the link is for.
    AccountMismatch,
    /// Finished, and waiting for the developer to confirm the user.
    Unconfirmed,
    /// The user has to choose one of several options.
    Choose,
    /// The user denied access at the provider.
    Denied,
    /// The user said "this wasn't me".
    Rejected,
    /// Expired.
    Expired,
    /// The link was used before.
    Used,
    /// Another browser started the attempt.
    BrowserMismatch,
    /// The link or the callback is unknown.
    Invalid,
    /// The authorization response does not match its request (R16).
    ContextMismatch,
    /// The provider did not issue a credential.
    ProviderError,
    /// The form was submitted from another site.
    CrossSite,
    /// Rate limited; the visitor may retry later.
    RateLimited,
    /// Internal error.
    Internal,
}

/// The outcome of a visit, and where the browser may go next.
#[derive(Clone)]
pub struct Finished {
    /// How it ended.
    pub ending: Ending,
    /// The account, once the visitor has proven to have the link.
    pub account_id: Option<AccountId>,
    /// Toolkit slug.
    pub toolkit: Option<String>,
    /// The app's callback URL.
    pub callback_url: Option<String>,
    /// The provider's message, sanitized for display.
    pub detail: Option<String>,
    /// Our own explanation for the user.
    pub finding: Option<String>,
    /// Where the developer confirms the user, with the session URI.
    pub verify_url: Option<String>,
    /// Where the user chooses one of several options.
    pub choose_url: Option<String>,
    /// The account that signed in; shown to its own user on the page only.
    pub signed_in: Option<String>,
    /// The link is open for another attempt.
    pub may_retry: bool,
    /// Id and cookie value of the link.
    pub link: Option<(LinkId, String)>,
    /// The project of the link.
    pub project_id: Option<ProjectId>,
}

impl Ending {
    /// The ending that a failed attempt's reason is shown as.
    fn of_failure(code: ReasonCode) -> Self {
        match code {
            ReasonCode::AccessDenied => Self::Denied,
            ReasonCode::AccountUnknown | ReasonCode::UnexpectedAccount | ReasonCode::DifferentAccount => {
                Self::AccountMismatch
            }
            ReasonCode::DeviceCodeExpired => Self::Expired,
            _ => Self::ProviderError,
        }
    }
}

impl Finished {
    /// An outcome that reveals nothing to an unknown visitor.
    pub fn without_link(ending: Ending) -> Self {
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

    /// An outcome of a known link.
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

    /// Adds our own explanation.
    #[must_use]
    pub fn with_finding(mut self, finding: impl Into<String>) -> Self {
        self.finding = Some(finding.into());
        self
    }

    /// Sets the provider's message.
    #[must_use]
    pub fn with_detail(mut self, detail: Option<String>) -> Self {
        self.detail = detail;
        self
    }
}

// `verify_url` contains a session URI, which is for one browser only; `signed_in` is personal data.
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
    least_scopes: LeastScopes,
}

crate::redacted_debug!(Connector);

impl Connector {
    /// Creates the service from the services that it calls.
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
        Self {
            core,
            limits,
            credentials,
            redirect_uris,
            auth_configs,
            providers,
            spool,
            refresher,
            revocations,
            least_scopes: LeastScopes::default(),
        }
    }
}
