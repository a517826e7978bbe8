//! Row counts of a project, without reading the rows.
//!
//! Triggers maintain them in the transaction of each change (`migrations/`): `account_counts` by auth config
//! and account type, `counts` for totals.

use switchboard_types::ProjectId;

use crate::row::push_in;
use crate::sqlite::Reading;
use crate::{COUNT_LIMIT, ReadError, Value};

/// Live projects, counted for the installation, whose project is empty.
pub(crate) const PROJECTS: &str = "projects";
/// Auth configs of a project that are enabled.
pub(crate) const ENABLED_AUTH_CONFIGS: &str = "enabled_auth_configs";
/// Auth configs of a project that are disabled.
pub(crate) const DISABLED_AUTH_CONFIGS: &str = "disabled_auth_configs";
/// Files of a project that belong to no session.
pub(crate) const FILES: &str = "files";

/// Reads one counter.
pub(crate) fn read(reading: &Reading<'_>, project: &ProjectId, counter: &str) -> Result<i64, ReadError> {
    reading.count("SELECT number FROM counts WHERE project_id = $1 AND what = $2", &[project.into(), counter.into()])
}

/// Reads the sum of some counters.
pub(crate) fn read_sum(reading: &Reading<'_>, project: &ProjectId, counters: &[String]) -> Result<i64, ReadError> {
    let mut sql = "SELECT SUM(number) FROM counts WHERE project_id = $1".to_owned();
    let mut args: Vec<Value> = vec![project.into()];
    push_in(&mut sql, &mut args, "what", counters);
    reading.count(&sql, &args)
}

/// Counts the matching rows of a table, up to [`COUNT_LIMIT`].
pub(crate) fn count_matching(
    reading: &Reading<'_>,
    table: &str,
    conditions: &str,
    args: &[Value],
) -> Result<i64, ReadError> {
    let sql =
        format!("SELECT COUNT(*) FROM (SELECT 1 AS one FROM {table} WHERE {conditions} LIMIT {COUNT_LIMIT}) AS found");
    reading.count(&sql, args)
}
