//! Reads the answer of a provider: a result, or a failure in the provider's own words.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};
use switchboard_catalog::{FailureRule, Tool};

/// Maximum length of a provider's message, in characters.
const MAX_MESSAGE: usize = 1_000;
/// Where providers write what went wrong, the most telling first.
const MESSAGES: [&str; 14] = [
    "/error/message",
    "/error_description",
    "/errors/0/message",
    "/errors/0/detail",
    "/errorMessages/0",
    "/message",
    "/detail",
    "/error/description",
    "/title",
    "/0/message",
    "/error_message",
    "/errors/0",
    "/error",
    "/description",
];

/// The answer of a provider.
#[derive(Clone, Debug, Default)]
pub struct ProviderAnswer<'a> {
    /// HTTP status.
    pub status: u16,
    /// The body, if it is JSON.
    pub json: Option<Value>,
    /// The body, if it is another text.
    pub text: Option<&'a str>,
    /// Whether the text is a page for people.
    pub is_page: bool,
}

/// Why an answer is a failure.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// The provider's own words, if it has any.
    pub message: Option<String>,
    /// What the provider answered, as an object.
    pub data: Map<String, Value>,
}

/// The result of an answer: always an object.
///
/// # Errors
/// The answer is a failure, by its status or by the tool's rule.
pub fn read(tool: &Tool, mut answer: ProviderAnswer<'_>) -> Result<Map<String, Value>, Failure> {
    let mut body = answer.json.take().unwrap_or_default();
    if !(200..300).contains(&answer.status) {
        return Err(failure(&answer, body, None));
    }
    if let Some(rule) = tool.error_when.as_ref().filter(|rule| is_failure(rule, &body)) {
        return Err(failure(&answer, body, rule.message.as_deref()));
    }
    if tool.graphql.is_some() {
        if body.get("errors").and_then(Value::as_array).is_some_and(|errors| !errors.is_empty()) {
            return Err(failure(&answer, body, Some("/errors/0/message")));
        }
        body = body.get_mut("data").map(Value::take).unwrap_or_default();
    }
    if answer.is_page {
        return Err(failure(&answer, body, None));
    }
    if let Some(pointer) = &tool.result {
        body = body.pointer_mut(pointer).map(Value::take).unwrap_or_default();
    }
    let result = match (body, answer.text) {
        (Value::Null, Some(text)) => json!({ "text": text }),
        (body, _) if tool.trim => trimmed(&body, tool),
        (body, _) => body,
    };
    let mut result = object(result);
    if !tool.decode.is_empty() {
        result.iter_mut().for_each(|(name, value)| decode(name, value, &tool.decode));
    }
    Ok(result)
}

/// Replaces base64 by the text that it is, in properties with these names.
fn decode(name: &str, value: &mut Value, names: &[String]) {
    match value {
        Value::String(text) if names.iter().any(|known| known == name) => {
            if let Some(decoded) = decoded(text) {
                *text = decoded;
            }
        }
        Value::Object(members) => members.iter_mut().for_each(|(name, value)| decode(name, value, names)),
        Value::Array(items) => items.iter_mut().for_each(|item| decode(name, item, names)),
        _ => {}
    }
}

/// The text of base64 in one of the alphabets, with or without padding and line ends: the forms in which a credential
/// was looked for before.
fn decoded(text: &str) -> Option<String> {
    let plain = text.replace(['\r', '\n'], "");
    let plain = plain.trim_end_matches('=');
    let engine = if plain.contains(['-', '_']) { &URL_SAFE_NO_PAD } else { &STANDARD_NO_PAD };
    String::from_utf8(engine.decode(plain).ok()?).ok()
}

/// A result as an object.
fn object(value: Value) -> Map<String, Value> {
    let wrapped = |name: &str, value| Map::from_iter([(name.to_owned(), value)]);
    match value {
        Value::Null => Map::new(),
        Value::Object(members) => members,
        items @ Value::Array(_) => wrapped("items", items),
        value => wrapped("value", value),
    }
}

fn is_failure(rule: &FailureRule, body: &Value) -> bool {
    let found = body.pointer(&rule.pointer);
    match (&rule.equals, &rule.differs) {
        (Some(value), _) => found == Some(value),
        (None, Some(value)) => found != Some(value),
        (None, None) => found.is_some_and(|found| !found.is_null()),
    }
}

fn failure(answer: &ProviderAnswer<'_>, body: Value, message: Option<&str>) -> Failure {
    let declared = message.and_then(|pointer| body.pointer(pointer));
    let known = || MESSAGES.iter().filter_map(|pointer| body.pointer(pointer)).find(|value| is_message(value));
    let message = declared.filter(|value| is_message(value)).or_else(known).map(|value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    });
    let text = answer.text.filter(|_| !answer.is_page).map(str::to_owned);
    let message = message.or(text).map(|text| one_line(&text)).filter(|text| !text.is_empty());
    Failure { message, data: object(body) }
}

fn is_message(value: &Value) -> bool {
    match value {
        Value::String(text) => !text.trim().is_empty(),
        Value::Number(_) => true,
        _ => false,
    }
}

fn one_line(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().filter(|letter| !letter.is_control()).take(MAX_MESSAGE).collect()
}

/// The properties that the tool's `output` names.
fn trimmed(value: &Value, tool: &Tool) -> Value {
    let properties = || tool.output.iter().map(|(name, schema)| (name.as_str(), schema));
    match value {
        // A list becomes `items`, and so does its description.
        Value::Array(_) => match tool.output.get("items") {
            Some(schema) => pruned(value, schema),
            None => value.clone(),
        },
        Value::Object(members) => Value::Object(
            properties()
                .filter_map(|(name, schema)| Some((name.to_owned(), pruned(members.get(name)?, schema))))
                .collect(),
        ),
        other => other.clone(),
    }
}

fn pruned(value: &Value, schema: &Map<String, Value>) -> Value {
    match value {
        Value::Object(members) => match schema.get("properties").and_then(Value::as_object) {
            Some(properties) => Value::Object(
                properties
                    .iter()
                    .filter_map(|(name, schema)| Some((name.clone(), pruned(members.get(name)?, schema.as_object()?))))
                    .collect(),
            ),
            None => value.clone(),
        },
        Value::Array(items) => match schema.get("items").and_then(Value::as_object) {
            Some(schema) => Value::Array(items.iter().map(|item| pruned(item, schema)).collect()),
            None => value.clone(),
        },
        other => other.clone(),
    }
}
