//! Gets the bytes of a file that an argument names, within limits of size and memory.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use switchboard_egress::{BudgetExhausted, Reservation};
use switchboard_store::files::FileRow;

use super::Files;
use super::name::{base_name, type_of_name, with_extension};
use super::signed_url::FileMethod;
use super::sniff::decide;
use super::source::{FileSource, NamedFile};
use crate::app::session::Session;
use crate::error::{Code, Error, Result};

/// Maximum size of the files of one call, in bytes: each is in memory as a whole, and again in the request.
pub const MAX_LOADED: u64 = 50 * 1_024 * 1_024;
/// How long a file waits for memory.
pub(super) const MEMORY_TIMEOUT: Duration = Duration::from_secs(2);

/// A file in memory.
pub struct LoadedFile {
    /// Its name, without folders.
    pub name: String,
    /// Its media type.
    pub mimetype: String,
    /// Its bytes.
    pub bytes: Bytes,
    /// Its memory, for as long as it is used. None for bytes that came in the argument.
    pub reservation: Option<Reservation>,
}

crate::redacted_debug!(LoadedFile);

/// The error for a field of a request that names a file. What is not the field's fault stays as it is.
pub fn in_field(field: &str, error: Error) -> Error {
    let details = match error.code() {
        Code::FileNotFound | Code::FileUrlRefused | Code::FileTooLarge => vec![error.message().to_owned()],
        Code::Validation => error.errors().to_vec(),
        _ => return error,
    };
    let place = |detail: &String| format!("Error in payload.{field}: {detail}");
    Error::validation(details.iter().map(place).collect()).fix(error.suggested_fix().to_owned())
}

impl Files {
    /// The bytes of a file that a call in a session names. It may use the session's mount. Nothing is fetched after
    /// `deadline`.
    ///
    /// # Errors
    /// There is no such file for this caller, it is larger than `limit`, or it cannot be fetched.
    pub async fn load(&self, session: &Session, named: NamedFile, limit: u64, deadline: Instant) -> Result<LoadedFile> {
        let NamedFile { source, name, mimetype } = named;
        let project = &session.project_id;
        match source {
            FileSource::Bytes(bytes) => {
                check_size(u64::try_from(bytes.len()).unwrap_or(u64::MAX), limit)?;
                let mimetype = decide(&bytes, mimetype, name.as_deref().and_then(type_of_name));
                let name = with_extension(name.unwrap_or_else(|| "file".to_owned()), &mimetype);
                Ok(LoadedFile { name, mimetype, bytes, reservation: None })
            }
            FileSource::Key(key) => {
                let file = self.by_key(project, &key).await?;
                self.load_stored(file, name, mimetype, limit).await
            }
            FileSource::Mount(path) => {
                let session = session.stored_id().ok_or_else(|| {
                    Error::new(Code::FileNotFound, "A call without a session has no mount")
                        .fix("Run the tool in a session, or upload the file and give its key.")
                })?;
                let file = self.at_path(project, session, &path).await?;
                self.load_stored(file, name, mimetype, limit).await
            }
            FileSource::Url(url) => {
                if let Some((id, signature)) = self.own_url(&url) {
                    let file = self.verified(&id, FileMethod::Get, &signature).await?;
                    if file.project_id != *project {
                        return Err(Error::of(
                            Code::FileUrlRefused,
                            &[("reason", &"has no valid signature for this file and method")],
                        ));
                    }
                    return self.load_stored(file, name, mimetype, limit).await;
                }
                let memory = self.reserve().await?;
                let mut fetched = self.fetch(url, limit, deadline, memory).await?;
                let twice = fetched.bytes.len().saturating_mul(2);
                if let Some(memory) = &mut fetched.reservation {
                    memory.grow(twice, twice).await.map_err(|BudgetExhausted| busy())?;
                }
                let name = name.unwrap_or(fetched.name);
                let mimetype = mimetype.unwrap_or(fetched.mimetype);
                Ok(LoadedFile { name: with_extension(base_name(&name), &mimetype), mimetype, ..fetched })
            }
        }
    }

    async fn load_stored(
        &self,
        file: FileRow,
        name: Option<String>,
        mimetype: Option<String>,
        limit: u64,
    ) -> Result<LoadedFile> {
        check_size(u64::try_from(file.size).unwrap_or(u64::MAX), limit)?;
        let size = usize::try_from(file.size).unwrap_or(usize::MAX);
        let mut reservation = self.reserve().await?;
        // Twice: the file, and the request that it becomes a part of.
        reservation.grow(size.saturating_mul(2), size.saturating_mul(2)).await.map_err(|BudgetExhausted| busy())?;
        let mut reader = self.read(file).await?;
        let mut bytes = BytesMut::with_capacity(size);
        while let Some(chunk) = reader.chunk().await? {
            bytes.extend_from_slice(&chunk);
        }
        Ok(LoadedFile {
            name: name.unwrap_or(reader.file.name),
            mimetype: mimetype.unwrap_or(reader.file.mimetype),
            bytes: bytes.freeze(),
            reservation: Some(reservation),
        })
    }

    pub(super) async fn reserve(&self) -> Result<Reservation> {
        self.memory.reserve(MEMORY_TIMEOUT).await.map_err(|BudgetExhausted| busy())
    }
}

fn check_size(size: u64, limit: u64) -> Result<()> {
    if size <= limit {
        return Ok(());
    }
    let fix = "Give a smaller file. The files of one call are sent from memory.";
    Err(Error::of(Code::FileTooLarge, &[("limit", &limit)]).fix(fix))
}

pub(super) fn busy() -> Error {
    Error::new(Code::Busy, "The server holds as many bytes of files and answers as it may")
        .fix("Nothing was sent. Try again in a few seconds; the operator can raise `proxy_memory_mib`.")
}
