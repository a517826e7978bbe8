//! The head: number and code of the newest segment, in a file outside the database. It reveals that the newest
//! segments were truncated or that an older database was restored.
//!
//! The file follows the database as long as both agree. If they do not, it stays unchanged as evidence until
//! the operator accepts the state of the database (`switchboard audit accept-head`).

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use serde_json::json;
use switchboard_store::Unit;
use switchboard_store::audit_segments::Segment;
use switchboard_types::{AuditAction, AuditOutcome, ProjectId, Timestamp};

use crate::app::Actor;
use crate::app::audit::AuditLog;
use crate::error::{Error, Result};

use super::canon::GENESIS;

/// Makes the names of partial files unique within this process.
static WRITES: AtomicU64 = AtomicU64::new(0);

/// The content of the file.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Head {
    /// Number of the newest segment; 0 before the first.
    pub segment: i64,
    /// Its authentication code, in hexadecimal.
    pub mac: String,
    /// When it was sealed, in milliseconds since 1970.
    pub sealed_at: Timestamp,
}

impl Head {
    fn of(newest: Option<&Segment>) -> Self {
        match newest {
            Some(segment) => {
                Self { segment: segment.number, mac: HEXLOWER.encode(&segment.mac), sealed_at: segment.sealed_at }
            }
            None => Self { segment: 0, mac: HEXLOWER.encode(&GENESIS), sealed_at: Timestamp::EPOCH },
        }
    }
}

/// How the head file compares with the database.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum HeadState {
    /// There is no file.
    Missing,
    /// The file is not in the format that this program writes.
    Unreadable(String),
    /// The file names a segment of this database, or one that retention dropped.
    Agrees(Head),
    /// The file names a later segment than the newest one of the database.
    Ahead(Head),
    /// The database has another segment with that number.
    Differs(Head),
}

/// Compares a head file with the database.
pub async fn compare(audit_log: &AuditLog, file: &Path) -> Result<HeadState> {
    let head = match read(file) {
        Ok(head) => head,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(HeadState::Missing),
        Err(error) => return Ok(HeadState::Unreadable(error.to_string())),
    };
    if head.segment == 0 {
        return Ok(HeadState::Agrees(head));
    }
    if let Some(named) = audit_log.core.store.audit_segment(head.segment).await? {
        let agrees = HEXLOWER.encode(&named.mac) == head.mac;
        return Ok(if agrees { HeadState::Agrees(head) } else { HeadState::Differs(head) });
    }
    let newest = audit_log.core.store.newest_audit_segment().await?.map_or(0, |segment| segment.number);
    if head.segment > newest {
        return Ok(HeadState::Ahead(head));
    }
    // A segment before the tombstone was dropped by retention, and `check` verifies the tombstone. Otherwise a
    // segment is missing.
    let tombstone = audit_log.core.store.audit_tombstone().await?;
    let dropped = tombstone.is_some_and(|tombstone| head.segment < tombstone.number);
    Ok(if dropped { HeadState::Agrees(head) } else { HeadState::Differs(head) })
}

/// Writes the first head if the database has no segment yet. An existing file stays.
pub async fn begin(audit_log: &AuditLog) -> Result<()> {
    let is_new = audit_log.core.store.newest_audit_segment().await?.is_none();
    if is_new && matches!(compare(audit_log, &audit_log.head_file).await?, HeadState::Missing) {
        write(&audit_log.head_file, &Head::of(None)).map_err(Error::internal)?;
    }
    Ok(())
}

/// Updates the file to the newest segment, if file and database agree.
pub async fn advance(audit_log: &AuditLog) -> Result<()> {
    let file = audit_log.head_file.as_path();
    let path = file.display();
    match compare(audit_log, file).await? {
        HeadState::Agrees(head) => {
            let newest = Head::of(audit_log.core.store.newest_audit_segment().await?.as_ref());
            if newest.segment > head.segment {
                write(file, &newest).map_err(Error::internal)?;
            }
        }
        HeadState::Missing => {
            tracing::error!(file = %path, "the audit log's head file is missing: run `switchboard audit check`");
        }
        HeadState::Unreadable(error) => {
            tracing::error!(file = %path, error, "the audit log's head file cannot be read: run `switchboard audit check`");
        }
        HeadState::Ahead(head) | HeadState::Differs(head) => {
            tracing::error!(file = %path, segment = head.segment, "the audit log's head file names a segment that the database does not have: run `switchboard audit check`");
        }
    }
    Ok(())
}

impl AuditLog {
    /// Makes the database's newest segment the head, whatever the file contains, and records the old content in
    /// the audit log. For an operator who restored a backup or lost the file. Returns the new head.
    pub async fn accept_head(&self) -> Result<Head> {
        let before = match compare(self, &self.head_file).await? {
            HeadState::Missing => json!("missing"),
            HeadState::Unreadable(_) => json!("unreadable"),
            HeadState::Agrees(head) | HeadState::Ahead(head) | HeadState::Differs(head) => json!(head),
        };
        let head = Head::of(self.core.store.newest_audit_segment().await?.as_ref());
        let actor = Actor::cli(&ProjectId::default());
        let detail = json!({ "before": before, "now": head });
        let event =
            self.core.audit(&actor, AuditAction::AuditAcceptHead, "audit", AuditOutcome::Ok, Some(detail.to_string()));
        self.core.store.apply(Unit::new().with(event)).await?;
        write(&self.head_file, &head).map_err(Error::internal)?;
        Ok(head)
    }
}

fn read(file: &Path) -> io::Result<Head> {
    serde_json::from_slice(&fs::read(file)?).map_err(|error| io::Error::new(ErrorKind::InvalidData, error.to_string()))
}

/// Replaces the file atomically and durably.
fn write(file: &Path, head: &Head) -> io::Result<()> {
    // Several servers and tasks may write at once, so each writes its own partial file first.
    let number = WRITES.fetch_add(1, Ordering::Relaxed);
    let mut partial = file.as_os_str().to_owned();
    partial.push(format!(".{}-{number}.partial", std::process::id()));
    let partial = PathBuf::from(partial);
    let mut writer = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
    writer.write_all(&serde_json::to_vec(head)?)?;
    writer.write_all(b"\n")?;
    writer.sync_all()?;
    fs::rename(&partial, file)?;
    // Sync the folder, so that the rename survives a power failure.
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    fs::File::open(folder)?.sync_all()
}
