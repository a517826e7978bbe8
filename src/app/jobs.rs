//! Work that nobody asks for: links past their time end, old idempotency keys go.

use std::sync::Arc;
use std::time::Duration;

use switchboard_store::{Unit, idempotency};
use tokio_util::sync::CancellationToken;

use super::{Actor, App};
use crate::error::Result;

/// `status_reason` of an account whose link nobody completed (contract section 3.2).
const NOT_COMPLETED: &str = "Connection initiation did not complete within 10 minutes";
/// Between sweeps.
const INTERVAL: Duration = Duration::from_secs(2);
/// Links ended by one sweep.
const BATCH: i64 = 500;
/// A day, in milliseconds.
const IDEMPOTENCY_TTL: i64 = 24 * 60 * 60 * 1_000;

impl App {
    /// Ends overdue links: their accounts become EXPIRED and their aliases free. Returns how many.
    pub async fn sweep_links(&self) -> Result<usize> {
        let overdue = self.store.overdue_links(self.now(), BATCH).await?;
        for link in &overdue {
            let Some(account) = self.store.account(&link.project_id, &link.account_id).await? else { continue };
            self.end_link(&Actor::system(&link.project_id), &link.id, &account, "expired", NOT_COMPLETED).await?;
        }
        Ok(overdue.len())
    }

    /// Forgets idempotency keys older than a day.
    pub async fn sweep_idempotency_keys(&self) -> Result<()> {
        let statement = idempotency::delete_older(self.now() - IDEMPOTENCY_TTL);
        self.store.apply(Unit::new().with(statement)).await?;
        Ok(())
    }
}

/// Runs the jobs until told to stop. A failure is logged; the next round tries again.
pub async fn run(app: Arc<App>, stop: CancellationToken) {
    let mut rounds: u64 = 0;
    while stop.run_until_cancelled(tokio::time::sleep(INTERVAL)).await.is_some() {
        if let Err(error) = app.sweep_links().await {
            tracing::error!(error = error.message(), cause = error.causes(), "sweeping links failed");
        }
        // Every half hour is often enough for a limit of a day.
        if rounds.is_multiple_of(900)
            && let Err(error) = app.sweep_idempotency_keys().await
        {
            tracing::error!(error = error.message(), cause = error.causes(), "sweeping idempotency keys failed");
        }
        rounds += 1;
    }
}
