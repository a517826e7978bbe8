//! `--args` of commands that take the arguments of a tool.

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::{Map, Value};

/// The arguments of a tool.
#[derive(Debug, Default, Args)]
pub(super) struct ToolArguments {
    /// The tool's arguments: a JSON object, or a file with one.
    #[arg(long = "args", value_name = "JSON|@FILE", id = "tool_arguments")]
    text: Option<String>,
}

impl ToolArguments {
    /// The arguments, if they are given.
    ///
    /// # Errors
    /// A file that cannot be read, or a text that is no JSON object.
    pub(super) fn read(&self) -> Result<Option<Map<String, Value>>> {
        let Some(text) = &self.text else { return Ok(None) };
        let text = match text.strip_prefix('@') {
            Some(file) => std::fs::read_to_string(file).with_context(|| format!("--args: cannot read {file}"))?,
            None => text.clone(),
        };
        match serde_json::from_str(&text).context("--args: is not JSON")? {
            Value::Object(arguments) => Ok(Some(arguments)),
            _ => bail!("--args: must be a JSON object, such as {{\"name\": \"value\"}}"),
        }
    }
}
