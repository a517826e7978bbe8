//! Locks of accounts and auth configs within this process, held during refreshes, revocations and choices.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// One lock per account or auth config.
#[derive(Debug, Default)]
pub struct AccountLocks(Mutex<LockTable>);

#[derive(Debug, Default)]
struct LockTable {
    by_account: HashMap<String, Arc<tokio::sync::Mutex<()>>>,
    /// How many locks there may be before unused ones are removed.
    next_cleanup: usize,
}

impl AccountLocks {
    /// The lock of one account or auth config.
    pub(in crate::app) fn for_account(&self, account: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Unused locks are removed here lazily instead of on drop. The threshold doubles with the locks in use,
        // so the amortised cost stays small.
        if locks.by_account.len() >= locks.next_cleanup.max(256) {
            locks.by_account.retain(|_, lock| Arc::strong_count(lock) > 1);
            locks.next_cleanup = locks.by_account.len() * 2;
        }
        Arc::clone(locks.by_account.entry(account.to_owned()).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unused_locks_are_removed_occasionally() {
        let account_locks = AccountLocks::default();
        let held: Vec<_> = (0..1_000).map(|number| account_locks.for_account(&format!("held {number}"))).collect();
        for number in 0..10_000 {
            account_locks.for_account(&format!("dropped {number}"));
        }
        let locks = account_locks.0.lock().unwrap();
        assert!(locks.by_account.len() <= 2_001, "{}", locks.by_account.len());
        assert!(locks.next_cleanup >= 2 * held.len(), "unused locks are not searched for at each call");
    }
}
