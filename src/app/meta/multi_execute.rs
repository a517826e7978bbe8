//! `COMPOSIO_MULTI_EXECUTE_TOOL`: several tools at once. Everything that can be checked of all calls is checked before
//! the first one is made; then they run side by side, and each has its own result.
//!
//! With an idempotency key, each call has a key of its own, so that a repeated request gets the results of those that
//! were made and makes the others.

use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use switchboard_tools::{ResponseOptions, ResponseShape};

use super::call::AgentCall;
use super::{MetaTools, members};
use crate::app::Actor;
use crate::app::approval::Question;
use crate::app::base::idempotency::IdempotencyKey;
use crate::app::session::Session;
use crate::app::tool::outcome::Outcome;
use crate::app::tool::response::shape_in;
use crate::app::tool::{CallOptions, ToolCall};
use crate::error::{Code, Error, Result};

/// Its arguments.
#[derive(Deserialize)]
pub(super) struct MultiExecute {
    tools: Vec<Entry>,
    #[serde(default)]
    sync_response_to_workbench: bool,
}

#[derive(Deserialize)]
struct Entry {
    tool_slug: String,
    #[serde(default)]
    arguments: Map<String, Value>,
    account: Option<String>,
    page: Option<String>,
    response: Option<ResponseOptions>,
    #[serde(default)]
    dry_run: bool,
}

impl Entry {
    fn to_call(&self, is_unasked: bool) -> ToolCall {
        ToolCall {
            arguments: self.arguments.clone(),
            account: self.account.clone(),
            options: CallOptions {
                page: self.page.clone(),
                dry_run: self.dry_run,
                is_unasked,
                ..CallOptions::default()
            },
        }
    }
}

impl MetaTools {
    /// The results of all calls, in their order. If a person has to be asked before one of them, none is made.
    ///
    /// # Errors
    /// One of them is a meta tool. Nothing was made then.
    pub(super) async fn multi_execute(
        &self,
        session: &Session,
        wanted: MultiExecute,
        actor: &Actor,
        (key, is_unasked): (Option<&IdempotencyKey>, bool),
    ) -> Result<Outcome> {
        if let Some(index) = wanted.tools.iter().position(|entry| Self::is_meta(&entry.tool_slug)) {
            return Err(Error::field(&format!("arguments.tools[{index}].tool_slug"), "must be a tool of an app")
                .fix("Call meta tools on their own."));
        }
        let decided = wanted.tools.iter().map(|entry| self.decided(session, entry, actor, is_unasked));
        let decided = join_all(decided).await;
        let questions: Vec<Question> =
            decided.iter().filter_map(|decided| decided.as_ref().ok().cloned().flatten()).collect();
        if !questions.is_empty() {
            return Ok(Outcome::NeedsApproval(distinct(questions)));
        }
        let off_loads = wanted.sync_response_to_workbench;
        let shapes = wanted.tools.iter().enumerate().map(|(index, entry)| {
            shape_in(session, entry.response.clone(), &format!("arguments.tools[{index}].response"))
        });
        let shapes: Vec<ResponseShape> = shapes.collect::<Result<_>>()?;
        let calls = wanted.tools.iter().zip(decided).zip(shapes).enumerate();
        let calls = calls.map(|(index, ((entry, decided), shape))| async move {
            let key = key.map(|key| key.of_part(index));
            let call = AgentCall { slug: &entry.tool_slug, call: entry.to_call(is_unasked), key, shape, off_loads };
            let result = match decided {
                Ok(_) => self.call(session, actor, call).await,
                Err(error) => Err(error),
            };
            let (response, error) = match result {
                Ok(result) => (Some(result.response), result.error),
                Err(error) => (None, Some(error.in_words())),
            };
            json!({ "tool_slug": entry.tool_slug, "index": index, "response": response, "error": error })
        });
        let results = join_all(calls).await;
        let errors = results.iter().filter(|result| !result["error"].is_null()).count();
        let data = members(json!({
            "total_count": results.len(),
            "success_count": results.len() - errors,
            "error_count": errors,
            "results": results,
        }));
        Ok(Outcome::Completed { data, page: None })
    }

    /// What a person has to be asked before a call. One that needs a link is left to the call, which makes the link.
    async fn decided(
        &self,
        session: &Session,
        entry: &Entry,
        actor: &Actor,
        is_unasked: bool,
    ) -> Result<Option<Question>> {
        match self.tools.decide(session, &entry.tool_slug, entry.to_call(is_unasked), actor).await {
            Err(error)
                if matches!(
                    error.code(),
                    Code::NoActiveConnection | Code::ReauthRequired | Code::MissingScope | Code::NotImplemented
                ) =>
            {
                Ok(None)
            }
            decided => decided,
        }
    }
}

/// Each question once: two equal calls have one.
fn distinct(questions: Vec<Question>) -> Vec<Question> {
    let mut distinct: Vec<Question> = Vec::with_capacity(questions.len());
    for question in questions {
        if !distinct.iter().any(|known| known.id == question.id) {
            distinct.push(question);
        }
    }
    distinct
}
