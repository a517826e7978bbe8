//! One tool as a JSON value, for programs that make tools.

use serde_json::Value;

use super::check;
use crate::model::{Tool, Toolkit};

/// The tool of a definition: an object with the keys of `[[tools]]`.
///
/// # Errors
/// What a check of the toolkit's file would report, each with its place in the definition. Other tools that the
/// definition names are not looked for.
pub fn tool_of(definition: &Value, toolkit: &Toolkit) -> Result<Tool, Vec<String>> {
    let tool: Tool =
        serde::Deserialize::deserialize(definition).map_err(|error: serde_json::Error| vec![error.to_string()])?;
    let findings = check::findings(std::slice::from_ref(&tool), toolkit);
    if findings.is_empty() { Ok(tool) } else { Err(findings.iter().map(ToString::to_string).collect()) }
}
