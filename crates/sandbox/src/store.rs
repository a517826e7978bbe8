//! Keeps the [`State`] behind a mutex and, optionally, in a JSON file that is replaced after each change.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::state::State;

/// Shared access to the state.
#[derive(Clone)]
pub(crate) struct Store {
    state: Arc<Mutex<State>>,
    file: Option<PathBuf>,
}

impl Store {
    /// Loads the state file; a missing file is an empty state.
    pub(crate) fn open(file: Option<PathBuf>) -> io::Result<Self> {
        let state = match &file {
            Some(path) => load(path)?,
            None => State::default(),
        };
        Ok(Self { state: Arc::new(Mutex::new(state)), file })
    }

    /// Reads the state.
    pub(crate) fn read<T>(&self, f: impl FnOnce(&State) -> T) -> T {
        f(&lock(&self.state))
    }

    /// Changes the state. If the file cannot be written, the change is discarded: no response contains a
    /// token that a restart would lose.
    pub(crate) async fn change<T, F>(&self, apply: F) -> io::Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut State) -> T + Send + 'static,
    {
        let Some(path) = self.file.clone() else {
            return Ok(apply(&mut lock(&self.state)));
        };
        let state = Arc::clone(&self.state);
        // Writing blocks on the disk, so it must not run on an async worker.
        let written = tokio::task::spawn_blocking(move || {
            let mut current = lock(&state);
            let mut next = current.clone();
            let outcome = apply(&mut next);
            if next != *current {
                save(&path, &next)?;
                *current = next;
            }
            Ok(outcome)
        });
        let result = written.await.map_err(io::Error::other)?;
        if let Err(error) = &result {
            tracing::error!(%error, "sandbox state file could not be written");
        }
        result
    }
}

/// A panic elsewhere leaves the state consistent: changes are small and do not panic half-way.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn load(path: &Path) -> io::Result<State> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(State::default()),
        Err(error) => return Err(named(path, "cannot read", &error)),
    };
    serde_json::from_slice(&bytes).map_err(|error| {
        let error = io::Error::new(io::ErrorKind::InvalidData, error);
        named(path, "cannot understand", &error)
    })
}

/// Writes a temporary file and renames it, so that a crash leaves the old or the new state.
fn save(path: &Path, state: &State) -> io::Result<()> {
    let bytes = serde_json::to_vec(state)?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    write_private(&beside, &bytes).map_err(|error| named(&beside, "cannot write", &error))?;
    fs::rename(&beside, path).map_err(|error| named(path, "cannot replace", &error))
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // A file left by a crash may have other permissions; `create_new` sets them again.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = create_private(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path)
}

fn named(path: &Path, action: &str, error: &io::Error) -> io::Error {
    let message = format!("{action} sandbox state file {}: {error}", path.display());
    io::Error::new(error.kind(), message)
}
