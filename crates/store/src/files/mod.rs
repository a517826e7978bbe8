//! Files: uploads, results of tools, and what sessions keep. The bytes are elsewhere, under the name `object`.
//!
//! A file is pending until its bytes are there. Deleting one marks it, so that a job removes the bytes first and the
//! row after them.

mod transfer;

use switchboard_types::{FileId, ProjectId, SessionId, Timestamp};

use crate::row::push_in;
use crate::sqlite::Reading;
use crate::{ListPage, PageQuery, Position, ReadError, Refusal, Row, Statement, Store, Value, counts};

pub use transfer::{StoredBytes, Transfer, begin, insert, release, store};

/// A file.
#[derive(Clone, Debug)]
pub struct FileRow {
    /// `file_…`.
    pub id: FileId,
    /// Owner.
    pub project_id: ProjectId,
    /// The id and a random part.
    pub key: String,
    /// Its name, without folders.
    pub name: String,
    /// Its media type.
    pub mimetype: String,
    /// Bytes; while it is pending, what is reserved for those that a request sends.
    pub size: i64,
    /// MD5 in hexadecimal digits; as announced while it is pending.
    pub md5: Option<String>,
    /// The toolkit that it is for or from; empty for none.
    pub toolkit: String,
    /// The tool that it is for or from; empty for none.
    pub tool: String,
    /// The session that keeps it, and its path there.
    pub mount: Option<MountPath>,
    /// Name of its bytes in the file store.
    pub object: Option<String>,
    /// Whether its bytes are there.
    pub state: FileState,
    /// Since when a request sends its bytes; none if none does.
    pub begun_at: Option<Timestamp>,
    /// Creation.
    pub created_at: Timestamp,
    /// When its bytes were stored.
    pub stored_at: Option<Timestamp>,
    /// It is deleted then; with its session if there is no such time.
    pub expires_at: Option<Timestamp>,
}

/// Where a session keeps a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MountPath {
    /// The session.
    pub session_id: SessionId,
    /// The path, relative to the mount.
    pub path: String,
}

/// Whether the bytes of a file are there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FileState {
    /// They are expected.
    Pending,
    /// They are there.
    Stored,
    /// They are being removed.
    Deleted,
}

impl FileState {
    fn parse(word: &str) -> Option<Self> {
        match word {
            "pending" => Some(Self::Pending),
            "stored" => Some(Self::Stored),
            "deleted" => Some(Self::Deleted),
            _ => None,
        }
    }
}

/// A file whose time is over.
#[derive(Clone, Debug)]
pub struct ExpiredFile {
    /// `file_…`.
    pub id: FileId,
    /// Owner.
    pub project_id: ProjectId,
    /// Name of its bytes; none if there never were any.
    pub object: Option<String>,
}

/// Deletes the file of a session at a path, and all below the path.
pub fn delete_at(mount: &MountPath, project: &ProjectId, now: Timestamp) -> Statement {
    let MountPath { session_id, path } = mount;
    Statement::any(
        "UPDATE files SET state = 'deleted', expires_at = $6
         WHERE session_id = $2 AND project_id = $1 AND state = 'stored'
           AND (mount_path = $3 OR (mount_path > $4 AND mount_path < $5))",
        vec![
            project.into(),
            session_id.into(),
            path.as_str().into(),
            format!("{path}/").into(),
            // The character after the slash.
            format!("{path}0").into(),
            now.into(),
        ],
    )
}

/// Deletes the files of a session, also those that wait for their bytes.
pub fn delete_of_session(project: &ProjectId, session: &SessionId, now: Timestamp) -> Statement {
    Statement::any(
        "UPDATE files SET state = 'deleted', expires_at = $3
         WHERE session_id = $2 AND session_id IS NOT NULL AND project_id = $1 AND state <> 'deleted'",
        vec![project.into(), session.into(), now.into()],
    )
}

/// Deletes the files of the `$2` sessions that were deleted first, before `$1`.
pub(crate) const DELETE_OF_OLD_SESSIONS: &str =
    "UPDATE files SET state = 'deleted', expires_at = 0 WHERE state <> 'deleted' AND session_id IS NOT NULL
       AND session_id IN (SELECT id FROM sessions WHERE deleted_at < $1 ORDER BY deleted_at, id LIMIT $2)
     /* guarded by: final */";

/// Deletes [`crate::project_deletion::BATCH`] files of a project.
pub fn delete_of_project(project: &ProjectId, now: Timestamp) -> Statement {
    Statement::any(
        "UPDATE files SET state = 'deleted', expires_at = $2
         WHERE state <> 'deleted'
           AND id IN (SELECT id FROM files WHERE project_id = $1 AND state <> 'deleted' LIMIT 50)
         /* guarded by: own row */",
        vec![project.into(), now.into()],
    )
}

/// Keeps the row of a file whose bytes could not be removed, and marks it as deleted.
pub fn retry_at(id: &FileId, time: Timestamp) -> Statement {
    Statement::any(
        "UPDATE files SET state = 'deleted', expires_at = $2 WHERE id = $1 AND expires_at IS NOT NULL",
        vec![id.into(), time.into()],
    )
}

/// Marks an expired file as deleted, before its bytes are removed. Refused as `file_not_expired` if it has got another
/// time since.
pub fn expire(id: &FileId, now: Timestamp) -> Statement {
    Statement::one(
        Refusal::FileNotExpired,
        "UPDATE files SET state = 'deleted' WHERE id = $1 AND expires_at <= $2",
        vec![id.into(), now.into()],
    )
}

