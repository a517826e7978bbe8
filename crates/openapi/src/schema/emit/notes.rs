//! What a schema says in words, and the smaller checks of its values.

use serde_json::{Map, Value, json};

use super::super::flat::Flat;
use super::{MAX_ALTERNATIVES, MAX_DEPTH, MAX_DESCRIPTION, free_object};
use crate::text::{clean, clip, sentence};

/// Any value, in as many forms as there is room for.
pub(crate) fn any_value(depth: usize, alternatives: usize) -> Option<Map<String, Value>> {
    if depth >= MAX_DEPTH || alternatives >= MAX_ALTERNATIVES {
        return None;
    }
    let mut options: Vec<Value> = ["string", "number", "boolean"].iter().map(|kind| json!({ "type": kind })).collect();
    options.push(free_object().into());
    if depth + 2 <= MAX_DEPTH {
        let items = if alternatives == 0 { any_value(depth + 2, alternatives + 1) } else { None };
        options.push(json!({ "type": "array", "items": items.unwrap_or_else(free_object) }));
    }
    Some(Map::from_iter([("anyOf".to_owned(), options.into())]))
}

/// Adds a description of what a schema and notes say.
pub(super) fn describe(schema: &mut Map<String, Value>, flat: &Flat<'_>, notes: &[String]) {
    let wording = flat.description.map(clean).unwrap_or_default();
    let notes = clip(&notes.join(" "), 140);
    let room = MAX_DESCRIPTION - if notes.is_empty() { 0 } else { notes.chars().count() + 1 };
    let wording = sentence(&clip(&wording, room - 1));
    let text = [wording, notes].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    if !text.is_empty() {
        schema.insert("description".to_owned(), text.into());
    }
}

/// Says the allowed values, where `enum` cannot.
pub(super) fn values_note(flat: &Flat<'_>, notes: &mut Vec<String>) {
    let Some(values) = &flat.values else { return };
    let shown = values.iter().filter(|value| !value.is_object() && !value.is_array()).take(12);
    let shown: Vec<String> = shown.map(|value| value.as_str().map_or_else(|| value.to_string(), clean)).collect();
    let shown: Vec<String> =
        shown.into_iter().map(|text| if text.is_empty() { "\"\"".to_owned() } else { text }).collect();
    if !shown.is_empty() {
        let more = if values.len() > shown.len() { ", …" } else { "" };
        notes.push(format!("One of {}{more}.", clip(&shown.join(", "), 110)));
    }
}

/// Says the default and, for a short description, an example. A default that is a keyword would be sent with each call.
pub(super) fn default_note(flat: &Flat<'_>, notes: &mut Vec<String>) {
    let wording = flat.description.unwrap_or_default();
    let scalar = |value: &Value| match value {
        Value::String(text) if !text.is_empty() && text.len() <= 40 => Some(clean(text)),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    };
    match flat.default.and_then(scalar) {
        Some(text) if !wording.to_ascii_lowercase().contains("default") => notes.push(format!("Default: {text}.")),
        _ => {}
    }
    let has_example = wording.contains("xample") || wording.contains("e.g.") || wording.chars().count() > 80;
    if let Some(text) = flat.example.and_then(scalar).filter(|_| !has_example && flat.values.is_none()) {
        notes.push(format!("Example: {text}."));
    }
}

pub(super) fn size(schema: &mut Map<String, Value>, least: (&str, Option<u64>), greatest: (&str, Option<u64>)) {
    if least.1.zip(greatest.1).is_some_and(|(least, greatest)| least > greatest) {
        return;
    }
    for (key, size) in [least, greatest] {
        // Sizes that restrict nothing only cost.
        if let Some(size) = size.filter(|size| *size > 0 && *size < 1_000_000) {
            schema.insert(key.to_owned(), size.into());
        }
    }
    // An empty value may be all that is allowed.
    if greatest.1 == Some(0) {
        schema.insert(greatest.0.to_owned(), 0.into());
    }
}

#[expect(clippy::cast_possible_truncation, reason = "it has no fraction and is small")]
pub(super) fn number(bound: f64) -> Value {
    if bound.fract() == 0.0 { (bound as i64).into() } else { json!(bound) }
}

/// Whether a pattern is checked alike everywhere.
pub(super) fn is_portable(pattern: &str) -> bool {
    pattern.len() <= 256 && !pattern.contains("(?") && regex_lite::Regex::new(pattern).is_ok()
}

/// Whether a nested property may have this name.
pub(crate) fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}
