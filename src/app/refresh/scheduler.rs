//! Keeping accounts alive: whatever is due to be refreshed is refreshed before its token ends,
//! whether or not anybody uses it, so that no caller waits for a provider and no refresh token ends
//! for want of use.
//!
//! The times are spread when they are set (`freshness.rs`). Here, few are refreshed at once, and fewer
//! of one toolkit, so that one slow provider keeps no other waiting; callers who need an account now do
//! not queue here. Several servers may do this on one database: a lease decides who refreshes.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use switchboard_catalog::Toolkit;
use switchboard_store::Unit;
use switchboard_store::accounts::{self, AccountRow};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use super::renewal::Renewal;
use crate::app::refresh::Refresher;
use crate::error::{Error, Result};
use crate::time::Millis;

/// Refreshes at once.
const AT_ONCE: usize = 256;
/// Of these, at one toolkit's provider.
const PER_TOOLKIT: usize = 64;
/// Accounts of one toolkit that are being refreshed or wait for their turn.
const QUEUE: usize = 256;
/// Accounts looked at in one go.
const PAGE: i64 = 512;
/// Before an account is looked at again that could not be refreshed for a reason of ours, in
/// milliseconds.
const PUT_OFF: Millis = 60_000;

/// Refreshes that are under way, by toolkit.
pub(in crate::app) struct UnderWay {
    places: Semaphore,
    lines: Mutex<Lines>,
    /// A line that was full has room again.
    room: Notify,
}

#[derive(Default)]
struct Lines {
    accounts: HashSet<String>,
    toolkits: HashMap<String, Line>,
}

/// The accounts of one toolkit.
struct Line {
    turns: Arc<Semaphore>,
    length: usize,
}

impl UnderWay {
    pub(in crate::app) fn new() -> Self {
        Self { places: Semaphore::new(AT_ONCE), lines: Mutex::default(), room: Notify::new() }
    }

    /// Resolves when a line that was full has room again.
    pub(in crate::app) async fn has_room(&self) {
        self.room.notified().await;
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Toolkits that nobody may join.
    fn full(&self) -> Vec<String> {
        let lines = self.lines();
        lines.toolkits.iter().filter(|(_, line)| line.length >= QUEUE).map(|(slug, _)| slug.clone()).collect()
    }

    /// The turns that an account now waits for, and its place in the line; none when it has one already,
    /// or the line is full.
    fn join(self: &Arc<Self>, account: &str, toolkit: &str) -> Option<(Arc<Semaphore>, PlaceInLine)> {
        let mut lines = self.lines();
        let Lines { accounts, toolkits } = &mut *lines;
        let line = toolkits
            .entry(toolkit.to_owned())
            .or_insert_with(|| Line { turns: Arc::new(Semaphore::new(PER_TOOLKIT)), length: 0 });
        if line.length >= QUEUE || !accounts.insert(account.to_owned()) {
            return None;
        }
        line.length += 1;
        let turns = Arc::clone(&line.turns);
        let place =
            PlaceInLine { under_way: Arc::clone(self), account: account.to_owned(), toolkit: toolkit.to_owned() };
        Some((turns, place))
    }

    fn leave(&self, account: &str, toolkit: &str) {
        let mut lines = self.lines();
        lines.accounts.remove(account);
        let Some(line) = lines.toolkits.get_mut(toolkit) else { return };
        line.length -= 1;
        match line.length {
            0 => drop(lines.toolkits.remove(toolkit)),
            // Not at each departure: a look costs a query.
            length if length == QUEUE / 2 => self.room.notify_one(),
            _ => {}
        }
    }
}

/// An account's place in the line of its toolkit. However its refresh ends, a panic included, the place
/// is free afterwards.
struct PlaceInLine {
    under_way: Arc<UnderWay>,
    account: String,
    toolkit: String,
}

impl Drop for PlaceInLine {
    fn drop(&mut self) {
        self.under_way.leave(&self.account, &self.toolkit);
    }
}

impl Refresher {
    /// Starts the refreshes that are due. Returns how many.
    pub(in crate::app) async fn start_due_refreshes(
        self: &Arc<Self>,
        under_way: &Arc<UnderWay>,
        stop: &CancellationToken,
    ) -> Result<usize> {
        // Each once: whatever goes wrong with one, others have their turn before it is tried again.
        let mut tried = HashSet::new();
        let mut unknown = HashSet::new();
        loop {
            let mut except = under_way.full();
            except.extend(self.breakers.open_toolkits(self.core.now()));
            except.extend(unknown.iter().cloned());
            let mut goes_on = false;
            for account in self.core.store.due_accounts(self.core.now(), &except, PAGE).await? {
                let Some(toolkit) = self.core.toolkit(&account.toolkit) else {
                    // Another server on this database may have its file.
                    goes_on |= unknown.insert(account.toolkit);
                    continue;
                };
                if tried.contains(&account.id) {
                    continue;
                }
                let Some((turns, place)) = under_way.join(&account.id, &account.toolkit) else { continue };
                tried.insert(account.id.clone());
                goes_on = true;
                let (refresher, under_way, stop) = (Arc::clone(self), Arc::clone(under_way), stop.clone());
                self.core.tasks.spawn(async move {
                    // Whoever still waits when the service stops is due the next time, too.
                    stop.run_until_cancelled(refresher.refresh_in_line(&account, &toolkit, &turns, &under_way.places))
                        .await;
                    drop(place);
                });
            }
            if !goes_on || stop.is_cancelled() {
                return Ok(tried.len());
            }
        }
    }

