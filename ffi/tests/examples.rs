//! The examples of `bindings/c` and the C of the guides, compiled as every C and C++ they promise
//! to be, and run; the header alone; and what the library gives away.

#![cfg(unix)]

#[expect(dead_code, reason = "functions alone are asked for here")]
mod header;
#[expect(dead_code, reason = "the library of the running test is the one that is meant")]
mod toolchain;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use toolchain::{
    ADDRESS_SANITIZER, Build, Link, c_compilers, cpp_compilers, finish, library, manifest, present,
    scratch, works,
};

/// What a program may take on a machine that does much else: by itself it takes a second.
const RUN_MAX: Duration = Duration::from_secs(60);
/// Valgrind is slow, and keeps books of its own in the same process: little capacity, much margin.
const EXAMPLES: [Example; 2] = [
    Example { name: "hello", under_valgrind: &[] },
    Example { name: "kv_cache", under_valgrind: &["8", "1000"] },
];

struct Example {
    name: &'static str,
    under_valgrind: &'static [&'static str],
}

impl Example {
    fn build(&self) -> Build {
        let source = manifest(&format!("../bindings/c/{}.c", self.name));
        Build::of(&[source]).with(&["-pthread"])
    }
}

/// Those that know a standard, by its language.
fn compilers(standard: &str) -> Vec<&'static str> {
    if standard.contains("++") { cpp_compilers() } else { c_compilers() }
}

#[test]
fn examples_run_as_c99_c11_and_cpp17_with_both_libraries() {
    for standard in ["c99", "c11", "c++17"] {
        for compiler in compilers(standard) {
            for example in EXAMPLES {
                for link in [Link::Static, Link::Shared] {
                    let program = example.build().by(compiler).like(standard).linked(link);
                    finish(&mut program.program().command(), RUN_MAX).success();
                }
            }
        }
    }
}

#[test]
fn the_header_stands_alone_and_may_be_included_twice() {
    let source = scratch("twice.c");
    std::fs::write(&source, "#include <allot.h>\n#include <allot.h>\n").unwrap();
    for standard in ["c99", "c11", "c17", "c++11", "c++14", "c++17", "c++20"] {
        for compiler in compilers(standard) {
            Build::of(&[&source]).by(compiler).like(standard).check();
        }
    }
}

#[test]
fn examples_lose_nothing_and_touch_nothing_by_address_sanitizer() {
    let leaks = if cfg!(target_os = "linux") { "detect_leaks=1" } else { "" };
    for compiler in c_compilers() {
        if !works(compiler, &ADDRESS_SANITIZER) {
            continue;
        }
        for example in EXAMPLES {
            let program = example.build().by(compiler).with(&ADDRESS_SANITIZER).program();
            finish(program.command().env("ASAN_OPTIONS", leaks), RUN_MAX).success();
        }
    }
}

#[test]
fn examples_lose_nothing_and_touch_nothing_by_valgrind() {
    const VALGRIND: [&str; 5] = [
        "valgrind",
        "--quiet",
        "--error-exitcode=9",
        "--leak-check=full",
        "--errors-for-leak-kinds=definite",
    ];
    if present(&VALGRIND[..1]).is_empty() {
        return;
    }
    for example in EXAMPLES {
        let program = example.build().with(&["-g"]).program();
        finish(program.under(&VALGRIND).args(example.under_valgrind), RUN_MAX).success();
    }
}

#[test]
fn the_library_exports_what_the_header_declares_and_nothing_else() {
    let declared = header::functions(&header::text());
    let declared: BTreeSet<String> = declared.into_iter().map(|function| function.name).collect();
    assert!(declared.len() > 60, "{} functions were found in the header", declared.len());
    if present(&["nm"]).is_empty() {
        return;
    }
    let mac = cfg!(target_os = "macos");
    let flags: &[&str] = if mac { &["-gU"] } else { &["-D", "--defined-only"] };
    let mut nm = Command::new("nm");
    let listed = finish(nm.args(flags).arg(library(Link::Shared)), RUN_MAX).success();
    let names = listed.lines().filter_map(|line| line.split_whitespace().last());
    let names = names.map(|name| if mac { name.trim_start_matches('_') } else { name });
    let for_tests = |name: &&str| cfg!(feature = "panicking") && name.starts_with("allot_test_");
    let exported: BTreeSet<String> =
        names.filter(|name| !for_tests(name)).map(str::to_string).collect();
    let missing: Vec<_> = declared.difference(&exported).collect();
    let more: Vec<_> = exported.difference(&declared).collect();
    assert!(missing.is_empty() && more.is_empty(), "missing: {missing:?}, more: {more:?}");
}

