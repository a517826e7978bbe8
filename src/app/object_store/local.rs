//! Objects as files of a folder, readable by their owner only.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result as Opened};
use bytes::{Bytes, BytesMut};

use super::StoreError;
use crate::app::base::threads::Threads;

/// Threads that read and write files.
const THREADS: usize = 2;
/// Bytes that are read at once.
const CHUNK: usize = 64 * 1_024;
/// Bytes that are collected before they are written.
const BUFFER: usize = 256 * 1_024;

/// The folder.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    path: PathBuf,
    threads: Arc<Threads>,
}

impl Folder {
    pub(super) fn open(path: PathBuf) -> Opened<Self> {
        let threads = Threads::start("stored-files", THREADS).context("cannot start threads for files")?;
        Ok(Self { path, threads: Arc::new(threads) })
    }

    /// Creates the folder.
    pub(super) fn prepare(&self) -> Opened<()> {
        create_dir(&self.path).with_context(|| format!("setting files_dir: cannot create {}", self.path.display()))
    }

    /// The file of an object. Names are ours; a slash in one makes a folder.
    fn path_of(&self, name: &str) -> io::Result<PathBuf> {
        let is_part = |part: &str| {
            !part.is_empty()
                && !part.starts_with('.')
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
        };
        if !name.split('/').all(is_part) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a name of an object"));
        }
        Ok(self.path.join(name))
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
        self.threads.run(work).await?
    }

    pub(super) async fn write(&self, name: &str) -> Result<FolderWriter<'_>, StoreError> {
        let path = self.path_of(name)?;
        let created = path.clone();
        let file = self.run(move || create(&created)).await?;
        Ok(FolderWriter { folder: self, path, file: Some(file), buffer: BytesMut::new() })
    }

    pub(super) async fn read(&self, name: &str) -> Result<FolderReader, StoreError> {
        let path = self.path_of(name)?;
        let file = self.run(move || File::open(path)).await.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => StoreError::NotFound,
            _ => StoreError::Io(error),
        })?;
        Ok(FolderReader { threads: Arc::clone(&self.threads), file: Some(file) })
    }

    pub(super) async fn delete(&self, name: &str) -> Result<(), StoreError> {
        let path = self.path_of(name)?;
        match self.run(move || fs::remove_file(path)).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}

fn create_dir(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn create(path: &Path) -> io::Result<File> {
    if let Some(parent) = path.parent() {
        create_dir(parent)?;
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Waits until the name of a file is on disk, and those of the folders that it is in, from below the root.
fn sync_names(path: &Path, root: &Path) -> io::Result<()> {
    for folder in path.ancestors().skip(1).take_while(|folder| folder.starts_with(root)) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// A file that is being written.
pub(super) struct FolderWriter<'f> {
    folder: &'f Folder,
    path: PathBuf,
    /// None while a thread has it, and after an error.
    file: Option<File>,
    buffer: BytesMut,
}

impl FolderWriter<'_> {
    pub(super) async fn append(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        if self.buffer.is_empty() && bytes.len() >= BUFFER {
            return self.write(bytes).await;
        }
        self.buffer.extend_from_slice(&bytes);
        if self.buffer.len() >= BUFFER {
            let bytes = self.buffer.split().freeze();
            self.write(bytes).await?;
        }
        Ok(())
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        let mut file = self.file.take().ok_or_else(failed_before)?;
        let file = self.folder.run(move || file.write_all(&bytes).map(|()| file)).await?;
        self.file = Some(file);
        Ok(())
    }

    /// Writes the rest, and waits until it is on disk.
    pub(super) async fn finish(mut self) -> Result<(), StoreError> {
        let bytes = self.buffer.split().freeze();
        self.write(bytes).await?;
        let file = self.file.take().ok_or_else(failed_before)?;
        let (path, root) = (self.path, self.folder.path.clone());
        let sync = move || {
            file.sync_all()?;
            sync_names(&path, &root)
        };
        Ok(self.folder.run(sync).await?)
    }
}

fn failed_before() -> io::Error {
    io::Error::other("an earlier part of the file was not written")
}

/// A file that is being read.
pub struct FolderReader {
    threads: Arc<Threads>,
    file: Option<File>,
}

impl FolderReader {
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, StoreError> {
        let Some(mut file) = self.file.take() else { return Ok(None) };
        let read = move || {
            let mut bytes = vec![0; CHUNK];
            let length = file.read(&mut bytes)?;
            bytes.truncate(length);
            Ok::<_, io::Error>((file, bytes))
        };
        let (file, bytes) = self.threads.run(read).await??;
        if bytes.is_empty() {
            return Ok(None);
        }
        self.file = Some(file);
        Ok(Some(bytes.into()))
    }
}

crate::redacted_debug!(FolderWriter<'a>, FolderReader);
