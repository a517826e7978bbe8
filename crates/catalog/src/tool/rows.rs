//! The tools of a toolkit as rows: a definition with the bytes that clients get, made once.

use std::fmt::{self, Debug, Formatter};
use std::io::{self, Read};
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use data_encoding::HEXLOWER;
use flate2::read::DeflateDecoder;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use sha2::{Digest, Sha256};

use crate::model::{Tool, Toolkit};
use crate::parse;

/// A tool with what is made of its definition.
#[derive(Debug)]
pub struct ToolRow {
    /// What the file says.
    pub tool: Tool,
    /// [`Tool::input_schema`] as JSON.
    pub input_schema: Box<RawValue>,
    /// [`Tool::output_schema`] as JSON.
    pub output_schema: Box<RawValue>,
    /// SHA-256 of the definition, in hexadecimal digits. Another definition has another digest.
    pub digest: String,
}

impl Deref for ToolRow {
    type Target = Tool;

    fn deref(&self) -> &Tool {
        &self.tool
    }
}

impl ToolRow {
    pub(crate) fn new(tool: Tool, definition: &Value) -> Self {
        // Writing a `Value` cannot fail.
        let text = |schema| to_raw_value(&Value::Object(schema)).unwrap_or_default();
        Self {
            input_schema: text(tool.input_schema()),
            output_schema: text(tool.output_schema()),
            // Keys of a `Value` are sorted, so that the order in the file does not matter.
            digest: HEXLOWER.encode(&Sha256::digest(definition.to_string())),
            tool,
        }
    }
}

/// The tools of a toolkit. Those of a toolkit that is compiled in are read when they are first needed.
#[derive(Clone, Default)]
pub struct Tools {
    /// Name and compressed text of the file that is compiled in.
    builtin: Option<(&'static str, &'static [u8])>,
    rows: OnceLock<Arc<[Arc<ToolRow>]>>,
}

impl Debug for Tools {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tools").field("read", &self.rows.get().map(|rows| rows.len())).finish_non_exhaustive()
    }
}

impl Tools {
    /// The tools of a file that a test has checked.
    pub(crate) fn builtin(file_name: &'static str, compressed: &'static [u8]) -> Self {
        Self { builtin: Some((file_name, compressed)), rows: OnceLock::new() }
    }

    pub(crate) fn loaded(rows: Vec<Arc<ToolRow>>) -> Self {
        Self { builtin: None, rows: OnceLock::from(Arc::from(rows)) }
    }
}

/// The text of a compressed file.
pub(crate) fn decompressed(compressed: &[u8]) -> io::Result<String> {
    let mut text = String::new();
    DeflateDecoder::new(compressed).read_to_string(&mut text)?;
    Ok(text)
}

impl Toolkit {
    /// Its tools, in the order of their slugs.
    pub fn tools(&self) -> &[Arc<ToolRow>] {
        self.tools.rows.get_or_init(|| match self.tools.builtin {
            // A test excludes a file with problems.
            Some((name, compressed)) => {
                let text = decompressed(compressed).unwrap_or_default();
                parse::tools(name, &text, self).map(Arc::from).unwrap_or_default()
            }
            None => Arc::default(),
        })
    }

    /// One of its tools, by its slug in any case.
    pub fn tool(&self, slug: &str) -> Option<&Arc<ToolRow>> {
        let slug = slug.to_ascii_uppercase();
        let tools = self.tools();
        tools.binary_search_by(|row| row.slug.as_str().cmp(&slug)).ok().map(|index| &tools[index])
    }
}
