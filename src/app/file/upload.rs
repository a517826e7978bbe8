//! From the announcement of a file to its bytes.

use std::time::Duration;

use bytes::Bytes;
use switchboard_egress::BudgetExhausted;
use switchboard_store::files::{self, FileRow, FileState, MountPath, StoredBytes};
use switchboard_store::{Refusal, Unit, WriteError};
use switchboard_types::{AuditAction, AuditOutcome, FileId, ProjectId};
use switchboard_vault::base62;

use super::load::busy;
use super::name::{base_name, media_type, type_of_name};
use super::signed_url::{FileMethod, SignedUrl, UrlSignature};
use super::{Files, KEY_SECRET, not_found};
use crate::app::Actor;
use crate::app::object_store::{StoreError, Writer, Written};
use crate::error::{Code, Error, Result};
use crate::id::Kind;

/// How long bytes may take to arrive, after their URL has ended.
const GRACE: Duration = Duration::from_hours(1);
/// Random characters of the name under which bytes are stored.
const OBJECT_SECRET: usize = 16;
/// Maximum length of the name of a toolkit or tool.
const MAX_SLUG: usize = 128;

/// A file that is announced, or made by the server.
#[derive(Clone, Debug, Default)]
pub struct NewFile {
    /// Its name; folders are dropped.
    pub name: String,
    /// Its media type.
    pub mimetype: String,
    /// MD5 of its bytes in hexadecimal digits.
    pub md5: Option<String>,
    /// The toolkit that it is for or from.
    pub toolkit: String,
    /// The tool that it is for or from.
    pub tool: String,
}

/// Bytes as they arrive.
pub trait Incoming: Send {
    /// The next bytes; none at the end.
    fn next(&mut self) -> impl Future<Output = Result<Option<Bytes>>> + Send;
}

/// Bytes that are there already.
impl Incoming for Option<Bytes> {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        Ok(self.take())
    }
}

impl Files {
    /// Announces a file for a tool. Its bytes are sent to the URL.
    ///
    /// # Errors
    /// A field is not valid, or the project's files are as large as they may be.
    pub async fn request_upload(&self, actor: &Actor, new: NewFile) -> Result<(FileRow, SignedUrl)> {
        if new.name.is_empty() {
            return Err(Error::field("filename", "must have at least one character"));
        }
        check_slug(&new.toolkit, "toolkit_slug")?;
        check_slug(&new.tool, "tool_slug")?;
        let md5 = new.md5.as_deref().map(check_md5).transpose()?;
        let file = self.announced(&actor.project_id, NewFile { md5, ..new }, None)?;
        self.announce(actor, &file).await?;
        let url = self.sign(&file, FileMethod::Put);
        Ok((file, url))
    }

    /// The row of a file that waits for its bytes.
    pub(super) fn announced(&self, project: &ProjectId, new: NewFile, mount: Option<MountPath>) -> Result<FileRow> {
        let name = base_name(&new.name);
        let by_name = || type_of_name(&name).unwrap_or("application/octet-stream").to_owned();
        let mimetype = match new.mimetype.as_str() {
            "" => by_name(),
            given => {
                media_type(given).ok_or_else(|| Error::field("mimetype", "must be a media type such as image/png"))?
            }
        };
        let id = self.core.mint(Kind::File);
        let key = format!("{id}_{}", base62(&*self.core.entropy, KEY_SECRET));
        let now = self.core.now();
        Ok(FileRow {
            id: id.into(),
            project_id: project.clone(),
            key,
            name,
            mimetype,
            size: 0,
            md5: new.md5,
            toolkit: new.toolkit,
            tool: new.tool,
            mount,
            object: None,
            state: FileState::Pending,
            created_at: now,
            stored_at: None,
            expires_at: Some(now + self.core.settings.files.url_lifetime + GRACE),
        })
    }

    /// Stores the row of an announced file.
    pub(super) async fn announce(&self, actor: &Actor, file: &FileRow) -> Result<()> {
        self.check_quota(&file.project_id, 1).await?;
        let unit =
            files::insert(file).with(self.core.audit(actor, AuditAction::FileCreate, &file.id, AuditOutcome::Ok, None));
        self.apply(&file.project_id, unit).await
    }

    /// Receives the bytes of a file from the holder of its URL. `length` is their announced number. The same bytes may
    /// be sent again.
    ///
    /// # Errors
    /// The URL is not valid; the bytes are too many, others than announced, or others than were sent before.
    pub async fn receive(
        &self,
        id: &str,
        given: &UrlSignature,
        length: Option<u64>,
        bytes: &mut impl Incoming,
    ) -> Result<String> {
        let file = self.verified(id, FileMethod::Put, given).await?;
        let limit = self.core.settings.files.max_size;
        if length.is_some_and(|length| length > limit) {
            return Err(Error::of(Code::FileTooLarge, &[("limit", &limit)]));
        }
        match file.state {
            FileState::Pending => {
                self.check_quota(&file.project_id, i64::try_from(length.unwrap_or(1)).unwrap_or(i64::MAX)).await?;
                self.store(&file, length, bytes).await.map(|stored| stored.md5.unwrap_or_default())
            }
            FileState::Stored => check_same(&file, bytes).await,
            FileState::Deleted => Err(not_found("The file was deleted")),
        }
    }

    /// Stores a file that the server made.
    ///
    /// # Errors
    /// The project's files are as large as they may be, among others.
    pub async fn save(&self, project: &ProjectId, new: NewFile, bytes: Bytes) -> Result<FileRow> {
        let file = self.announced(project, new, None)?;
        self.save_announced(file, bytes).await
    }

