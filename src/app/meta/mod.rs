//! Meta tools: tools of the server itself, with which an agent finds, connects and runs all others (contract section
//! 7.1). `definitions.rs` has their text, one file each what they do. They stand on the services that the REST API uses.

pub mod call;
mod connections;
pub mod definitions;
mod multi_execute;
mod raw_call;
mod schemas;
mod search;
mod wait;

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use switchboard_vault::{KeyRing, SealContext};

use crate::app::base::core::Core;
use crate::app::base::idempotency::IdempotencyKey;
use crate::app::call_log::CallLog;
use crate::app::execute::Executor;
use crate::app::execute::context::CallContext;
use crate::app::link::Links;
use crate::app::session::Session;
use crate::app::session::Sessions;
use crate::app::tool::outcome::Outcome;
use crate::app::tool::{Tools, wrong_arguments};
use crate::error::{Code, Error, Result};

use definitions::{MetaKind, MetaTool, PREFIX};

/// Runs meta tools.
pub struct MetaTools {
    core: Arc<Core>,
    sessions: Arc<Sessions>,
    links: Arc<Links>,
    call_log: Arc<CallLog>,
    executor: Arc<Executor>,
    tools: Arc<Tools>,
    ring: KeyRing,
}

crate::redacted_debug!(MetaTools);

/// How a meta tool is called.
#[derive(Clone, Copy, Debug, Default)]
pub struct MetaOptions<'a> {
    /// The key of which each call that it makes has one.
    pub key: Option<&'a IdempotencyKey>,
    /// No approval is asked for, because the session lets clients that cannot ask make calls without.
    pub is_unasked: bool,
}

/// The `data` that a meta tool returns.
type Data = Map<String, Value>;

impl MetaTools {
    /// Creates the service from the services that it uses.
    pub fn new(
        core: Arc<Core>,
        sessions: Arc<Sessions>,
        links: Arc<Links>,
        call_log: Arc<CallLog>,
        executor: Arc<Executor>,
        tools: Arc<Tools>,
        ring: KeyRing,
    ) -> Self {
        Self { core, sessions, links, call_log, executor, tools, ring }
    }

    /// Seals what a client of a session keeps for this server, such as a position.
    pub fn seal(&self, session: &Session, purpose: &str, content: &[u8]) -> Vec<u8> {
        self.ring.seal(seal_context(session, purpose), content)
    }

    /// What was sealed for the same session and purpose; none for anything else.
    pub fn open(&self, session: &Session, purpose: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        self.ring.open(seal_context(session, purpose), sealed).ok().map(|content| content.to_vec())
    }

    /// Whether a slug, in any case, is one of a meta tool.
    pub fn is_meta(slug: &str) -> bool {
        slug.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
    }

    /// Runs a meta tool for a session's user.
    ///
    /// # Errors
    /// There is no such meta tool, the session does not have it, or its arguments are wrong. Nothing was done then.
    pub async fn execute(
        &self,
        session: &Session,
        slug: &str,
        arguments: Map<String, Value>,
        context: &CallContext,
        options: MetaOptions<'_>,
    ) -> Result<Outcome> {
        let tool = MetaTool::find(slug).ok_or_else(|| unknown(slug))?;
        if !tool.is_offered(&session.config) {
            return Err(not_offered(tool));
        }
        let arguments = tool.check.check(arguments).map_err(|mistakes| wrong_arguments(&mistakes))?;
        let arguments = Value::Object((*arguments).clone());
        let done = match tool.kind {
            MetaKind::SearchTools => self.search(session, read(arguments)?).await?,
            MetaKind::GetToolSchemas => self.schemas(session, &read(arguments)?).await?,
            MetaKind::ManageConnections => self.manage_connections(session, &read(arguments)?, context).await?,
            MetaKind::WaitForConnections => self.wait_for_connections(session, &read(arguments)?).await?,
            MetaKind::MultiExecute => {
                let options = (options.key, options.is_unasked);
                return self.multi_execute(session, read(arguments)?, context.actor(), options).await;
            }
            MetaKind::ProxyExecute => return self.raw_call(session, read(arguments)?, context).await,
        };
        Ok(Outcome::Completed { data: done, page: None })
    }
}

fn seal_context(session: &Session, purpose: &str) -> SealContext {
    SealContext::new(&session.project_id, "sessions", &session.id, purpose)
}

/// The arguments of a meta tool, which fit its schema.
fn read<T: DeserializeOwned>(arguments: Value) -> Result<T> {
    serde_json::from_value(arguments).map_err(Error::internal)
}

/// Members of an object.
fn members(value: Value) -> Data {
    match value {
        Value::Object(members) => members,
        other => Map::from_iter([("value".to_owned(), other)]),
    }
}

fn unknown(slug: &str) -> Error {
    let name = slug.get(PREFIX.len()..).unwrap_or_default().to_ascii_uppercase();
    if matches!(name.as_str(), "REMOTE_WORKBENCH" | "REMOTE_BASH_TOOL" | "SUBMIT_FEEDBACK") {
        return Error::new(Code::NotImplemented, format!("{PREFIX}{name} is not built yet"))
            .fix("Use the tools that GET …/tools of the session lists.");
    }
    let slugs: Vec<&str> = MetaTool::all().iter().map(|tool| tool.slug).collect();
    Error::of(Code::SessionToolNotFound, &[("slug", &crate::text::truncate(slug))])
        .fix(format!("The meta tools are {}.", slugs.join(", ")))
}

fn not_offered(tool: &MetaTool) -> Error {
    let switch = match tool.kind {
        MetaKind::SearchTools | MetaKind::GetToolSchemas => "search.enable",
        MetaKind::ManageConnections => "manage_connections.enable",
        MetaKind::WaitForConnections => "manage_connections.enable_wait_for_connections",
        MetaKind::MultiExecute => "execute.enable_multi_execute",
        MetaKind::ProxyExecute => "proxy_execute.enable",
    };
    Error::new(Code::Forbidden, format!("This session does not have {}", tool.slug))
        .fix(format!("Create the session with {switch} true."))
}
