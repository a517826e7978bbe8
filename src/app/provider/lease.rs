//! The lease of an account: one holder at a time refreshes or revokes its credential.

use std::time::Duration;

use switchboard_store::accounts::AccountRow;

use super::request::TOKEN_TIMEOUT;
use super::tokens::INTROSPECTION_TIMEOUT;
use crate::error::{Code, Error};
use crate::time::{Millis, millis};

/// A lease outlives what it protects, with a moment for the database. It also outlives a process that
/// dies, and then the old token has to be tried again while the provider still takes it: where there
/// is a grace period, it is seldom shorter than thirty seconds (R37).
pub(in crate::app) const LEASE: Duration =
    Duration::from_secs(PREPARATION.as_secs() + TOKEN_TIMEOUT.as_secs() + INTROSPECTION_TIMEOUT.as_secs() + 2);
/// How long it may take to learn where tokens are had, before a token is asked for.
pub(in crate::app) const PREPARATION: Duration = Duration::from_secs(5);
const _: () = assert!(LEASE.as_secs() <= 25, "a grace period of thirty seconds would be over");

/// Another holder is refreshing; the same rule for clocks.
pub(in crate::app) fn is_leased(account: &AccountRow, now: Millis) -> bool {
    account.refresh_lease_until.is_some_and(|until| now < until && until <= now + millis(LEASE))
}

/// Somebody refreshes it at this moment, or the database takes no writes.
pub(in crate::app) fn still_refreshing() -> Error {
    Error::new(Code::CredentialStoreUnavailable, "The account's credential is still being refreshed")
}
