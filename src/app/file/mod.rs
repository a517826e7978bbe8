//! Files: uploads, results of tools, and what sessions keep. Rows are in the database, bytes in the object store.
//!
//! - `upload.rs`: from the announcement of a file to its bytes; `transfer.rs`: the bytes while they arrive; `download.rs`: the bytes of a file;
//! - `signed_url.rs`: who may send or fetch bytes without a key;
//! - `mount.rs`: the files of a session, by path;
//! - `source.rs`: what names a file in an argument; `load.rs` gets its bytes, `fetch.rs` those of a URL;
//! - `answer.rs`: files that providers answer with;
//! - `name.rs` and `sniff.rs`: names and media types that can be trusted;
//! - `deletion.rs`: files whose time is over.

mod answer;
mod deletion;
mod download;
mod fetch;
pub mod load;
pub mod mount;
mod name;
pub mod signed_url;
mod sniff;
pub mod source;
mod transfer;
pub mod upload;

use std::sync::Arc;

use switchboard_egress::{Budget, Egress};
use switchboard_store::files::{FileFilter, FileRow, FileState};
use switchboard_store::{ListPage, PageQuery};
use switchboard_types::{FileId, ProjectId, Timestamp};
use switchboard_vault::KeyRing;

use crate::app::base::core::Core;
use crate::app::object_store::ObjectStore;
use crate::app::session::Sessions;
use crate::error::{Code, Error, Result};

pub use answer::ReceivedFile;
pub use download::FileReader;
pub use load::{LoadedFile, MAX_LOADED};
pub use name::base_name;

/// Length of an id; the rest of a key is random.
const ID_LENGTH: usize = 25;
/// Memory for all files that clients send at a moment, in bytes. A bucket takes up to 10 MiB of it for one file.
const UPLOAD_MEMORY: usize = 128 << 20;
/// Random characters of a key.
const KEY_SECRET: usize = 22;

/// Files.
pub struct Files {
    core: Arc<Core>,
    sessions: Arc<Sessions>,
    ring: KeyRing,
    objects: Arc<ObjectStore>,
    /// Fetches files from URLs that callers give: only from public addresses.
    egress: Egress,
    /// Memory for files that are sent to providers.
    memory: Budget,
    /// Memory for files that clients send: a slow client keeps no call from its answer.
    uploads: Budget,
}

crate::redacted_debug!(Files);

impl Files {
    /// Creates the service from what it uses.
    pub fn new(
        core: Arc<Core>,
        sessions: Arc<Sessions>,
        ring: KeyRing,
        objects: ObjectStore,
        egress: Egress,
        memory: Budget,
    ) -> Self {
        let (objects, uploads) = (Arc::new(objects), Budget::new(UPLOAD_MEMORY));
        Self { core, sessions, ring, objects, egress, memory, uploads }
    }

    /// Creates what files are stored in.
    ///
    /// # Errors
    /// The folder cannot be created.
    pub fn prepare(&self) -> anyhow::Result<()> {
        self.objects.prepare()
    }

    /// One page of the project's files that belong to no session, newest first.
    pub async fn list(&self, project: &ProjectId, filter: FileFilter, page: PageQuery) -> Result<ListPage<FileRow>> {
        Ok(self.core.store.files(project, filter, page).await?)
    }

    /// The stored file of a project by its key. The id alone is in every signed URL, and is none.
    async fn by_key(&self, project: &ProjectId, key: &str) -> Result<FileRow> {
        let id = key.get(..ID_LENGTH).unwrap_or(key);
        let found = self.core.store.file(project, &FileId::from(id)).await?;
        found
            .filter(|file| key == file.key && file.mount.is_none() && is_there(file, self.core.now()))
            .ok_or_else(|| not_found("There is no file with this key, or it is not there any more"))
    }
}

/// Whether the bytes of a file can be read.
fn is_there(file: &FileRow, now: Timestamp) -> bool {
    file.state == FileState::Stored && file.expires_at.is_none_or(|end| end > now)
}

fn not_found(reason: &str) -> Error {
    Error::of(Code::FileNotFound, &[("reason", &reason)])
}
