//! The lease of an account: one holder at a time refreshes or revokes its credential.

use std::time::Duration;

use switchboard_store::accounts::AccountRow;
use switchboard_types::Timestamp;

use super::request::TOKEN_TIMEOUT;
use super::tokens::INTROSPECTION_TIMEOUT;
use crate::error::{Code, Error};

/// A lease outlasts the requests that it protects, plus time for the database. It also outlasts a crashed
/// process. Then the old token must be tried again while the provider still accepts it; grace periods are
/// rarely shorter than thirty seconds (R37).
pub(in crate::app) const LEASE: Duration =
    Duration::from_secs(PREPARATION.as_secs() + TOKEN_TIMEOUT.as_secs() + INTROSPECTION_TIMEOUT.as_secs() + 2);
/// Timeout for discovering the token endpoint before a token is requested.
pub(in crate::app) const PREPARATION: Duration = Duration::from_secs(5);
const _: () = assert!(LEASE.as_secs() <= 25, "a grace period of thirty seconds would be over");

/// Whether another holder has a valid lease. A lease that is too long means that the clock was set back.
pub(in crate::app) fn is_leased(account: &AccountRow, now: Timestamp) -> bool {
    account.refresh_lease_until.is_some_and(|until| now < until && until <= now + LEASE)
}

/// The account is being refreshed now, or the database accepts no writes.
pub(in crate::app) fn still_refreshing() -> Error {
    Error::new(Code::CredentialStoreUnavailable, "The account's credential is still being refreshed")
}
