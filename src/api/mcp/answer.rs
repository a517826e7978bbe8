//! Outcomes of calls as results of the protocol.

use serde_json::{Map, Value, json};
use switchboard_mcp::{Failure, Outcome};

use crate::app::approval::Question;
use crate::app::meta::call::CallResult;
use crate::error::{Class, Error};

/// The result of a call: the same object as text and, if it succeeded, as structured content. Clients check the latter
/// against schemas that describe successes.
pub(super) fn result(called: &CallResult) -> Outcome {
    let response = Value::Object(called.response.clone());
    let mut result = json!({
        "content": [{ "type": "text", "text": response.to_string() }],
        "isError": called.error.is_some(),
    });
    if called.error.is_none() {
        result["structuredContent"] = response;
    }
    Outcome::of(&result)
}

/// A call that was refused before it was made, as a result that a model can read and act upon.
pub(super) fn refusal(error: &Error) -> Outcome {
    Outcome::of(&json!({ "content": [{ "type": "text", "text": error.in_words() }], "isError": true }))
}

/// An error that is no result of a tool.
pub(super) fn failure(error: &Error) -> Failure {
    let text = error.in_words();
    match error.code().class() {
        Class::Internal | Class::Unavailable => Failure::internal(text),
        _ => Failure::invalid_params(text),
    }
}

/// A tool that does not exist, with those that are like it.
pub(super) fn unknown_tool(error: &Error, similar: &[String]) -> Failure {
    let mut text = error.message().trim_end_matches('.').to_owned();
    if similar.is_empty() {
        text = format!("{text}. Find tools with COMPOSIO_SEARCH_TOOLS.");
    } else {
        text = format!("{text}. Did you mean {}?", similar.join(", "));
    }
    Failure::invalid_params(text).with_data(json!({ "suggestions": similar }))
}

/// `elicitation/create` of a call that a person has to allow.
pub(super) fn form_question(question: &Question) -> Value {
    json!({ "mode": "form", "message": question.message, "requestedSchema": Question::schema() })
}

/// `elicitation/create` of a link that the user has to open.
pub(super) fn link_question(url: &str, message: &str) -> Value {
    json!({ "mode": "url", "message": message, "url": url })
}

/// Questions by their ids.
pub(super) fn questions(id: &str, params: &Value) -> Map<String, Value> {
    Map::from_iter([(id.to_owned(), json!({ "method": "elicitation/create", "params": params }))])
}
