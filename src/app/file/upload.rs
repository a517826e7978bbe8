//! From the announcement of a file to its bytes.

use std::time::Duration;

use bytes::Bytes;
use switchboard_store::files::{self, FileRow, FileState, MountPath};
use switchboard_store::{Refusal, Unit, WriteError};
use switchboard_types::{AuditAction, AuditOutcome, FileId, ProjectId};
use switchboard_vault::base62;

use super::name::{base_name, media_type, type_of_name};
use super::signed_url::{FileMethod, SignedUrl, UrlSignature};
use super::{Files, KEY_SECRET, not_found};
use crate::app::Actor;
use crate::error::{Code, Error, Result};
use crate::id::Kind;

/// How long bytes may take to arrive, after their URL has ended.
const GRACE: Duration = Duration::from_hours(1);
/// Maximum length of a name with its folders, in characters.
pub const MAX_FILENAME: usize = 1_024;
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
        if new.name.chars().nth(MAX_FILENAME).is_some() {
            return Err(Error::field("filename", format!("must have at most {MAX_FILENAME} characters")));
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
            begun_at: None,
            created_at: now,
            stored_at: None,
            expires_at: Some(now + self.core.settings.files.url_lifetime + GRACE),
        })
    }

    /// Stores the row of an announced file.
    pub(super) async fn announce(&self, actor: &Actor, file: &FileRow) -> Result<()> {
        let audit = self.core.audit(actor, AuditAction::FileCreate, &file.id, AuditOutcome::Ok, None);
        self.apply(file, files::insert(file, self.core.settings.files.quota).with(audit)).await
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
            FileState::Pending => self.store(&file, length, bytes).await.map(|stored| stored.md5.unwrap_or_default()),
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
        self.apply(&file, files::insert(&file, self.core.settings.files.quota)).await?;
        self.store(&file, Some(length), &mut Some(bytes)).await
    }

    pub(super) async fn apply(&self, file: &FileRow, unit: Unit) -> Result<()> {
        match self.core.store.apply(unit).await {
            Ok(_) => Ok(()),
            Err(WriteError::Refused(Refusal::FileQuotaExceeded)) => {
                Err(Error::of(Code::FileQuotaExceeded, &[("limit", &self.core.settings.files.quota)]))
            }
            Err(WriteError::Refused(Refusal::FileNotPending)) => Err(in_transfer()),
            Err(WriteError::Refused(Refusal::ProjectGone)) => Err(crate::app::project::not_found(&file.project_id)),
            Err(WriteError::Refused(Refusal::SessionNotFound)) => Err(not_found("The session of the file was deleted")),
            Err(error) => Err(error.into()),
        }
    }
}

/// The error for a second request that sends the bytes of a file.
fn in_transfer() -> Error {
    Error::new(Code::FileConflict, "Another request sends the bytes of the file, or they are there already").fix(
        "Wait for the other request. If it was interrupted and the server was restarted since, try again after 15 minutes.",
    )
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
