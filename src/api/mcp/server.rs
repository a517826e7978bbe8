//! What a session serves: its tools, for the caller of one request.

use std::sync::{Arc, LazyLock};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde_json::{Map, Value, json};
use switchboard_mcp::{Cache, Call, Failure, Implementation, Outcome, Peer, Pending, Request, Revision, Server};

use super::answer::{failure, link_question, questions, refusal, result, unknown_tool};
use crate::api::http::auth::Caller;
use crate::api::tool::execute::arguments;
use crate::api::tool::meta::check_key;
use crate::app::App;
use crate::app::base::idempotency::IdempotencyKey;
use crate::app::execute::context::CallContext;
use crate::app::meta::MetaTools;
use crate::app::meta::call::{AgentCall, CallResult, LinkOffer};
use crate::app::meta::definitions::MetaTool;
use crate::app::session::Session;
use crate::app::tool::{CallOptions, ToolCall};
use crate::error::{Class, Code, Error, Result};

/// How long a client may keep a list, in milliseconds: a change of the session's policy shows after it.
const LIST_LIFETIME: u64 = 60_000;
/// Code of the error that asks a client with a handshake to show a URL (revision 2025-11-25).
const URL_ELICITATION_REQUIRED: i64 = -32_042;
/// Keys of our own in `_meta` of a call.
const IDEMPOTENCY_KEY: &str = "dev.switchboard/idempotencyKey";
const PAGE: &str = "dev.switchboard/page";
const DRY_RUN: &str = "dev.switchboard/dryRun";
const ACCOUNT: &str = "dev.switchboard/account";

/// Questions of this process that wait for their answers.
static PENDING: LazyLock<Arc<Pending>> = LazyLock::new(Arc::default);

/// A session and who calls.
pub(super) struct SessionServer {
    pub(super) app: Arc<App>,
    pub(super) session: Arc<Session>,
    caller: Caller,
}

impl SessionServer {
    pub(super) fn new(app: Arc<App>, session: Arc<Session>, caller: Caller) -> Self {
        Self { app, session, caller }
    }

    /// The position of a cursor in the list of the session as it is now.
    pub(super) fn position(&self, cursor: &str) -> Option<usize> {
        let opened = self.app.meta_tools.open(&self.session, "cursor", &BASE64.decode(cursor).ok()?)?;
        Some(usize::try_from(u64::from_be_bytes(opened.try_into().ok()?)).unwrap_or(usize::MAX))
    }

    /// A cursor that only this list has.
    pub(super) fn cursor(&self, position: usize) -> String {
        BASE64.encode(self.app.meta_tools.seal(&self.session, "cursor", &(position as u64).to_be_bytes()))
    }

    /// `tools/call`.
    async fn call(&self, call: Call, peer: &Peer) -> std::result::Result<Outcome, Failure> {
        let slug = call.name.clone();
        let called = if MetaTools::is_meta(&slug) { self.call_meta(call).await } else { self.call_tool(call).await };
        match called {
            Ok(called) => self.answer(called, peer),
            Err(error) if matches!(error.code(), Code::SessionToolNotFound) => {
                Err(unknown_tool(&error, &self.app.tools.similar(&self.session, &slug)))
            }
            Err(error) if matches!(error.code().class(), Class::Internal | Class::Unavailable) => Err(failure(&error)),
            Err(error) => Ok(refusal(&error)),
        }
    }

    async fn call_tool(&self, call: Call) -> Result<CallResult> {
        let text = |name: &str| call.meta.get(name).and_then(Value::as_str).map(str::to_owned);
        let options = CallOptions {
            page: text(PAGE),
            dry_run: call.meta.get(DRY_RUN) == Some(&Value::Bool(true)),
            ..CallOptions::default()
        };
        let (account, key) = (text(ACCOUNT), self.key(&call)?);
        let given = ToolCall { arguments: arguments(call.arguments)?, account, options };
        let agent_call = AgentCall { slug: &call.name, call: given, key, off_loads: true };
        self.app.meta_tools.call(&self.session, &self.caller.actor(), agent_call).await
    }

    async fn call_meta(&self, call: Call) -> Result<CallResult> {
        check_key(&self.caller, MetaTool::find(&call.name).map(|tool| tool.kind))?;
        let key = self.key(&call)?;
        let given = arguments(call.arguments)?;
        let context = CallContext::of_proxy(self.app.call_log.begin(self.caller.actor(), None));
        let outcome = self.app.meta_tools.execute(&self.session, &call.name, given, &context, key.as_ref()).await?;
        Ok(CallResult::new(outcome, context.call.id()))
    }