/// Removes the row of a file that is marked as deleted.
pub fn remove(id: &FileId) -> Statement {
    Statement::any("DELETE FROM files WHERE id = $1 AND state = 'deleted'", vec![id.into()])
}

/// Which files are listed. The default filters nothing.
#[derive(Clone, Debug, Default)]
pub struct FileFilter {
    /// Of this toolkit.
    pub toolkit: Option<String>,
    /// Of this tool.
    pub tool: Option<String>,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, project_id, key, name, mimetype, size, md5, toolkit, tool, session_id, mount_path, object,
               state, begun_at, created_at, stored_at, expires_at FROM files ",
            $rest
        )
    };
}

fn read(row: &Row<'_>) -> Result<FileRow, ReadError> {
    let session = row.opt_id::<SessionId>(9)?;
    Ok(FileRow {
        id: row.id(0)?,
        project_id: row.id(1)?,
        key: row.text(2)?,
        name: row.text(3)?,
        mimetype: row.text(4)?,
        size: row.int(5)?,
        md5: row.opt_text(6)?,
        toolkit: row.text(7)?,
        tool: row.text(8)?,
        mount: session.zip(row.opt_text(10)?).map(|(session_id, path)| MountPath { session_id, path }),
        object: row.opt_text(11)?,
        state: row.word(12, FileState::parse)?,
        begun_at: row.opt_timestamp(13)?,
        created_at: row.timestamp(14)?,
        stored_at: row.opt_timestamp(15)?,
        expires_at: row.opt_timestamp(16)?,
    })
}

impl Store {
    /// The file of a signed URL, whose signature names its project.
    pub async fn file_of_url(&self, id: &FileId) -> Result<Option<FileRow>, ReadError> {
        self.one(select!("WHERE id = $1"), &[id.into()], read).await
    }

    /// A file of a project.
    pub async fn file(&self, project: &ProjectId, id: &FileId) -> Result<Option<FileRow>, ReadError> {
        self.one(select!("WHERE id = $2 AND project_id = $1"), &[project.into(), id.into()], read).await
    }

    /// The file of a session at a path.
    pub async fn file_at(
        &self,
        project: &ProjectId,
        mount: &MountPath,
        now: Timestamp,
    ) -> Result<Option<FileRow>, ReadError> {
        self.one(
            select!(
                "WHERE session_id = $2 AND session_id IS NOT NULL AND mount_path = $3 AND project_id = $1
                 AND state = 'stored' AND (expires_at IS NULL OR expires_at > $4)"
            ),
            &[project.into(), (&mount.session_id).into(), mount.path.as_str().into(), now.into()],
            read,
        )
        .await
    }

    /// One page of a project's stored files that belong to no session, newest first, and their number.
    pub async fn files(
        &self,
        project: &ProjectId,
        filter: FileFilter,
        page: PageQuery,
    ) -> Result<ListPage<FileRow>, ReadError> {
        let owner = project.clone();
        self.scan(project, move |reading| {
            let mut conditions = "project_id = $1 AND session_id IS NULL AND state = 'stored'".to_owned();
            let mut args: Vec<Value> = vec![(&owner).into()];
            push_in(&mut conditions, &mut args, "toolkit", filter.toolkit.as_slice());
            push_in(&mut conditions, &mut args, "tool", filter.tool.as_slice());
            let total = total(reading, &owner, &conditions, &args)?;
            let mut before = String::new();
            if let Some(position) = page.after() {
                args.push(position.id.as_str().into());
                before = format!(" AND id < ${}", args.len());
            }
            let sql = format!(
                "{} WHERE {conditions}{before} ORDER BY id DESC LIMIT {} OFFSET {}",
                select!(""),
                page.limit + 1,
                page.skip()
            );
            let (rows, next) = page.read(reading, &sql, &args, Position::of_id, read)?;
            Ok(ListPage { rows, next, total })
        })
        .await
    }

    /// Up to `limit` files of a session whose path begins with `prefix` and comes after `after`, by path.
    pub async fn files_of_session(
        &self,
        project: &ProjectId,
        session: &SessionId,
        (prefix, after): (&str, &str),
        now: Timestamp,
        limit: i64,
    ) -> Result<Vec<FileRow>, ReadError> {
        self.list(
            project,
            select!(
                "WHERE session_id = $2 AND session_id IS NOT NULL AND state = 'stored' AND project_id = $1
                 AND mount_path >= $3 AND mount_path < $4 AND mount_path > $5
                 AND (expires_at IS NULL OR expires_at > $7)
                 ORDER BY mount_path LIMIT $6"
            ),
            vec![
                project.into(),
                session.into(),
                prefix.into(),
                // Greater than everything that begins with the prefix.
                format!("{prefix}\u{10ffff}").into(),
                after.into(),
                limit.into(),
                now.into(),
            ],
            read,
        )
        .await
    }

    /// Files whose time is over, the oldest first.
    pub async fn expired_files(&self, now: Timestamp, limit: i64) -> Result<Vec<ExpiredFile>, ReadError> {
        self.list(
            "",
            "SELECT id, project_id, object FROM files WHERE expires_at <= $1 ORDER BY expires_at, id LIMIT $2",
            vec![now.into(), limit.into()],
            |row| Ok(ExpiredFile { id: row.id(0)?, project_id: row.id(1)?, object: row.opt_text(2)? }),
        )
        .await
    }
}

/// The number of listed files: kept for all, counted for some.
fn total(reading: &Reading<'_>, project: &ProjectId, conditions: &str, args: &[Value]) -> Result<i64, ReadError> {
    if args.len() == 1 {
        return counts::read(reading, project, counts::FILES);
    }
    counts::count_matching(reading, "files", conditions, args)
}
