//! Arguments and answer of a call, as they are kept for projects that want it.

use serde_json::{Map, Value, json};

/// Maximum size of the arguments or of the answer in the log, in bytes of JSON.
const MAX_PART: usize = 128 * 1024;

/// Arguments and answer of a call.
pub struct Content {
    /// The arguments.
    pub arguments: Map<String, Value>,
    /// The answer: the data of the outcome.
    pub answer: Value,
    /// What went wrong; none for a success.
    pub error: Option<String>,
}

impl Content {
    /// The stored form. A part that is too large is replaced by its size.
    pub(super) fn to_json(&self) -> Vec<u8> {
        let part = |value: Value| match value.to_string().len() {
            size if size > MAX_PART => json!({ "truncated": true, "bytes": size }),
            _ => value,
        };
        let arguments = part(Value::Object(self.arguments.clone()));
        let answer = part(self.answer.clone());
        json!({ "arguments": arguments, "answer": answer, "error": self.error }).to_string().into_bytes()
    }
}
