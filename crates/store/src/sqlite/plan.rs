//! Debug builds refuse a statement that reads a growing table from end to end: whoever writes one learns
//! it from the first test that runs it, not from a customer with a million rows.

use rusqlite::Connection;

/// Tables that do not grow with what tenants do.
#[cfg(debug_assertions)]
/// (`audit_segments` has a row for thousands of events, and is read from one of its ends.)
const SMALL: [&str; 6] =
    ["meta", "projects", "organization_keys", "schema_migrations", "sqlite_schema", "audit_segments"];

/// The plan of a statement that has none of its own in a release build.
#[cfg(not(debug_assertions))]
#[expect(clippy::unnecessary_wraps, reason = "the debug build refuses")]
pub(super) fn check(_: &Connection, _: &str) -> Result<(), String> {
    Ok(())
}

/// Refuses a statement with a full scan in its plan, by name of the table. Each text is looked at once.
#[cfg(debug_assertions)]
pub(super) fn check(connection: &Connection, sql: &str) -> Result<(), String> {
    use std::collections::HashSet;
    use std::sync::{LazyLock, Mutex, PoisonError};

    static SEEN: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);
    if SEEN.lock().unwrap_or_else(PoisonError::into_inner).contains(sql) {
        return Ok(());
    }
    for step in steps(connection, sql).map_err(|error| error.to_string())? {
        // A new parent shows a look at all its children in the plan, which is not taken (only a deferred
        // foreign key, of which there is none, would need it).
        let is_of_foreign_key = |table: &str| sql.starts_with("INSERT") && !sql.contains(table);
        if let Some(table) = full_scan(&step).filter(|table| !is_of_foreign_key(table)) {
            return Err(format!("{table} is read from end to end ({step}): {sql}"));
        }
    }
    SEEN.lock().unwrap_or_else(PoisonError::into_inner).insert(sql.to_owned());
    Ok(())
}

/// The steps of a plan, in SQLite's words.
#[cfg(debug_assertions)]
fn steps(connection: &Connection, sql: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
    let mut rows = statement.raw_query();
    let mut steps = Vec::new();
    while let Some(row) = rows.next()? {
        steps.push(row.get(3)?);
    }
    Ok(steps)
}

/// The table that a step reads from end to end, unless it is a small one. `SCAN t USING INDEX` reads all
/// of an index, which is no better. What a statement makes itself (a list, a subquery, or `found…`, as they
/// are named in this crate) is fine.
#[cfg(debug_assertions)]
fn full_scan(step: &str) -> Option<&str> {
    let table = step.strip_prefix("SCAN ")?.split(' ').next()?;
    let is_made_up = table.starts_with('(') || table.chars().next().is_some_and(char::is_numeric);
    (!is_made_up && table != "CONSTANT" && !SMALL.contains(&table) && !table.starts_with("found")).then_some(table)
}
