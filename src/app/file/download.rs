//! The bytes of a file, as they are read.

use bytes::Bytes;
use switchboard_store::files::FileRow;

use super::signed_url::{FileMethod, UrlSignature};
use super::{Files, is_there, not_found};
use crate::app::object_store::Reader;
use crate::error::{Error, Result};

/// A file that is being read.
pub struct FileReader {
    /// The file.
    pub file: FileRow,
    reader: Reader,
    /// Bytes that are still expected.
    left: u64,
}

crate::redacted_debug!(FileReader);

impl Files {
    /// Opens a file for the holder of its URL.
    ///
    /// # Errors
    /// The URL is not valid, or the file is gone.
    pub async fn open(&self, id: &str, given: &UrlSignature) -> Result<FileReader> {
        let file = self.verified(id, FileMethod::Get, given).await?;
        self.read(file).await
    }

    /// Opens a stored file.
    pub(super) async fn read(&self, file: FileRow) -> Result<FileReader> {
        let gone = || not_found("The file is not there any more");
        if !is_there(&file, self.core.now()) {
            return Err(gone());
        }
        let object = file.object.as_deref().ok_or_else(gone)?;
        let reader = self.objects.read(object).await?;
        Ok(FileReader { reader, left: u64::try_from(file.size).unwrap_or(0), file })
    }
}

impl FileReader {
    /// The next bytes; none at the end.
    ///
    /// # Errors
    /// The file store fails, or has less than was stored.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        match self.reader.chunk().await? {
            Some(bytes) => {
                let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                self.left = self.left.checked_sub(length).ok_or_else(|| Error::internal("a file has grown"))?;
                Ok(Some(bytes))
            }
            None if self.left == 0 => Ok(None),
            None => Err(Error::internal("a file is shorter than it was")),
        }
    }
}
