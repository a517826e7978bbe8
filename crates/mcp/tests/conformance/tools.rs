//! Tools that the suite calls by name.

use std::time::Duration;

use serde_json::{Value, json};
use switchboard_mcp::{AskError, Call, Failure, Outcome, Peer};

use crate::fixture::Fixture;
use crate::questions;

/// A red pixel.
pub const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
/// A sound without a sample.
const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEARKwAAIhYAQACABAAZGF0YQAAAAA=";
/// How long tools that say how far they are wait between two steps.
const STEP: Duration = Duration::from_millis(50);

pub fn text(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}

/// The result of a tool that says one thing.
pub fn done(said: &str) -> Outcome {
    content(&json!([text(said)]))
}

fn content(content: &Value) -> Outcome {
    Outcome::of(&json!({ "content": content }))
}

/// Tools without arguments.
const PLAIN: &[&str] = &[
    "test_audio_content",
    "test_elicitation_sep1034_defaults",
    "test_elicitation_sep1330_enums",
    "test_embedded_resource",
    "test_error_handling",
    "test_image_content",
    "test_input_required_result_capabilities",
    "test_input_required_result_elicitation",
    "test_input_required_result_list_roots",
    "test_input_required_result_multi_round",
    "test_input_required_result_multiple_inputs",
    "test_input_required_result_request_state",
    "test_input_required_result_sampling",
    "test_input_required_result_tampered_state",
    "test_logging_tool",
    "test_missing_capability",
    "test_multiple_content_types",
    "test_simple_text",
    "test_streaming_elicitation",
    "test_tool_with_logging",
    "test_tool_with_progress",
];

pub fn list() -> Value {
    let tool = |name: &str, schema: Value| json!({ "name": name, "description": name, "inputSchema": schema });
    let one =
        |name: &str| json!({ "type": "object", "properties": { name: { "type": "string" } }, "required": [name] });
    let plain = PLAIN.iter().map(|name| tool(name, json!({ "type": "object", "properties": {} })));
    let with_argument = [("test_elicitation", "message"), ("test_sampling", "prompt")];
    let with_argument = with_argument.iter().map(|(name, argument)| tool(name, one(argument)));
    let mut tools: Vec<Value> = plain.chain(with_argument).collect();
    tools.push(tool("json_schema_2020_12_tool", schema_of_all_keywords()));
    json!({ "tools": tools })
}

/// A schema with keywords that a server could lose.
fn schema_of_all_keywords() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {
            "address": {
                "$anchor": "addressDef",
                "type": "object",
                "properties": { "street": { "type": "string" }, "city": { "type": "string" } },
            },
        },
        "properties": {
            "name": { "type": "string" },
            "address": { "$ref": "#/$defs/address" },
            "contactMethod": { "type": "string", "enum": ["phone", "email"] },
            "phone": { "type": "string" },
            "email": { "type": "string" },
        },
        "allOf": [{ "anyOf": [{ "required": ["phone"] }, { "required": ["email"] }] }],
        "if": { "properties": { "contactMethod": { "const": "phone" } }, "required": ["contactMethod"] },
        "then": { "required": ["phone"] },
        "else": { "required": ["email"] },
        "additionalProperties": false,
    })
}

