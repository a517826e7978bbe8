//! What an operator sees of the queue: counts, and the jobs that fail.

use switchboard_types::{ProjectId, Timestamp};

use super::JobKind;
use crate::{ReadError, Row, Store, Value};

/// The jobs of a kind, counted. Each job counts once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobCounts {
    /// Not due yet.
    pub waiting: i64,
    /// Due, and no worker has it.
    pub due: i64,
    /// A worker has it.
    pub leased: i64,
    /// Since when the oldest due job is due; `None` if none is.
    pub oldest_due_at: Option<Timestamp>,
}

/// A job whose last run failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedJob {
    /// Id of the row that holds its payload.
    pub key: String,
    /// Owner.
    pub project_id: ProjectId,
    /// What its concurrency is limited by.
    pub lane: String,
    /// Number of runs, including one in progress.
    pub tries: i64,
    /// The next run, or the end of the lease of one in progress.
    pub next_run_at: Timestamp,
    /// Why the last run failed.
    pub detail: String,
}

impl Store {
    /// Counts the jobs of a kind, by an index that has all that is needed.
    pub async fn job_counts(&self, kind: JobKind, now: Timestamp) -> Result<JobCounts, ReadError> {
        let args: [Value; 2] = [kind.as_str().into(), now.into()];
        let sql = "SELECT COUNT(CASE WHEN lease_until IS NULL AND run_at > $2 THEN 1 END),
               COUNT(CASE WHEN COALESCE(lease_until, run_at) <= $2 THEN 1 END),
               COUNT(CASE WHEN lease_until > $2 THEN 1 END),
               MIN(CASE WHEN COALESCE(lease_until, run_at) <= $2 THEN COALESCE(lease_until, run_at) END)
             FROM jobs WHERE kind = $1";
        let read = |row: &Row<'_>| {
            Ok(JobCounts {
                waiting: row.int(0)?,
                due: row.int(1)?,
                leased: row.int(2)?,
                oldest_due_at: row.opt_timestamp(3)?,
            })
        };
        self.scan("", move |reading| Ok(reading.one(sql, &args, read)?.unwrap_or_default())).await
    }

    /// Jobs of a kind whose last run failed, those with the highest number of tries first.
    pub async fn failed_jobs(&self, kind: JobKind, limit: i64) -> Result<Vec<FailedJob>, ReadError> {
        self.list(
            "",
            "SELECT key, project_id, lane, tries, COALESCE(lease_until, run_at) AS next_run_at, detail FROM jobs
             WHERE kind = $1 AND detail IS NOT NULL ORDER BY tries DESC LIMIT $2",
            vec![kind.as_str().into(), limit.into()],
            |row| {
                Ok(FailedJob {
                    key: row.text(0)?,
                    project_id: row.id(1)?,
                    lane: row.text(2)?,
                    tries: row.int(3)?,
                    next_run_at: row.timestamp(4)?,
                    detail: row.text(5)?,
                })
            },
        )
        .await
    }
}
