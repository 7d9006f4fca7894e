//! `docs/AUDIT.md` shows what the commands print: they are run again.

use std::process::Command;

use super::scribe::{Scratch, options, ten_minutes};

const GUIDE: &str = include_str!("../../../../docs/AUDIT.md");

/// What differs from log to log stands for itself no more: ids and MACs.
fn without_ids(text: &str) -> String {
    let is_id = |word: &&str| {
        let word = word.trim_end_matches(':').rsplit(':').next().unwrap_or_default();
        word.len() == 64 || word.len() == 36 && word.matches('-').count() == 4
    };
    let line =
        |line: &str| line.split(' ').filter(|word| !is_id(word)).collect::<Vec<_>>().join(" ");
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_guide_shows_what_is_printed() {
    let scratch = Scratch::new();
    let head = ten_minutes(&scratch, options());
    head.write(&scratch.path("audit.key.head")).unwrap();
    std::fs::rename(scratch.log(), scratch.path("audit")).unwrap();
    std::fs::rename(scratch.path("key"), scratch.path("audit.key")).unwrap();
    let examples: Vec<&str> = GUIDE
        .split("```text\n$ allot ")
        .skip(1)
        .map(|block| block.split_once("\n```").unwrap().0)
        .collect();
    assert_eq!(examples.len(), 3);
    for example in examples {
        let (words, expected) = example.split_once('\n').unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_allot"));
        command.args(words.split(' ')).current_dir(scratch.path("."));
        let output = command.output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{words}");
        assert_eq!(without_ids(printed.trim_end()), without_ids(expected), "{words}");
    }
}