// The C of the guides.

/// What stands around a block that is no program by itself. Braces of its own let it have a
/// governor of its own.
const BEFORE: &str = "#include <allot.h>\n#include <inttypes.h>\n#include <stdio.h>\n\
    #include <stdlib.h>\n#include <string.h>\n\
    static void body(allot_governor *governor, allot_tenant chat) {\n\
    (void)governor; (void)chat;\n{\n";
const AFTER: &str = "}\n}\n\
    int main(void) {\n\
    allot_governor *governor = NULL;\n\
    allot_config config = ALLOT_CONFIG_INIT;\n\
    allot_tenant_config tenant = ALLOT_TENANT_CONFIG_INIT;\n\
    allot_tenant chat = 0;\n\
    config.capacity_bytes = 24ull << 30;\n\
    tenant.name = \"chat\";\n\
    tenant.name_length = 4;\n\
    if (allot_governor_new(&config, &governor) != ALLOT_OK) return 1;\n\
    if (allot_tenant_register(governor, &tenant, &chat) != ALLOT_OK) return 1;\n\
    body(governor, chat);\n\
    allot_governor_free(governor);\n\
    return 0;\n\
    }\n";

/// The blocks of C in a guide, each with the line it begins at.
fn blocks(guide: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut lines = guide.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        if line.trim() == "```c" {
            let body = lines.by_ref().map(|(_, line)| line).take_while(|line| line.trim() != "```");
            blocks.push((at + 2, body.flat_map(|line| [line, "\n"]).collect()));
        }
    }
    blocks
}

/// A program of a block, whose compiler names lines as the guide has them.
fn program_of(block: &str, guide: &str, line: usize) -> String {
    let place = format!("#line {line} \"{guide}\"\n");
    if block.contains("int main") {
        format!("{place}{block}")
    } else {
        format!("{BEFORE}{place}{block}{AFTER}")
    }
}

#[test]
fn guides_show_c_that_compiles_and_runs() {
    for guide in ["README.md", "ffi/README.md", "bindings/c/README.md"] {
        let Ok(text) = std::fs::read_to_string(manifest("..").join(guide)) else {
            println!("skipped: {guide} is not there");
            continue;
        };
        for (line, block) in blocks(&text) {
            let source: PathBuf = scratch(&format!("{}-{line}.c", guide.replace('/', "-")));
            std::fs::write(&source, program_of(&block, guide, line)).unwrap();
            let program = Build::of(&[&source]).with(&["-pthread"]).program();
            finish(&mut program.command(), RUN_MAX).success();
        }
    }
}

#[test]
fn blocks_are_found_and_made_programs() {
    let guide =
        "# A\n```c\nint main(void) { return 0; }\n```\nb\n```sh\nls\n```\n```c\na();\n```\n";
    let found = blocks(guide);
    assert_eq!(found[0], (3, "int main(void) { return 0; }\n".to_string()));
    assert_eq!(found[1], (10, "a();\n".to_string()));
    assert_eq!(found.len(), 2);
    assert!(program_of(&found[0].1, "A.md", 3).starts_with("#line 3 \"A.md\"\nint main"));
    let wrapped = program_of(&found[1].1, "A.md", 10);
    assert!(wrapped.starts_with("#include <allot.h>"), "{wrapped}");
    assert!(wrapped.contains("{\n#line 10 \"A.md\"\na();\n}\n"), "{wrapped}");
}
