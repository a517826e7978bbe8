//! Using a connected account: one call to its provider with its credential, the answer as the caller gets it, and
//! the one retry after a 401.

mod answer;
pub mod proxy;
mod retry_unauthorized;
