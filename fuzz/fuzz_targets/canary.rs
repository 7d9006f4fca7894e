//! A planted bug, which has to be found: without it a run that finds nothing would mean nothing.
//!
//! Four bytes are compared one after the other. Blind chance passes all once in 2^32 times; who is
//! led by coverage keeps each input that went around the loop once more.

#![no_main]

use libfuzzer_sys::fuzz_target;

/// What leads to the bug.
const PASSWORD: &[u8; 4] = b"over";

fuzz_target!(|bytes: &[u8]| {
    for (at, letter) in PASSWORD.iter().enumerate() {
        if bytes.get(at) != Some(letter) {
            return;
        }
    }
    panic!("the planted bug");
});
