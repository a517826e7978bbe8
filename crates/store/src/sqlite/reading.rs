//! Query functions, independent of the thread.

use rusqlite::Connection;

use super::{plan, unavailable, writer};
use crate::read_counts::ReadCounter;
use crate::{ReadError, Row, Value};

/// A connection for reading.
#[derive(Debug)]
pub(crate) struct Reading<'a> {
    pub(super) connection: &'a Connection,
    pub(super) counter: &'a ReadCounter,
}

impl Reading<'_> {
    /// First row of a query.
    pub(crate) fn one<T>(
        &self,
        sql: &str,
        args: &[Value],
        read: impl FnOnce(&Row<'_>) -> Result<T, ReadError>,
    ) -> Result<Option<T>, ReadError> {
        let mut read = Some(read);
        let mut found = None;
        self.each(sql, args, |row| {
            if let Some(read) = read.take() {
                found = Some(read(row)?);
            }
            Ok(false)
        })?;
        Ok(found)
    }

    /// All rows of a query. The caller limits it with LIMIT.
    pub(crate) fn all<T>(
        &self,
        sql: &str,
        args: &[Value],
        read: impl Fn(&Row<'_>) -> Result<T, ReadError>,
    ) -> Result<Vec<T>, ReadError> {
        let mut found = Vec::new();
        self.each(sql, args, |row| {
            found.push(read(row)?);
            Ok(true)
        })?;
        Ok(found)
    }

    /// The same without unreadable rows, which are logged: one such row must not hide the others. The log
    /// identifies the row by its first column.
    pub(crate) fn all_consistent<T>(
        &self,
        sql: &str,
        args: &[Value],
        read: impl Fn(&Row<'_>) -> Result<T, ReadError>,
    ) -> Result<Vec<T>, ReadError> {
        let mut found = Vec::new();
        self.each(sql, args, |row| {
            found.extend(skip_inconsistent(row, read(row))?);
            Ok(true)
        })?;
        Ok(found)
    }

    /// The single number that a query returns.
    pub(crate) fn count(&self, sql: &str, args: &[Value]) -> Result<i64, ReadError> {
        Ok(self.one(sql, args, |row| row.opt_int(0))?.flatten().unwrap_or(0))
    }

    /// Calls `take` with each row until it returns that it has enough.
    fn each(
        &self,
        sql: &str,
        args: &[Value],
        mut take: impl FnMut(&Row<'_>) -> Result<bool, ReadError>,
    ) -> Result<(), ReadError> {
        self.counter.count_query();
        plan::check(self.connection, sql).map_err(ReadError::Unavailable)?;
        let mut statement = self.connection.prepare_cached(sql).map_err(|error| unavailable(&error))?;
        writer::bind(&mut statement, args).map_err(|error| unavailable(&error))?;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().map_err(|error| unavailable(&error))? {
            if !take(&Row::new(row))? {
                break;
            }
        }
        Ok(())
    }
}

/// The result of reading a row. An inconsistent row is logged and gives `None`.
pub(crate) fn skip_inconsistent<T>(row: &Row<'_>, read: Result<T, ReadError>) -> Result<Option<T>, ReadError> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(ReadError::Inconsistent(cause)) => {
            let id = row.text(0).unwrap_or_default();
            tracing::error!(row.id = %id, error = %cause, "stored row is inconsistent and omitted from lists");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
