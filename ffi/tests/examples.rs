//! The examples of `bindings/c`, compiled as each C and C++ they promise to be, and run.

#![cfg(unix)]

mod toolchain;

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use toolchain::{
    ADDRESS_SANITIZER, Build, Link, c_compilers, cpp_compilers, finish, manifest, present, works,
};

/// What an example may take, under valgrind with a library that was built to be debugged.
const RUN_MAX: Duration = Duration::from_secs(60);
const EXAMPLES: [&str; 1] = ["hello"];

fn examples() -> Vec<PathBuf> {
    EXAMPLES.iter().map(|name| manifest(&format!("../bindings/c/{name}.c"))).collect()
}

#[test]
fn examples_run_in_every_language_they_promise() {
    for example in examples() {
        for standard in ["c99", "c11", "c++17"] {
            let compilers = if standard == "c++17" { cpp_compilers() } else { c_compilers() };
            for compiler in compilers {
                let build = Build::of(&[&example]).by(compiler).like(standard);
                build.check();
                for link in [Link::Static, Link::Shared] {
                    let program = build.clone().linked(link).program();
                    finish(&mut program.command(), RUN_MAX).success();
                }
            }
        }
    }
}

#[test]
fn examples_touch_and_lose_nothing_that_is_not_theirs() {
    for compiler in c_compilers() {
        if !works(compiler, &ADDRESS_SANITIZER) {
            continue;
        }
        for example in examples() {
            let build = Build::of(&[&example]).by(compiler).with(&ADDRESS_SANITIZER);
            finish(&mut build.program().command(), RUN_MAX).success();
        }
    }
    for _ in present(&["valgrind"]) {
        for example in examples() {
            let program = Build::of(&[&example]).with(&["-g"]).program();
            let valgrind: &mut Command = &mut program.under(&["valgrind", "--error-exitcode=9"]);
            finish(valgrind, RUN_MAX).success();
        }
    }
}