    /// The same for a file whose row is made already.
    pub(super) async fn save_announced(&self, file: FileRow, bytes: Bytes) -> Result<FileRow> {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.check_quota(&file.project_id, i64::try_from(length).unwrap_or(i64::MAX)).await?;
        self.apply(&file.project_id, files::insert(&file)).await?;
        self.store(&file, Some(length), &mut Some(bytes)).await
    }

    /// Writes the bytes of a pending file, and makes it a stored one.
    async fn store(&self, file: &FileRow, length: Option<u64>, bytes: &mut impl Incoming) -> Result<FileRow> {
        let mut memory = self.reserve().await?;
        let needed = self.objects.write_memory(length.unwrap_or(u64::MAX));
        memory.grow(needed, needed).await.map_err(|BudgetExhausted| busy())?;
        let object = format!("{}/{}.{}", file.project_id, file.id, base62(&*self.core.entropy, OBJECT_SECRET));
        self.apply(&file.project_id, files::begin(&file.project_id, &file.id, &object, self.core.now())).await?;
        if let Some(earlier) = &file.object {
            // Of an upload that was interrupted.
            self.forget(earlier).await;
        }
        let stored = self.write(file, &object, bytes).await;
        if stored.is_err() {
            self.forget(&object).await;
        }
        stored
    }

    async fn write(&self, file: &FileRow, object: &str, bytes: &mut impl Incoming) -> Result<FileRow> {
        let mut writer = self.objects.write(object, self.core.settings.files.max_size).await?;
        if let Err(error) = copy(bytes, &mut writer).await {
            writer.abort().await;
            return Err(error);
        }
        let Written { size, md5 } = writer.finish().await?;
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
        let unit = files::store(file, &stored, self.core.settings.files.quota, now);
        self.apply(&file.project_id, unit).await?;
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

    async fn apply(&self, project: &ProjectId, unit: Unit) -> Result<()> {
        match self.core.store.apply(unit).await {
            Ok(_) => Ok(()),
            Err(WriteError::Refused(Refusal::FileQuotaExceeded)) => Err(self.quota_exceeded()),
            Err(WriteError::Refused(Refusal::FileNotPending)) => Err(Error::new(
                Code::FileConflict,
                "The file is not waiting for its bytes any more, or another request sends them",
            )),
            Err(WriteError::Refused(Refusal::ProjectGone)) => Err(crate::app::project::not_found(project)),
            Err(error) => Err(error.into()),
        }
    }

    /// Refuses bytes for which there is no room, before they are sent.
    async fn check_quota(&self, project: &ProjectId, more: i64) -> Result<()> {
        let quota = self.core.settings.files.quota;
        let used = if quota == i64::MAX { 0 } else { self.core.store.file_bytes(project).await? };
        if used.saturating_add(more) > quota { Err(self.quota_exceeded()) } else { Ok(()) }
    }

    fn quota_exceeded(&self) -> Error {
        Error::of(Code::FileQuotaExceeded, &[("limit", &self.core.settings.files.quota)])
    }

    /// Deletes bytes that belong to no file. If that fails, the row of their file still names them.
    async fn forget(&self, object: &str) {
        if let Err(error) = self.objects.delete(object).await {
            tracing::warn!(error = %error, "bytes of a file that was not stored are left in the file store");
        }
    }
}

async fn copy(bytes: &mut impl Incoming, writer: &mut Writer<'_>) -> Result<()> {
    while let Some(chunk) = bytes.next().await? {
        writer.append(chunk).await.map_err(|error: StoreError| Error::from(error))?;
    }
    Ok(())
}

/// A client that got no answer sends the same bytes again.
async fn check_same(file: &FileRow, bytes: &mut impl Incoming) -> Result<String> {
    use md5::{Digest, Md5};

    let (mut digest, mut size) = (Md5::new(), 0_i64);
    while let Some(chunk) = bytes.next().await? {
        size = size.saturating_add(i64::try_from(chunk.len()).unwrap_or(i64::MAX));
        if size > file.size {
            break;
        }
        digest.update(&chunk);
    }
    let md5 = data_encoding::HEXLOWER.encode(&digest.finalize());
    if size == file.size && file.md5.as_ref() == Some(&md5) {
        return Ok(md5);
    }
    Err(Error::new(Code::FileConflict, Code::FileConflict.template()))
}

/// An MD5 in hexadecimal digits or base64, in hexadecimal digits.
fn check_md5(given: &str) -> Result<String> {
    let plain = given.trim().to_ascii_lowercase();
    if plain.len() == 32 && plain.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(plain);
    }
    let bytes = data_encoding::BASE64.decode(given.trim().as_bytes()).ok().filter(|bytes| bytes.len() == 16);
    let bytes = bytes.ok_or_else(|| Error::field("md5", "must be the MD5 of the bytes in 32 hexadecimal digits"))?;
    Ok(data_encoding::HEXLOWER.encode(&bytes))
}

fn check_slug(slug: &str, field: &str) -> Result<()> {
    let is_slug =
        slug.len() <= MAX_SLUG && slug.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    if is_slug { Ok(()) } else { Err(Error::field(field, "must have letters, digits, `_` and `-` only")) }
}

/// An id of a file in a path, which may be anything.
pub fn is_file_id(text: &str) -> bool {
    Kind::File.admits(text) && FileId::from(text).len() <= 64
}
