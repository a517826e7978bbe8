//! What is over goes after its time, in batches: links with their attempts, accounts that never were
//! connected, rows of what was deleted, receipts of revocations, idempotency keys. How long each is kept
//! is set in `[keep]`. The history of a session is cut where it is written (`session/change.rs`), the
//! audit log goes by segments.

use std::sync::Arc;
use std::time::Duration;

use switchboard_store::{Unit, WriteError, retention, unread_answers};
use tokio_util::sync::CancellationToken;

use crate::app::jobs::Sweeps;
use crate::app::{Actor, App};
use crate::error::Result;
use crate::time::Millis;

/// A day, in milliseconds.
const IDEMPOTENCY_TTL: Millis = 24 * 60 * 60 * 1_000;
/// Between two runs.
const INTERVAL: Duration = Duration::from_mins(10);
/// Between two batches, for the writes of others.
const PAUSE: Duration = Duration::from_millis(50);
/// Accounts that never were connected, deleted by one unit.
const UNCONNECTED: i64 = 100;

/// A batch of one kind: what deletes it, and how many rows a full one has.
type Batch = (fn(Millis) -> Unit, usize);

impl Sweeps {
    /// Deletes what is over and past its time. Returns how many rows of each kind's own table went.
    pub async fn delete_old_rows(&self) -> Result<usize> {
        let keep = self.core.settings.retention;
        let kinds: [(Option<Millis>, Batch); 7] = [
            (Some(IDEMPOTENCY_TTL), (retention::idempotency_keys, retention::BATCH)),
            // Each says when its own time is over.
            (Some(0), (unread_answers::over, retention::BATCH)),
            (keep.ended_links, (retention::links, retention::BATCH)),
            (keep.revocation_receipts, (retention::revocations, retention::BATCH)),
            (keep.deleted_rows, (retention::accounts, retention::BATCH)),
            (keep.deleted_rows, (retention::auth_configs, retention::BATCH)),
            (keep.deleted_rows, (retention::sessions, retention::SESSIONS)),
        ];
        let mut gone = 0;
        if let Some(time) = keep.unconnected_accounts {
            gone += self.delete_unconnected(self.core.now() - time).await?;
        }
        for (time, (delete, full)) in kinds {
            let Some(time) = time else { continue };
            loop {
                let changed = self.core.store.apply(delete(self.core.now() - time)).await?;
                let rows = changed.last().copied().unwrap_or_default();
                gone += rows;
                if rows < full || self.is_stopped_after(PAUSE).await {
                    break;
                }
            }
        }
        Ok(gone)
    }

    async fn delete_unconnected(&self, before: Millis) -> Result<usize> {
        let mut gone = 0;
        loop {
            let found = self.core.store.unconnected_accounts(before, UNCONNECTED).await?;
            let mut deleted = 0;
            for (project, id) in &found {
                let unit = Unit::new()
                    .with(retention::unconnected_account(project, id, before, self.core.now()))
                    .with(unread_answers::delete_of_account(project, id))
                    .with(self.core.audit(
                        &Actor::system(project),
                        "connected_account.delete",
                        id,
                        "never connected",
                        None,
                    ));
                match self.core.store.apply(unit).await {
                    Ok(_) => deleted += 1,
                    Err(WriteError::Refused(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            gone += deleted;
            if deleted == 0 || self.is_stopped_after(PAUSE).await {
                return Ok(gone);
            }
        }
    }

    /// Waits; true when the server is told to end meanwhile.
    async fn is_stopped_after(&self, pause: Duration) -> bool {
        self.core.stopping.run_until_cancelled(tokio::time::sleep(pause)).await.is_none()
    }
}

/// Sweeps until told to stop. A failure is logged; the next run goes on.
pub(in crate::app) async fn run(app: Arc<App>, stop: CancellationToken) {
    loop {
        match app.sweeps.delete_old_rows().await {
            Ok(0) => {}
            Ok(rows) => tracing::info!(rows, "what was over and past its time was deleted"),
            Err(error) => {
                tracing::error!(error = error.message(), cause = error.causes(), "deleting what is over failed");
            }
        }
        if stop.run_until_cancelled(tokio::time::sleep(INTERVAL)).await.is_none() {
            return;
        }
    }
}