pub async fn call(fixture: &Fixture, call: Call, peer: &Peer) -> Result<Outcome, Failure> {
    Ok(match call.name.as_str() {
        "test_simple_text" => done("This is a simple text response for testing."),
        "test_image_content" => content(&json!([image()])),
        "test_audio_content" => content(&json!([{ "type": "audio", "data": WAV, "mimeType": "audio/wav" }])),
        "test_embedded_resource" => {
            let text = "This is an embedded resource content.";
            content(&json!([resource("test://embedded-resource", "text/plain", text)]))
        }
        "test_multiple_content_types" => content(&json!([
            text("Multiple content types test:"),
            image(),
            resource("test://mixed-content-resource", "application/json", r#"{"test":"data","value":123}"#),
        ])),
        "test_error_handling" => {
            let said = text("This tool intentionally returns an error for testing");
            Outcome::of(&json!({ "content": [said], "isError": true }))
        }
        "test_tool_with_progress" => {
            for step in [0, 50, 100] {
                peer.progress(step, 100, "").await;
                tokio::time::sleep(STEP).await;
            }
            done("Done in three steps")
        }
        "test_tool_with_logging" | "test_logging_tool" => {
            for said in ["Tool execution started", "Tool processing data", "Tool execution completed"] {
                log(peer, said).await;
                tokio::time::sleep(STEP).await;
            }
            done("Done, and said so three times")
        }
        "test_missing_capability" if !peer.client.sampling => return Err(Failure::needs_capability("sampling")),
        "test_missing_capability" => done("The client can ask its model"),
        "test_streaming_elicitation" => {
            peer.progress(1, 1, "").await;
            questions::ask([("confirm", questions::form("Please confirm", "ok", "boolean"))], None)
        }
        "test_sampling"
        | "test_elicitation"
        | "test_elicitation_sep1034_defaults"
        | "test_elicitation_sep1330_enums" => on_the_stream(&call, peer).await?,
        _ => questions::call(fixture, &call, peer)?,
    })
}

fn image() -> Value {
    json!({ "type": "image", "data": PNG, "mimeType": "image/png" })
}

fn resource(uri: &str, kind: &str, text: &str) -> Value {
    json!({ "type": "resource", "resource": { "uri": uri, "mimeType": kind, "text": text } })
}

/// Stateless clients get messages of the log only if they say of which level.
async fn log(peer: &Peer, said: &str) {
    if !peer.client.revision.is_stateless() || peer.client.log_level.is_some() {
        peer.notify("notifications/message", json!({ "level": "info", "data": said })).await;
    }
}

/// A question to a client with a handshake, on the stream of its request.
async fn on_the_stream(call: &Call, peer: &Peer) -> Result<Outcome, Failure> {
    let argument = |name: &str| call.arguments.as_ref().and_then(|arguments| arguments.get(name)).cloned();
    let (method, params) = match call.name.as_str() {
        "test_sampling" => {
            let content = json!({ "type": "text", "text": argument("prompt") });
            let messages = json!([{ "role": "user", "content": content }]);
            ("sampling/createMessage", json!({ "messages": messages, "maxTokens": 100 }))
        }
        name => {
            let message = argument("message").unwrap_or_else(|| "Please fill in".into());
            ("elicitation/create", json!({ "message": message, "requestedSchema": form_of(name) }))
        }
    };
    // The server is the only one to ask on its loopback address, so the id need not be hard to guess.
    let answer = match peer.ask(format!("question of {}", call.name), method, params).await {
        Ok(answer) => answer,
        Err(AskError::Unsupported) => return Err(Failure::invalid_params("The client cannot be asked")),
        Err(AskError::NoAnswer) => return Err(Failure::internal("The client gave no answer")),
    };
    Ok(match call.name.as_str() {
        "test_sampling" => done(&format!("LLM response: {}", answer["content"]["text"])),
        "test_elicitation" => done(&format!("User response: {answer}")),
        _ => done(&format!("Elicitation completed: action={}, content={}", answer["action"], answer["content"])),
    })
}

fn form_of(tool: &str) -> Value {
    let titled = |key: &str, title: &str| json!({ "const": key, "title": title });
    match tool {
        "test_elicitation_sep1034_defaults" => json!({
            "type": "object",
            "properties": {
                "name": { "type": "string", "default": "John Doe" },
                "age": { "type": "integer", "default": 30 },
                "score": { "type": "number", "default": 95.5 },
                "status": { "type": "string", "enum": ["active", "inactive", "pending"], "default": "active" },
                "verified": { "type": "boolean", "default": true },
            },
            "required": [],
        }),
        "test_elicitation_sep1330_enums" => {
            let options = json!([
                titled("value1", "First Option"),
                titled("value2", "Second Option"),
                titled("value3", "Third Option"),
            ]);
            let names = ["option1", "option2", "option3"];
            json!({
                "type": "object",
                "properties": {
                    "untitledSingle": { "type": "string", "enum": names },
                    "titledSingle": { "type": "string", "oneOf": options },
                    "legacyEnum": {
                        "type": "string",
                        "enum": ["opt1", "opt2", "opt3"],
                        "enumNames": ["Option One", "Option Two", "Option Three"],
                    },
                    "untitledMulti": { "type": "array", "items": { "type": "string", "enum": names } },
                    "titledMulti": { "type": "array", "items": { "anyOf": options } },
                },
            })
        }
        _ => json!({
            "type": "object",
            "properties": { "username": { "type": "string" }, "email": { "type": "string" } },
            "required": ["username", "email"],
        }),
    }
}
