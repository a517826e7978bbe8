//! Writes that must not be lost: a rotated credential exists nowhere else (R36).
//!
//! While the database takes no writes, the new credential is kept in memory and tried again, and
//! its sealed form is spooled to a file beside the database. A server that starts finds the file
//! and finishes the write. The old refresh token is never sent again meanwhile: the account's
//! lease is held by whoever waits here.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use switchboard_store::accounts::{self, Refreshed};
use switchboard_store::{Unit, WriteError};

use super::explain::Facts;
use super::{Actor, App};
use crate::error::{Code, Error, Result};

/// How long a write waits for a database that takes none.
const PATIENCE: Duration = Duration::from_mins(10);
/// Longest pause between two tries.
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// A refreshed credential on its way into the database. The credential is sealed.
#[derive(Debug, Deserialize, Serialize)]
pub struct Rotation {
    /// Owner of the account.
    pub project_id: String,
    /// The account.
    pub account_id: String,
    /// The lease under which the token was refreshed.
    pub fence: i64,
    /// Sealed for the account's row, base64.
    credential: String,
    params: String,
    expires_at: Option<i64>,
    #[serde(default)]
    refresh_due_at: Option<i64>,
    now: i64,
}

impl Rotation {
    /// A rotation of one account under one lease.
    pub fn new(project_id: &str, account_id: &str, fence: i64, refreshed: &Refreshed) -> Self {
        Self {
            project_id: project_id.to_owned(),
            account_id: account_id.to_owned(),
            fence,
            credential: BASE64.encode(&refreshed.credential),
            params: refreshed.params.clone(),
            expires_at: refreshed.expires_at,
            refresh_due_at: refreshed.refresh_due_at,
            now: refreshed.now,
        }
    }

    fn unit(&self, app: &App) -> Result<Unit> {
        let refreshed = Refreshed {
            credential: BASE64.decode(&self.credential).map_err(Error::internal)?,
            params: self.params.clone(),
            expires_at: self.expires_at,
            refresh_due_at: self.refresh_due_at,
            now: self.now,
        };
        let actor = Actor::system(&self.project_id);
        let facts = Facts { expires_at: self.expires_at, ..Facts::default() }.to_value();
        Ok(Unit::new()
            .with(accounts::store_refreshed(&self.project_id, &self.account_id, self.fence, refreshed))
            .with(app.audit(&actor, "connected_account.refresh", &self.account_id, "ok", Some(&facts))))
    }
}

impl App {
    /// Stores a rotation, however long the database takes: giving up would lose the account.
    pub async fn store_rotation(&self, rotation: &Rotation) -> std::result::Result<(), WriteError> {
        let unit = rotation.unit(self).map_err(|error| WriteError::Unavailable(error.message().to_owned()))?;
        let failed = match self.store.apply(unit.clone()).await {
            Ok(_) => return Ok(()),
            Err(refused @ WriteError::Refused(_)) => return Err(refused),
            Err(failed) => failed,
        };
        // First the file, then the log: until it is there, the credential exists in memory only.
        let spooled = spool(&self.spool_dir, rotation);
        tracing::error!(error = %failed, account.id = %rotation.account_id, "a rotated credential is spooled until the database takes it");
        if let Err(error) = &spooled {
            tracing::error!(error = %error, "the spool takes no writes either; the credential is in memory only");
        }
        let stored = self.apply_until(unit, Duration::MAX).await;
        if let Ok(file) = spooled {
            remove(&file);
        }
        stored
    }

    /// Applies a unit that must not be lost, trying for ten minutes while the database is away.
    pub async fn apply_patiently(&self, unit: Unit) -> std::result::Result<(), WriteError> {
        self.apply_until(unit, PATIENCE).await
    }

    async fn apply_until(&self, unit: Unit, patience: Duration) -> std::result::Result<(), WriteError> {
        let mut pause = Duration::from_millis(50);
        let mut waited = Duration::ZERO;
        loop {
            match self.store.apply(unit.clone()).await {
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

    /// Finishes what an earlier process could not write. Returns how many credentials were saved.
    /// A file that cannot be used is logged and kept; it keeps nobody from starting.
    pub async fn replay_spool(&self) -> usize {
        self.replay_files(|_| true).await
    }

    /// Stores what is spooled for one account, so that its old refresh token is never sent while a
    /// newer one waits in a file. Refuses to go on while that is not possible.
    pub async fn finish_spooled(&self, account: &str) -> Result<()> {
        let of_account = |name: &str| name.strip_prefix(account).is_some_and(|rest| rest.starts_with('-'));
        self.replay_files(of_account).await;
        if self.spool_files(of_account).is_empty() {
            return Ok(());
        }
        Err(Error::new(Code::CredentialStoreUnavailable, "A refreshed credential could not be stored yet"))
    }

    async fn replay_files(&self, wanted: impl Fn(&str) -> bool) -> usize {
        let mut saved = 0;
        for file in self.spool_files(wanted) {
            match self.replay_file(&file).await {
                Ok(true) => saved += 1,
                Ok(false) => tracing::warn!(file = %file.display(), "a spooled credential is out of date"),
                Err(error) => {
                    tracing::error!(error = %error, file = %file.display(), "a spooled credential could not be stored");
                    continue;
                }
            }
            remove(&file);
        }
        saved
    }

    fn spool_files(&self, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(&self.spool_dir) else { return Vec::new() };
        let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let is_wanted = |file: &PathBuf| {
            file.extension().is_some_and(|extension| extension == "json")
                && file.file_stem().and_then(|stem| stem.to_str()).is_some_and(&wanted)
        };
        files.filter(is_wanted).collect()
    }

    /// True when the credential was stored, false when a newer one had been.
    async fn replay_file(&self, file: &Path) -> io::Result<bool> {
        let rotation: Rotation = serde_json::from_slice(&fs::read(file)?)?;
        let unit = rotation.unit(self).map_err(|error| io::Error::other(error.message().to_owned()))?;
        match self.store.apply(unit).await {
            Ok(_) => Ok(true),
            Err(WriteError::Refused(_)) => Ok(false),
            Err(error) => Err(io::Error::other(error)),
        }
    }
}

fn spool(dir: &Path, rotation: &Rotation) -> io::Result<PathBuf> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let file = dir.join(format!("{}-{}.json", rotation.account_id, rotation.fence));
    // Written under another name first: a half-written file is never replayed.
    let partial = file.with_extension("partial");
    let mut writer = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
    writer.write_all(&serde_json::to_vec(rotation)?)?;
    writer.sync_all()?;
    fs::rename(&partial, &file)?;
    // The name must survive a power cut as well as the bytes.
    fs::File::open(dir)?.sync_all()?;
    Ok(file)
}

fn remove(file: &Path) {
    if let Err(error) = fs::remove_file(file) {
        tracing::warn!(error = %error, "a spooled credential could not be removed");
    }
}
