//! That the page about reliability (`docs/RELIABILITY.md`) names what there is: each model, test
//! and script of it exists, every invariant is held by something, and there are attacks to repeat.

use std::path::{Path, PathBuf};

/// Invariants of the design.
const INVARIANTS: usize = 10;
/// What each of them is held by, at the least.
const HOLDS_MIN: usize = 3;
/// Attacks that the page describes, at the least.
const ATTACKS_MIN: usize = 20;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn page() -> String {
    std::fs::read_to_string(root().join("docs/RELIABILITY.md")).expect("the page")
}

/// What stands in backticks after a word.
fn named<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = &'a str> {
    let mark = format!("{word} `");
    let places: Vec<_> = text.match_indices(&mark).map(|(at, _)| at + mark.len()).collect();
    places.into_iter().map(move |at| text[at..].split('`').next().unwrap_or_default())
}

/// Whether a source has a function of that name.
fn has_function(source: &Path, name: &str) -> bool {
    let Ok(text) = std::fs::read_to_string(source) else { return false };
    let begins = [format!("fn {name}("), format!("pub fn {name}(")];
    text.lines().any(|line| begins.iter().any(|begin| line.trim_start().starts_with(begin)))
}

/// The files that something of a path like `file::function` may be in, and the function.
fn places(name: &str, folders: &[&str]) -> (Vec<PathBuf>, String) {
    let (path, function) = name.rsplit_once("::").unwrap_or((name, ""));
    let file = path.replace("::", "/") + ".rs";
    let files = folders.iter().map(|folder| root().join(folder).join(&file)).collect();
    (files, function.to_string())
}

fn missing(text: &str) -> Vec<String> {
    let mut missing = Vec::new();
    let kinds: [(&str, &[&str]); 2] =
        [("model", &["loom-tests/tests/scenarios", "loom-tests/tests"]), ("test", &["tests"])];
    for (word, folders) in kinds {
        for name in named(text, word) {
            let (files, function) = places(name, folders);
            if !files.iter().any(|file| has_function(file, &function)) {
                missing.push(format!("{word} `{name}`"));
            }
        }
    }
    for code in text.split('`').skip(1).step_by(2) {
        let path = code.split(' ').next().unwrap_or_default();
        let is_file = ["scripts/", "tests/", "docs/", "src/", "ffi/", ".ci/", "loom-tests/"];
        if is_file.iter().any(|begin| path.starts_with(begin)) && !root().join(path).exists() {
            missing.push(format!("`{path}`"));
        }
    }
    missing
}

#[test]
fn what_the_page_names_exists() {
    assert_eq!(missing(&page()), [""; 0], "docs/RELIABILITY.md names what there is not");
}

#[test]
fn what_does_not_exist_is_noticed() {
    let text = "model `account::nobody` test `word::nothing`, test `nowhere::what_the_page_names` \
                and `scripts/none.sh all`; test `reliability::what_the_page_names_exists`";
    let none = ["model `account::nobody`", "test `word::nothing`"];
    let noticed = missing(text);
    assert_eq!(noticed[..2], none);
    assert_eq!(noticed[2..], ["test `nowhere::what_the_page_names`", "`scripts/none.sh`"]);
}

#[test]
fn every_invariant_is_held_by_something() {
    let page = page();
    for number in 1..=INVARIANTS {
        let title = format!("\n### I{number}: ");
        let (_, section) = page.split_once(&title).unwrap_or_else(|| panic!("no section{title}"));
        let section = section.split("\n#").next().unwrap_or_default();
        let holds = named(section, "- model").count() + named(section, "- test").count();
        assert!(holds >= HOLDS_MIN, "I{number} is held by {holds} models and tests");
    }
    let (_, attacks) = page.split_once("\n## Attacks\n").expect("attacks");
    let rows = attacks.lines().filter(|line| line.starts_with("| ")).count() - 1;
    assert!(rows >= ATTACKS_MIN, "{rows} attacks");
}
