//! Keyset pagination. Each page begins after the last row of the previous one, so that rows added or deleted
//! in between neither shift the page nor slow it down.

use crate::sqlite::Reading;
use crate::{ReadError, Row, Value};

/// Position of a row in a list: the value that orders the list, and the row's id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The time or number that orders the list; 0 if the list is ordered by id.
    pub at: i64,
    /// The row's id; empty if `at` is unique.
    pub id: String,
}

/// Where a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PageStart {
    /// After this number of rows: the first page, or an offset cursor. Skipped rows are read.
    Skip(i64),
    /// After the row with this position, even if it was deleted.
    After(Position),
}

/// A request for one page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageQuery {
    /// Where it begins.
    pub start: PageStart,
    /// Maximum number of rows; at least 1.
    pub limit: i64,
}

/// One page of a list.
#[derive(Clone, Debug)]
pub struct ListPage<T> {
    /// The rows, without unreadable ones.
    pub rows: Vec<T>,
    /// Where the next page begins; `None` on the last page.
    pub next: Option<Position>,
    /// Number of rows on all pages. Counting the matches of a filter stops at [`COUNT_LIMIT`]: there may be more.
    pub total: i64,
}

/// Where counting the matches of a filter stops.
pub const COUNT_LIMIT: i64 = 10_000;

impl PageQuery {
    /// Number of rows to skip.
    pub(crate) fn skip(&self) -> i64 {
        match self.start {
            PageStart::Skip(rows) => rows,
            PageStart::After(_) => 0,
        }
    }

    /// The position to begin after.
    pub(crate) fn after(&self) -> Option<&Position> {
        match &self.start {
            PageStart::Skip(_) => None,
            PageStart::After(position) => Some(position),
        }
    }

    /// Reads the page with a query that returns one row more than the limit. `position` reads the position of
    /// a row, even of one that is otherwise unreadable.
    pub(crate) fn read<T>(
        &self,
        reading: &Reading<'_>,
        sql: &str,
        args: &[Value],
        position: impl Fn(&Row<'_>) -> Result<Position, ReadError>,
        read: impl Fn(&Row<'_>) -> Result<T, ReadError>,
    ) -> Result<(Vec<T>, Option<Position>), ReadError> {
        let found = reading
            .all(sql, args, |row| Ok((position(row).ok(), crate::sqlite::skip_inconsistent(row, read(row))?)))?;
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
    /// Position of a row ordered by its id, the first column.
    pub(crate) fn of_id(row: &Row<'_>) -> Result<Self, ReadError> {
        Ok(Self { at: 0, id: row.text(0)? })
    }
}
