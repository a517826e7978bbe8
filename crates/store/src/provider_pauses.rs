//! Pauses that providers have asked for, so that a restart keeps them.

use switchboard_types::Timestamp;

use crate::{ReadError, Statement, Store, Unit};

/// A pause.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProviderPause {
    /// `ca_…`, or the toolkit of calls without an account.
    pub account: String,
    /// The provider's host.
    pub host: String,
    /// Until when it makes no calls there.
    pub until: Timestamp,
}

/// Stores a pause. A longer one that is stored stays.
pub fn put(account: &str, host: &str, until: Timestamp) -> Statement {
    Statement::any(
        "INSERT INTO provider_pauses (account, host, until_at) VALUES ($1, $2, $3)
         ON CONFLICT (account, host) DO UPDATE SET until_at = MAX(until_at, excluded.until_at)",
        vec![account.into(), host.into(), until.into()],
    )
}

/// Deletes pauses that ended before a time.
pub fn delete_ended(before: Timestamp) -> Unit {
    Unit::new().with(Statement::any("DELETE FROM provider_pauses WHERE until_at < $1", vec![before.into()]))
}

impl Store {
    /// The pauses that have not ended, at most 10,000, the longest first.
    pub async fn provider_pauses(&self, now: Timestamp) -> Result<Vec<ProviderPause>, ReadError> {
        let sql = "SELECT account, host, until_at FROM provider_pauses WHERE until_at > $1 ORDER BY until_at DESC LIMIT 10000";
        let read = |row: &crate::Row<'_>| {
            Ok(ProviderPause { account: row.text(0)?, host: row.text(1)?, until: row.timestamp(2)? })
        };
        self.list("", sql, vec![now.into()], read).await
    }
}
