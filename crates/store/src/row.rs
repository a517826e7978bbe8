//! One row of a query result, independent of the engine.

use std::fmt::Write;

use crate::ReadError;

/// A row. Columns are read by their position in the SELECT.
#[derive(Debug)]
pub struct Row<'a>(pub(crate) &'a rusqlite::Row<'a>);

impl Row<'_> {
    /// Text column.
    pub fn text(&self, column: usize) -> Result<String, ReadError> {
        self.0.get(column).map_err(|error| inconsistent(column, &error))
    }

    /// Text column that may be NULL.
    pub fn opt_text(&self, column: usize) -> Result<Option<String>, ReadError> {
        self.0.get(column).map_err(|error| inconsistent(column, &error))
    }

    /// Integer column.
    pub fn int(&self, column: usize) -> Result<i64, ReadError> {
        self.0.get(column).map_err(|error| inconsistent(column, &error))
    }

    /// Integer column that may be NULL.
    pub fn opt_int(&self, column: usize) -> Result<Option<i64>, ReadError> {
        self.0.get(column).map_err(|error| inconsistent(column, &error))
    }

    /// Integer column that is 0 or 1.
    pub fn flag(&self, column: usize) -> Result<bool, ReadError> {
        Ok(self.int(column)? != 0)
    }

    /// Bytes column.
    pub fn blob(&self, column: usize) -> Result<Vec<u8>, ReadError> {
        self.0.get(column).map_err(|error| inconsistent(column, &error))
    }

    /// Bytes column that may be NULL.
    pub fn opt_blob(&self, column: usize) -> Result<Option<Vec<u8>>, ReadError> {
        self.0.get(column).map_err(|error| inconsistent(column, &error))
    }
}

fn inconsistent(column: usize, error: &rusqlite::Error) -> ReadError {
    ReadError::Inconsistent(format!("column {column}: {error}"))
}

/// Adds ` AND column IN ($n, …)` for a non-empty list.
pub(crate) fn push_in(conditions: &mut String, args: &mut Vec<crate::Value>, column: &str, values: &[String]) {
    push(conditions, args, column, "IN", values);
}

/// Adds ` AND column NOT IN ($n, …)` for a non-empty list.
pub(crate) fn push_not_in(conditions: &mut String, args: &mut Vec<crate::Value>, column: &str, values: &[String]) {
    push(conditions, args, column, "NOT IN", values);
}

fn push(conditions: &mut String, args: &mut Vec<crate::Value>, column: &str, word: &str, values: &[String]) {
    if values.is_empty() {
        return;
    }
    let mut placeholders = Vec::with_capacity(values.len());
    for value in values {
        args.push(value.into());
        placeholders.push(format!("${}", args.len()));
    }
    let _ = write!(conditions, " AND {column} {word} ({})", placeholders.join(", "));
}
