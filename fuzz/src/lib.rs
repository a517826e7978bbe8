//! What must hold of each parser, whatever it is given: functions that take one input and panic when
//! something does not hold.
//!
//! `targets/` hands them to the fuzzer. `crates/auth/tests/corpora.rs` and
//! `crates/catalog/tests/corpora.rs` include the same files and run them over the inputs in
//! `corpus/`, as ordinary tests.

pub mod callback;
pub mod shown;
pub mod tokens;
pub mod toolkit;
