//! Releases of toolkits and release sets: the tools that sessions keep. See `migrations/sqlite/0019_tool_releases.sql`.
//!
//! Rows are only added, and deleted when nothing has named them for a while ([`delete_unused`]). A server marks the set
//! that it offers as seen, much more often than that while ([`mark_seen`]), so that none is deleted which a session is
//! about to name.

use std::time::Duration;

use switchboard_types::{CompactString, ProjectId, SessionId, Timestamp};

use crate::{ReadError, Refusal, Statement, Store, Unit};

/// A release is marked as seen again after this time, in milliseconds: less often than it is asked for.
const SEEN_STEP: Duration = Duration::from_hours(1);

/// The tools of one version of a toolkit.
#[derive(Clone, Debug)]
pub struct ReleaseRow {
    /// SHA-256 of the other fields.
    pub digest: String,
    /// Slug of the toolkit.
    pub toolkit: String,
    /// `YYYYMMDD_NN`.
    pub version: String,
    /// Name of the toolkit.
    pub name: String,
    /// `tools.toml`, compressed.
    pub tools: Vec<u8>,
}

/// A release without its tools.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReleaseLabel {
    /// Slug of the toolkit.
    pub toolkit: String,
    /// `YYYYMMDD_NN`.
    pub version: String,
    /// The release.
    pub digest: String,
}

/// Stores a release, unless it is there.
pub fn insert(release: &ReleaseRow, now: Timestamp) -> Statement {
    Statement::any(
        "INSERT INTO toolkit_releases (digest, toolkit, version, name, tools, stored_at, seen_at)
         VALUES ($1, $2, $3, $4, $5, $6, $6)
         ON CONFLICT (digest) DO UPDATE SET seen_at = excluded.seen_at",
        vec![
            (&release.digest).into(),
            (&release.toolkit).into(),
            (&release.version).into(),
            (&release.name).into(),
            release.tools.clone().into(),
            now.into(),
        ],
    )
}

/// Stores a release set, unless it is there: pairs of toolkit and release, which are stored already or by the same unit.
pub fn insert_set<'a>(digest: &str, members: impl Iterator<Item = (&'a str, &'a str)>, now: Timestamp) -> Unit {
    let set = Statement::any(
        "INSERT INTO release_sets (digest, stored_at, seen_at) VALUES ($1, $2, $2)
         ON CONFLICT (digest) DO UPDATE SET seen_at = excluded.seen_at",
        vec![digest.into(), now.into()],
    );
    members.fold(Unit::new().with(set), |unit, (toolkit, release)| {
        unit.with(Statement::any(
            "INSERT INTO release_set_members (set_id, toolkit, digest) SELECT id, $2, $3 FROM release_sets WHERE digest = $1
             ON CONFLICT (set_id, toolkit) DO NOTHING /* guarded by: index release_set_members */",
            vec![digest.into(), toolkit.into(), release.into()],
        ))
    })
}

/// Gives a session that uses the release set `before` another one. Refused as `session_changed` if it uses another one
/// or is gone.
pub fn move_session(project: &ProjectId, id: &SessionId, before: Option<i64>, after: i64) -> Statement {
    Statement::one(
        Refusal::SessionChanged,
        "UPDATE sessions SET release_set = $4
         WHERE id = $2 AND project_id = $1 AND COALESCE(release_set, 0) = $3 AND deleted_at IS NULL",
        vec![project.into(), id.into(), before.unwrap_or(0).into(), after.into()],
    )
}

/// Marks the release set that a server offers as seen.
pub fn mark_seen(set: i64, now: Timestamp) -> Statement {
    Statement::any(
        "UPDATE release_sets SET seen_at = $2 WHERE id = $1 AND seen_at < $3",
        vec![set.into(), now.into(), (now - SEEN_STEP).into()],
    )
}

/// Deletes release sets that no server has offered and no session has used since `before`, and releases that were in no
/// set since. Deleted sessions do not count.
pub fn delete_unused(before: Timestamp, now: Timestamp) -> Unit {
    let seen = || vec![now.into(), (now - SEEN_STEP).into()];
    Unit::new()
        .with(Statement::any(
            "UPDATE release_sets SET seen_at = $1 WHERE seen_at < $2 AND EXISTS
               (SELECT 1 FROM sessions WHERE release_set = release_sets.id AND deleted_at IS NULL)
             /* guarded by: own row */",
            seen(),
        ))
        .with(Statement::any(
            "DELETE FROM release_set_members WHERE set_id IN (SELECT id FROM release_sets WHERE seen_at < $1)
             /* guarded by: own row */",
            vec![before.into()],
        ))
        .with(Statement::any("DELETE FROM release_sets WHERE seen_at < $1", vec![before.into()]))
        .with(Statement::any(
            "UPDATE toolkit_releases SET seen_at = $1 WHERE seen_at < $2 AND EXISTS
               (SELECT 1 FROM release_set_members WHERE digest = toolkit_releases.digest)
             /* guarded by: own row */",
            seen(),
        ))
        .with(Statement::any("DELETE FROM toolkit_releases WHERE seen_at < $1", vec![before.into()]))
}

impl Store {
    /// The id of a release set.
    pub async fn release_set_id(&self, digest: &str) -> Result<Option<i64>, ReadError> {
        self.one("SELECT id FROM release_sets WHERE digest = $1", &[digest.into()], |row| row.int(0)).await
    }

    /// The releases of a set: pairs of toolkit and digest. None if there is no such set.
    pub async fn release_set(&self, id: i64) -> Result<Vec<(CompactString, CompactString)>, ReadError> {
        let sql = "SELECT toolkit, digest FROM release_set_members WHERE set_id = $1 ORDER BY toolkit";
        self.list("", sql, vec![id.into()], |row| Ok((row.id(0)?, row.id(1)?))).await
    }

    /// A release.
    pub async fn release(&self, digest: &str) -> Result<Option<ReleaseRow>, ReadError> {
        self.one(
            "SELECT digest, toolkit, version, name, tools FROM toolkit_releases WHERE digest = $1",
            &[digest.into()],
            |row| {
                Ok(ReleaseRow {
                    digest: row.text(0)?,
                    toolkit: row.text(1)?,
                    version: row.text(2)?,
                    name: row.text(3)?,
                    tools: row.blob(4)?,
                })
            },
        )
        .await
    }

    /// All releases by toolkit, those of one toolkit from the newest version to the oldest, of a version the one that
    /// was stored last first.
    pub async fn releases(&self) -> Result<Vec<ReleaseLabel>, ReadError> {
        let sql =
            "SELECT toolkit, version, digest FROM toolkit_releases ORDER BY toolkit, version DESC, stored_at DESC";
        let read = |row: &crate::Row<'_>| {
            Ok(ReleaseLabel { toolkit: row.text(0)?, version: row.text(1)?, digest: row.text(2)? })
        };
        self.list("", sql, Vec::new(), read).await
    }
}
