//! The input is the body of a token endpoint's response with a status from 400 to 599.
#![no_main]

libfuzzer_sys::fuzz_target!(|body: &[u8]| switchboard_fuzz::tokens::error(body));
