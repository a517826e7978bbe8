//! One call of a tool for an agent, on any surface: what it did, or why not, as one object.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use switchboard_tools::ResponseShape;

use super::MetaTools;
use crate::app::Actor;
use crate::app::approval::Question;
use crate::app::base::idempotency::{IdempotencyKey, StoredResponse};
use crate::app::call_log::{Earlier, LoggedCall};
use crate::app::execute::context::CallContext;
use crate::app::session::Session;
use crate::app::tool::ToolCall;
use crate::app::tool::outcome::{NeededLink, Outcome};
use crate::app::tool::response::ResultOf;
use crate::error::{Error, Result};

/// What an agent calls, and how.
#[derive(Debug)]
pub struct AgentCall<'a> {
    /// Slug of the tool, in any case.
    pub slug: &'a str,
    /// The call.
    pub call: ToolCall,
    /// The key that the caller gave it.
    pub key: Option<IdempotencyKey>,
    /// The form of its result.
    pub shape: ResponseShape,
    /// A large result becomes a file of the session.
    pub off_loads: bool,
}

/// What a call led to.
pub struct CallResult {
    /// `data`, `error`, `successful`, `log_id`, and `page` where there are pages.
    pub response: Map<String, Value>,
    /// Why it failed; none if it did what it does.
    pub error: Option<String>,
    /// The link that the user has to open first.
    pub needed: Option<LinkOffer>,
    /// What a person has to be asked first.
    pub questions: Vec<Question>,
}

/// A link for the user.
#[derive(Clone, Debug)]
pub struct LinkOffer {
    /// Where to send the user.
    pub url: String,
    /// What to tell the user.
    pub message: String,
}

crate::redacted_debug!(CallResult);

impl MetaTools {
    /// Makes a call, or repeats what it led to before.
    ///
    /// # Errors
    /// As for [`crate::app::tool::Tools::execute`]. Nothing was sent then.
    pub async fn call(&self, session: &Session, actor: &Actor, call: AgentCall<'_>) -> Result<CallResult> {
        let AgentCall { slug, call, key, shape, off_loads } = call;
        let actor = actor.clone();
        let logged = match (self.call_log.earlier(key.as_ref()).await?, key) {
            (Earlier::Response(response), _) => return CallResult::replayed(&response),
            (Earlier::Unknown(row), Some(key)) if self.tools.can_repeat(&row) => {
                self.call_log.again(actor, key, *row).await?
            }
            (Earlier::Unknown(row), _) => return Ok(CallResult::new(self.tools.lost_outcome(&row), &row.id)),
            (Earlier::None, key) => self.call_log.begin(actor, key),
        };
        let context = CallContext::of_tool(Arc::clone(&logged));
        let outcome = match self.tools.execute(session, slug, call, &context).await {
            Ok(outcome) => outcome,
            Err(error) => {
                logged.respond(None).await;
                return Err(error);
            }
        };
        let of = ResultOf { session, tool: slug, log_id: logged.id() };
        let outcome = if off_loads {
            self.tools.shaped_or_off_loaded(outcome, of, &shape).await
        } else {
            self.tools.shaped(outcome, slug, &shape)
        };
        let result = CallResult::new(outcome, logged.id());
        result.keep(&logged).await?;
        Ok(result)
    }
}

impl CallResult {
    /// What an outcome is for its caller.
    pub fn new(outcome: Outcome, log_id: &str) -> Self {
        let page = match &outcome {
            Outcome::Completed { page: Some(page), .. } => {
                Some(json!({ "next": page.next, "has_more": page.next.is_some(), "count": page.count }))
            }
            _ => None,
        };
        let needed = match &outcome {
            Outcome::NeedsLink(NeededLink { redirect_url: Some(url), message, .. }) => {
                Some(LinkOffer { url: url.clone(), message: message.clone() })
            }
            _ => None,
        };
        let questions = match &outcome {
            Outcome::NeedsApproval(questions) => questions.clone(),
            _ => Vec::new(),
        };
        let (data, error) = outcome.into_answer();
        let mut response = Map::new();
        response.insert("data".to_owned(), data.into());
        response.insert("error".to_owned(), error.clone().into());
        response.insert("log_id".to_owned(), log_id.into());
        if let Some(page) = page {
            response.insert("page".to_owned(), page);
        }
        response.insert("successful".to_owned(), error.is_none().into());
        Self { response, error, needed, questions }
    }

    /// Stores what a call with a key led to.
    async fn keep(&self, logged: &LoggedCall) -> Result<()> {
        if !logged.has_key() {
            return Ok(());
        }
        let body = serde_json::to_vec(&self.response).map_err(Error::internal)?;
        logged.respond(Some(&StoredResponse { status: 200, body })).await;
        Ok(())
    }

    fn replayed(stored: &StoredResponse) -> Result<Self> {
        let response: Map<String, Value> = serde_json::from_slice(&stored.body).map_err(Error::internal)?;
        let error = response.get("error").and_then(Value::as_str).map(str::to_owned);
        Ok(Self { response, error, needed: None, questions: Vec::new() })
    }
}
