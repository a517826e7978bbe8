//! From a new file to its bytes: room is reserved in the quota of the project, and one request at a time sends them.

use switchboard_types::{FileId, ProjectId, Timestamp};

use super::FileRow;
use crate::{Refusal, Statement, Unit, projects, sessions};

/// The bytes of a file, once they are there.
#[derive(Clone, Debug)]
pub struct StoredBytes<'a> {
    /// Their name in the file store, which the file was given for them.
    pub object: &'a str,
    /// Their number.
    pub size: i64,
    /// MD5 in hexadecimal digits.
    pub md5: &'a str,
    /// When the file is deleted; with its session if there is no such time.
    pub expires_at: Option<Timestamp>,
}

/// The lock of a file's project, and of the session that keeps it.
fn owners(file: &FileRow) -> Unit {
    let unit = Unit::new().with(projects::lock_live(&file.project_id));
    match &file.mount {
        Some(mount) => unit.with(sessions::require_live(&file.project_id, &mount.session_id)),
        None => unit,
    }
}

/// Whether a file may be of `size` bytes: all files of its project, each counted with at least 4 KiB, are at most
/// `quota` bytes then.
fn has_room(file: &FileRow, size: i64, quota: i64) -> Statement {
    Statement::check(
        Refusal::FileQuotaExceeded,
        "SELECT 1 WHERE COALESCE((SELECT number FROM counts WHERE project_id = $1 AND what = 'file_bytes'), 0)
           - COALESCE((SELECT MAX(size, 4096) FROM files WHERE id = $2 AND project_id = $1), 0) + MAX($3, 4096) <= $4
         /* guarded by: exclusive lock projects */",
        vec![(&file.project_id).into(), (&file.id).into(), size.into(), quota.into()],
    )
}

/// A new file of a live project and session, which waits for its bytes. `quota` is the maximum size of all files of the
/// project in bytes. Refused as `project_gone`, `session_not_found` or `file_quota_exceeded`.
pub fn insert(file: &FileRow, quota: i64) -> Unit {
    let (session, path) = file.mount.as_ref().map(|mount| (&mount.session_id, mount.path.as_str())).unzip();
    let insert = Statement::one(
        Refusal::FileExists,
        "INSERT INTO files (id, project_id, key, name, mimetype, md5, toolkit, tool, session_id, mount_path, object,
           state, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'pending', $12, $13)",
        vec![
            (&file.id).into(),
            (&file.project_id).into(),
            (&file.key).into(),
            (&file.name).into(),
            (&file.mimetype).into(),
            file.md5.clone().into(),
            (&file.toolkit).into(),
            (&file.tool).into(),
            session.into(),
            path.into(),
            file.object.clone().into(),
            file.created_at.into(),
            file.expires_at.into(),
        ],
    );
    owners(file).with(has_room(file, 0, quota)).with(insert)
}

/// A request that sends the bytes of a pending file.
#[derive(Clone, Copy, Debug)]
pub struct Transfer<'a> {
    /// The name under which the bytes are being written.
    pub object: &'a str,
    /// Their maximum number, which is reserved.
    pub size: i64,
    /// Its begin.
    pub now: Timestamp,
    /// Another request that began later still has the file.
    pub others_until: Timestamp,
}

/// Gives a pending file to the request that sends its bytes, and reserves room for them. Refused as
/// `file_quota_exceeded` or `file_not_pending`; the latter also while another request has the file.
pub fn begin(file: &FileRow, transfer: &Transfer<'_>, quota: i64) -> Unit {
    owners(file).with(has_room(file, transfer.size, quota)).with(Statement::one(
        Refusal::FileNotPending,
        "UPDATE files SET object = $3, size = $4, begun_at = $5
         WHERE id = $2 AND project_id = $1 AND state = 'pending' AND expires_at > $5
           AND (begun_at IS NULL OR begun_at <= $6)",
        vec![
            (&file.project_id).into(),
            (&file.id).into(),
            transfer.object.into(),
            transfer.size.into(),
            transfer.now.into(),
            transfer.others_until.into(),
        ],
    ))
}

/// A request sends no more bytes of a pending file. `size` is what is left of them in the file store.
pub fn release(project: &ProjectId, id: &FileId, object: &str, size: i64) -> Statement {
    Statement::any(
        "UPDATE files SET begun_at = NULL, size = $4
         WHERE id = $2 AND project_id = $1 AND object = $3 AND state = 'pending'",
        vec![project.into(), id.into(), object.into(), size.into()],
    )
}

/// The bytes of a pending file are there. A file of the same session at the same path is deleted. `quota` is the
/// maximum size of all files of the project in bytes. Refused as `session_not_found`, `file_quota_exceeded` or
/// `file_not_pending`.
pub fn store(file: &FileRow, bytes: &StoredBytes<'_>, quota: i64, now: Timestamp) -> Unit {
    let mut unit = owners(file);
    if let Some(mount) = &file.mount {
        unit.push(Statement::any(
            "UPDATE files SET state = 'deleted', expires_at = $4
             WHERE session_id = $2 AND mount_path = $3 AND project_id = $1 AND state = 'stored'",
            vec![(&file.project_id).into(), (&mount.session_id).into(), mount.path.as_str().into(), now.into()],
        ));
    }
    unit.with(has_room(file, bytes.size, quota)).with(Statement::one(
        Refusal::FileNotPending,
        "UPDATE files SET state = 'stored', begun_at = NULL, size = $4, md5 = $5, stored_at = $6, expires_at = $7
         WHERE id = $2 AND project_id = $1 AND object = $3 AND state = 'pending'",
        vec![
            (&file.project_id).into(),
            (&file.id).into(),
            bytes.object.into(),
            bytes.size.into(),
            bytes.md5.into(),
            now.into(),
            bytes.expires_at.into(),
        ],
    ))
}
