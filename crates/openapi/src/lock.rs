//! The lock file of an import: which operation has which name, so that a later import renames nothing.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Version of the format.
const FORMAT: u32 = 1;

/// What an import remembers.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Lock {
    format: u32,
    /// Where the document came from.
    pub(crate) source: String,
    /// Its title and version.
    pub(crate) document: String,
    /// SHA-256 of the `toolkit.toml` that was written.
    pub(crate) toolkit: String,
    /// By method and path.
    pub(crate) operations: BTreeMap<String, Locked>,
}

/// What an import remembers of an operation. It stays when the operation is gone, so that its name is not given again.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Locked {
    pub(crate) slug: String,
    /// SHA-256 of the definition that was written; none if there is no tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) digest: Option<String>,
    /// Names of arguments, by place and name at the provider.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) arguments: BTreeMap<String, String>,
}

impl Lock {
    /// Reads a lock file.
    ///
    /// # Errors
    /// It is none, or one of a later program.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let lock: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if lock.format == FORMAT { Ok(lock) } else { Err(format!("format {} is not known", lock.format)) }
    }

    pub(crate) fn new(source: &str, document: &str) -> Self {
        Self { format: FORMAT, source: source.to_owned(), document: document.to_owned(), ..Self::default() }
    }

    pub(crate) fn to_text(&self) -> String {
        // Writing texts and maps cannot fail.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }
}

/// SHA-256 of a definition: keys of a `Value` are sorted.
pub(crate) fn digest(definition: &Value) -> String {
    digest_of_text(&definition.to_string())
}

pub(crate) fn digest_of_text(text: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(text))
}
