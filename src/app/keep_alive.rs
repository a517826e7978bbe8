//! Keeping accounts alive: whatever is due to be refreshed is refreshed before its token ends,
//! whether or not anybody uses it, so that no caller waits for a provider and no refresh token ends
//! for want of use.
//!
//! The times are spread when they are set (`freshness.rs`). Here, few are refreshed at once, and fewer
//! of one toolkit, so that one slow provider keeps no other waiting; callers who need an account now do
//! not queue here. Several servers may do this on one database: a lease decides who refreshes.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::App;
use crate::error::Result;

/// Refreshes at once.
const AT_ONCE: usize = 64;
/// Of these, at one toolkit's provider.
const PER_TOOLKIT: usize = 24;
/// Accounts looked at in one go.
const PAGE: i64 = 256;
/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(1);

/// What is under way.
#[derive(Default)]
struct UnderWay {
    toolkits: HashMap<String, Arc<Semaphore>>,
    accounts: Arc<Mutex<HashSet<String>>>,
}

/// Refreshes what is due until told to stop.
pub async fn run(app: Arc<App>, stop: CancellationToken) {
    if !app.settings.keep_accounts_alive {
        return;
    }
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut under_way = UnderWay::default();
    loop {
        if let Err(error) = app.start_due_refreshes(&places, &mut under_way, &stop).await {
            tracing::error!(error = error.message(), cause = error.causes(), "accounts could not be looked up");
        }
        if stop.run_until_cancelled(tokio::time::sleep(INTERVAL)).await.is_none() {
            return;
        }
    }
}

impl App {
    async fn start_due_refreshes(
        self: &Arc<Self>,
        places: &Arc<Semaphore>,
        under_way: &mut UnderWay,
        stop: &CancellationToken,
    ) -> Result<()> {
        under_way.toolkits.retain(|_, turns| turns.available_permits() < PER_TOOLKIT);
        while !stop.is_cancelled() {
            let full = |turns: &Semaphore| turns.available_permits() == 0;
            let mut except: Vec<String> =
                under_way.toolkits.iter().filter(|(_, turns)| full(turns)).map(|(slug, _)| slug.clone()).collect();
            except.extend(self.breakers.closed(self.now()));
            let mut started = false;
            for account in self.store.due_accounts(self.now(), &except, PAGE).await? {
                let Some(toolkit) = self.toolkit(&account.toolkit) else { continue };
                if !lock(&under_way.accounts).insert(account.id.clone()) {
                    continue;
                }
                // Waiting for a place here is what bounds the whole.
                let Some(Ok(place)) = stop.run_until_cancelled(Arc::clone(places).acquire_owned()).await else {
                    return Ok(());
                };
                let turns = under_way.toolkits.entry(toolkit.slug.clone());
                let turns = turns.or_insert_with(|| Arc::new(Semaphore::new(PER_TOOLKIT)));
                let Ok(turn) = Arc::clone(turns).try_acquire_owned() else {
                    lock(&under_way.accounts).remove(&account.id);
                    continue;
                };
                started = true;
                let (app, accounts) = (Arc::clone(self), Arc::clone(&under_way.accounts));
                self.tasks.spawn(async move {
                    if let Err(error) = app.refresh_when_due(&account, &toolkit).await {
                        tracing::debug!(account.id = %account.id, error = error.message(), "not refreshed");
                    }
                    lock(&accounts).remove(&account.id);
                    drop((place, turn));
                });
            }
            if !started {
                return Ok(());
            }
        }
        Ok(())
    }
}

fn lock(accounts: &Mutex<HashSet<String>>) -> std::sync::MutexGuard<'_, HashSet<String>> {
    accounts.lock().unwrap_or_else(PoisonError::into_inner)
}
