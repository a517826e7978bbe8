//! Pages of a list, each of which begins after the last row of the one before: rows that are added or
//! deleted meanwhile neither shift what follows nor make it slower to find.

use crate::sqlite::Reading;
use crate::{ReadError, Row, Value};

/// Where a row stands in a list: what the list is ordered by, and the row's id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The time or number that the list is ordered by; 0 where that is the id.
    pub at: i64,
    /// The row's id; empty where `at` says it all.
    pub id: String,
}

/// Where a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// After so many rows: the first page, and cursors that count. What is skipped is read.
    Skip(i64),
    /// After the row with this position, whether or not it is still there.
    After(Position),
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageOf {
    /// Where it begins.
    pub start: Start,
    /// Rows on it, at most; at least 1.
    pub limit: i64,
}

/// What was found of a page.
#[derive(Clone, Debug)]
pub struct Listed<T> {
    /// Its rows, without those that cannot be read.
    pub rows: Vec<T>,
    /// Where the next page begins; none when this is the last one.
    pub next: Option<Position>,
    /// Rows on all pages. Where a filter makes them be counted, counting stops at [`COUNTED`]: there may
    /// be more.
    pub total: i64,
}

/// Where counting the rows that match a filter stops.
pub const COUNTED: i64 = 10_000;

impl PageOf {
    /// Rows to skip.
    pub(crate) fn skip(&self) -> i64 {
        match self.start {
            Start::Skip(rows) => rows,
            Start::After(_) => 0,
        }
    }

    /// The position to begin after.
    pub(crate) fn after(&self) -> Option<&Position> {
        match &self.start {
            Start::Skip(_) => None,
            Start::After(position) => Some(position),
        }
    }

    /// Reads the page with a query that gives one row more than the limit. `position` reads where a row
    /// stands, also of one that cannot be read otherwise.
    pub(crate) fn read<T>(
        &self,
        reading: &Reading<'_>,
        sql: &str,
        args: &[Value],
        position: impl Fn(&Row<'_>) -> Result<Position, ReadError>,
        read: impl Fn(&Row<'_>) -> Result<T, ReadError>,
    ) -> Result<(Vec<T>, Option<Position>), ReadError> {
        let found = reading
            .all(sql, args, |row| Ok((position(row).ok(), crate::sqlite::left_out_unless_readable(row, read(row))?)))?;
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let has_more = found.len() > limit;
        let mut rows = Vec::with_capacity(found.len().min(limit));
        let mut last = None;
        for (position, row) in found.into_iter().take(limit) {
            last = position.or(last);
            rows.extend(row);
        }
        Ok((rows, last.filter(|_| has_more)))
    }
}

impl Position {
    /// Of a row that is ordered by its id, the first column.
    pub(crate) fn of_id(row: &Row<'_>) -> Result<Self, ReadError> {
        Ok(Self { at: 0, id: row.text(0)? })
    }
}
