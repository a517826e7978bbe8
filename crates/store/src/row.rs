//! One row of a query result, independent of the engine.

use std::fmt::{self, Write};
use std::time::Duration;

use rusqlite::types::FromSql;
use switchboard_types::{AccountParams, Reason, Scheme, Timestamp};

use crate::{ReadError, Value};

/// A row, or the part of it that comes from one table. Columns are read by their position in the SELECT.
#[derive(Debug)]
pub struct Row<'a> {
    found: &'a rusqlite::Row<'a>,
    /// Position of its first column in the result.
    start: usize,
    /// The table of a part; the first table of the SELECT otherwise.
    table: Option<&'static str>,
}

/// A value that no version of this program writes, and where it is stored. It quotes no secret: ciphertext is
/// read as bytes, which cannot be wrong here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseInconsistency {
    /// The table.
    pub table: String,
    /// The column; none where several columns contradict each other.
    pub column: Option<String>,
    /// The first column of the row, which is its id in nearly all tables.
    pub row: Option<String>,
    /// What is wrong.
    pub cause: String,
}

impl fmt::Display for DatabaseInconsistency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "table {}", self.table)?;
        if let Some(column) = &self.column {
            write!(f, ", column {column}")?;
        }
        if let Some(row) = &self.row {
            write!(f, ", row {row}")?;
        }
        write!(f, ": {}", self.cause)
    }
}

impl<'a> Row<'a> {
    pub(crate) fn new(row: &'a rusqlite::Row<'a>) -> Self {
        Self { found: row, start: 0, table: None }
    }

    /// The part of a joined row that begins at column `start` and comes from `table`. `None` if the join found no row
    /// of that table, whose first column is never NULL.
    pub(crate) fn part(&self, start: usize, table: &'static str) -> Result<Option<Self>, ReadError> {
        let part = Self { found: self.found, start: self.start + start, table: Some(table) };
        Ok(part.opt_text(0)?.map(|_| part))
    }

    /// Text column.
    pub fn text(&self, column: usize) -> Result<String, ReadError> {
        self.get(column)
    }

    /// Id column.
    pub fn id<T: From<String>>(&self, column: usize) -> Result<T, ReadError> {
        self.text(column).map(Into::into)
    }

    /// Id column that may be NULL.
    pub fn opt_id<T: From<String>>(&self, column: usize) -> Result<Option<T>, ReadError> {
        Ok(self.opt_text(column)?.map(Into::into))
    }

    /// Text column that may be NULL.
    pub fn opt_text(&self, column: usize) -> Result<Option<String>, ReadError> {
        self.get(column)
    }