    async fn refresh_in_line(
        self: &Arc<Self>,
        account: &AccountRow,
        toolkit: &Arc<Toolkit>,
        turns: &Semaphore,
        places: &Semaphore,
    ) {
        // Neither is ever closed.
        let (Ok(_turn), Ok(_place)) = (turns.acquire().await, places.acquire().await) else { return };
        match self.refresh_when_due(account, toolkit).await {
            Ok(true) => return,
            Ok(false) => {}
            Err(error) => tracing::debug!(account.id = %account.id, error = error.message(), "not refreshed"),
        }
        if let Err(error) = self.put_off(account, toolkit).await {
            tracing::warn!(account.id = %account.id, error = error.message(), "an account that is due could not be put off");
        }
    }

    /// An account that got nothing, and of which nothing else says when to try again, does not stand
    /// in front of the others.
    async fn put_off(&self, account: &AccountRow, toolkit: &Toolkit) -> Result<()> {
        let now = self.core.now();
        let scheme = account.scheme.parse().map_err(Error::internal)?;
        let can_renew = match Renewal::of(toolkit, scheme) {
            // One that cannot be opened may be opened by another server.
            Some(renewal) => {
                self.credentials.open_credential(account).map_or(true, |secrets| renewal.is_possible(&secrets))
            }
            None => false,
        };
        let due_at = can_renew.then(|| now + self.provider_pause(account).unwrap_or(PUT_OFF));
        let (project, id, version) = (&account.project_id, &account.id, account.credential_version);
        let put_off = accounts::reschedule_refresh(project, id, version, due_at, now);
        self.core.store.apply(Unit::new().with(put_off)).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_refresh_that_panics_leaves_its_place_to_the_next() {
        let under_way = Arc::new(UnderWay::new());
        for _ in 0..2 {
            let (_, place) = under_way.join("ca_1", "tk").unwrap();
            assert!(under_way.join("ca_1", "tk").is_none(), "it is under way");
            let task = tokio::spawn(async move {
                let _place = place;
                panic!("in a refresh");
            });
            assert!(task.await.unwrap_err().is_panic());
            assert!(under_way.lines().accounts.is_empty() && under_way.lines().toolkits.is_empty());
        }
    }
}
