//! The bytes of a file while they arrive: one request at a time sends them, room and memory are reserved for them, and
//! what was not finished is deleted.

use std::sync::Arc;
use std::time::Duration;

use switchboard_egress::{BudgetExhausted, Reservation};
use switchboard_store::files::{self, FileRow, FileState, StoredBytes, Transfer};
use switchboard_store::{Unit, failpoint};
use switchboard_types::{FileId, ProjectId};
use switchboard_vault::base62;

use super::Files;
use super::load::MEMORY_TIMEOUT;
use super::upload::Incoming;
use crate::app::base::core::Core;
use crate::app::object_store::{ObjectStore, Writer, Written};
use crate::error::{Code, Error, Result};

/// For how long a request has a file to itself. Longer than bytes may take to arrive.
const LEASE: Duration = Duration::from_mins(15);
/// Random characters of the name under which bytes are stored.
const OBJECT_SECRET: usize = 16;

impl Files {
    /// Writes the bytes of a pending file, and makes it a stored one. `length` is their announced number.
    pub(super) async fn store(
        &self,
        file: &FileRow,
        length: Option<u64>,
        bytes: &mut impl Incoming,
    ) -> Result<FileRow> {
        let mut memory = self.uploads.reserve(MEMORY_TIMEOUT).await.map_err(|BudgetExhausted| busy())?;
        let now = self.core.now();
        let reserved = i64::try_from(length.unwrap_or(self.core.settings.files.max_size)).unwrap_or(i64::MAX);
        let object = format!("{}/{}.{}", file.project_id, file.id, base62(&*self.core.entropy, OBJECT_SECRET));
        let transfer = Transfer { object: &object, size: reserved, now, others_until: now - LEASE };
        self.apply(file, files::begin(file, &transfer, self.core.settings.files.quota)).await?;
        let mut claim = Claim {
            core: Arc::clone(&self.core),
            objects: Arc::clone(&self.objects),
            project: file.project_id.clone(),
            id: file.id.clone(),
            object: Some(object.clone()),
            reserved,
        };
        if let Some(earlier) = &file.object {
            // Of an upload that was interrupted.
            delete(&self.objects, earlier).await;
        }
        let stored = self.write(file, &object, length, bytes, &mut memory).await;
        match stored {
            Ok(_) => claim.object = None,
            Err(_) => claim.give_up().await,
        }
        stored
    }

    async fn write(
        &self,
        file: &FileRow,
        object: &str,
        length: Option<u64>,
        bytes: &mut impl Incoming,
        memory: &mut Reservation,
    ) -> Result<FileRow> {
        let mut writer = self.objects.write(object, self.core.settings.files.max_size).await?;
        if let Err(error) = self.copy(bytes, &mut writer, memory).await {
            writer.abort().await;
            return Err(error);
        }
        failpoint::hit("during_file_write");
        let Written { size, md5 } = writer.finish().await?;
        if length.is_some_and(|length| length != size) {
            return Err(Error::validation(vec!["Error in payload: fewer bytes came than were announced".to_owned()]));
        }
        if file.md5.as_ref().is_some_and(|announced| *announced != md5) {
            return Err(Error::new(Code::FileDigestMismatch, Code::FileDigestMismatch.template()));
        }
        let now = self.core.now();
        // What was uploaded to a session is deleted with it; results of tools end before.
        let is_kept_by_session = file.mount.is_some() && file.tool.is_empty();
        let keep = self.core.settings.retention.files.filter(|_| !is_kept_by_session);
        let stored = StoredBytes {
            object,
            size: i64::try_from(size).unwrap_or(i64::MAX),
            md5: &md5,
            expires_at: keep.map(|keep| now + keep),
        };
        self.apply(file, files::store(file, &stored, self.core.settings.files.quota, now)).await?;
        let (size, expires_at) = (stored.size, stored.expires_at);
        Ok(FileRow {
            size,
            md5: Some(md5),
            object: Some(object.to_owned()),
            state: FileState::Stored,
            stored_at: Some(now),
            expires_at,
            ..file.clone()
        })
    }

    /// Copies bytes as they arrive. Memory is reserved for what is there, not for what was announced.
    async fn copy(&self, bytes: &mut impl Incoming, writer: &mut Writer<'_>, memory: &mut Reservation) -> Result<()> {
        let mut size = 0_u64;
        while let Some(chunk) = bytes.next().await? {
            size = size.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
            let (needed, largest) = (self.objects.write_memory(size), self.objects.write_memory(u64::MAX));
            memory.grow(needed, largest).await.map_err(|BudgetExhausted| busy())?;
            writer.append(chunk).await?;
        }
        Ok(())
    }
}

/// A request's hold of a file. It also ends when the request is dropped, because its client has gone.
struct Claim {
    core: Arc<Core>,
    objects: Arc<ObjectStore>,
    project: ProjectId,
    id: FileId,
    /// The name of the bytes; none if there is nothing to delete.
    object: Option<String>,
    /// Bytes that are reserved.
    reserved: i64,
}

impl Claim {
    /// Deletes the bytes, and lets another request send them.
    async fn give_up(&mut self) {
        let Some(object) = self.object.take() else { return };
        // What is left counts for the project until the next upload, or the end of the file.
        let left = if delete(&self.objects, &object).await { 0 } else { self.reserved };
        let unit = Unit::new().with(files::release(&self.project, &self.id, &object, left));
        if let Err(error) = self.core.store.apply(unit).await {
            tracing::warn!(file.id = %self.id, error = %error, "a file cannot be sent again for 15 minutes");
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let Some(object) = self.object.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let mut claim = Self {
            core: Arc::clone(&self.core),
            objects: Arc::clone(&self.objects),
            project: self.project.clone(),
            id: self.id.clone(),
            object: Some(object),
            reserved: self.reserved,
        };
        runtime.spawn(async move { claim.give_up().await });
    }
}

/// Deletes bytes that belong to no file; false if that fails. The row of their file still names them then.
async fn delete(objects: &ObjectStore, object: &str) -> bool {
    let deleted = objects.delete(object).await;
    if let Err(error) = &deleted {
        tracing::warn!(error = %error, "bytes of a file that was not stored are left in the file store");
    }
    deleted.is_ok()
}

fn busy() -> Error {
    Error::new(Code::Busy, "The server receives as many bytes of files as it may")
        .fix("Nothing was stored. Try again in a few seconds.")
}
