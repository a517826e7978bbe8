//! From a link to an ACTIVE account, and what stands in the way.

mod attempts;
mod browsers;
mod callbacks;
pub mod choices;
pub mod device;
mod discovery;
mod endings;
mod exchange;
pub mod flow;
mod further;
mod identity;
mod keys;
mod links;
mod nonsense;
mod pages;
mod possession;
mod providers;
mod quirks;
mod reach;
mod redirects;
mod refusals;
mod registration;
mod revocation;
mod scanners;
mod schemes;
mod unwanted;
mod verification;
