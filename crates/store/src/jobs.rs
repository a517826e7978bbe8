//! The queue of jobs: work that is done once, in the background, with as many runs as it takes.
//!
//! A job has no payload: its key is the id of a row of another table, which says what is to be done. The job
//! is inserted in the unit that writes that row, and deleted in the unit that stores the outcome.
//!
//! A worker takes a due job with a lease, by compare-and-swap on the fence: two servers never run the same
//! job at once. When a worker dies, its lease runs out and the job is due again. What a worker stores is
//! guarded by the fence: once another worker has the job, the unit of the earlier one is refused.

mod status;

pub use status::{FailedJob, JobCounts};

use switchboard_types::{Fence, ProjectId, Timestamp};

use crate::row::push_not_in;
use crate::{ReadError, Refusal, Row, Statement, Store, Value};

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobKind {
    /// Revokes a credential at its provider. The key is the id of a revocation.
    Revocation,
}

impl JobKind {
    /// All kinds.
    pub const ALL: [Self; 1] = [Self::Revocation];

    /// The stored value, also used in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Revocation => "revocation",
        }
    }
}

/// A new job.
#[derive(Clone, Copy, Debug)]
pub struct NewJob<'a> {
    /// What it does.
    pub kind: JobKind,
    /// Id of the row that holds its payload; unique within the kind.
    pub key: &'a str,
    /// Owner.
    pub project: &'a ProjectId,
    /// A slow lane does not delay the others: the number of its jobs that run at once is limited.
    pub lane: &'a str,
    /// No run before this time.
    pub run_at: Timestamp,
    /// Creation.
    pub created_at: Timestamp,
}

/// A job that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRow {
    /// What it does.
    pub kind: JobKind,
    /// Id of the row that holds its payload.
    pub key: String,
    /// Owner.
    pub project_id: ProjectId,
    /// What its concurrency is limited by.
    pub lane: String,
    /// Number of runs, including one in progress.
    pub tries: i64,
    /// Grows with each lease.
    pub fence: Fence,
    /// Creation.
    pub created_at: Timestamp,
}

/// The exclusive right to run a job. It ends with the outcome, or when another worker takes the job after the
/// lease has run out.
#[derive(Clone, Debug)]
pub struct JobLease {
    kind: JobKind,
    key: String,
    fence: Fence,
}

/// Adds a job.
pub fn insert(job: &NewJob<'_>) -> Statement {
    Statement::one(
        Refusal::JobExists,
        "INSERT INTO jobs (kind, key, project_id, lane, run_at, created_at) VALUES ($1, $2, $3, $4, $5, $6)",
        vec![
            job.kind.as_str().into(),
            job.key.into(),
            job.project.into(),
            job.lane.into(),
            job.run_at.into(),
            job.created_at.into(),
        ],
    )
}

/// Takes a due job for one run, which must end before `until`. Refused as `job_taken` when another worker
/// was faster, or the job was postponed or cancelled. The lease is valid once the statement is applied.
pub fn lease(job: &JobRow, now: Timestamp, until: Timestamp) -> (Statement, JobLease) {
    let statement = Statement::one(
        Refusal::JobTaken,
        "UPDATE jobs SET fence = fence + 1, tries = tries + 1, lease_until = $5
         WHERE kind = $1 AND key = $2 AND fence = $3 AND run_at <= $4",
        vec![job.kind.as_str().into(), (&job.key).into(), job.fence.into(), now.into(), until.into()],
    );
    (statement, JobLease { kind: job.kind, key: job.key.clone(), fence: job.fence.next() })
}

/// Ends a run that failed: the job runs again at `run_at`. `detail` says why, without secrets. Refused as
/// `job_lease_lost` when another worker has the job.
pub fn reschedule(lease: &JobLease, run_at: Timestamp, detail: &str) -> Statement {
    Statement::one(
        Refusal::JobLeaseLost,
        "UPDATE jobs SET run_at = $4, detail = $5, lease_until = NULL
         WHERE kind = $1 AND key = $2 AND fence = $3 AND lease_until IS NOT NULL",
        vec![lease.kind.as_str().into(), (&lease.key).into(), lease.fence.into(), run_at.into(), detail.into()],
    )
}

/// Ends a job. Refused as `job_lease_lost` when another worker has it.
pub fn finish(lease: &JobLease) -> Statement {
    Statement::one(
        Refusal::JobLeaseLost,
        "DELETE FROM jobs WHERE kind = $1 AND key = $2 AND fence = $3 AND lease_until IS NOT NULL",
        vec![lease.kind.as_str().into(), (&lease.key).into(), lease.fence.into()],
    )
}

impl Store {
    /// Jobs of a kind that are due in any project and that no worker has, those that wait longest first, except
    /// those of the lanes `except`.
    pub async fn due_jobs(
        &self,
        kind: JobKind,
        now: Timestamp,
        except: &[String],
        limit: i64,
    ) -> Result<Vec<JobRow>, ReadError> {
        let mut args: Vec<Value> = vec![kind.as_str().into(), now.into(), limit.into()];
        let mut sql = "SELECT key, project_id, lane, tries, fence, created_at FROM jobs
             WHERE kind = $1 AND run_at <= $2 AND (lease_until IS NULL OR lease_until <= $2)"
            .to_owned();
        push_not_in(&mut sql, &mut args, "lane", except);
        sql.push_str(" ORDER BY run_at LIMIT $3");
        let read = move |row: &Row<'_>| {
            Ok(JobRow {
                kind,
                key: row.text(0)?,
                project_id: row.id(1)?,
                lane: row.text(2)?,
                tries: row.int(3)?,
                fence: Fence(row.int(4)?),
                created_at: row.timestamp(5)?,
            })
        };
        self.list("", sql, args, read).await
    }
}
