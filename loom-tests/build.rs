//! Writes the mutants: copies of core files, each with one deliberate mistake, that the models must
//! catch. What is changed is listed in `mutants/`, one file for each file of the core; a scenario
//! runs them in the `*_mutants.rs` beside its models.
//!
//! A mutant is a list of textual replacements in the real source. If a text is not found exactly
//! once the build fails: whoever changes the source looks at its mutants again.

#[path = "mutants/grants.rs"]
mod grants;
#[path = "mutants/queue.rs"]
mod queue;

use std::path::{Path, PathBuf};
use std::{env, fs};

/// A copy of `src/core/<file>.rs` with a mistake, written to `<file>_<name>.rs`.
struct Mutant {
    file: &'static str,
    name: &'static str,
    /// Pairs of a text that stands in the source exactly once and what replaces it.
    changes: &'static [(&'static str, &'static str)],
}

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=mutants");
    println!("cargo::rerun-if-env-changed=CARGO_CFG_ALLOT_LOOM");
    // Without loom there are no models to catch them.
    if env::var_os("CARGO_CFG_ALLOT_LOOM").is_none() {
        return;
    }
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").unwrap());
    let core = root.join("../src/core");
    for mutant in grants::MUTANTS.iter().chain(queue::MUTANTS) {
        let text = read(&core.join(mutant.file).with_extension("rs"));
        let copy = mutant.apply(&text).replace("super::", "allotment::internals::");
        // A queue uses the slots that its mutant has beside it, which may be broken as well.
        let copy = copy.replace("allotment::internals::grants", "super::grants");
        write(&format!("{}_{}.rs", mutant.file, mutant.name), &copy);
    }
    // Each mutant has its own copy of the scenarios beside it.
    for scenarios in ["grants", "queue"] {
        let text = read(&root.join("tests/scenarios").join(scenarios).with_extension("rs"));
        write(&format!("scenarios_{scenarios}.rs"), &text);
    }
}

fn read(path: &Path) -> String {
    println!("cargo::rerun-if-changed={}", path.display());
    fs::read_to_string(path).expect("a file of this repository")
}

fn write(name: &str, text: &str) {
    let path = PathBuf::from(env::var("OUT_DIR").unwrap()).join(name);
    // A module that is included may not begin with inner documentation.
    fs::write(path, text.replace("//!", "//")).expect("the build folder is writable");
}

impl Mutant {
    fn apply(&self, source: &str) -> String {
        self.changes.iter().fold(source.to_string(), |text, (from, to)| {
            let found = text.matches(from).count();
            let Self { file, name, .. } = self;
            assert!(found == 1, "mutant {name} of {file}: found {found} times, not once:\n{from}");
            text.replace(from, to)
        })
    }
}
