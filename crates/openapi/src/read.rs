//! Reads the bytes of a document, JSON or YAML, within limits.

use serde_json::Value;
use thiserror::Error;

use crate::yaml;

/// Maximum size of a document in bytes.
pub const MAX_BYTES: usize = 32 * 1024 * 1024;
/// Maximum depth of values in a document.
pub(crate) const MAX_DEPTH: usize = 64;
/// Maximum number of values in a document.
pub(crate) const MAX_VALUES: usize = 3_000_000;

/// Why a document cannot be read.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum ReadError {
    /// More than [`MAX_BYTES`].
    #[error("the document has {0} bytes; at most {MAX_BYTES} are read")]
    TooLarge(usize),
    /// Not UTF-8.
    #[error("the document is not UTF-8 text")]
    NotText,
    /// Neither JSON nor YAML.
    #[error("the document is not {kind}: {message}")]
    Malformed {
        /// What it was read as.
        kind: &'static str,
        /// What is wrong, with line and column.
        message: String,
    },
    /// Values nest too deep.
    #[error("values of the document nest more than {MAX_DEPTH} deep")]
    TooDeep,
    /// It has too many values.
    #[error("the document has more than {MAX_VALUES} values")]
    TooMany,
}

/// The value of a document. One that begins with `{` is read as JSON, any other as YAML.
///
/// # Errors
/// The document is none, or beyond a limit.
pub fn read(bytes: &[u8]) -> Result<Value, ReadError> {
    if bytes.len() > MAX_BYTES {
        return Err(ReadError::TooLarge(bytes.len()));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| ReadError::NotText)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if !text.trim_start().starts_with('{') {
        return yaml::read(text);
    }
    // Each value but the first follows one of these.
    if text.bytes().filter(|byte| matches!(byte, b',' | b'{' | b'[')).count() > 2 * MAX_VALUES {
        return Err(ReadError::TooMany);
    }
    let malformed = |error: serde_json::Error| ReadError::Malformed { kind: "JSON", message: error.to_string() };
    let value: Value = serde_json::from_str(text).map_err(malformed)?;
    let mut left = MAX_VALUES;
    measure(&value, MAX_DEPTH, &mut left)?;
    Ok(value)
}

fn measure(value: &Value, depth: usize, left: &mut usize) -> Result<(), ReadError> {
    *left = left.checked_sub(1).ok_or(ReadError::TooMany)?;
    let deeper = || depth.checked_sub(1).ok_or(ReadError::TooDeep);
    match value {
        Value::Array(items) => {
            let depth = deeper()?;
            items.iter().try_for_each(|item| measure(item, depth, left))
        }
        Value::Object(members) => {
            let depth = deeper()?;
            members.values().try_for_each(|member| measure(member, depth, left))
        }
        _ => Ok(()),
    }
}
