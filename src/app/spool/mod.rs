//! Writes that must not be lost: a rotated credential exists nowhere else (R36).
//!
//! While the database takes no writes, the new credential is kept in memory and tried again, and
//! its sealed form is spooled to a file beside the database (`spool.rs`). A server that starts finds the file
//! and finishes the write. The old refresh token is never sent again meanwhile: the account's
//! lease is held by whoever waits here.

pub(in crate::app) mod rotation;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use switchboard_store::{Unit, WriteError};

use crate::app::base::core::Core;
use crate::app::credential::Credentials;

use rotation::Rotation;

/// How long a write waits for a database that takes none.
const PATIENCE: Duration = Duration::from_mins(10);
/// Longest pause between two tries.
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// Writes that must not be lost.
pub struct Spool {
    core: Arc<Core>,
    credentials: Arc<Credentials>,
    folder: PathBuf,
}

crate::redacted_debug!(Spool);

impl Spool {
    /// With the services that it calls.
    pub fn new(core: Arc<Core>, credentials: Arc<Credentials>, folder: PathBuf) -> Self {
        Self { core, credentials, folder }
    }

    /// The folder of the files.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Spool {
    /// Stores a rotation, however long the database takes: giving up would lose the account.
    pub async fn store_rotation(&self, rotation: &Rotation) -> Result<(), WriteError> {
        let unit = rotation.unit(&self.core).map_err(|error| WriteError::Unavailable(error.message().to_owned()))?;
        let failed = match self.core.store.apply(unit.clone()).await {
            Ok(_) => return Ok(()),
            Err(refused @ WriteError::Refused(_)) => return Err(refused),
            Err(failed) => failed,
        };
        // First the file, on this thread, then the log: until it is there, the credential exists in memory only.
        let spooled = rotation::write(&self.folder, rotation);
        tracing::error!(error = %failed, account.id = %rotation.account_id, "a rotated credential is spooled until the database takes it");
        if let Err(error) = &spooled {
            tracing::error!(error = %error, "the spool takes no writes either; the credential is in memory only");
        }
        let stored = self.apply_until(unit, Duration::MAX).await;
        if let Ok(file) = spooled {
            rotation::remove(&file);
        }
        stored
    }

    /// Applies a unit that must not be lost, trying for ten minutes while the database is away.
    pub async fn apply_patiently(&self, unit: Unit) -> Result<(), WriteError> {
        self.apply_until(unit, PATIENCE).await
    }

    async fn apply_until(&self, unit: Unit, patience: Duration) -> Result<(), WriteError> {
        let mut pause = Duration::from_millis(50);
        let mut waited = Duration::ZERO;
        loop {
            match self.core.store.apply(unit.clone()).await {
                Ok(_) => return Ok(()),
                Err(refused @ WriteError::Refused(_)) => return Err(refused),
                Err(error) if waited > patience => return Err(error),
                Err(error) => tracing::error!(error = %error, "a credential waits for the database"),
            }
            tokio::time::sleep(pause).await;
            waited = waited.saturating_add(pause);
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }
}
