//! Calls a provider for a session: with the account that the session uses, within limits, and with an answer that
//! has no credential in it.
//!
//! There is one way to do so, [`Executor::execute`] in `pipeline.rs`. What a caller may ask for, and how this
//! becomes a request, is a front end's ([`call::FrontEnd`]); `proxy.rs` is the one for raw API calls, and
//! `proxy_files.rs` has their files. `dry_run.rs` ends before anything is sent.

pub mod answer;
pub mod call;
mod content;
pub mod context;
pub mod dry_run;
mod pipeline;
pub mod proxy;
pub mod proxy_files;
mod ready;
mod retry_unauthorized;

use std::sync::Arc;

use switchboard_egress::Budget;
use tokio::sync::Semaphore;

use self::ready::ReadyAccounts;
use crate::app::base::core::Core;
use crate::app::base::rate_limits::Limits;
use crate::app::base::threads::Threads;
use crate::app::credential::Credentials;
use crate::app::provider::Providers;
use crate::app::provider_limits::ProviderLimits;
use crate::app::refresh::Refresher;
use crate::app::session::Sessions;

/// Calls with the credential of an account.
pub struct Executor {
    core: Arc<Core>,
    limits: Arc<Limits>,
    credentials: Arc<Credentials>,
    providers: Arc<Providers>,
    provider_limits: Arc<ProviderLimits>,
    refresher: Arc<Refresher>,
    sessions: Arc<Sessions>,
    ready_accounts: ReadyAccounts,
    answers: Budget,
    large_answers: Threads,
    /// Who redacts a chunk of a large binary body.
    redacting: Semaphore,
}

crate::redacted_debug!(Executor);

impl Executor {
    /// Creates the service from the services that it uses.
    #[expect(clippy::too_many_arguments, reason = "each is a service that it uses")]
    pub fn new(
        core: Arc<Core>,
        limits: Arc<Limits>,
        credentials: Arc<Credentials>,
        providers: Arc<Providers>,
        provider_limits: Arc<ProviderLimits>,
        refresher: Arc<Refresher>,
        sessions: Arc<Sessions>,
        answers: Budget,
        large_answers: Threads,
    ) -> Self {
        Self {
            core,
            limits,
            credentials,
            providers,
            provider_limits,
            refresher,
            sessions,
            ready_accounts: ReadyAccounts::default(),
            answers,
            large_answers,
            redacting: Semaphore::new(1),
        }
    }

    /// Bytes of the memory budget for responses that are free.
    pub fn free_answer_memory(&self) -> usize {
        self.answers.available()
    }

    /// Wipes the credentials that were remembered for long enough.
    pub(in crate::app) fn forget_old_credentials(&self) -> usize {
        self.sessions.forget_old_accounts();
        self.ready_accounts.forget_old()
    }
}
