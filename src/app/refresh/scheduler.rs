//! The refresh scheduler: refreshes due accounts before their token expires, whether or not they are in
//! use. No caller has to wait for a provider, and no refresh token expires for lack of use.
//!
//! Due times are spread when they are set (`freshness.rs`). Concurrency is limited in total and per
//! toolkit, so that one slow provider does not block the others. Callers that need an account now do
//! not queue here. Several servers may run this on one database: a lease decides which one refreshes.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use switchboard_catalog::Toolkit;
use switchboard_store::Unit;
use switchboard_store::accounts::AccountRow;
use switchboard_types::AccountId;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use super::renewal::Renewal;
use crate::app::refresh::Refresher;
use crate::error::Result;

/// Maximum concurrent refreshes.
const MAX_CONCURRENT: usize = 256;
/// Maximum concurrent refreshes at one toolkit's provider.
const MAX_CONCURRENT_PER_TOOLKIT: usize = 64;
/// Maximum accounts of one toolkit that are being refreshed or queued.
const MAX_QUEUED_PER_TOOLKIT: usize = 256;
/// Accounts read at a time.
const PAGE: i64 = 512;
/// Delay before an account is tried again that failed for an internal reason, in milliseconds.
const RESCHEDULE_DELAY: Duration = Duration::from_mins(1);

/// Refreshes that are queued or running, by toolkit.
pub(in crate::app) struct RefreshQueue {
    permits: Semaphore,
    state: Mutex<QueueState>,
    /// Notified when a full queue has capacity again.
    capacity: Notify,
}

#[derive(Default)]
struct QueueState {
    accounts: HashSet<AccountId>,
    toolkits: HashMap<String, ToolkitQueue>,
}

/// The queue of one toolkit.
struct ToolkitQueue {
    toolkit_permits: Arc<Semaphore>,
    length: usize,
}

impl RefreshQueue {
    pub(in crate::app) fn new() -> Self {
        Self { permits: Semaphore::new(MAX_CONCURRENT), state: Mutex::default(), capacity: Notify::new() }
    }

    /// Resolves when a full queue has capacity again.
    pub(in crate::app) async fn has_capacity(&self) {
        self.capacity.notified().await;
    }

