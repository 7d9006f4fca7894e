//! Bad input, and hostile functions of the caller's: the matrix of `bad_input.c`, with every
//! compiler of this machine, plainly and under sanitizers. `scripts/asan.sh` has the library
//! instrumented as well.

#![cfg(unix)]

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use toolchain::{ADDRESS_SANITIZER, Build, c_compilers, finish, manifest, scratch, works};

#[expect(dead_code, reason = "one language, one way to link")]
mod toolchain;

/// What the library takes to build, from nothing.
const BUILD_MAX: Duration = Duration::from_secs(600);
/// What the program takes at most; alone it needs a few seconds.
const RUN_MAX: Duration = Duration::from_secs(180);

#[test]
fn every_function_withstands_every_class_of_bad_input() {
    let (library, functions) = (panicking_library(), functions());
    for compiler in c_compilers() {
        for sanitizer in [&[][..], &ADDRESS_SANITIZER] {
            if !works(compiler, sanitizer) {
                continue;
            }
            let build = Build::of(&[manifest("tests/bad_input.c")]).by(compiler).like("c99");
            let program = build.with(sanitizer).against(library.clone()).program();
            let mut command = program.command();
            // What panics on purpose says so on standard error; a trace of each takes long.
            command.args(&functions).env("RUST_BACKTRACE", "0");
            let out = finish(&mut command, RUN_MAX).success();
            let counts = out.lines().last().unwrap_or_default();
            println!("{compiler} {}: {counts}", sanitizer.join(" "));
            assert!(
                counts.starts_with("cells ") && counts.contains(" 0 missing, 0 failed"),
                "{out}"
            );
        }
    }
}

/// A function of the header that has no row is told.
#[test]
fn a_function_without_a_row_fails() {
    let build = Build::of(&[manifest("tests/bad_input.c")]).like("c99");
    let program = build.against(panicking_library()).program();
    let mut command = program.command();
    command.args(functions()).arg("allot_new_one").env("RUST_BACKTRACE", "0");
    let end = finish(&mut command, RUN_MAX);
    assert_eq!(end.status.code(), Some(1), "{end}");
    assert!(end.out.contains("missing: allot_new_one has no row"), "{end}");
}

/// The library with functions that panic, in a folder of its own: the usual one has none.
fn panicking_library() -> PathBuf {
    let target = scratch("panicking");
    let mut command = Command::new(env!("CARGO"));
    command.args(["build", "--quiet", "--package", "allotment-ffi", "--features", "panicking"]);
    command.arg("--target-dir").arg(&target).current_dir(manifest(".."));
    finish(&mut command, BUILD_MAX).success();
    target.join("debug/liballot.a")
}

/// The functions that the header declares: each has its name before the first parenthesis.
fn functions() -> Vec<String> {
    let header = std::fs::read_to_string(manifest("../include/allot.h")).unwrap();
    let declared = header.split_once("extern \"C\" {").expect("functions").1;
    let lines = declared.lines().filter(|line| !line.starts_with("//") && !line.starts_with(' '));
    let names = lines.filter_map(|line| {
        let name = line.split_once('(')?.0.rsplit([' ', '*']).next()?;
        name.starts_with("allot_").then(|| name.to_string())
    });
    let names: Vec<String> = names.collect();
    assert!(names.len() > 60, "{names:?}");
    names
}
