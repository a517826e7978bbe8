//! Bytes under names: in a folder of this machine, or in a store with the S3 API. What a name means, and who may read
//! it, is decided elsewhere (`app/file`).
//!
//! Bytes pass in pieces, so that a file is never in memory as a whole. A name is written once: a replacement gets a
//! name of its own.

mod local;
mod s3;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use md5::{Digest, Md5};
use switchboard_egress::EgressError;

use crate::error::{Code, Error};
use crate::time::Clock;

use local::{Folder, FolderReader, FolderWriter};
use s3::{Bucket, BucketReader, BucketWriter, PART};

pub use s3::S3Settings;

/// Where the bytes are.
#[derive(Debug)]
pub enum StoreSettings {
    /// In a folder, which is created with mode 0700.
    Folder(PathBuf),
    /// In a bucket.
    S3(S3Settings),
}

/// The store.
pub struct ObjectStore(Kind);

enum Kind {
    Folder(Folder),
    Bucket(Box<Bucket>),
}

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is nothing under the name.
    #[error("there is no such object")]
    NotFound,
    /// More bytes came than are allowed.
    #[error("the object is larger than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// The disk or its file system failed.
    #[error("the file store's folder cannot be used")]
    Io(#[from] io::Error),
    /// The bucket could not be reached.
    #[error("the file store could not be reached")]
    Unreachable(#[from] EgressError),
    /// The bucket refused.
    #[error("the file store answered {status}{}", .code.as_deref().map(|code| format!(" {code}")).unwrap_or_default())]
    Refused {
        /// Its HTTP status.
        status: u16,
        /// Its code, such as `AccessDenied`.
        code: Option<String>,
    },
    /// The bucket's settings cannot be used in a request.
    #[error("the file store's settings cannot be used")]
    Settings(#[from] switchboard_auth::BuildError),
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::NotFound => Self::of(Code::FileNotFound, &[("reason", &"The bytes of the file are gone")]),
            StoreError::TooLarge { limit } => Self::of(Code::FileTooLarge, &[("limit", limit)]),
            StoreError::Io(cause) if cause.kind() == io::ErrorKind::StorageFull => {
                Self::new(Code::StorageFull, "The server's storage is full").because(error)
            }
            _ => Self::new(Code::FileStoreUnavailable, "The file store cannot be used now").because(error),
        }
    }
}

/// What was written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Written {
    /// Bytes.
    pub size: u64,
    /// MD5 in hexadecimal digits.
    pub md5: String,
}

impl ObjectStore {
    /// Opens the store. Connects to nothing.
    ///
    /// # Errors
    /// The system cannot create a thread, or the endpoint is not one.
    pub fn open(settings: StoreSettings, extra_ca_pem: &[Vec<u8>], clock: &Arc<dyn Clock>) -> anyhow::Result<Self> {
        Ok(Self(match settings {
            StoreSettings::Folder(path) => Kind::Folder(Folder::open(path)?),
            StoreSettings::S3(settings) => {
                Kind::Bucket(Box::new(Bucket::open(settings, extra_ca_pem, Arc::clone(clock))?))
            }
        }))
    }

    /// Creates the folder, so that a server that cannot write to it does not start. Commands that only read need none.
    ///
    /// # Errors
    /// The folder cannot be created.
    pub fn prepare(&self) -> anyhow::Result<()> {
        match &self.0 {
            Kind::Folder(folder) => folder.prepare(),
            Kind::Bucket(_) => Ok(()),
        }
    }

    /// Memory that writing an object of up to `size` bytes takes, in bytes.
    pub fn write_memory(&self, size: u64) -> usize {
        match &self.0 {
            Kind::Folder(_) => 0,
            Kind::Bucket(_) => usize::try_from(size).unwrap_or(usize::MAX).min(2 * PART),
        }
    }

    /// Begins to write an object of at most `limit` bytes. What is not finished is to be deleted.
    pub async fn write(&self, name: &str, limit: u64) -> Result<Writer<'_>, StoreError> {
        let target = match &self.0 {
            Kind::Folder(folder) => Target::Folder(folder.write(name).await?),
            Kind::Bucket(bucket) => Target::Bucket(bucket.write(name)),
        };
        Ok(Writer { target, limit, size: 0, md5: Md5::new() })
    }

    /// Opens an object.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], among others.
    pub async fn read(&self, name: &str) -> Result<Reader, StoreError> {
        Ok(match &self.0 {
            Kind::Folder(folder) => Reader::Folder(folder.read(name).await?),
            Kind::Bucket(bucket) => Reader::Bucket(bucket.read(name).await?),
        })
    }

    /// Deletes an object. One that is not there is deleted already.
    pub async fn delete(&self, name: &str) -> Result<(), StoreError> {
        match &self.0 {
            Kind::Folder(folder) => folder.delete(name).await,
            Kind::Bucket(bucket) => bucket.delete(name).await,
        }
    }
}

/// An object that is being written.
pub struct Writer<'s> {
    target: Target<'s>,
    limit: u64,
    size: u64,
    md5: Md5,
}

enum Target<'s> {
    Folder(FolderWriter<'s>),
    Bucket(BucketWriter<'s>),
}

impl Writer<'_> {
    /// Appends bytes.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`], among others.
    pub async fn append(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        self.size = self.size.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if self.size > self.limit {
            return Err(StoreError::TooLarge { limit: self.limit });
        }
        self.md5.update(&bytes);
        match &mut self.target {
            Target::Folder(folder) => folder.append(bytes).await,
            Target::Bucket(bucket) => bucket.append(bytes).await,
        }
    }

    /// Ends the object. It is durable then.
    pub async fn finish(self) -> Result<Written, StoreError> {
        match self.target {
            Target::Folder(folder) => folder.finish().await?,
            Target::Bucket(bucket) => bucket.finish().await?,
        }
        Ok(Written { size: self.size, md5: HEXLOWER.encode(&self.md5.finalize()) })
    }

    /// Gives up. The object is still to be deleted.
    pub async fn abort(self) {
        if let Target::Bucket(bucket) = self.target {
            bucket.abort().await;
        }
    }
}

/// An object that is being read.
pub enum Reader {
    /// From a folder.
    Folder(FolderReader),
    /// From a bucket.
    Bucket(BucketReader),
}

impl Reader {
    /// The next bytes; none at the end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, StoreError> {
        match self {
            Self::Folder(folder) => folder.chunk().await,
            Self::Bucket(bucket) => bucket.chunk().await,
        }
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Folder(_) => "Folder",
            Self::Bucket(_) => "Bucket",
        })
    }
}

crate::redacted_debug!(ObjectStore, Writer<'a>, Reader);
