//! The tools of a toolkit as rows: a definition with the bytes that clients get, made once.

use std::borrow::Cow;
use std::fmt::{self, Debug, Formatter};
use std::io::{self, Read};
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use data_encoding::HEXLOWER;
use flate2::read::DeflateDecoder;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use sha2::{Digest, Sha256};

use super::release::Release;
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

/// A file of tools that is compiled in. A test has checked it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PackedTools {
    /// For messages.
    pub file_name: &'static str,
    /// Its text, as the build script packs it.
    pub compressed: &'static [u8],
    /// SHA-256 of its text, in hexadecimal digits.
    pub digest: &'static str,
    /// Number of its tools.
    pub count: usize,
}

impl PackedTools {
    /// The text of the file.
    pub fn text(self) -> io::Result<String> {
        unpacked(self.compressed)
    }

    /// The release of these tools.
    pub fn release(self, toolkit: &str, version: &str, name: &str) -> Release {
        Release::new((toolkit, version, name), self.digest, Cow::Borrowed(self.compressed))
    }
}

/// A text that the build script has packed.
pub(crate) fn unpacked(compressed: &[u8]) -> io::Result<String> {
    let mut text = String::new();
    DeflateDecoder::new(compressed).read_to_string(&mut text)?;
    Ok(text)
}

/// The tools of a toolkit. Those of a toolkit that is compiled in are read when they are first needed.
#[derive(Clone, Default)]
pub struct Tools {
    packed: Option<PackedTools>,
    /// Of tools that are not compiled in.
    release: Option<Arc<Release>>,
    rows: OnceLock<Arc<[Arc<ToolRow>]>>,
}

impl Debug for Tools {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tools").field("read", &self.rows.get().map(|rows| rows.len())).finish_non_exhaustive()
    }
}

impl Tools {
    pub(crate) fn builtin(packed: PackedTools) -> Self {
        Self { packed: Some(packed), release: None, rows: OnceLock::new() }
    }

    pub(crate) fn loaded(rows: Vec<Arc<ToolRow>>, release: Release) -> Self {
        Self { packed: None, release: Some(Arc::new(release)), rows: OnceLock::from(Arc::from(rows)) }
    }
}

impl Toolkit {
    /// Its tools, in the order of their slugs.
    pub fn tools(&self) -> &[Arc<ToolRow>] {
        self.tools.rows.get_or_init(|| match self.tools.packed {
            // A test excludes a file with problems.
            Some(packed) => {
                let text = packed.text().unwrap_or_default();
                parse::tools(packed.file_name, &text, self).map(Arc::from).unwrap_or_default()
            }
            None => Arc::default(),
        })
    }

    /// The release of its tools. None if it has none.
    pub(crate) fn release(&self) -> Option<Arc<Release>> {
        match self.tools.packed {
            Some(packed) => Some(Arc::new(packed.release(&self.slug, &self.version, &self.name))),
            None => self.tools.release.clone(),
        }
    }

    /// Number of its tools, without reading them.
    pub fn tool_count(&self) -> usize {
        self.tools.packed.map_or_else(|| self.tools().len(), |packed| packed.count)
    }

    /// One of its tools, by its slug in any case.
    pub fn tool(&self, slug: &str) -> Option<&Arc<ToolRow>> {
        let slug = slug.to_ascii_uppercase();
        let tools = self.tools();
        tools.binary_search_by(|row| row.slug.as_str().cmp(&slug)).ok().map(|index| &tools[index])
    }
}
