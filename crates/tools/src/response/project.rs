//! Selects parts of a result by JSONPath (RFC 9535) and keeps its form: a part stays where it was, and items that are not
//! selected are left out of their list.
//!
//! A path is bounded, so that the work grows with the size of the result alone.

use std::collections::HashSet;

use serde_json::{Map, Value};
use serde_json_path::JsonPath;

use super::MAX_FIELDS;
use super::note::Note;
use crate::Mistake;

/// Maximum length of a path in bytes.
const MAX_PATH: usize = 200;
/// How often a filter may name the item that it looks at.
const MAX_TERMS: usize = 4;

/// Paths that select parts of a result.
#[derive(Clone, Debug)]
pub(super) struct Projection(Vec<(String, JsonPath)>);

impl Projection {
    pub(super) fn parse(fields: &[String]) -> Result<Self, Mistake> {
        if fields.len() > MAX_FIELDS {
            return Err(Mistake::new("fields", format!("must have at most {MAX_FIELDS} paths")));
        }
        let parsed = fields.iter().enumerate().map(|(index, text)| {
            let path = check_path(text).map_err(|problem| Mistake::new(format!("fields[{index}]"), problem))?;
            Ok((text.clone(), path))
        });
        parsed.collect::<Result<_, _>>().map(Self)
    }

    /// What the paths select. Those that select nothing are noted.
    pub(super) fn apply(&self, data: Map<String, Value>, note: &mut Note) -> Map<String, Value> {
        let root = Value::Object(data);
        let mut selected = HashSet::new();
        for (text, path) in &self.0 {
            let found = path.query(&root);
            if found.is_empty() {
                note.unmatched.push(text.clone());
            }
            // A value is told from an equal one by where it is in memory.
            selected.extend(found.into_iter().map(std::ptr::from_ref));
        }
        match kept(&root, &selected) {
            Some(Value::Object(kept)) => kept,
            _ => Map::new(),
        }
    }
}

/// The selected parts of a value, each in its place.
fn kept(value: &Value, selected: &HashSet<*const Value>) -> Option<Value> {
    if selected.contains(&std::ptr::from_ref(value)) {
        return Some(value.clone());
    }
    match value {
        Value::Object(members) => {
            let members = members.iter().filter_map(|(name, value)| Some((name.clone(), kept(value, selected)?)));
            let members: Map<String, Value> = members.collect();
            (!members.is_empty()).then_some(Value::Object(members))
        }
        Value::Array(items) => {
            let items: Vec<Value> = items.iter().filter_map(|item| kept(item, selected)).collect();
            (!items.is_empty()).then_some(Value::Array(items))
        }
        _ => None,
    }
}

/// A path that can be used.
///
/// # Errors
/// It is none, or would take too long on a large result.
pub fn check_path(text: &str) -> Result<JsonPath, String> {
    if text.len() > MAX_PATH {
        return Err(format!("must have at most {MAX_PATH} bytes"));
    }
    check_cost(text)?;
    JsonPath::parse(text).map_err(|error| {
        format!("must be a JSONPath such as $.items[*].id: {} (at byte {})", error.message(), error.position())
    })
}

/// Refuses what selects the same value many times over, or looks through the result once for each of its values.
fn check_cost(text: &str) -> Result<(), String> {
    let plain = without_texts(text);
    let filters = plain.matches('?').count();
    if plain.matches("..").count() > 1 || filters > 1 {
        return Err("must have `..` and `?` at most once each".to_owned());
    }
    if let Some((_, after)) = plain.split_once('?') {
        let filter = until_closing(after);
        if let Some(part) = ["*", "..", ",", "$"].iter().find(|part| filter.contains(**part)) {
            return Err(format!("must not have `{part}` in a filter"));
        }
        if filter.matches('@').count() > MAX_TERMS {
            return Err(format!("must have `@` at most {MAX_TERMS} times in a filter"));
        }
    }
    let lists = plain.split('[').filter(|part| part.split(']').next().is_some_and(|inner| inner.contains(',')));
    if lists.count() > 1 {
        return Err("must have several selectors in one pair of brackets only".to_owned());
    }
    Ok(())
}

/// Whether a path leads to one value at most: it has names and indices only.
pub fn is_singular(text: &str) -> bool {
    let plain = without_texts(text);
    !plain.contains(['*', '?', ':', ',']) && !plain.contains("..")
}

/// What stands before the bracket that closes a filter.
fn until_closing(text: &str) -> &str {
    let mut open = 0_usize;
    for (at, letter) in text.char_indices() {
        match letter {
            '[' => open += 1,
            ']' if open == 0 => return text.get(..at).unwrap_or_default(),
            ']' => open -= 1,
            _ => {}
        }
    }
    text
}

/// A path without what its quoted texts say.
fn without_texts(path: &str) -> String {
    let mut plain = String::with_capacity(path.len());
    let mut quote = None;
    let mut letters = path.chars();
    while let Some(letter) = letters.next() {
        match quote {
            None => {
                plain.push(letter);
                quote = Some(letter).filter(|letter| matches!(letter, '\'' | '"'));
            }
            Some(end) if letter == end => {
                plain.push(letter);
                quote = None;
            }
            Some(_) if letter == '\\' => {
                letters.next();
            }
            Some(_) => {}
        }
    }
    plain
}
