//! Deletes files whose time is over: first the bytes, then the row.

use std::time::Duration;

use switchboard_store::{Refusal, Unit, WriteError, files};

use super::Files;
use crate::error::Result;

/// Files per round.
const BATCH: i64 = 100;
/// When bytes are tried again that could not be deleted.
const RETRY: Duration = Duration::from_hours(1);

impl Files {
    /// Deletes files whose time is over. Returns their number. What is left after a round is for the next one.
    pub async fn delete_expired(&self) -> Result<usize> {
        let mut deleted = 0;
        loop {
            let now = self.core.now();
            let expired = self.core.store.expired_files(now, BATCH).await?;
            let is_last = expired.len() < usize::try_from(BATCH).unwrap_or(usize::MAX);
            for file in expired {
                // From here on, bytes that are still arriving are refused.
                match self.core.store.apply(Unit::new().with(files::expire(&file.id, now))).await {
                    Ok(_) => {}
                    // Its bytes came in the meantime, and it has another time now.
                    Err(WriteError::Refused(Refusal::FileNotExpired)) => continue,
                    Err(error) => return Err(error.into()),
                }
                let removed = match &file.object {
                    Some(object) => self.objects.delete(object).await,
                    None => Ok(()),
                };
                let end = match removed {
                    Ok(()) => files::remove(&file.id),
                    Err(error) => {
                        tracing::warn!(file.id = %file.id, error = %error, "the bytes of a file could not be deleted; it is tried again");
                        files::retry_at(&file.id, now + RETRY)
                    }
                };
                self.core.store.apply(Unit::new().with(end)).await?;
                deleted += 1;
            }
            if is_last || self.core.stopping.is_cancelled() {
                return Ok(deleted);
            }
        }
    }
}
