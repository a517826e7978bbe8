//! Questions to stateless clients: a result that asks, and the answers that come with the repeated request.

use serde_json::{Map, Value, json};
use switchboard_mcp::{Answers, Call, Failure, Outcome, Peer};

use crate::fixture::Fixture;
use crate::tools::{done, text};

/// A form with one field.
pub fn form(message: &str, field: &str, kind: &str) -> Value {
    let schema = json!({ "type": "object", "properties": { field: { "type": kind } }, "required": [field] });
    json!({ "method": "elicitation/create", "params": { "message": message, "requestedSchema": schema } })
}

fn sampling(prompt: &str) -> Value {
    let messages = json!([{ "role": "user", "content": text(prompt) }]);
    json!({ "method": "sampling/createMessage", "params": { "messages": messages, "maxTokens": 100 } })
}

fn roots() -> Value {
    json!({ "method": "roots/list", "params": {} })
}

/// A result with questions.
pub fn ask<const N: usize>(questions: [(&str, Value); N], state: Option<String>) -> Outcome {
    let requests: Map<String, Value> = questions.into_iter().map(|(id, question)| (id.to_owned(), question)).collect();
    Outcome::InputRequired { requests, state }
}

/// What the user filled in; none if the answer is missing or is no answer.
pub fn accepted<'a>(answers: &'a Answers, id: &str) -> Option<&'a Value> {
    let answer = answers.responses.get(id)?;
    answer.get("content").filter(|content| content.is_object() && answer["action"] == "accept")
}

/// A tool that asks.
pub fn call(fixture: &Fixture, call: &Call, peer: &Peer) -> Result<Outcome, Failure> {
    let answers = &call.answers;
    let step = fixture.step(answers.state.as_deref())?;
    let state = |step: &str| Some(fixture.state(step));
    let name = call.name.strip_prefix("test_input_required_result_").unwrap_or(&call.name);
    Ok(match name {
        "elicitation" => match accepted(answers, "user_name") {
            Some(content) => done(&format!("Hello, {}!", content["name"].as_str().unwrap_or_default())),
            None => ask([("user_name", form("What is your name?", "name", "string"))], None),
        },
        "sampling" => match answers.responses.get("capital_question") {
            Some(answer) => done(answer["content"]["text"].as_str().unwrap_or_default()),
            None => ask([("capital_question", sampling("What is the capital of France?"))], None),
        },
        "list_roots" => match answers.responses.get("client_roots") {
            Some(answer) => done(&format!("Roots: {}", answer["roots"])),
            None => ask([("client_roots", roots())], None),
        },
        "request_state" | "tampered_state" => match accepted(answers, "confirm") {
            Some(_) if step.as_deref() == Some(name) => done("state-ok"),
            _ => ask([("confirm", form("Please confirm", "ok", "boolean"))], state(name)),
        },
        "multiple_inputs" => {
            let questions = [
                ("user_name", form("What is your name?", "name", "string")),
                ("greeting", sampling("Generate a greeting")),
                ("client_roots", roots()),
            ];
            let has_all = questions.iter().all(|(id, _)| answers.responses.contains_key(*id));
            if has_all && step.as_deref() == Some(name) { done("All there") } else { ask(questions, state(name)) }
        }
        "multi_round" => match step.as_deref() {
            Some("name") if accepted(answers, "step1").is_some() => {
                ask([("step2", form("Step 2: What is your favorite color?", "color", "string"))], state("color"))
            }
            Some("color") if accepted(answers, "step2").is_some() => done("Both steps are done"),
            _ => ask([("step1", form("Step 1: What is your name?", "name", "string"))], state("name")),
        },
        "capabilities" if peer.client.form => ask([("confirm", form("Please confirm", "ok", "boolean"))], None),
        "capabilities" if peer.client.sampling => ask([("greeting", sampling("Generate a greeting"))], None),
        "capabilities" => return Err(Failure::needs_capability("elicitation")),
        _ => return Err(Failure::invalid_params(format!("There is no tool {}", call.name))),
    })
}
