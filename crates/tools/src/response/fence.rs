//! Marks the texts of a result that other people wrote, so that a model can tell them from what it was told.

use serde_json::{Map, Value, json};

/// The only member of a marked value.
const MARK: &str = "untrusted_text";

/// Replaces each value that a pointer names, with `*` for every item, by `{"untrusted_text": value}`.
pub(super) fn mark(data: &mut Map<String, Value>, pointers: &[String]) {
    for pointer in pointers {
        let segments: Vec<String> =
            pointer.split('/').skip(1).map(|segment| segment.replace("~1", "/").replace("~0", "~")).collect();
        let Some((first, rest)) = segments.split_first() else { continue };
        if first == "*" {
            data.values_mut().for_each(|value| mark_at(value, rest));
        } else if let Some(value) = data.get_mut(first) {
            mark_at(value, rest);
        }
    }
}

fn mark_at(value: &mut Value, segments: &[String]) {
    let Some((first, rest)) = segments.split_first() else {
        if !value.is_null() && !is_marked(value) {
            *value = json!({ MARK: value.take() });
        }
        return;
    };
    match value {
        Value::Array(items) if first == "*" => items.iter_mut().for_each(|item| mark_at(item, rest)),
        Value::Array(items) => {
            if let Some(item) = first.parse().ok().and_then(|index: usize| items.get_mut(index)) {
                mark_at(item, rest);
            }
        }
        Value::Object(members) if first == "*" => members.values_mut().for_each(|member| mark_at(member, rest)),
        Value::Object(members) => {
            if let Some(member) = members.get_mut(first) {
                mark_at(member, rest);
            }
        }
        _ => {}
    }
}

/// Two pointers may name the same value.
fn is_marked(value: &Value) -> bool {
    value.as_object().is_some_and(|members| members.len() == 1 && members.contains_key(MARK))
}
