//! The input is the query of a callback.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| switchboard_fuzz::callback::query(text));
