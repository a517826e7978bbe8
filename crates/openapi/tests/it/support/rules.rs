//! What vendors of models refuse, as rules that know nothing of the importer.

use serde_json::{Map, Value};

/// Keywords that some adapter of Gemini refuses, and those that the profile does not have.
const REFUSED: [&str; 22] = [
    "$schema",
    "$ref",
    "$defs",
    "$id",
    "oneOf",
    "allOf",
    "not",
    "if",
    "then",
    "else",
    "patternProperties",
    "prefixItems",
    "dependentRequired",
    "dependentSchemas",
    "const",
    "examples",
    "example",
    "nullable",
    "discriminator",
    "readOnly",
    "writeOnly",
    "xml",
];
const FORMATS: [&str; 9] = ["date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"];

/// What is wrong with the schema of a tool's arguments for one of the vendors. Empty if all take it.
pub fn broken(schema: &Value) -> Vec<String> {
    let mut broken = Vec::new();
    // OpenAI, Anthropic and Bedrock: an object at the root, without combinators.
    let root: Vec<&String> = schema.as_object().into_iter().flat_map(Map::keys).collect();
    if schema["type"] != "object" || root.iter().any(|key| !["type", "properties", "required"].contains(&key.as_str()))
    {
        broken.push(format!("root: {root:?}"));
    }
    walk(schema, "", 0, &mut broken);
    broken
}

fn walk(schema: &Value, at: &str, depth: usize, broken: &mut Vec<String>) {
    let Some(members) = schema.as_object() else {
        broken.push(format!("{at}: a schema that is no object"));
        return;
    };
    let mut say = |message: String| broken.push(format!("{at}: {message}"));
    for key in members.keys().filter(|key| REFUSED.contains(&key.as_str()) || key.starts_with("x-")) {
        say(format!("keyword {key}"));
    }
    let kind = members.get("type").and_then(Value::as_str);
    if kind.is_none() && !members.contains_key("anyOf") {
        say("no type".to_owned());
    }
    if depth > 8 {
        say("nests too deep".to_owned());
        return;
    }
    if kind == Some("array") && !members.get("items").is_some_and(Value::is_object) {
        say("an array without items".to_owned());
    }
    let is_free = members.get("additionalProperties").is_some_and(|more| *more != false);
    if kind == Some("object") && !members.contains_key("properties") && !is_free {
        say("an object without properties".to_owned());
    }
    if let Some(values) = members.get("enum")
        && (kind != Some("string") || !values.as_array().is_some_and(|values| values.iter().all(Value::is_string)))
    {
        say("an enum of no strings".to_owned());
    }
    if let Some(format) = members.get("format")
        && !FORMATS.iter().any(|known| format == known)
    {
        say(format!("format {format}"));
    }
    let properties = members.get("properties").and_then(Value::as_object);
    for name in members.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        if !properties.is_some_and(|properties| properties.contains_key(name)) {
            say(format!("required {name} is no property"));
        }
    }
    for (name, property) in properties.into_iter().flatten() {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        if !(1..=64).contains(&name.len()) || !name.bytes().all(fits) {
            broken.push(format!("{at}: name {name:?}"));
        }
        walk(property, &format!("{at}/{name}"), depth + 1, broken);
    }
    for (index, option) in members.get("anyOf").and_then(Value::as_array).into_iter().flatten().enumerate() {
        if option["type"] != "null" {
            walk(option, &format!("{at}/anyOf{index}"), depth + 1, broken);
        }
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = members.get(key).filter(|inner| !inner.is_boolean()) {
            walk(inner, &format!("{at}/{key}"), depth + 1, broken);
        }
    }
}
