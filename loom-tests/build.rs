//! Writes the mutants: copies of core files, each with one deliberate mistake, that the models must
//! catch. What is changed is listed in `mutants/`, one file for each file of the core; a scenario
//! runs them in the `*_mutants.rs` beside its models.
//!
//! A mutant is a list of textual replacements in the real source. If a text is not found exactly
//! once the build fails: whoever changes the source looks at its mutants again.

#[path = "mutants/account.rs"]
mod account;
#[path = "mutants/grants.rs"]
mod grants;
#[path = "mutants/queue.rs"]
mod queue;

use std::path::{Path, PathBuf};
use std::{env, fs};

/// A copy of `src/core/<file>.rs` with a mistake, written to `<file>_<name>.rs`.
#[derive(Clone, Copy)]
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
    let core = Path::new(&env::var("CARGO_MANIFEST_DIR").unwrap()).join("../src/core");
    let out = PathBuf::from(env::var("OUT_DIR").unwrap());
    for mutant in [account::MUTANTS, grants::MUTANTS, queue::MUTANTS].concat() {
        let source = core.join(mutant.file).with_extension("rs");
        println!("cargo::rerun-if-changed={}", source.display());
        let text = fs::read_to_string(&source).expect("the source of a mutant");
        let copy = out.join(format!("{}_{}.rs", mutant.file, mutant.name));
        fs::write(copy, mutant.apply(&text)).expect("the build folder is writable");
    }
}

impl Mutant {
    /// The mutated source, as a module of a test.
    fn apply(&self, source: &str) -> String {
        let mutated = self.changes.iter().fold(source.to_string(), |text, (from, to)| {
            let found = text.matches(from).count();
            let Self { file, name, .. } = self;
            assert!(found == 1, "mutant {name} of {file}: found {found} times, not once:\n{from}");
            text.replace(from, to)
        });
        // A module that is included may not begin with inner documentation.
        let plain = mutated.replace("//!", "//");
        let outside = plain.replace("super::", "allotment::internals::");
        // A queue uses the slots that its mutant has beside it, which may be broken as well.
        outside.replace("allotment::internals::grants", "super::grants")
    }
}
