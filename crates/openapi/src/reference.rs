//! References within a document (RFC 6901, JSON pointers in fragments of RFC 3986).

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use serde_json::Value;
use thiserror::Error;

/// Maximum number of references that lead to each other.
const MAX_CHAIN: usize = 16;

/// Why a reference cannot be followed.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum ReferenceError {
    /// It names another document.
    #[error("`{0}` is in another document, which was not given")]
    External(String),
    /// There is nothing at its place.
    #[error("`{0}` names nothing in the document")]
    Missing(String),
    /// References lead in a circle, or through too many others.
    #[error("`{0}` leads through more than {MAX_CHAIN} references")]
    Chain(String),
}

/// A document whose references are followed when they are met.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) root: Value,
}

/// What a reference leads to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'d> {
    pub(crate) value: &'d Value,
    /// The last reference on the way, none if there was no reference.
    pub(crate) reference: Option<&'d str>,
}

impl Document {
    /// The value itself, or what it refers to.
    pub(crate) fn resolve<'d>(&'d self, value: &'d Value) -> Result<Target<'d>, ReferenceError> {
        let mut target = Target { value, reference: None };
        for _ in 0..MAX_CHAIN {
            let Some(reference) = target.value.get("$ref").and_then(Value::as_str) else { return Ok(target) };
            target = Target { value: self.look_up(reference, MAX_CHAIN)?, reference: Some(reference) };
        }
        if target.value.get("$ref").is_some_and(Value::is_string) {
            return Err(ReferenceError::Chain(shown(target.reference.unwrap_or_default())));
        }
        Ok(target)
    }

    /// The value itself, or what it refers to; none if that is not there.
    pub(crate) fn value<'d>(&'d self, value: &'d Value) -> Option<&'d Value> {
        self.resolve(value).ok().map(|target| target.value)
    }

    /// The value that a reference names. It may be a reference itself.
    pub(crate) fn look_up(&self, reference: &str, left: usize) -> Result<&Value, ReferenceError> {
        let fragment = reference.strip_prefix('#').ok_or_else(|| ReferenceError::External(shown(reference)))?;
        let missing = || ReferenceError::Missing(shown(reference));
        let pointer: Cow<'_, str> = percent_decode_str(fragment).decode_utf8().map_err(|_| missing())?;
        if pointer.is_empty() {
            return Ok(&self.root);
        }
        let mut value = &self.root;
        for token in pointer.strip_prefix('/').ok_or_else(missing)?.split('/') {
            let token = token.replace("~1", "/").replace("~0", "~");
            if let Some(inner) = step(value, &token) {
                value = inner;
                continue;
            }
            // The way leads through another reference.
            let next = value.get("$ref").and_then(Value::as_str).ok_or_else(missing)?;
            let left = left.checked_sub(1).ok_or_else(|| ReferenceError::Chain(shown(reference)))?;
            value = step(self.look_up(next, left)?, &token).ok_or_else(missing)?;
        }
        Ok(value)
    }
}

fn step<'d>(value: &'d Value, token: &str) -> Option<&'d Value> {
    match value {
        Value::Object(members) => members.get(token),
        Value::Array(items) => items.get(token.parse::<usize>().ok()?),
        _ => None,
    }
}

/// A reference in a message.
fn shown(reference: &str) -> String {
    reference.chars().filter(|letter| !letter.is_control()).take(120).collect()
}
