//! Debug builds refuse a statement with a full scan of a growing table, so that the first test that runs it
//! fails.

use rusqlite::Connection;

/// Tables that do not grow with the use by tenants.
#[cfg(debug_assertions)]
/// (`audit_segments` has one row per thousands of events and is read from either end.)
const SMALL_TABLES: [&str; 9] = [
    "meta",
    "projects",
    "organization_keys",
    "schema_migrations",
    "sqlite_schema",
    "audit_segments",
    "link_sweep",
    "toolkit_releases",
    "release_sets",
];

/// Release builds do not check plans.
#[cfg(not(debug_assertions))]
#[expect(clippy::unnecessary_wraps, reason = "the debug build refuses")]
pub(super) fn check(_: &Connection, _: &str) -> Result<(), String> {
    Ok(())
}

/// Refuses a statement with a full scan in its plan. Each statement text is checked once.
#[cfg(debug_assertions)]
pub(super) fn check(connection: &Connection, sql: &str) -> Result<(), String> {
    use std::collections::HashSet;
    use std::sync::{LazyLock, Mutex, PoisonError};

    static SEEN: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);
    if SEEN.lock().unwrap_or_else(PoisonError::into_inner).contains(sql) {
        return Ok(());
    }
    for step in steps(connection, sql).map_err(|error| error.to_string())? {
        // Inserting a parent row shows a scan of its child tables that is never executed: only a deferred
        // foreign key would need it, and there is none.
        let is_of_foreign_key = |table: &str| sql.starts_with("INSERT") && !sql.contains(table);
        if let Some(table) = full_scan(&step).filter(|table| !is_of_foreign_key(table)) {
            return Err(format!("{table} is read from end to end ({step}): {sql}"));
        }
    }
    SEEN.lock().unwrap_or_else(PoisonError::into_inner).insert(sql.to_owned());
    Ok(())
}

/// The steps of a query plan, as SQLite prints them.
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

/// The table that a step scans in full, unless it is a small one. `SCAN t USING INDEX` scans a whole index,
/// which is no better. Scans of lists, subqueries and aliases that begin with `found` are fine.
#[cfg(debug_assertions)]
fn full_scan(step: &str) -> Option<&str> {
    let table = step.strip_prefix("SCAN ")?.split(' ').next()?;
    let is_made_up = table.starts_with('(') || table.chars().next().is_some_and(char::is_numeric);
    (!is_made_up && table != "CONSTANT" && !SMALL_TABLES.contains(&table) && !table.starts_with("found"))
        .then_some(table)
}