    /// The key with which the same call may be repeated.
    fn key(&self, call: &Call) -> Result<Option<IdempotencyKey>> {
        let Some(key) = call.meta.get(IDEMPOTENCY_KEY) else { return Ok(None) };
        let key = key.as_str().ok_or_else(|| Error::field(IDEMPOTENCY_KEY, "must be a string"))?;
        let arguments = call.arguments.as_ref().map(Value::to_string).unwrap_or_default();
        let path = format!("/mcp/{}/{}", self.session.id, call.name.to_ascii_uppercase());
        IdempotencyKey::new(&self.caller.project_id, key, "POST", &path, arguments.as_bytes()).map(Some)
    }

    /// The result of a call; a question where the user has to open a link first and the client can show one.
    fn answer(&self, called: CallResult, peer: &Peer) -> std::result::Result<Outcome, Failure> {
        let Some(LinkOffer { url, message }) = called.needed.as_ref().filter(|_| peer.client.url) else {
            return Ok(result(&called));
        };
        if peer.client.revision.is_stateless() {
            let requests = questions("link", link_question(url, message));
            return Ok(Outcome::InputRequired { requests, state: None });
        }
        let mut elicitation = link_question(url, message);
        elicitation["elicitationId"] = self.app.core.mint(crate::id::Kind::Request).as_str().into();
        Err(Failure::custom(URL_ELICITATION_REQUIRED, message.clone(), json!({ "elicitations": [elicitation] })))
    }
}

impl Server for SessionServer {
    fn implementation(&self) -> Implementation {
        Implementation { name: "switchboard", title: "Switchboard", version: env!("CARGO_PKG_VERSION") }
    }

    fn capabilities(&self) -> Value {
        json!({ "tools": {}, "prompts": {}, "resources": {} })
    }

    fn instructions(&self) -> Option<String> {
        let offers = |name: &str| MetaTool::find(name).is_some_and(|tool| tool.is_offered(&self.session.config));
        let mut text = "Tools that act in the apps of one user, with the user's own accounts.".to_owned();
        if offers("COMPOSIO_SEARCH_TOOLS") {
            text.push_str(" Find tools with COMPOSIO_SEARCH_TOOLS before you say that something cannot be done.");
        }
        if offers("COMPOSIO_MANAGE_CONNECTIONS") {
            text.push_str(" Connect apps with COMPOSIO_MANAGE_CONNECTIONS and show the user its links.");
        }
        Some(text)
    }

    fn cache(&self) -> Cache {
        Cache { ttl_ms: LIST_LIFETIME, is_private: true }
    }

    fn pending(&self) -> &Arc<Pending> {
        &PENDING
    }

    fn scope(&self) -> String {
        format!("{} {}", self.session.id, self.caller.key_id)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.app.core.now().as_millis() / 1_000).unwrap_or_default()
    }

    fn seal(&self, content: &[u8]) -> String {
        BASE64.encode(self.app.meta_tools.seal(&self.session, "client", content))
    }

    fn open(&self, session_id: &str) -> Option<Vec<u8>> {
        self.app.meta_tools.open(&self.session, "client", &BASE64.decode(session_id).ok()?)
    }

    async fn handle(&self, request: Request, peer: &Peer) -> std::result::Result<Outcome, Failure> {
        let empty = |name: &str| Ok(Outcome::of(&Value::Object(Map::from_iter([(name.to_owned(), json!([]))]))));
        match request {
            Request::ListTools { cursor } => self.tools(cursor.as_deref()).await,
            Request::CallTool(call) => self.call(call, peer).await,
            Request::ListPrompts { .. } => empty("prompts"),
            Request::ListResources { .. } => empty("resources"),
            Request::ListResourceTemplates { .. } => empty("resourceTemplates"),
            Request::GetPrompt(call) => Err(Failure::invalid_params(format!("There is no prompt {}", call.name))),
            Request::ReadResource { uri, .. } => {
                let code = if peer.client.revision >= Revision::V20260728 { -32_602 } else { -32_002 };
                let uri: String = uri.chars().take(200).collect();
                Err(Failure::custom(code, "There is no such resource", json!({ "uri": uri })))
            }
            Request::Other { method, .. } => Err(Failure::unknown_method(&method)),
        }
    }
}
