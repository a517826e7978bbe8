//! The database of a server, read while the server runs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use rusqlite::{Connection, OpenFlags};

/// The database in a data folder.
pub fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("switchboard.db")
}

/// Opens it for reading.
pub fn open(data_dir: &Path) -> Result<Connection> {
    let path = path(data_dir);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&path, flags);
    let connection = connection.with_context(|| format!("cannot open {}", path.display()))?;
    connection.busy_timeout(Duration::from_secs(5))?;
    Ok(connection)
}

/// Number of accounts of a project that are not deleted.
pub fn live_accounts(data_dir: &Path, project: &str) -> Result<usize> {
    let sql = "SELECT COUNT(*) FROM connected_accounts WHERE project_id = ?1 AND deleted_at IS NULL";
    let count: i64 = open(data_dir)?.query_row(sql, [project], |row| row.get(0))?;
    Ok(count.try_into()?)
}

/// Number of links that have ended.
pub fn ended_links(data_dir: &Path) -> Result<usize> {
    let sql = "SELECT COUNT(*) FROM links WHERE finished_at IS NOT NULL";
    let count: i64 = open(data_dir)?.query_row(sql, [], |row| row.get(0))?;
    Ok(count.try_into()?)
}
