//! Writes that must not be lost: a rotated credential exists nowhere else (R36).
//!
//! While the database is unavailable, the new credential is kept in memory and the write is retried. Its sealed
//! form is also spooled to a file beside the database (`rotation.rs`). At the next start, a server finds the
//! file and finishes the write. The writer holds the account's lease meanwhile, so the old refresh token is
//! never sent again.

pub(in crate::app) mod rotation;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use switchboard_store::{Unit, WriteError};

use crate::app::base::core::Core;
use crate::app::credential::Credentials;

use rotation::Rotation;

/// How long a write waits for an unavailable database.
const MAX_WAIT: Duration = Duration::from_mins(10);
/// Maximum delay between two attempts.
const MAX_DELAY: Duration = Duration::from_secs(5);

/// Writes that must not be lost.
pub struct Spool {
    core: Arc<Core>,
    credentials: Arc<Credentials>,
    folder: PathBuf,
}

crate::redacted_debug!(Spool);

impl Spool {
    /// Creates the service.
    pub fn new(core: Arc<Core>, credentials: Arc<Credentials>, folder: PathBuf) -> Self {
        Self { core, credentials, folder }
    }

    /// The folder of the spool files.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Spool {
    /// Stores a rotation, however long that takes: giving up would lose the account's only valid credential.
    pub async fn store_rotation(&self, rotation: &Rotation) -> Result<(), WriteError> {
        let unit = rotation.unit(&self.core).map_err(|error| WriteError::Unavailable(error.message().to_owned()))?;
        let failed = match self.core.store.apply(unit.clone()).await {
            Ok(_) => return Ok(()),
            Err(refused @ WriteError::Refused(_)) => return Err(refused),
            Err(failed) => failed,
        };
        // Write the file first, on this thread, and log afterwards. Until the file exists, the credential is in
        // memory only.
        let spooled = rotation::write(&self.folder, rotation);
        tracing::error!(error = %failed, account.id = %rotation.account_id, "a rotated credential is spooled until the database accepts it");
        if let Err(error) = &spooled {
            tracing::error!(error = %error, "the spool file could not be written; the credential is in memory only");
        }
        let stored = self.apply_until(unit, Duration::MAX).await;
        if let Ok(file) = spooled {
            rotation::remove(&file);
        }
        stored
    }

    /// Applies a unit that must not be lost, retrying for ten minutes while the database is unavailable.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn apply_with_retry(&self, unit: Unit) -> Result<(), WriteError> {
        self.apply_until(unit, MAX_WAIT).await
    }

    async fn apply_until(&self, unit: Unit, max_wait: Duration) -> Result<(), WriteError> {
        let mut delay = Duration::from_millis(50);
        let mut waited = Duration::ZERO;
        loop {
            match self.core.store.apply(unit.clone()).await {
                Ok(_) => return Ok(()),
                Err(refused @ WriteError::Refused(_)) => return Err(refused),
                Err(error) if waited > max_wait => return Err(error),
                Err(error) => tracing::error!(error = %error, "a credential is waiting for the database"),
            }
            tokio::time::sleep(delay).await;
            waited = waited.saturating_add(delay);
            delay = (delay * 2).min(MAX_DELAY);
        }
    }
}