    fn state(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Toolkits whose queue is full.
    fn full_toolkits(&self) -> Vec<String> {
        let state = self.state();
        state
            .toolkits
            .iter()
            .filter(|(_, line)| line.length >= MAX_QUEUED_PER_TOOLKIT)
            .map(|(slug, _)| slug.clone())
            .collect()
    }

    /// Queues an account. Returns the toolkit's semaphore and a slot; none when the account is already
    /// queued, or the queue is full.
    fn enqueue(self: &Arc<Self>, account: &AccountId, toolkit: &str) -> Option<(Arc<Semaphore>, QueueSlot)> {
        let mut state = self.state();
        let QueueState { accounts, toolkits } = &mut *state;
        let line = toolkits.entry(toolkit.to_owned()).or_insert_with(|| ToolkitQueue {
            toolkit_permits: Arc::new(Semaphore::new(MAX_CONCURRENT_PER_TOOLKIT)),
            length: 0,
        });
        if line.length >= MAX_QUEUED_PER_TOOLKIT || !accounts.insert(account.clone()) {
            return None;
        }
        line.length += 1;
        let toolkit_permits = Arc::clone(&line.toolkit_permits);
        let slot = QueueSlot { queue: Arc::clone(self), account: account.clone(), toolkit: toolkit.to_owned() };
        Some((toolkit_permits, slot))
    }

    fn dequeue(&self, account: &AccountId, toolkit: &str) {
        let mut state = self.state();
        state.accounts.remove(account);
        let Some(line) = state.toolkits.get_mut(toolkit) else { return };
        line.length -= 1;
        match line.length {
            0 => drop(state.toolkits.remove(toolkit)),
            // Not on every dequeue: each scan costs a query.
            length if length == MAX_QUEUED_PER_TOOLKIT / 2 => self.capacity.notify_one(),
            _ => {}
        }
    }
}

/// An account's slot in the queue of its toolkit, freed on drop, also after a panic.
struct QueueSlot {
    queue: Arc<RefreshQueue>,
    account: AccountId,
    toolkit: String,
}

impl Drop for QueueSlot {
    fn drop(&mut self) {
        self.queue.dequeue(&self.account, &self.toolkit);
    }
}

impl Refresher {
    /// Starts the refreshes that are due. Returns how many.
    pub(in crate::app) async fn start_due_refreshes(
        self: &Arc<Self>,
        queue: &Arc<RefreshQueue>,
        stop: &CancellationToken,
    ) -> Result<usize> {
        // Each account once per scan: the others have their turn before a failed one is retried.
        let mut tried = HashSet::new();
        let mut unknown = HashSet::new();
        loop {
            let mut except = queue.full_toolkits();
            except.extend(self.breakers.open_toolkits(self.core.now()));
            except.extend(unknown.iter().cloned());
            let mut continues = false;
            for account in self.core.store.due_accounts(self.core.now(), &except, PAGE).await? {
                let Some(toolkit) = self.core.toolkit(&account.toolkit) else {
                    // Another server on this database may have the toolkit.
                    continues |= unknown.insert(account.toolkit);
                    continue;
                };
                if tried.contains(&account.id) {
                    continue;
                }
                let Some((toolkit_permits, slot)) = queue.enqueue(&account.id, &account.toolkit) else { continue };
                tried.insert(account.id.clone());
                continues = true;
                let (refresher, queue, stop) = (Arc::clone(self), Arc::clone(queue), stop.clone());
                self.core.tasks.spawn(async move {
                    // Accounts still queued at shutdown stay due.
                    stop.run_until_cancelled(refresher.refresh_queued(
                        &account,
                        &toolkit,
                        &toolkit_permits,
                        &queue.permits,
                    ))
                    .await;
                    drop(slot);
                });
            }
            if !continues || stop.is_cancelled() {
                return Ok(tried.len());
            }
        }
    }

    async fn refresh_queued(
        self: &Arc<Self>,
        account: &AccountRow,
        toolkit: &Arc<Toolkit>,
        toolkit_permits: &Semaphore,
        permits: &Semaphore,
    ) {
        // Neither is ever closed.
        let (Ok(_toolkit_permit), Ok(_slot)) = (toolkit_permits.acquire().await, permits.acquire().await) else {
            return;
        };
        match self.refresh_when_due(account, toolkit).await {
            Ok(true) => return,
            Ok(false) => {}
            Err(error) => tracing::debug!(account.id = %account.id, error = error.message(), "not refreshed"),
        }
        if let Err(error) = self.reschedule(account, toolkit).await {
            tracing::warn!(account.id = %account.id, error = error.message(), "due account could not be rescheduled");
        }
    }

    /// Postpones an account that got no credential and has no retry time of its own, so that it does
    /// not block the others.
    async fn reschedule(&self, account: &AccountRow, toolkit: &Toolkit) -> Result<()> {
        let now = self.core.now();
        let scheme = account.scheme;
        let can_renew = match Renewal::of(toolkit, scheme) {
            // A credential that this server cannot open may be opened by another.
            Some(renewal) => {
                self.credentials.open_credential(account).map_or(true, |secrets| renewal.is_possible(&secrets))
            }
            None => false,
        };
        let due_at = can_renew.then(|| now + self.provider_pause(account).unwrap_or(RESCHEDULE_DELAY));
        self.core.store.apply(Unit::new().with(account.reschedule_refresh(due_at, now))).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_refresh_that_panics_frees_its_slot() {
        let queue = Arc::new(RefreshQueue::new());
        for _ in 0..2 {
            let (_, slot) = queue.enqueue(&"ca_1".into(), "tk").unwrap();
            assert!(queue.enqueue(&"ca_1".into(), "tk").is_none(), "already queued");
            let task = tokio::spawn(async move {
                let _slot = slot;
                panic!("in a refresh");
            });
            assert!(task.await.unwrap_err().is_panic());
            assert!(queue.state().accounts.is_empty() && queue.state().toolkits.is_empty());
        }
    }
}
