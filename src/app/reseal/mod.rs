//! Sealing stored values anew, before anything is served: from the first layout, which was bound to a row, to the
//! present one, which is bound to whose a secret is and where it may be sent (`run.rs`).
//!
//! When it is done, a marker says so in the database and in a file of the data folder, each authenticated with the
//! master key. From then on the first layout is refused, also when one of the two is taken away: otherwise whoever
//! can write to the database could put an old value back, rewrite its row, and have it sealed for that.

mod run;

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use switchboard_store::{Statement, Store, Unit, meta};
use switchboard_vault::{KeyRing, SealContext};

pub use run::Resealed;

/// Name of the marker in the database.
const MARKER: &str = "seal_layout";
/// Name of its file in the data folder.
const FILE: &str = "seal-layout";
/// What the marker says: the layout that is left.
const PRESENT: &[u8] = b"2";

fn place() -> SealContext {
    SealContext::new("", "meta", MARKER, "value")
}

/// The statement that marks a database in which nothing was sealed in the first layout.
pub fn mark(ring: &KeyRing) -> Statement {
    meta::put(MARKER, ring.seal(place(), PRESENT))
}

/// Brings all stored values to the present layout, once in the life of an installation, and sees to it that both
/// markers are there. Several servers may do it at once.
///
/// # Errors
/// When the database does not answer, or a marker does not fit the master key; and when the file says that it was
/// done, and the database holds values of before.
pub async fn settle(store: &Store, ring: &KeyRing, data_dir: &Path, spool_dir: &Path) -> Result<()> {
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
                 left: it was restored from an older backup, or somebody put old values back. After restoring a \
                 backup, remove that file and start again",
                file.display()
            );
        }
        tracing::warn!("the database had lost its record of how values are sealed; it was written again");
    }
    if !in_database && !in_file {
        let done = run::run(store, ring, spool_dir).await?;
        if done != Resealed::default() {
            tracing::info!(values = done.values, unreadable = done.unreadable, "stored values are sealed anew");
        }
    }
    if !in_database {
        store.apply(Unit::new().with(mark(ring))).await.context("cannot note how values are sealed")?;
    }
    if !in_file {
        write(&file, &ring.seal(place(), PRESENT)).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

fn is_marker(ring: &KeyRing, sealed: &[u8]) -> Result<bool> {
    let said = ring.open(place(), sealed).context("it does not fit the master key")?;
    if &**said != PRESENT {
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

/// Whole or not there, whoever else writes it.
fn write(file: &Path, sealed: &[u8]) -> io::Result<()> {
    let partial: PathBuf = file.with_extension(format!("{}.partial", std::process::id()));
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
