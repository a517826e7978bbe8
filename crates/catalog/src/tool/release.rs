//! A release: the tools of one version of a toolkit, as the text of their file. It is known by its digest, so that it can
//! be stored and used when the file is another one.
//!
//! A stored release is read by later programs. So keys of `tools.toml` may be added, but none is removed or gets another
//! meaning, and the schemas that are made of a tool (`emit.rs`) stay the same bytes; a test holds both.

use std::borrow::Cow;
use std::io::{self, Write};
use std::sync::Arc;

use data_encoding::HEXLOWER;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use sha2::{Digest, Sha256};

use super::rows::{ToolRow, unpacked};
use crate::error::CatalogError;
use crate::parse;

/// The first part of what a digest is made of.
const FORMAT: &str = "switchboard release 1";

/// The tools of one version of a toolkit.
#[derive(Clone, Debug)]
pub struct Release {
    /// Slug of the toolkit.
    pub toolkit: String,
    /// Version of the toolkit: `YYYYMMDD_NN`. Two releases of a version differ if the file was edited without another
    /// version.
    pub version: String,
    /// Name of the toolkit, which clients get with each tool.
    pub name: String,
    /// SHA-256 of all that, in hexadecimal digits.
    pub digest: String,
    /// The text of `tools.toml`, compressed with DEFLATE (RFC 1951).
    compressed: Cow<'static, [u8]>,
}

impl Release {
    /// `digest` is that of the text.
    pub(super) fn new(
        (toolkit, version, name): (&str, &str, &str),
        digest: &str,
        compressed: Cow<'static, [u8]>,
    ) -> Self {
        // None of the parts has a line break.
        let all = [FORMAT, toolkit, version, name, digest].join("\n");
        Self {
            toolkit: toolkit.to_owned(),
            version: version.to_owned(),
            name: name.to_owned(),
            digest: HEXLOWER.encode(&Sha256::digest(all)),
            compressed,
        }
    }

    /// The release of a file that was loaded.
    pub(crate) fn of_text(labels: (&str, &str, &str), text: &str) -> Self {
        // Writing to memory cannot fail.
        let compressed = packed(text).unwrap_or_default();
        Self::new(labels, &HEXLOWER.encode(&Sha256::digest(text)), Cow::Owned(compressed))
    }

    /// A release that was stored. None if this is not what `digest` stands for.
    pub fn stored(digest: &str, labels: (&str, &str, &str), compressed: Vec<u8>) -> Option<Self> {
        let text = unpacked(&compressed).ok()?;
        let release = Self::new(labels, &HEXLOWER.encode(&Sha256::digest(text)), Cow::Owned(compressed));
        (release.digest == digest).then_some(release)
    }

    /// What is stored of it beside its other fields.
    pub fn compressed(&self) -> &[u8] {
        &self.compressed
    }

    /// Its tools, in the order of their slugs.
    ///
    /// # Errors
    /// A later program wrote it, with keys that this one does not know.
    pub fn tools(&self) -> Result<Vec<Arc<ToolRow>>, CatalogError> {
        let text = unpacked(&self.compressed).unwrap_or_default();
        parse::stored_tools(&format!("{}/tools.toml of version {}", self.toolkit, self.version), &text)
    }
}

fn packed(text: &str) -> io::Result<Vec<u8>> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text.as_bytes())?;
    encoder.finish()
}
