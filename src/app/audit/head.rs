//! The head: number and code of the newest segment, in a file outside the database. With it, cutting
//! off the newest segments, or putting an older database in place, is noticed.
//!
//! The file follows the database as long as both agree. When they do not, it stays as it is, and so
//! does the proof, until the operator accepts the database as it is (`switchboard audit accept-head`).

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

use crate::app::Actor;
use crate::app::audit::AuditLog;
use crate::error::{Error, Result};
use crate::time::Millis;

use super::canon::GENESIS;

/// Tells the files apart that this process writes before it renames them.
static WRITES: AtomicU64 = AtomicU64::new(0);

/// What the file holds.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Head {
    /// Number of the newest segment; 0 before the first.
    pub segment: i64,
    /// Its authentication code, in hexadecimal digits.
    pub mac: String,
    /// When it was sealed, in milliseconds since 1970.
    pub sealed_at: Millis,
}

impl Head {
    fn of(newest: Option<&Segment>) -> Self {
        match newest {
            Some(segment) => {
                Self { segment: segment.number, mac: HEXLOWER.encode(&segment.mac), sealed_at: segment.sealed_at }
            }
            None => Self { segment: 0, mac: HEXLOWER.encode(&GENESIS), sealed_at: 0 },
        }
    }
}

/// How the file and the database stand to each other.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Standing {
    /// There is no file.
    Missing,
    /// It is not what this program writes.
    Unreadable(String),
    /// It names a segment of this database, or one that retention dropped.
    Agrees(Head),
    /// It names a later segment than the database has.
    Ahead(Head),
    /// The database has another segment of that number.
    Differs(Head),
}

/// How a head file stands to the database.
pub async fn standing(audit_log: &AuditLog, file: &Path) -> Result<Standing> {
    let head = match read(file) {
        Ok(head) => head,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Standing::Missing),
        Err(error) => return Ok(Standing::Unreadable(error.to_string())),
    };
    if head.segment == 0 {
        return Ok(Standing::Agrees(head));
    }
    if let Some(named) = audit_log.core.store.audit_segment(head.segment).await? {
        let agrees = HEXLOWER.encode(&named.mac) == head.mac;
        return Ok(if agrees { Standing::Agrees(head) } else { Standing::Differs(head) });
    }
    let newest = audit_log.core.store.newest_audit_segment().await?.map_or(0, |segment| segment.number);
    if head.segment > newest {
        return Ok(Standing::Ahead(head));
    }
    // Before the tombstone: dropped by retention, whose tombstone `check` verifies. Otherwise a gap.
    let tombstone = audit_log.core.store.audit_tombstone().await?;
    let dropped = tombstone.is_some_and(|tombstone| head.segment < tombstone.number);
    Ok(if dropped { Standing::Agrees(head) } else { Standing::Differs(head) })
}

/// Writes the first head, for a database that has no segment yet. An existing file stays.
pub async fn begin(audit_log: &AuditLog) -> Result<()> {
    let is_new = audit_log.core.store.newest_audit_segment().await?.is_none();
    if is_new && matches!(standing(audit_log, &audit_log.head_file).await?, Standing::Missing) {
        write(&audit_log.head_file, &Head::of(None)).map_err(Error::internal)?;
    }
    Ok(())
}

/// Lets the file follow the database, if they agree.
pub async fn advance(audit_log: &AuditLog) -> Result<()> {
    let file = audit_log.head_file.as_path();
    let shown = file.display();
    match standing(audit_log, file).await? {
        Standing::Agrees(head) => {
            let newest = Head::of(audit_log.core.store.newest_audit_segment().await?.as_ref());
            if newest.segment > head.segment {
                write(file, &newest).map_err(Error::internal)?;
            }
        }
        Standing::Missing => {
            tracing::error!(file = %shown, "the audit log's head file is missing: run `switchboard audit check`");
        }
        Standing::Unreadable(error) => {
            tracing::error!(file = %shown, error, "the audit log's head file cannot be read: run `switchboard audit check`");
        }
        Standing::Ahead(head) | Standing::Differs(head) => {
            tracing::error!(file = %shown, segment = head.segment, "the audit log's head file names a segment that the database does not have: run `switchboard audit check`");
        }
    }
    Ok(())
}

impl AuditLog {
    /// Takes the database's newest segment for the head, whatever the file says. The audit log notes
    /// what it said. For the operator who has restored a backup, or lost the file. Returns the head.
    pub async fn accept_head(&self) -> Result<Head> {
        let before = match standing(self, &self.head_file).await? {
            Standing::Missing => json!("missing"),
            Standing::Unreadable(_) => json!("unreadable"),
            Standing::Agrees(head) | Standing::Ahead(head) | Standing::Differs(head) => json!(head),
        };
        let head = Head::of(self.core.store.newest_audit_segment().await?.as_ref());
        let actor = Actor::cli("");
        let detail = json!({ "before": before, "now": head });
        let event = self.core.audit(&actor, "audit.accept_head", "audit", "ok", Some(&detail));
        self.core.store.apply(Unit::new().with(event)).await?;
        write(&self.head_file, &head).map_err(Error::internal)?;
        Ok(head)
    }
}

fn read(file: &Path) -> io::Result<Head> {
    serde_json::from_slice(&fs::read(file)?).map_err(|error| io::Error::new(ErrorKind::InvalidData, error.to_string()))
}

/// Replaces the file as a whole, durably.
fn write(file: &Path, head: &Head) -> io::Result<()> {
    // Several servers, and tasks of one, may write at once; each its own file first.
    let number = WRITES.fetch_add(1, Ordering::Relaxed);
    let mut partial = file.as_os_str().to_owned();
    partial.push(format!(".{}-{number}.partial", std::process::id()));
    let partial = PathBuf::from(partial);
    let mut writer = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
    writer.write_all(&serde_json::to_vec(head)?)?;
    writer.write_all(b"\n")?;
    writer.sync_all()?;
    fs::rename(&partial, file)?;
    // The name must survive a power cut as well as the bytes.
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    fs::File::open(folder)?.sync_all()
}
