//! Threads in C that call everything at random, and a ledger that says what has to be held in the
//! end: `threads.c`, for a moment. `scripts/tsan.sh` runs it for longer.

#![cfg(unix)]

#[expect(dead_code, reason = "no C++, no sanitizer, no tool here")]
mod toolchain;

use std::time::Duration;
use toolchain::{Build, finish, manifest};

/// How long the threads run, in seconds.
const SECONDS: &str = "2";
/// What that may take on a machine that does much else; the program waits at most 20 s for each
/// thing that has to come to rest.
const WITHIN: Duration = Duration::from_secs(120);

#[test]
fn what_threads_hold_adds_up() {
    let flags = ["-pthread", "-O1", "-g"];
    let program = Build::of(&[manifest("tests/threads.c")]).like("c99").with(&flags).program();
    let told = finish(program.command().arg(SECONDS), WITHIN).success();
    assert!(told.contains("all adds up"), "{told}");
    println!("{told}");
}
