//! Guards of conditions over other rows, such as "no other account has …" or "the project is not deleted".
//!
//! SQLite has one writer, so that such a condition holds until the commit anyway. On an engine with several, a
//! row that another unit adds or changes meanwhile is not seen. So every statement of a unit that reads other
//! rows names its guard in a comment of the SQL, `/* guarded by: … */`, and debug builds refuse a unit without
//! that guard: the first test that runs it fails. Kinds of guard, separated by commas:
//!
//! - `index NAME`: the unique index, or table with a primary key, that refuses a second row.
//! - `shared lock TABLE`, `exclusive lock TABLE`: an earlier statement of the unit locks the parent in that table.
//!   A change of a row locks it exclusively.
//! - `table lock TABLE`: an earlier statement of the unit keeps others from writing to the table.
//! - `sealing lock TABLE`: the unit that changes what is read takes a table lock on TABLE, to which this one writes.
//! - `own row`: the condition is repeated on the changed row itself.
//! - `final`: the values that are read never change again.

#[cfg(debug_assertions)]
use crate::unit::{Action, Lock, Parent, Statement};

use crate::Unit;

/// Look-ups of values that never change after their row was added. They need no guard.
#[cfg(debug_assertions)]
const FIXED: [&str; 3] = [
    "(SELECT account_id FROM verifications WHERE id = $2)",
    "(SELECT account_id FROM links WHERE id = $1)",
    "(SELECT id FROM links WHERE project_id = $1 AND id = $2)",
];

/// Release builds do not check guards.
#[cfg(not(debug_assertions))]
#[expect(clippy::unnecessary_wraps, reason = "the debug build refuses")]
pub(crate) fn check(_: &Unit) -> Result<(), String> {
    Ok(())
}

/// Refuses a unit with a statement whose guard is missing, or with locks in another order.
#[cfg(debug_assertions)]
pub(crate) fn check(unit: &Unit) -> Result<(), String> {
    let mut last: Option<Parent> = None;
    for (index, statement) in unit.statements.iter().enumerate() {
        let earlier = &unit.statements[..index];
        if let Action::Lock(parent, _) = statement.action {
            if last.is_some_and(|last| parent < last) {
                return Err(format!("{parent:?} is locked after {last:?}: {}", statement.sql));
            }
            last = Some(parent);
        }
        check_statement(statement, earlier).map_err(|cause| format!("{cause}: {}", statement.sql))?;
    }
    Ok(())
}

#[cfg(debug_assertions)]
fn check_statement(statement: &Statement, earlier: &[Statement]) -> Result<(), String> {
    let (reads_others, guards) = (reads_other_rows(statement.sql), guards(statement.sql));
    if matches!(statement.action, Action::Lock(..) | Action::LockTable) {
        // An engine that waited for the lock does not evaluate a subquery again.
        return if reads_others { Err("a lock with a subquery".to_owned()) } else { Ok(()) };
    }
    if reads_others && guards.is_empty() {
        return Err("a condition over other rows without a guard".to_owned());
    }
    for guard in guards {
        let is_there = match guard.rsplit_once(' ') {
            Some(("shared lock", table)) => earlier.iter().any(|earlier| locks(earlier, table, Lock::Share)),
            Some(("exclusive lock", table)) => earlier.iter().any(|earlier| locks(earlier, table, Lock::Exclusive)),
            Some(("table lock", table)) => earlier
                .iter()
                .any(|earlier| earlier.action == Action::LockTable && earlier.sql.split(' ').any(|word| word == table)),
            Some(("sealing lock", table)) => statement.sql.split_whitespace().any(|word| word == table),
            Some(("index", _) | ("own", "row")) => true,
            _ => guard == "final",
        };
        if !is_there {
            return Err(format!("the guard \"{guard}\" is missing"));
        }
    }
    Ok(())
}

/// Whether a statement locks rows of a table at least as strongly.
#[cfg(debug_assertions)]
fn locks(statement: &Statement, table: &str, strength: Lock) -> bool {
    match statement.action {
        Action::Lock(parent, lock) => parent.table() == table && lock >= strength,
        Action::Write => ["UPDATE ", "INSERT INTO ", "INSERT OR FAIL INTO "]
            .iter()
            .filter_map(|start| statement.sql.strip_prefix(start))
            .any(|rest| rest.split_whitespace().next() == Some(table)),
        Action::Check | Action::LockTable => false,
    }
}

/// Whether a statement has a subquery with values that may change.
#[cfg(debug_assertions)]
fn reads_other_rows(sql: &str) -> bool {
    let has_subquery = |sql: &str| sql.trim_start().get(1..).is_some_and(|rest| rest.contains("SELECT"));
    if !FIXED.iter().any(|fixed| sql.contains(fixed)) {
        return has_subquery(sql);
    }
    has_subquery(&FIXED.iter().fold(sql.to_owned(), |sql, fixed| sql.replace(fixed, "")))
}

/// The guards that a statement names.
#[cfg(debug_assertions)]
fn guards(sql: &str) -> Vec<&str> {
    let comments = sql.split("/* guarded by: ").skip(1).filter_map(|rest| rest.split_once(" */"));
    comments.flat_map(|(guards, _)| guards.split(", ")).collect()
}

#[cfg(test)]
mod tests;
