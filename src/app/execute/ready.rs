//! What requests of an account need, ready to be used: its credential, opened, and what follows from it and from the
//! toolkit file. It is remembered for a few seconds, because calls of one account often follow each other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::HeaderMap;
use switchboard_auth::Redactor;
use switchboard_catalog::{Scheme, Toolkit};
use switchboard_egress::Destination;
use switchboard_store::accounts::AccountRow;
use switchboard_types::{AccountId, AccountParams};
use switchboard_vault::Secrets;
use url::Url;

/// How long an opened credential is used from memory. The job that wipes it runs every second, so that none is
/// remembered for more than five seconds.
const LIFETIME: Duration = Duration::from_secs(3);
/// Maximum number of remembered accounts. If there are more, all are forgotten.
const CAPACITY: usize = 1_024;

/// An account, or no account, ready for requests of one toolkit.
pub(super) struct Ready {
    /// None for a toolkit that needs no credential.
    pub account: Option<Arc<AccountRow>>,
    pub toolkit: Arc<Toolkit>,
    pub scheme: Scheme,
    pub secrets: Secrets,
    pub params: AccountParams,
    /// The hosts that may be called, and the paths on the base URL's host.
    pub destination: Destination,
    pub base_url: Url,
    /// The toolkit's own headers.
    pub headers: HeaderMap,
    /// Finds the secrets in answers.
    pub redactor: Redactor,
}

/// Accounts that were used lately.
///
/// An entry belongs to one row in memory, the one that sessions resolve: as soon as anything of the account was changed
/// by any process, they resolve another one ([`switchboard_store::Versioned`]), and the entry is of no use.
#[derive(Default)]
pub(super) struct ReadyAccounts(Mutex<HashMap<AccountId, (Instant, Arc<Ready>)>>);

impl ReadyAccounts {
    /// The account, if it was made ready from this row and toolkit lately.
    pub(super) fn get(&self, account: &Arc<AccountRow>, toolkit: &Arc<Toolkit>) -> Option<Arc<Ready>> {
        let entries = self.lock();
        let (made_at, ready) = entries.get(&account.id)?;
        let is_of = |row: &Arc<AccountRow>| Arc::ptr_eq(row, account);
        let is_current = made_at.elapsed() < LIFETIME
            && ready.account.as_ref().is_some_and(is_of)
            && Arc::ptr_eq(&ready.toolkit, toolkit);
        is_current.then(|| Arc::clone(ready))
    }

    /// Remembers an account.
    pub(super) fn put(&self, account: &AccountRow, ready: &Arc<Ready>) {
        let mut entries = self.lock();
        // Wiped after the lock is released.
        let full = (entries.len() >= CAPACITY).then(|| std::mem::take(&mut *entries));
        entries.insert(account.id.clone(), (Instant::now(), Arc::clone(ready)));
        drop(entries);
        drop(full);
    }

    /// Wipes the credentials that were remembered for long enough. Returns their number.
    pub(super) fn forget_old(&self) -> usize {
        let mut entries = self.lock();
        let before = entries.len();
        entries.retain(|_, (made_at, _)| made_at.elapsed() < LIFETIME);
        before - entries.len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<AccountId, (Instant, Arc<Ready>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Redacts the secrets of an account in answers: the fields that the toolkit file declares as secret.
pub(super) fn redactor(toolkit: &Toolkit, scheme: Scheme, secrets: &Secrets) -> Redactor {
    let redactor = Redactor::new(secrets, |name| toolkit.is_secret(scheme, name));
    match (&toolkit.basic, secrets.get("username")) {
        (Some(basic), Some(_)) if scheme == Scheme::Basic => {
            // The username as it is sent. One that cannot be sent is found when the request is built.
            let username = switchboard_auth::basic_username(basic, secrets).unwrap_or_default();
            redactor.with_basic(username.expose(), secrets.get("password").unwrap_or_default())
        }
        _ => redactor,
    }
}

crate::redacted_debug!(Ready, ReadyAccounts);
