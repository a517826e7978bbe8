//! Outcomes of the credentials of one job, counted.

use switchboard_types::ProjectId;

use crate::sqlite::Reading;
use crate::{ReadError, Store, Value};

/// Outcomes of the credentials of one job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RevocationCounts {
    /// All credentials.
    pub total: i64,
    /// Revoked at the provider.
    pub revoked: i64,
    /// Cannot be revoked.
    pub not_supported: i64,
    /// Not revoked, because another account depends on the same grant.
    pub kept: i64,
    /// Failed.
    pub failed: i64,
    /// Not finished.
    pub pending: i64,
}

pub(super) fn read_counts(reading: &Reading<'_>, ids: &[Value; 2]) -> Result<RevocationCounts, ReadError> {
    let counts = reading.one(
        "SELECT COUNT(*), COUNT(CASE WHEN outcome = 'revoked' THEN 1 END),
           COUNT(CASE WHEN outcome = 'not_supported' THEN 1 END),
           COUNT(CASE WHEN outcome = 'failed' THEN 1 END), COUNT(CASE WHEN outcome IS NULL THEN 1 END),
           COUNT(CASE WHEN outcome = 'kept' THEN 1 END)
         FROM revocations WHERE project_id = $1 AND job_id = $2",
        ids,
        |row| {
            Ok(RevocationCounts {
                total: row.int(0)?,
                revoked: row.int(1)?,
                not_supported: row.int(2)?,
                failed: row.int(3)?,
                pending: row.int(4)?,
                kept: row.int(5)?,
            })
        },
    )?;
    Ok(counts.unwrap_or_default())
}

impl Store {
    /// Outcome counts of a job; all zero for an unknown one.
    pub async fn revocation_counts(&self, project: &ProjectId, job: &str) -> Result<RevocationCounts, ReadError> {
        let ids = [project.into(), job.into()];
        self.scan(project, move |reading| read_counts(reading, &ids)).await
    }
}
