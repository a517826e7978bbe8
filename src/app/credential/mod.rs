//! Credentials at rest: where secrets are sealed and opened, the OAuth client of an auth config, the hosts that a
//! secret may be sent to, and what is kept beside the first token.

pub mod client;
pub(in crate::app) mod further_tokens;
pub mod reseal;
pub mod seals;
pub(in crate::app) mod secret_addresses;
pub mod unread;
