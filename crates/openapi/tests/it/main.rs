//! Imports of documents: small ones with one fault each, random ones, and those of real providers.

#![expect(clippy::unwrap_used, reason = "tests panic")]
#![expect(clippy::needless_pass_by_value, reason = "documents of tests are written in place")]
#![expect(clippy::format_collect, reason = "in tests, short is better than fast")]

mod complaints;
mod documents;
mod later;
mod limits;
mod places;
mod profile;
mod support;
