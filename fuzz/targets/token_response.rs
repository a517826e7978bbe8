//! The input is the body of a token endpoint's response with status 200.
#![no_main]

libfuzzer_sys::fuzz_target!(|body: &[u8]| switchboard_fuzz::tokens::response(body));
