//! What is said of the deliberate mistakes: the command that plants one finds it by its name, and
//! each is planted where it says. That they are found is tested elsewhere (`schedules`).

use allotment::internals::bugs::{Bug, planted};
use std::collections::BTreeSet;
use std::path::Path;

/// `BatchHalfKept` as `batch-half-kept`.
fn lower(variant: &str) -> String {
    let mut name = String::new();
    for c in variant.chars() {
        if c.is_ascii_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.push(c.to_ascii_lowercase());
    }
    name
}

#[test]
fn each_is_found_by_its_name() {
    for bug in Bug::ALL {
        assert_eq!(bug.name(), lower(&format!("{bug:?}")));
        let named: Vec<_> = Bug::ALL.into_iter().filter(|b| b.name() == bug.name()).collect();
        assert_eq!(named, [bug]);
    }
}

#[test]
fn each_says_something_else_in_a_row_of_a_table() {
    let said: BTreeSet<_> = Bug::ALL.into_iter().map(Bug::mistake).collect();
    assert_eq!(said.len(), Bug::ALL.len());
    for mistake in said {
        let is_a_clause = mistake.contains(' ') && !mistake.ends_with('.');
        assert!(is_a_clause && mistake.starts_with(char::is_lowercase), "{mistake}");
        assert!(!mistake.contains(['|', '\n']), "{mistake}");
    }
}

/// The source is asked: whatever can be got wrong is in the list, and the other way round.
#[test]
fn each_is_planted_in_one_place() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut planted = Vec::new();
    for folder in [source.join("core"), source] {
        for entry in std::fs::read_dir(folder).unwrap() {
            let Ok(text) = std::fs::read_to_string(entry.unwrap().path()) else { continue };
            let after = text.split("planted(Bug::").skip(1);
            planted.extend(after.map(|after| after.split(')').next().unwrap().to_string()));
        }
    }
    planted.sort();
    let mut listed = Bug::ALL.map(|bug| format!("{bug:?}"));
    listed.sort();
    assert_eq!(planted, listed);
}

#[test]
fn none_is_made_unless_it_is_planted() {
    assert!(Bug::ALL.into_iter().all(|bug| !planted(bug)));
}
