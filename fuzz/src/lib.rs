//! Properties of each parser for any input: functions that take one input and panic if a property is
//! violated.
//!
//! `targets/` passes them to the fuzzer. `crates/auth/tests/corpora.rs` and `crates/catalog/tests/corpora.rs`
//! include the same files and run them over the inputs in `corpus/` as ordinary tests.

pub mod callback;
pub mod shown;
pub mod tokens;
pub mod toolkit;
