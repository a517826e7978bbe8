//! The input is a toolkit file.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| switchboard_fuzz::toolkit::file(text));
