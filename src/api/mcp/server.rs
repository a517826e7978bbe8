//! What a session serves: its tools, for the caller of one request.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use switchboard_mcp::{
    Answers, Cache, Call, Failure, Implementation, Outcome, Peer, Pending, Request, Revision, Server,
};
use switchboard_tools::ResponseOptions;
use tokio::time::{Instant, timeout_at};

use super::answer::{failure, form_question, link_question, questions, refusal, result, unknown_tool};
use crate::api::http::auth::Caller;
use crate::api::tool::execute::arguments;
use crate::api::tool::meta::check_key;
use crate::app::App;
use crate::app::approval::{Question, decision_of};
use crate::app::base::idempotency::IdempotencyKey;
use crate::app::execute::context::CallContext;
use crate::app::meta::call::{AgentCall, CallResult, LinkOffer};
use crate::app::meta::definitions::MetaTool;
use crate::app::meta::{MetaOptions, MetaTools};
use crate::app::session::Session;
use crate::app::session::policy::Fallback;
use crate::app::tool::response::shape_in;
use crate::app::tool::{CallOptions, ToolCall};
use crate::error::{Class, Code, Error, Result};
use crate::id::Kind;

/// How long a client may keep a list, in milliseconds: a change of the session's policy shows after it.
const LIST_LIFETIME: u64 = 60_000;
/// How long a client with a handshake is asked: below the 60 seconds after which clients give up.
const MAX_ASKING: Duration = Duration::from_secs(50);
/// Code of the error that asks a client with a handshake to show a URL (revision 2025-11-25).
const URL_ELICITATION_REQUIRED: i64 = -32_042;
/// Keys of our own in `_meta` of a call.
const IDEMPOTENCY_KEY: &str = "dev.switchboard/idempotencyKey";
const PAGE: &str = "dev.switchboard/page";
const DRY_RUN: &str = "dev.switchboard/dryRun";
const ACCOUNT: &str = "dev.switchboard/account";
const RESPONSE: &str = "dev.switchboard/response";

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
    async fn call(&self, mut call: Call, peer: &Peer) -> std::result::Result<Outcome, Failure> {
        let Answers { responses, state } = std::mem::take(&mut call.answers);
        let actor = self.caller.actor();
        let answered = self.app.approvals.answer(&self.session, state.as_deref(), &responses, &actor).await;
        answered.map_err(|error| failure(&error))?;
        match self.run(&call, peer).await {
            Ok(called) => self.answer(&called, peer),
            Err(error) if matches!(error.code(), Code::SessionToolNotFound) => {
                Err(unknown_tool(&error, &self.app.tools.similar(&self.session, &call.name)))
            }
            Err(error) if matches!(error.code().class(), Class::Internal | Class::Unavailable) => Err(failure(&error)),
            Err(error) => Ok(refusal(&error)),
        }
    }

    /// Makes a call. A client with a handshake is asked on its open stream, and then the call is made.
    async fn run(&self, call: &Call, peer: &Peer) -> Result<CallResult> {
        let experimental = self.session.config.experimental.as_ref();
        let fallback = experimental.and_then(|experimental| experimental.no_elicitation_support_fallback);
        let is_unasked = !peer.client.form && matches!(fallback, Some(Fallback::Allow));
        let called = self.make(call, is_unasked).await?;
        if called.questions.is_empty() || peer.client.revision.is_stateless() || !peer.client.form {
            return Ok(called);
        }
        if !self.ask(&called.questions, peer).await? {
            return Ok(called);
        }
        self.make(call, false).await
    }

    async fn make(&self, call: &Call, is_unasked: bool) -> Result<CallResult> {
        if MetaTools::is_meta(&call.name) {
            self.call_meta(call, is_unasked).await
        } else {
            self.call_tool(call, is_unasked).await
        }
    }

    /// Asks on the stream of the request. Returns whether all questions were answered in time.
    async fn ask(&self, questions: &[Question], peer: &Peer) -> Result<bool> {
        let until = Instant::now() + MAX_ASKING;
        for question in questions {
            let params = form_question(question);
            let id = self.app.core.mint(Kind::Request).to_string();
            let asked = timeout_at(until, peer.ask(id, "elicitation/create", params)).await;
            let Ok(Ok(response)) = asked else { return Ok(false) };
            let Some(decision) = decision_of(&question.id, &response)? else { return Ok(false) };
            let decided = self.app.approvals.decide(&self.session, &question.id, decision, &self.caller.actor()).await;
            // Another answer may have come first: the call finds it.
            decided.map(drop).or_else(|error| if error.code() == Code::Conflict { Ok(()) } else { Err(error) })?;
        }
        Ok(true)
    }

    async fn call_tool(&self, call: &Call, is_unasked: bool) -> Result<CallResult> {
        let text = |name: &str| call.meta.get(name).and_then(Value::as_str).map(str::to_owned);
        let options = CallOptions {
            page: text(PAGE),
            dry_run: call.meta.get(DRY_RUN) == Some(&Value::Bool(true)),
            is_unasked,
            ..CallOptions::default()
        };
        let (account, key) = (text(ACCOUNT), self.key(call)?);
        let given = ToolCall { arguments: arguments(call.arguments.clone())?, account, options };
        let shape = shape_in(&self.session, Self::response(call)?, RESPONSE)?;
        let agent_call = AgentCall { slug: &call.name, call: given, key, shape, off_loads: true };
        self.app.meta_tools.call(&self.session, &self.caller.actor(), agent_call).await
    }

    async fn call_meta(&self, call: &Call, is_unasked: bool) -> Result<CallResult> {
        check_key(&self.caller, MetaTool::find(&call.name).map(|tool| tool.kind))?;
        let key = self.key(call)?;
        let given = arguments(call.arguments.clone())?;
        let context = CallContext::of_proxy(self.app.call_log.begin(self.caller.actor(), None));
        let options = MetaOptions { key: key.as_ref(), is_unasked };
        let outcome = self.app.meta_tools.execute(&self.session, &call.name, given, &context, options).await?;
        Ok(CallResult::new(outcome, context.call.id()))
    }

    /// The form of the result that the client wants.
    fn response(call: &Call) -> Result<Option<ResponseOptions>> {
        let options = call.meta.get(RESPONSE).map(ResponseOptions::deserialize).transpose();
        options.map_err(|error| Error::field(RESPONSE, error))
    }

    /// The key with which the same call may be repeated.
    fn key(&self, call: &Call) -> Result<Option<IdempotencyKey>> {
        let Some(key) = call.meta.get(IDEMPOTENCY_KEY) else { return Ok(None) };
        let key = key.as_str().ok_or_else(|| Error::field(IDEMPOTENCY_KEY, "must be a string"))?;
        let arguments = call.arguments.as_ref().map(Value::to_string).unwrap_or_default();
        let path = format!("/mcp/{}/{}", self.session.id, call.name.to_ascii_uppercase());
        IdempotencyKey::new(&self.caller.project_id, key, "POST", &path, arguments.as_bytes()).map(Some)
    }

    /// The result of a call; a question where a person has to be asked first, or has to open a link, and the client can.
    fn answer(&self, called: &CallResult, peer: &Peer) -> std::result::Result<Outcome, Failure> {
        if !called.questions.is_empty() && peer.client.form && peer.client.revision.is_stateless() {
            let requests = called.questions.iter().map(|question| {
                (question.id.to_string(), json!({ "method": "elicitation/create", "params": form_question(question) }))
            });
            let state = Some(self.app.approvals.state(&self.session, &called.questions));
            return Ok(Outcome::InputRequired { requests: requests.collect(), state });
        }
        let Some(LinkOffer { url, message }) = called.needed.as_ref().filter(|_| peer.client.url) else {
            return Ok(result(called));
        };
        if peer.client.revision.is_stateless() {
            let requests = questions("link", &link_question(url, message));
            return Ok(Outcome::InputRequired { requests, state: None });
        }
        let mut elicitation = link_question(url, message);
        elicitation["elicitationId"] = self.app.core.mint(Kind::Request).as_str().into();
        Err(Failure::custom(URL_ELICITATION_REQUIRED, message.clone(), json!({ "elicitations": [elicitation] })))
    }
}

impl Server for SessionServer {
    fn implementation(&self) -> Implementation {
        Implementation { name: "switchboard", title: "Switchboard", version: env!("CARGO_PKG_VERSION") }
    }

    fn capabilities(&self, _: Revision) -> Value {
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
