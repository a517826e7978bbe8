//! The provider's state machine: pure data and transitions without HTTP, clock or randomness. Times are
//! milliseconds since the Unix epoch. Tokens are stored as hashes.

mod data;
mod grants;
mod logins;
mod notes;
mod prune;

pub(crate) use data::{NewCode, Note, State};
pub(crate) use grants::{CodeProof, FreshTokens, GrantError, Issued};
pub(crate) use logins::LOGIN_LIFETIME_SECONDS;
pub(crate) use notes::MAX_NOTES_PER_USER;
