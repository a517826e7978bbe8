//! Reseals stored values before the server accepts requests: from the first layout, which was bound to a row
//! only, to the current one, which is also bound to the owner and the destination (`run.rs`).
//!
//! When this is done, a marker is stored in the database and in a file of the data folder, each authenticated
//! with the master key. From then on the first layout is rejected, even if one of the markers is removed.
//! Otherwise an attacker with write access to the database could restore an old value, change its row and have
//! it resealed.

mod run;

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use switchboard_store::{Statement, Store, Unit, meta};
use switchboard_vault::{KeyRing, SealContext};

pub use run::Resealed;

/// Key of the marker in the `meta` table.
const MARKER: &str = "seal_layout";
/// Name of the marker file in the data folder.
const FILE: &str = "seal-layout";
/// Content of the marker: the current layout.
const CURRENT_LAYOUT: &[u8] = b"2";

fn seal_context() -> SealContext {
    SealContext::new("", "meta", MARKER, "value")
}

/// The statement that marks a new database, which has no values in the first layout.
pub fn mark(ring: &KeyRing) -> Statement {
    meta::put(MARKER, ring.seal(seal_context(), CURRENT_LAYOUT))
}

/// Reseals all stored values in the current layout, once per installation, and writes both markers. Several
/// servers may do this at once.
///
/// # Errors
/// The database is unavailable, or a marker does not match the master key. Also if the file says that resealing
/// is done, but the database contains old values.
pub async fn ensure_current_layout(store: &Store, ring: &KeyRing, data_dir: &Path, spool_dir: &Path) -> Result<()> {
    let file = data_dir.join(FILE);
    let in_database = match store.meta(MARKER).await? {
        Some(sealed) => is_marker(ring, &sealed).context("the database's record of how values are sealed")?,
        None => false,
    };
    let in_file = match read(&file)? {
        Some(sealed) => is_marker(ring, &sealed).with_context(|| file.display().to_string())?,
        None => false,
    };
    if !in_database && in_file {
        let found = run::count(store).await?;
        if found > 0 {
            bail!(
                "the database holds {found} or more values that an earlier program sealed, and {} says that none was \
                 left: it was restored from an older backup, or old values were put back. After restoring a \
                 backup, remove that file and start again",
                file.display()
            );
        }
        tracing::warn!("the marker of the seal layout was missing in the database and was restored");
    }
    if !in_database && !in_file {
        let done = run::run(store, ring, spool_dir).await?;
        if done != Resealed::default() {
            tracing::info!(values = done.values, unreadable = done.unreadable, "stored values were resealed");
        }
    }
    if !in_database {
        store.apply(Unit::new().with(mark(ring))).await.context("cannot note how values are sealed")?;
    }
    if !in_file {
        write(&file, &ring.seal(seal_context(), CURRENT_LAYOUT))
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

fn is_marker(ring: &KeyRing, sealed: &[u8]) -> Result<bool> {
    let layout = ring.open(seal_context(), sealed).context("it does not fit the master key")?;
    if &**layout != CURRENT_LAYOUT {
        bail!("it is of a later program");
    }
    Ok(true)
}

fn read(file: &Path) -> Result<Option<Vec<u8>>> {
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
    };
    let line = text.lines().rfind(|line| !line.starts_with('#')).unwrap_or_default();
    let sealed = BASE64.decode(line.trim()).with_context(|| format!("{} is damaged", file.display()))?;
    Ok(Some(sealed))
}

/// Makes the names of partial files unique within this process.
static WRITES: AtomicU64 = AtomicU64::new(0);

/// Writes the file atomically; several servers may write it at once.
fn write(file: &Path, sealed: &[u8]) -> io::Result<()> {
    let number = WRITES.fetch_add(1, Ordering::Relaxed);
    let partial: PathBuf = file.with_extension(format!("{}-{number}.partial", std::process::id()));
    let text = format!(
        "# While this file is here, values that an earlier program sealed are refused. Back it up with the data.\n{}\n",
        BASE64.encode(sealed)
    );
    let mut writer = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
    writer.write_all(text.as_bytes())?;
    writer.sync_all()?;
    fs::rename(&partial, file)?;
    file.parent().map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())
}
