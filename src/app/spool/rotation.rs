//! Spool files for rotated credentials that the database could not store (R36). They are beside the database,
//! so that all its servers find them. There is one file per account and lease; its content is sealed for the
//! account's row.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use switchboard_store::accounts::{self, AccountRow, Refreshed};
use switchboard_store::{Unit, WriteError};
use switchboard_types::{AccountId, AccountParams, AuditAction, AuditOutcome, Fence, ProjectId, Timestamp};

use crate::app::Actor;
use crate::app::audit::Facts;
use crate::app::base::core::Core;
use crate::app::spool::Spool;
use crate::error::{Code, Error, Result};

/// A refreshed credential that waits to be stored. The credential is sealed.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Rotation {
    /// The project of the account.
    pub project_id: ProjectId,
    /// The account.
    pub account_id: AccountId,
    /// The fence of the lease under which the token was refreshed.
    pub fence: Fence,
    /// Sealed for the account's row, base64.
    credential: String,
    /// The parameters that the credential is bound to.
    pub params: String,
    expires_at: Option<Timestamp>,
    #[serde(default)]
    refresh_due_at: Option<Timestamp>,
    now: Timestamp,
}

impl Rotation {
    /// The rotation of one account under one lease.
    pub fn new(project_id: &ProjectId, account_id: &AccountId, fence: Fence, refreshed: &Refreshed) -> Self {
        Self {
            project_id: project_id.to_owned(),
            account_id: account_id.to_owned(),
            fence,
            credential: BASE64.encode(&refreshed.credential),
            params: refreshed.params.to_text(),
            expires_at: refreshed.expires_at,
            refresh_due_at: refreshed.refresh_due_at,
            now: refreshed.now,
        }
    }

    /// The sealed credential.
    pub(in crate::app) fn sealed(&self) -> Result<Vec<u8>> {
        BASE64.decode(&self.credential).map_err(Error::internal)
    }

    /// The account's parameters.
    pub(in crate::app) fn params(&self) -> Result<AccountParams> {
        AccountParams::parse(&self.params)
            .ok_or_else(|| Error::internal("a spool file without the account's parameters"))
    }

    /// The same rotation with its credential resealed.
    pub(in crate::app) fn resealed(self, sealed: &[u8]) -> Self {
        Self { credential: BASE64.encode(sealed), ..self }
    }

    /// The unit that stores the credential in its row.
    pub(in crate::app) fn unit(&self, core: &Core) -> Result<Unit> {
        let refreshed = Refreshed {
            credential: self.sealed()?,
            params: self.params()?,
            expires_at: self.expires_at,
            refresh_due_at: self.refresh_due_at,
            now: self.now,
        };
        let actor = Actor::system(&self.project_id);
        let facts = Facts { expires_at: self.expires_at, ..Facts::default() }.to_text();
        Ok(Unit::new()
            .with(accounts::store_refreshed(&self.project_id, &self.account_id, self.fence, refreshed))
            .with(core.audit(&actor, AuditAction::AccountRefresh, &self.account_id, AuditOutcome::Ok, Some(facts))))
    }
}

impl Spool {
    /// Stores the credentials that an earlier process could not store. Returns how many were stored. An
    /// unusable file is logged and kept; it does not prevent the start.
    ///
    /// # Errors
    /// The folder cannot be read, so newer tokens may be in it.
    pub async fn replay(&self) -> io::Result<usize> {
        let mut saved = 0;
        for file in files(&self.folder)? {
            let stored = match read(&file) {
                Ok(Some(rotation)) => self.replay_rotation(&rotation).await,
                Ok(None) => continue,
                Err(error) => Err(Error::internal(error)),
            };
            match stored {
                Ok(true) => saved += 1,
                Ok(false) => tracing::warn!(file = %file.display(), "a spooled credential is out of date"),
                Err(error) => {
                    log_unstored(&error, &file);
                    continue;
                }
            }
            remove(&file);
        }
        Ok(saved)
    }

    /// Stores the spooled credential of an account, so that an old refresh token is never sent while a newer
    /// one is in a file. Returns true if there was one; then the account must be read again. Files of earlier
    /// leases are outdated and ignored.
    ///
    /// # Errors
    /// Storing is not possible now, or it is unknown whether a file exists.
    pub async fn finish(&self, account: &AccountRow) -> Result<bool> {
        let unknown = || Error::new(Code::CredentialStoreUnavailable, "A refreshed credential could not be stored yet");
        let file = file_of(&self.folder, &account.id, account.refresh_fence);
        let path = file.clone();
        // Not on a runtime thread, because a network disk may be slow.
        let found = self.core.files.run(move || read(&path)).await.map_err(Error::internal)?;
        let stored = match found {
            Ok(None) => return Ok(false),
            Ok(Some(rotation)) => self.replay_rotation(&rotation).await,
            Err(error) => Err(Error::internal(error)),
        };
        if let Err(error) = stored {
            log_unstored(&error, &file);
            return Err(unknown());
        }
        remove(&file);
        Ok(true)
    }

    /// Returns true if the credential was stored, false if a newer one was already stored.
    async fn replay_rotation(&self, rotation: &Rotation) -> Result<bool> {
        let Some(account) = self.core.store.account(&rotation.project_id, &rotation.account_id).await? else {
            return Ok(false);
        };
        // Any other content must not replace a working credential.
        self.credentials.check_sealed_for(&account, &rotation.params()?, &rotation.sealed()?)?;
        match self.core.store.apply(rotation.unit(&self.core)?).await {
            Ok(_) => Ok(true),
            Err(WriteError::Refused(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// All files of the spool.
///
/// # Errors
/// The folder cannot be read. A missing folder counts as empty.
pub(in crate::app) fn files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let paths: io::Result<Vec<PathBuf>> = entries.map(|entry| Ok(entry?.path())).collect();
    Ok(paths?.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect())
}

/// Reads a file; none if it does not exist.
pub(in crate::app) fn read(file: &Path) -> io::Result<Option<Rotation>> {
    match fs::read(file) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes a rotation to its file atomically.
pub(in crate::app) fn write(dir: &Path, rotation: &Rotation) -> io::Result<PathBuf> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let file = file_of(dir, &rotation.account_id, rotation.fence);
    // Write under another name first, so that a partial file is never replayed.
    let partial = file.with_extension("partial");
    let mut writer = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
    writer.write_all(&serde_json::to_vec(rotation)?)?;
    writer.sync_all()?;
    fs::rename(&partial, &file)?;
    // Sync the folder, so that the rename survives a power failure.
    fs::File::open(dir)?.sync_all()?;
    Ok(file)
}

pub(in crate::app) fn remove(file: &Path) {
    if let Err(error) = fs::remove_file(file)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(error = %error, "a spooled credential could not be removed");
    }
}

fn file_of(dir: &Path, account: &AccountId, fence: Fence) -> PathBuf {
    dir.join(format!("{account}-{fence}.json"))
}

fn log_unstored(error: &Error, file: &Path) {
    tracing::error!(error = error.message(), cause = error.causes(), file = %file.display(), "a spooled credential could not be stored");
}
