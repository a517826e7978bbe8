//! Seals the audit log in segments, and drops segments after their retention time.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::runner::Job;
use crate::app::audit::{AuditLog, SEAL_INTERVAL, Sealer};
use crate::error::Result;

/// The job.
pub(super) struct SealAuditLog {
    audit_log: Arc<AuditLog>,
    sealer: Sealer,
}

impl SealAuditLog {
    pub(super) fn new(audit_log: Arc<AuditLog>) -> Self {
        Self { audit_log, sealer: Sealer::default() }
    }
}

impl Job for SealAuditLog {
    const NAME: &'static str = "seal_audit_log";
    const INTERVAL: Duration = SEAL_INTERVAL;

    async fn activate(&mut self, _: &CancellationToken) -> Result<usize> {
        self.sealer.round(&self.audit_log).await
    }
}