    /// What `parse` makes of a text column that may be NULL, without a copy of the text.
    pub fn opt_parsed<T, E: fmt::Display>(
        &self,
        column: usize,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, ReadError> {
        let wrong = |cause: String| self.inconsistent(Some(column), cause);
        let value = self.found.get_ref(self.start + column).map_err(|error| wrong(error.to_string()))?;
        let text = value.as_str_or_null().map_err(|error| wrong(error.to_string()))?;
        text.map(parse).transpose().map_err(|error| wrong(error.to_string()))
    }

    /// Text column that is one of a few words.
    pub fn word<T>(&self, column: usize, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, ReadError> {
        let word = self.text(column)?;
        parse(&word).ok_or_else(|| self.inconsistent(Some(column), format!("unknown word {word:?}")))
    }

    /// Authentication scheme.
    pub fn scheme(&self, column: usize) -> Result<Scheme, ReadError> {
        self.word(column, |word| word.parse().ok())
    }

    /// Reason that may be NULL.
    pub fn opt_reason(&self, column: usize) -> Result<Option<Reason>, ReadError> {
        let stored = self.opt_text(column)?;
        // A text without a known code is shown as it is: it must not make its account unreadable.
        Ok(stored.map(|stored| Reason::parse(&stored).unwrap_or_else(|| Reason::from_sentence(&stored))))
    }

    /// Column with the parameters of an account, as JSON. Others are marked as unreadable: such a row can be deleted.
    pub fn account_params(&self, column: usize) -> Result<AccountParams, ReadError> {
        Ok(AccountParams::read(&self.text(column)?))
    }

    /// The same for a column that may be NULL.
    pub fn opt_account_params(&self, column: usize) -> Result<Option<AccountParams>, ReadError> {
        Ok(self.opt_text(column)?.as_deref().map(AccountParams::read))
    }

    /// Integer column.
    pub fn int(&self, column: usize) -> Result<i64, ReadError> {
        self.get(column)
    }

    /// Integer column that may be NULL.
    pub fn opt_int(&self, column: usize) -> Result<Option<i64>, ReadError> {
        self.get(column)
    }

    /// Column with a moment, in milliseconds since 1970 UTC.
    pub fn timestamp(&self, column: usize) -> Result<Timestamp, ReadError> {
        self.int(column).map(Timestamp::from_millis)
    }

    /// Column with a moment that may be NULL.
    pub fn opt_timestamp(&self, column: usize) -> Result<Option<Timestamp>, ReadError> {
        Ok(self.opt_int(column)?.map(Timestamp::from_millis))
    }

    /// Column with a length of time in milliseconds that may be NULL.
    pub fn opt_duration(&self, column: usize) -> Result<Option<Duration>, ReadError> {
        Ok(self.opt_int(column)?.map(|millis| Duration::from_millis(u64::try_from(millis).unwrap_or(0))))
    }

    /// Integer column that is 0 or 1.
    pub fn flag(&self, column: usize) -> Result<bool, ReadError> {
        Ok(self.int(column)? != 0)
    }

    /// Bytes column.
    pub fn blob(&self, column: usize) -> Result<Vec<u8>, ReadError> {
        self.get(column)
    }

    /// Bytes column that may be NULL.
    pub fn opt_blob(&self, column: usize) -> Result<Option<Vec<u8>>, ReadError> {
        self.get(column)
    }

    /// The error for a value that cannot be; without `column` for values that contradict each other.
    pub(crate) fn inconsistent(&self, column: Option<usize>, cause: impl Into<String>) -> ReadError {
        let statement = self.found.as_ref();
        let first_table = || table_of(&statement.expanded_sql().unwrap_or_default());
        ReadError::Inconsistent(DatabaseInconsistency {
            table: self.table.map_or_else(first_table, ToOwned::to_owned),
            column: column.and_then(|column| statement.column_name(self.start + column).ok()).map(ToOwned::to_owned),
            row: self.found.get_ref(self.start).ok().and_then(|value| value.as_str().ok()).map(ToOwned::to_owned),
            cause: cause.into(),
        })
    }

    fn get<T: FromSql>(&self, column: usize) -> Result<T, ReadError> {
        self.found.get(self.start + column).map_err(|error| self.inconsistent(Some(column), error.to_string()))
    }
}

/// The table that a SELECT reads first.
fn table_of(sql: &str) -> String {
    let mut words = sql.split_whitespace();
    let table = words.find(|word| word.eq_ignore_ascii_case("FROM")).and_then(|_| words.next());
    table.unwrap_or("?").trim_matches(|letter: char| !letter.is_alphanumeric() && letter != '_').to_owned()
}

/// Adds ` AND column IN ($n, …)` for a non-empty list.
pub(crate) fn push_in<T: Clone + Into<Value>>(
    conditions: &mut String,
    args: &mut Vec<Value>,
    column: &str,
    values: &[T],
) {
    push(conditions, args, column, "IN", values);
}

/// Adds ` AND column NOT IN ($n, …)` for a non-empty list.
pub(crate) fn push_not_in(conditions: &mut String, args: &mut Vec<Value>, column: &str, values: &[String]) {
    push(conditions, args, column, "NOT IN", values);
}

fn push<T: Clone + Into<Value>>(
    conditions: &mut String,
    args: &mut Vec<Value>,
    column: &str,
    word: &str,
    values: &[T],
) {
    if values.is_empty() {
        return;
    }
    let mut placeholders = Vec::with_capacity(values.len());
    for value in values {
        args.push(value.clone().into());
        placeholders.push(format!("${}", args.len()));
    }
    let _ = write!(conditions, " AND {column} {word} ({})", placeholders.join(", "));
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    #[test]
    fn a_value_that_cannot_be_is_named_with_table_column_and_row() {
        let database = Connection::open_in_memory().unwrap();
        database
            .execute_batch("CREATE TABLE things (id TEXT, size); INSERT INTO things VALUES ('th_1', 'large')")
            .unwrap();
        let mut statement = database.prepare("SELECT id, size FROM things").unwrap();
        let mut rows = statement.raw_query();
        let row = Row::new(rows.next().unwrap().unwrap());
        let error = row.int(1).unwrap_err().to_string();
        let place = "stored row is inconsistent: table things, column size, row th_1: ";
        assert!(error.starts_with(place), "{error}");
        let error = row.word(1, |_| None::<()>).unwrap_err().to_string();
        assert_eq!(error, format!("{place}unknown word \"large\""));
        let error = row.inconsistent(None, "too large for its id").to_string();
        assert_eq!(error, "stored row is inconsistent: table things, row th_1: too large for its id");
    }
}
