//! From a link to an ACTIVE account, and what stands in the way.

mod providers;
