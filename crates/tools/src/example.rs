//! Examples that fit a tool: arguments, and the answer of its provider. For documentation, and for trying a tool without
//! its provider.

use regex_lite::Regex;
use serde_json::{Map, Value, json};
use switchboard_catalog::{FailureRule, Tool};

/// A file with the text "example".
const FILE: &str = "data:text/plain;base64,ZXhhbXBsZQ==";

/// A time without an offset, for arguments whose name says that they are one.
const LOCAL_TIME: &str = "2026-12-31T09:30:00";
/// An e-mail address, for arguments whose name says that they are one.
const ADDRESS: &str = "ada@example.com";
/// Parts of such names.
const ADDRESS_NAMES: [&str; 9] = ["email", "mail", "to", "cc", "bcc", "from", "recipient", "attendee", "sender"];
/// Texts of the usual kinds, for arguments with a pattern or a length. The first one that fits is taken.
const TEXTS: [&str; 20] = [
    "example",
    ADDRESS,
    LOCAL_TIME,
    "2026-12-31",
    "+14155550100",
    "note_1",
    "SM00000000000000000000000000000000",
    "CA00000000000000000000000000000000",
    "1",
    "refs/heads/abc",
    "abc",
    "ABC",
    "C0123ABCD",
    "1700000000.000100",
    "https://example.com",
    "#aabbcc",
    "12:30",
    "en",
    "US",
    "usd",
];

/// Arguments that fit, as far as their schemas say: all of them, or those that are required. A file is a name.
pub fn example_arguments(tool: &Tool, only_required: bool) -> Map<String, Value> {
    let wanted = tool.input.iter().filter(|(_, argument)| argument.required || !only_required);
    let value = |name: &str, schema: &Map<String, Value>| {
        let has_form = ["format", "enum", "pattern"].iter().any(|key| schema.contains_key(*key));
        let is_text = schema.get("type").is_some_and(|kind| kind == "string");
        if name.contains("datetime") && is_text && !has_form { json!(LOCAL_TIME) } else { example(name, schema) }
    };
    wanted.map(|(name, argument)| (name.clone(), value(name, &argument.schema))).collect()
}

/// An answer that is a success, with the properties of the tool's `output` where it looks for its result.
pub fn example_answer(tool: &Tool) -> Value {
    let members: Map<String, Value> =
        tool.output.iter().map(|(name, schema)| (name.clone(), example(name, schema))).collect();
    // What the result is made of, if it is no object.
    let wrapped = match members.iter().next().filter(|_| members.len() == 1) {
        Some((name, list @ Value::Array(_))) if name == "items" => Some(list),
        Some((name, value)) if name == "value" && !value.is_array() && !value.is_object() => Some(value),
        _ => None,
    };
    let result = wrapped.cloned().unwrap_or(Value::Object(members));
    let mut answer = json!({});
    put(&mut answer, tool.result.as_deref().unwrap_or_default(), result);
    if tool.graphql.is_some() {
        answer = json!({ "data": answer });
    }
    if let Some(rule) = &tool.error_when {
        avoid(&mut answer, rule);
    }
    answer
}

/// Changes the answer so that the rule does not take it for a failure.
fn avoid(answer: &mut Value, rule: &FailureRule) {
    let is_there = answer.pointer(&rule.pointer).is_some();
    match (&rule.equals, &rule.differs) {
        (Some(Value::Bool(failure)), _) => put(answer, &rule.pointer, json!(!failure)),
        (None, Some(success)) => put(answer, &rule.pointer, success.clone()),
        _ if is_there => put(answer, &rule.pointer, Value::Null),
        _ => {}
    }
}

/// Sets the value at a pointer. Objects and lists on the way are made.
fn put(value: &mut Value, pointer: &str, new: Value) {
    let mut place = value;
    for part in pointer.split('/').skip(1) {
        let name = part.replace("~1", "/").replace("~0", "~");
        place = if name == "0" {
            if place.as_array().is_none_or(Vec::is_empty) {
                *place = json!([null]);
            }
            &mut place[0]
        } else {
            if !place.is_object() {
                *place = json!({});
            }
            &mut place[name]
        };
    }
    *place = new;
}

/// A value of a property that fits a schema.
fn example(name: &str, schema: &Map<String, Value>) -> Value {
    let nested = |name: &str, value: &Value| value.as_object().map_or(Value::Null, |schema| example(name, schema));
    if let Some(first) = schema.get("anyOf").and_then(Value::as_array).and_then(|options| options.first()) {
        return nested(name, first);
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("string") => json!(text(name, schema)),
        Some("integer") => json!(whole_number(schema)),
        Some("number") => json!(schema.get("minimum").and_then(Value::as_f64).unwrap_or(1.0)),
        Some("boolean") => json!(true),
        Some("array") => {
            let count = schema.get("minItems").and_then(Value::as_u64).unwrap_or(1).clamp(1, 100);
            let item = schema.get("items").map_or(Value::Null, |items| nested(name, items));
            (0..count).map(|_| item.clone()).collect()
        }
        _ => {
            let properties = schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
            properties.iter().map(|(name, schema)| (name.clone(), nested(name, schema))).collect()
        }
    }
}

fn whole_number(schema: &Map<String, Value>) -> i64 {
    let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
    let least = bound("minimum").unwrap_or(1.0).max(1.0).min(bound("maximum").unwrap_or(1e9));
    #[expect(clippy::cast_possible_truncation, reason = "bounds are small, and this is an example")]
    let least = least.ceil() as i64;
    least
}

fn text(name: &str, schema: &Map<String, Value>) -> String {
    if schema.get("file_uploadable") == Some(&Value::Bool(true)) {
        return FILE.to_owned();
    }
    let first = schema.get("enum").and_then(Value::as_array).and_then(|values| values.first());
    if let Some(given) = first.or_else(|| schema.get("default")).and_then(Value::as_str) {
        return given.to_owned();
    }
    let of_format = match schema.get("format").and_then(Value::as_str) {
        Some("date-time") => Some("2026-12-31T09:30:00Z"),
        Some("date") => Some("2026-12-31"),
        Some("time") => Some("09:30:00Z"),
        Some("email") => Some("ada@example.com"),
        Some("uuid") => Some("01890a5d-ac96-774b-bcce-b302099a8057"),
        Some("duration") => Some("PT1H"),
        Some("hostname") => Some("example.com"),
        Some("ipv4") => Some("192.0.2.1"),
        Some("ipv6") => Some("2001:db8::1"),
        _ => None,
    };
    if let Some(text) = of_format {
        return text.to_owned();
    }
    let length = |name: &str| schema.get(name).and_then(Value::as_u64);
    let (least, limit) = (length("minLength").unwrap_or(0), length("maxLength").unwrap_or(u64::MAX));
    let pattern = schema.get("pattern").and_then(Value::as_str).and_then(|pattern| Regex::new(pattern).ok());
    let fits = |text: &str| {
        (least..=limit).contains(&(text.len() as u64)) && pattern.as_ref().is_none_or(|pattern| pattern.is_match(text))
    };
    let is_address = name
        .to_ascii_lowercase()
        .split('_')
        .any(|word| ADDRESS_NAMES.iter().any(|part| word.trim_end_matches('s') == *part));
    let first = is_address.then_some(ADDRESS);
    match first.into_iter().chain(TEXTS).find(|text| fits(text)) {
        Some(text) => text.to_owned(),
        None => "x".repeat(usize::try_from(least.clamp(1, 10_000).min(limit)).unwrap_or(1)),
    }
}
