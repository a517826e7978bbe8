//! What a test of one tool needs to know about it.

use serde_json::{Map, Value};

/// A call of a tool, and what the simulated provider answers to it.
#[derive(Clone, Debug)]
pub struct ToolCall {
    /// The tool.
    pub slug: String,
    /// Its arguments.
    pub arguments: Map<String, Value>,
    /// Scopes that allow it, which the account gets besides those of the file.
    pub scopes: Vec<String>,
    /// The answer, with status 200.
    pub answer: Value,
}
