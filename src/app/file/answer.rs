//! Files that providers answer with: their names and types, and where a redirect leads.

use std::time::Instant;

use bytes::Bytes;
use switchboard_egress::Reservation;
use url::Url;

use super::Files;
use super::fetch::disposition_name;
use super::name::{media_type, with_extension};
use super::sniff::decide;
use super::upload::NewFile;
use crate::error::Result;

/// A file of a provider in memory.
pub struct ReceivedFile {
    /// What is known of it.
    pub new: NewFile,
    /// Its bytes.
    pub bytes: Bytes,
    /// Its memory.
    pub reservation: Option<Reservation>,
}

crate::redacted_debug!(ReceivedFile);

impl NewFile {
    /// A file with the headers that it came with. `fallback` is its name if they have none; it gets an extension.
    pub fn received(content_type: Option<&str>, disposition: Option<&str>, fallback: &str, bytes: &[u8]) -> Self {
        let mimetype = decide(bytes, content_type.and_then(media_type), None);
        let name = disposition.and_then(|text| disposition_name(text.as_bytes()));
        let name = name.unwrap_or_else(|| with_extension(fallback.to_owned(), &mimetype));
        Self { name, mimetype, ..Self::default() }
    }
}

impl Files {
    /// The file that a provider's answer redirects to, from a public address and without any credential.
    ///
    /// # Errors
    /// As for a file of an argument.
    pub async fn follow(&self, location: Url, limit: u64, deadline: Instant) -> Result<ReceivedFile> {
        let memory = self.reserve().await?;
        let fetched = self.fetch(location, limit, deadline, memory).await?;
        let new = NewFile { name: fetched.name, mimetype: fetched.mimetype, ..NewFile::default() };
        Ok(ReceivedFile { new, bytes: fetched.bytes, reservation: fetched.reservation })
    }
}
