//! Links whose time is over, but which the server has not ended yet: counted in its database while it works.

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::Result;
use rusqlite::Connection;
use serde::Serialize;

use crate::{database, issuer};

/// Time between two looks.
pub const INTERVAL: Duration = Duration::from_secs(10);

/// What one look found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Look {
    /// Seconds since the start.
    pub at_s: u64,
    /// Number of overdue links.
    pub overdue: usize,
    /// How long ago the time of the oldest of them was over, in milliseconds.
    pub oldest_ms: u64,
}

/// Looks into the database until `stop` closes.
pub fn watch(data_dir: &Path, stop: &Receiver<()>) -> Result<Vec<Look>> {
    let mut reader = Reader { connection: database::open(data_dir)?, from_id: String::new() };
    let started = Instant::now();
    let mut looks = Vec::new();
    loop {
        let next = INTERVAL * u32::try_from(looks.len() + 1)?;
        match stop.recv_timeout(next.saturating_sub(started.elapsed())) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return Ok(looks),
        }
        let (overdue, oldest_ms) = reader.look(i64::try_from(issuer::now())?)?;
        let look = Look { at_s: next.as_secs(), overdue, oldest_ms };
        eprintln!("after {} s: {overdue} links overdue, the oldest for {oldest_ms} ms", look.at_s);
        looks.push(look);
    }
}

/// Goes along the ids, which begin with the time, so that a look reads only what is new and what is open. The
/// server's own notes of how far it has come are not used.
struct Reader {
    connection: Connection,
    /// Every link before it has ended.
    from_id: String,
}

impl Reader {
    /// The number of links that are overdue at `now`, in milliseconds since 1970, and for how long the oldest has
    /// been, in milliseconds.
    fn look(&mut self, now: i64) -> Result<(usize, u64)> {
        let sql = "SELECT id, expires_at, finished_at IS NULL FROM links WHERE id >= ?1 ORDER BY id";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([&self.from_id])?;
        let mut from_id = None;
        let (mut overdue, mut oldest) = (0, now);
        while let Some(row) = rows.next()? {
            let (expires_at, is_open): (i64, bool) = (row.get(1)?, row.get(2)?);
            let is_over = expires_at < now;
            if from_id.is_none() && (is_open || !is_over) {
                from_id = Some(row.get(0)?);
            }
            // Links live equally long: all after it are to come.
            if !is_over {
                break;
            }
            if is_open {
                overdue += 1;
                oldest = oldest.min(expires_at);
            }
        }
        drop(rows);
        drop(statement);
        if let Some(id) = from_id {
            self.from_id = id;
        }
        Ok((overdue, u64::try_from(now - oldest)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_open_links_whose_time_is_over_are_overdue() {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "CREATE TABLE links (id TEXT PRIMARY KEY, expires_at INTEGER, finished_at INTEGER) WITHOUT ROWID;
                 INSERT INTO links VALUES ('lt_1', 10, 12), ('lt_2', 20, NULL), ('lt_3', 30, 31), ('lt_4', 40, NULL),
                   ('lt_5', 50, NULL);",
            )
            .unwrap();
        let mut reader = Reader { connection, from_id: String::new() };
        assert_eq!(reader.look(45).unwrap(), (2, 25));
        assert_eq!(reader.from_id, "lt_2");
        reader.connection.execute_batch("UPDATE links SET finished_at = 46 WHERE id IN ('lt_2', 'lt_4')").unwrap();
        assert_eq!(reader.look(46).unwrap(), (0, 0));
        assert_eq!(reader.from_id, "lt_5");
        assert_eq!(reader.look(60).unwrap(), (1, 10));
    }
}
