//! What a server of the protocol has.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::{Failure, Outcome, Peer, Pending, Revision};

/// The name of a server.
#[derive(Clone, Debug)]
pub struct Implementation {
    /// For programs.
    pub name: &'static str,
    /// For people.
    pub title: &'static str,
    /// Its version.
    pub version: &'static str,
}

impl Implementation {
    pub(crate) fn to_json(&self) -> Value {
        json!({ "name": self.name, "title": self.title, "version": self.version })
    }
}

/// How long a client may keep lists.
#[derive(Clone, Copy, Debug)]
pub struct Cache {
    /// Milliseconds.
    pub ttl_ms: u64,
    /// Only for the same user.
    pub is_private: bool,
}

/// A request to a server.
#[derive(Debug)]
pub enum Request {
    /// `tools/list`.
    ListTools {
        /// `nextCursor` of the page before.
        cursor: Option<String>,
    },
    /// `tools/call`.
    CallTool(Call),
    /// `prompts/list`.
    ListPrompts {
        /// `nextCursor` of the page before.
        cursor: Option<String>,
    },
    /// `prompts/get`.
    GetPrompt(Call),
    /// `resources/list`.
    ListResources {
        /// `nextCursor` of the page before.
        cursor: Option<String>,
    },
    /// `resources/templates/list`.
    ListResourceTemplates {
        /// `nextCursor` of the page before.
        cursor: Option<String>,
    },
    /// `resources/read`.
    ReadResource {
        /// The resource.
        uri: String,
        /// Answers to questions of an earlier result.
        answers: Answers,
    },
    /// Any other method, such as `completion/complete`. A server that does not know it answers
    /// [`Failure::unknown_method`].
    Other {
        /// The method.
        method: String,
        /// Its parameters.
        params: Map<String, Value>,
    },
}

/// A call of a tool or a prompt.
#[derive(Debug)]
pub struct Call {
    /// The name.
    pub name: String,
    /// As given: an object, as a rule.
    pub arguments: Option<Value>,
    /// Answers to questions of an earlier result.
    pub answers: Answers,
    /// `_meta` of the request.
    pub meta: Map<String, Value>,
}

/// The answers to the questions of an earlier result, and its state.
#[derive(Debug, Default)]
pub struct Answers {
    /// By the id of the question.
    pub responses: Map<String, Value>,
    /// As it was given. It comes from the client, so it has to be authenticated.
    pub state: Option<String>,
}

/// A server: what has the tools, for one caller.
pub trait Server: Send + Sync + 'static {
    /// Its name.
    fn implementation(&self) -> Implementation;
    /// `capabilities` of `initialize` and `server/discover`, for clients of a revision: revisions differ in the methods
    /// that a capability stands for.
    fn capabilities(&self, revision: Revision) -> Value;
    /// How a model uses it.
    fn instructions(&self) -> Option<String>;
    /// How long lists may be kept.
    fn cache(&self) -> Cache;
    /// Questions that wait for answers.
    fn pending(&self) -> &Arc<Pending>;
    /// Whose questions and answers these are.
    fn scope(&self) -> String;
    /// Now, in seconds since 1970.
    fn now(&self) -> u64;
    /// A session id with this content, which only this server can make.
    fn seal(&self, content: &[u8]) -> String;
    /// The content of a session id; none if it is none of this server.
    fn open(&self, session_id: &str) -> Option<Vec<u8>>;
    /// Handles a request. If it is dropped, the client has gone.
    fn handle(&self, request: Request, peer: &Peer) -> impl Future<Output = Result<Outcome, Failure>> + Send;
}
