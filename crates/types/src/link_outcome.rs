//! How a link ended.

use crate::words::words;

words! {
    /// How a link ended.
    LinkOutcome {
        /// The account was connected through it.
        Success "success";
        /// It ended without a connection.
        Failed "failed";
        /// It was not used in time.
        Expired "expired";
        /// The person who opened it had not requested it.
        Rejected "rejected";
        /// A newer link of the account took its place.
        Replaced "replaced";
        /// Its account was deleted.
        Deleted "deleted";
    }
}
