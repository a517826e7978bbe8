//! Tools: the one way from a tool's name and arguments to an outcome, for every surface that runs tools.
//!
//! [`Tools::execute`] takes these steps: the tool (`find.rs`), the session's policy, the arguments, the account with its
//! scopes, the request, the provider's answer, the result. Everything up to the request is checked before anything is
//! sent, and before a file that an argument names is fetched (`file_arguments.rs`). Surfaces differ only in how they print an [`Outcome`].

mod active_content;
mod approve;
mod checks;
mod decide;
pub mod direct;
mod dry_run;
mod failure;
mod file_arguments;
mod file_result;
mod find;
mod front_end;
pub mod list;
mod off_load;
mod offer;
pub mod outcome;
pub mod pages;
pub mod read_result;
mod repeat;
pub mod response;
mod run;
pub mod scopes;
pub mod search;

use std::sync::Arc;

use serde_json::{Map, Value};
use switchboard_vault::KeyRing;

use crate::app::approval::Approvals;
use crate::app::base::core::Core;
use crate::app::execute::Executor;
use crate::app::file::Files;
use crate::app::link::Links;
use crate::app::session::Sessions;
pub use crate::app::session::policy::tags;
use crate::app::tool_versions::ToolVersions;

use checks::Checks;
pub(crate) use front_end::unsent_request;
use offer::Offers;
use pages::AllPages;
pub(in crate::app) use run::wrong_arguments;
use search::Indexes;

/// Lists, finds and runs tools.
pub struct Tools {
    core: Arc<Core>,
    executor: Arc<Executor>,
    links: Arc<Links>,
    files: Arc<Files>,
    sessions: Arc<Sessions>,
    approvals: Arc<Approvals>,
    versions: Arc<ToolVersions>,
    ring: KeyRing,
    checks: Checks,
    offers: Offers,
    indexes: Indexes,
}

crate::redacted_debug!(Tools, ToolCall);

impl Tools {
    /// Creates the service from the services that it uses.
    #[expect(clippy::too_many_arguments, reason = "each is a service that it uses")]
    pub fn new(
        core: Arc<Core>,
        executor: Arc<Executor>,
        links: Arc<Links>,
        files: Arc<Files>,
        sessions: Arc<Sessions>,
        approvals: Arc<Approvals>,
        versions: Arc<ToolVersions>,
        ring: KeyRing,
    ) -> Self {
        let (checks, offers, indexes) = (Checks::default(), Offers::default(), Indexes::default());
        Self { core, executor, links, files, sessions, approvals, versions, ring, checks, offers, indexes }
    }
}

/// A call of a tool.
pub struct ToolCall {
    /// Its arguments.
    pub arguments: Map<String, Value>,
    /// Which of several accounts, by id, word id or alias.
    pub account: Option<String>,
    /// How it is made.
    pub options: CallOptions,
}

/// How a call is made.
#[derive(Clone, Debug, Default)]
pub struct CallOptions {
    /// The position of the page that is wanted; the first one when omitted.
    pub page: Option<String>,
    /// How many pages are wanted in one answer; one when omitted.
    pub all_pages: Option<AllPages>,
    /// Everything up to the request, which is the result. Nothing is sent.
    pub dry_run: bool,
    /// No approval is asked for, because the session lets clients that cannot ask make calls without.
    pub is_unasked: bool,
}
