//! The house rules, checked in the source. A fault reads `file:line: why`.
//!
//! | rule | where |
//! |---|---|
//! | layers: a core file uses only files of a lower layer ([`LAYERS`]) | `src/core` |
//! | no clock, no I/O, no thread; atomics only through `sync.rs` | `src/core` |
//! | nothing of the core or the governor | `src/os` |
//! | nothing of the core's internals | `src/manager`, `crates`, `ffi` |
//! | every atomic ordering has its reason above it | `src/core` |
//! | line length, function length, opening doc, words, module names | every Rust file |
//! | no path of somebody's machine | every text file |
//!
//! Every rule is a function with a test that shows what it catches and what it lets pass.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The files of `src/core` from the ground up. A file may use those of the layers before its own;
/// `mod.rs` puts them all together.
const LAYERS: &[&[&str]] = &[
    &["sync", "bugs"],
    &["word", "handle"],
    &["region"],
    &["lessons"],
    &["policy", "ghost", "backlog", "pressure", "past"],
    &[
        "account", "grants", "registry", "rate", "share", "ring", "credit", "loss", "scarcity",
        "turnover", "listener",
    ],
    &["queue", "events"],
    &["tenant"],
    &["admission"],
    &["order", "hot_path"],
    &["batch", "evict"],
    &["steps"],
    &["force"],
    &["waiters"],
    &["wait"],
    &["circle", "estimate"],
    &["snapshot", "explain"],
];
const COLUMNS_MAX: usize = 100;
const FUNCTION_LINES_MAX: usize = 70;
/// How far above an ordering its reason may stand, in lines of one statement.
const REASON_LINES_MAX: usize = 8;
const ORDERINGS: [&str; 5] = ["Relaxed", "Acquire", "Release", "AcqRel", "SeqCst"];
/// Parts of `std` that the core does without: time and machine samples come in as arguments.
const STD_NOT_IN_CORE: [&str; 7] = ["time", "fs", "net", "thread", "io", "env", "process"];
/// Names that say nothing about what is in the file.
const EMPTY_NAMES: [&str; 6] = ["utils", "util", "helpers", "helper", "common", "misc"];

type Rule = fn(&Source) -> Vec<Fault>;
const RUST_RULES: &[Rule] = &[
    layers,
    core_stays_pure,
    one_door_to_atomics,
    os_stays_below,
    internals_stay_inside,
    orderings_have_reasons,
    lines_are_short,
    functions_are_short,
    first_line_is_doc,
    nothing_left_to_do,
    modules_have_names,
];

#[test]
fn the_source_is_tidy() {
    let mut report = String::new();
    let mut seen = BTreeSet::new();
    for path in files() {
        let name = path.to_string_lossy().replace('\\', "/");
        // Binary files, links to nowhere and files deleted but not yet committed have no text.
        let Ok(text) = std::fs::read_to_string(root().join(&path)) else { continue };
        let mut faults = machine_paths(&text);
        if name.ends_with(".rs") {
            let source = Source::new(&name, &text);
            faults.extend(RUST_RULES.iter().flat_map(|rule| rule(&source)));
        }
        faults.sort_by_key(|fault| fault.line);
        for Fault { line, why } in faults {
            writeln!(report, "{name}:{line}: {why}").unwrap();
        }
        seen.insert(name);
    }
    for expected in ["src/core/sync.rs", "src/os/linux.rs", "tests/tidy.rs", "Cargo.toml"] {
        assert!(seen.contains(expected), "{expected} was not looked at");
    }
    assert!(report.is_empty(), "{} faults\n{report}", report.lines().count());
}

// What is looked at.

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files that git keeps or would keep; without git, all files outside of build folders.
fn files() -> Vec<PathBuf> {
    let git = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    match Command::new("git").args(git).current_dir(root()).output() {
        Ok(listed) if listed.status.success() && !listed.stdout.is_empty() => {
            let names = String::from_utf8(listed.stdout).unwrap();
            names.split_terminator('\0').map(PathBuf::from).collect()
        }
        _ => walk(Path::new("")),
    }
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root().join(folder)).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = folder.join(&name);
        if !entry.file_type().unwrap().is_dir() {
            found.push(path);
        } else if !name.starts_with("target") && name != ".git" && name != ".build" {
            found.extend(walk(&path));
        }
    }
    found
}

struct Fault {
    line: usize,
    why: String,
}

fn fault(line: usize, why: impl Into<String>) -> Fault {
    Fault { line, why: why.into() }
}

/// A Rust file, its code and its comments apart: each has the lines and columns of the text, with
/// spaces where the other one stands, and neither has what stands in strings.
struct Source {
    path: String,
    text: String,
    code: String,
    comments: String,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        let (code, comments) = split(text);
        Self { path: path.into(), text: text.into(), code, comments }
    }

    fn is_below(&self, folder: &str) -> bool {
        self.path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
    }

    /// `account` for `src/core/account.rs` and all of `src/core/account/`.
    fn core_file(&self) -> Option<&str> {
        let rest = self.path.strip_prefix("src/core/")?;
        let first = rest.split('/').next()?;
        Some(first.strip_suffix(".rs").unwrap_or(first))
    }

    /// The code without its modules of unit tests.
    fn product_code(&self) -> String {
        let mut code = self.code.clone();
        while let Some(start) = code.find("#[cfg(test)]") {
            let Some(open) = code[start..].find('{').map(|at| start + at) else { break };
            let end = closing(&code, open);
            let blank: String = code[start..=end].chars().map(blank).collect();
            code.replace_range(start..=end, &blank);
        }
        code
    }
}

fn blank(c: char) -> char {
    if c == '\n' { '\n' } else { ' ' }
}

/// Separates code from comments and drops strings. The two agree in lines; in bytes only as far as
/// the text is ASCII.
fn split(text: &str) -> (String, String) {
    let chars: Vec<char> = text.chars().collect();
    let (mut code, mut comments) = (String::new(), String::new());
    let mut at = 0;
    while at < chars.len() {
        let rest = &chars[at..];
        let after_word = at > 0 && is_word(chars[at - 1]);
        let comment = comment_length(rest);
        let string = if after_word { 0 } else { raw_string_length(rest) };
        let string = if string > 0 { string } else { quoted_length(rest) };
        let length = comment.max(string).max(1);
        for &c in &rest[..length] {
            code.push(if comment + string > 0 { blank(c) } else { c });
            comments.push(if comment > 0 { c } else { blank(c) });
        }
        at += length;
    }
    (code, comments)
}

fn comment_length(rest: &[char]) -> usize {
    match rest {
        ['/', '/', ..] => rest.iter().position(|&c| c == '\n').unwrap_or(rest.len()),
        ['/', '*', ..] => {
            let (mut depth, mut at) = (1, 2);
            while depth > 0 && at < rest.len() {
                let step = match &rest[at..] {
                    ['/', '*', ..] => 1,
                    ['*', '/', ..] => -1,
                    _ => 0,
                };
                depth += step;
                at += if step == 0 { 1 } else { 2 };
            }
            at
        }
        _ => 0,
    }
}

/// The length of `r"..."`, `br#"..."#` and the like, or 0.
fn raw_string_length(rest: &[char]) -> usize {
    let prefix = match rest {
        ['r', ..] => 1,
        ['b' | 'c', 'r', ..] => 2,
        _ => return 0,
    };
    let hashes = rest[prefix..].iter().take_while(|&&c| c == '#').count();
    let open = prefix + hashes;
    if rest.get(open) != Some(&'"') {
        return 0;
    }
    let closes = |at: &usize| {
        rest[*at] == '"'
            && rest[at + 1..].iter().take(hashes).filter(|&&c| c == '#').count() == hashes
    };
    (open + 1..rest.len()).find(closes).map_or(rest.len(), |at| at + 1 + hashes)
}

/// The length of `"..."` or of a character in quotes, or 0; a lifetime is neither.
fn quoted_length(rest: &[char]) -> usize {
    let quote = match rest {
        ['"', ..] => '"',
        ['\'', '\\', ..] | ['\'', _, '\'', ..] => '\'',
        _ => return 0,
    };
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text[..at].matches('\n').count()
}

/// Where `word` stands in `code` as a whole word.
fn places(code: &str, word: &str) -> Vec<usize> {
    let whole = |&at: &usize| {
        !code[..at].ends_with(is_word) && !code[at + word.len()..].starts_with(is_word)
    };
    code.match_indices(word).map(|(at, _)| at).filter(whole).collect()
}

fn first_word(code: &str) -> &str {
    let code = code.trim_start();
    &code[..code.find(|c| !is_word(c)).unwrap_or(code.len())]
}

/// The bracket that closes the one at `open`; the last byte if there is none.
fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0;
    for (at, c) in code[open..].char_indices() {
        depth += match c {
            '{' | '(' | '[' => 1,
            '}' | ')' | ']' => -1,
            _ => 0,
        };
        if depth == 0 {
            return open + at;
        }
    }
    code.len() - 1
}

/// What is named right below `prefix` (as in `std::`), with the line: `std::fs::read` and
/// `std::{fs, io::Read}` name `fs` and `io`.
fn names_below<'a>(code: &'a str, prefix: &str) -> Vec<(usize, &'a str)> {
    let mut names = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        if code[..at].ends_with(is_word) {
            continue;
        }
        let rest = code[at + prefix.len()..].trim_start();
        if !rest.starts_with('{') {
            names.push((line_of(code, at), first_word(rest)));
            continue;
        }
        let (mut depth, mut start) = (0, 1);
        let group = &rest[..=closing(rest, 0)];
        for (end, c) in group.char_indices() {
            match c {
                ',' if depth == 1 => {
                    names.push((line_of(code, at), first_word(&group[start..end])));
                    start = end + 1;
                }
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
        }
        let end = group.len() - 1;
        names.push((line_of(code, at), first_word(&group[start.min(end)..end])));
    }
    names
}

// The rules.

fn layers(source: &Source) -> Vec<Fault> {
    let Some(file) = source.core_file().filter(|&file| file != "mod") else { return Vec::new() };
    let layer = |name: &str| LAYERS.iter().position(|names| names.contains(&name));
    let Some(own) = layer(file) else {
        return vec![fault(
            1,
            format!("`{file}` has no layer: add it to the table in tests/tidy.rs"),
        )];
    };
    let mut faults = Vec::new();
    for prefix in ["super::", "crate::core::", "self::super::"] {
        for (line, name) in names_below(&source.code, prefix) {
            if name != file && layer(name).is_some_and(|other| other >= own) {
                let why = format!("`{file}` may not use `{name}`, which is not in a layer below");
                faults.push(fault(line, why));
            }
        }
    }
    for (line, name) in names_below(&source.code, "crate::") {
        if name == "core"
            && source.code.lines().nth(line - 1).is_some_and(|l| l.contains("crate::{"))
        {
            faults
                .push(fault(line, "write `crate::core::` in full, so that layers can be checked"));
        }
    }
    faults
}

fn core_stays_pure(source: &Source) -> Vec<Fault> {
    if source.core_file().is_none() {
        return Vec::new();
    }
    let code = source.product_code();
    let mut faults = Vec::new();
    for (line, name) in names_below(&code, "std::") {
        if STD_NOT_IN_CORE.contains(&name) {
            let why = format!("the core does without `std::{name}`: let it come in as an argument");
            faults.push(fault(line, why));
        }
    }
    let os = names_below(&code, "crate::").into_iter().filter(|&(_, name)| name == "os");
    faults.extend(os.map(|(line, _)| fault(line, "the core may not use `crate::os`")));
    faults
}

fn one_door_to_atomics(source: &Source) -> Vec<Fault> {
    if matches!(source.core_file(), None | Some("sync")) {
        return Vec::new();
    }
    let atomic = names_below(&source.code, "sync::").into_iter();
    let atomic = atomic.filter(|&(_, name)| name == "atomic").map(|(line, _)| line);
    let loom = places(&source.code, "loom").into_iter().map(|at| line_of(&source.code, at));
    let why = "atomics come from `crate::core::sync` alone";
    atomic.chain(loom).map(|line| fault(line, why)).collect()
}

fn os_stays_below(source: &Source) -> Vec<Fault> {
    if !source.is_below("src/os") {
        return Vec::new();
    }
    let above = ["core", "governor", "manager", "internals"];
    let named = names_below(&source.code, "crate::").into_iter();
    let named = named.filter(|(_, name)| above.contains(name));
    named.map(|(line, name)| fault(line, format!("`os` may not use `crate::{name}`"))).collect()
}

fn internals_stay_inside(source: &Source) -> Vec<Fault> {
    if !["src/manager", "crates", "ffi"].iter().any(|folder| source.is_below(folder)) {
        return Vec::new();
    }
    let code = &source.code;
    let internals = places(code, "internals").into_iter().map(|at| line_of(code, at));
    let core = names_below(code, "crate::").into_iter();
    let core = core.filter(|&(_, name)| name == "core" && source.is_below("src/manager"));
    let lines = internals.chain(core.map(|(line, _)| line));
    lines.map(|line| fault(line, "use the public interface, not the core")).collect()
}

fn orderings_have_reasons(source: &Source) -> Vec<Fault> {
    if source.core_file().is_none() {
        return Vec::new();
    }
    let imported: Vec<&str> =
        names_below(&source.code, "Ordering::").into_iter().map(|(_, name)| name).collect();
    let mut faults = Vec::new();
    for (number, line) in source.code.lines().enumerate() {
        if ["use ", "pub use ", "pub(crate) use "].iter().any(|u| line.trim_start().starts_with(u))
        {
            continue;
        }
        for ordering in ORDERINGS {
            let named = places(line, ordering).into_iter().any(|at| {
                let before = &line[..at];
                before.ends_with("Ordering::")
                    || !before.ends_with("::") && imported.contains(&ordering)
            });
            if named && !has_reason(source, number, ordering) {
                let why = format!("no comment above says `{ordering}: pairs with ...`");
                faults.push(fault(number + 1, why));
            }
        }
    }
    faults
}

/// Whether the comment above the statement at `line` (counted from 0) has a sentence that begins
/// with the name of `ordering`.
fn has_reason(source: &Source, line: usize, ordering: &str) -> bool {
    let code: Vec<&str> = source.code.lines().collect();
    let comments: Vec<&str> = source.comments.lines().collect();
    let is_comment = |at: usize| code[at].trim().is_empty() && !comments[at].trim().is_empty();
    for above in (line.saturating_sub(REASON_LINES_MAX)..line).rev() {
        if is_comment(above) {
            let first = (0..=above).rev().take_while(|&at| is_comment(at)).last().unwrap_or(above);
            return begins_a_sentence(&comments[first..=above], ordering);
        }
        let code = code[above].trim_end();
        if code.is_empty() || code.ends_with([';', '}']) {
            return false;
        }
    }
    false
}

/// Docs are for callers: a reason stands in a plain comment.
fn begins_a_sentence(comment: &[&str], name: &str) -> bool {
    let plain = |line: &&str| !line.trim().starts_with("///") && !line.trim().starts_with("//!");
    let lines = comment.iter().copied().filter(plain);
    let text: Vec<&str> = lines.map(|line| line.trim().trim_start_matches('/').trim()).collect();
    let text = text.join(" ");
    places(&text, name).into_iter().any(|at| {
        let before = text[..at].trim_end();
        before.is_empty() || before.ends_with(['.', '!', '?'])
    })
}

fn lines_are_short(source: &Source) -> Vec<Fault> {
    let lengths = source.text.lines().map(|line| line.chars().count()).enumerate();
    let long = lengths.filter(|&(_, columns)| columns > COLUMNS_MAX);
    long.map(|(at, columns)| {
        fault(at + 1, format!("{columns} columns, at most {COLUMNS_MAX} fit on a screen"))
    })
    .collect()
}

fn functions_are_short(source: &Source) -> Vec<Fault> {
    let code = &source.code;
    let mut faults = Vec::new();
    for at in places(code, "fn") {
        let name = first_word(&code[at + 2..]);
        let Some(open) = body(code, at).filter(|_| !name.is_empty()) else { continue };
        let (first, last) = (line_of(code, at), line_of(code, closing(code, open)));
        let lines = last - first + 1;
        if lines > FUNCTION_LINES_MAX {
            let why = format!("`{name}` has {lines} lines, at most {FUNCTION_LINES_MAX}: split it");
            faults.push(fault(first, why));
        }
    }
    faults
}

/// Where the body of the function declared at `at` opens, if it has one.
fn body(code: &str, at: usize) -> Option<usize> {
    let mut depth = 0;
    for (offset, c) in code[at..].char_indices() {
        match c {
            '{' if depth == 0 => return Some(at + offset),
            ';' | '}' if depth == 0 => return None,
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn first_line_is_doc(source: &Source) -> Vec<Fault> {
    // A file that others include cannot carry the doc of a module.
    let included = source.path.contains("/scenarios/") && source.text.starts_with("// ");
    if included || source.text.starts_with("//! ") {
        return Vec::new();
    }
    vec![fault(1, "the first line says what is here: `//! ...`")]
}

fn nothing_left_to_do(source: &Source) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (number, line) in source.code.lines().enumerate() {
        let macros = ["todo", "unimplemented", "dbg"].map(|name| format!("{name}!("));
        for leftover in macros.into_iter().chain([format!("#[{}", "ignore")]) {
            if line.contains(&leftover) {
                faults.push(fault(number + 1, format!("`{leftover}` is left over")));
            }
        }
    }
    for text in [&source.code, &source.comments] {
        for (number, line) in text.lines().enumerate() {
            for mark in marks() {
                if !places(line, &mark).is_empty() {
                    faults.push(fault(number + 1, format!("`{mark}`: do it, or say why not")));
                }
            }
        }
    }
    faults
}

/// In parts, so that this file does not bear them itself.
fn marks() -> [String; 3] {
    [["FIX", "ME"], ["X", "XX"], ["TO", "DO"]].map(|parts| parts.concat())
}

fn modules_have_names(source: &Source) -> Vec<Fault> {
    let path = source.path.trim_end_matches(".rs").split('/');
    let mut named: Vec<(usize, &str)> = path.map(|part| (1, part)).collect();
    for at in places(&source.code, "mod") {
        named.push((line_of(&source.code, at), first_word(&source.code[at + 3..])));
    }
    let empty = named.into_iter().filter(|(_, name)| EMPTY_NAMES.contains(name));
    empty.map(|(line, name)| fault(line, format!("`{name}` does not say what is in it"))).collect()
}

/// For any text file.
fn machine_paths(text: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    for folder in ["work", "root", "home"] {
        let path = format!("/{folder}/");
        for (at, _) in text.match_indices(&path) {
            // In a link or below another folder it is part of something longer.
            if text[..at].ends_with(|c: char| is_word(c) || "./-~}*".contains(c)) {
                continue;
            }
            let why = format!("`{path}` is a path of somebody's machine");
            faults.push(fault(line_of(text, at), why));
        }
    }
    faults
}

// What the rules catch and what they let pass.

/// The lines at which `rule` finds faults in `text`, were it the file `path`.
fn found(rule: Rule, path: &str, text: &str) -> Vec<usize> {
    rule(&Source::new(path, text)).into_iter().map(|fault| fault.line).collect()
}

const NONE: [usize; 0] = [];

#[test]
fn strings_and_comments_are_not_code() {
    let text = "a(\"b // c \\\" d\"); // e \"f\"\n/* g /* h */ i */ j('\"', '\\'', 'k: loop);\n\
                r#\"l \" m\"# br\"n\\\" o\nc\"p\"";
    let (code, comments) = split(text);
    let words = |text: &str| {
        text.split(|c: char| !is_word(c)).filter(|w| !w.is_empty()).collect::<String>()
    };
    assert_eq!(words(&code), "ajkloopoc", "with the prefix of a C string");
    assert_eq!(words(&comments), "efghi");
    assert_eq!(code.lines().count(), 4);
}

#[test]
fn names_are_found_in_groups_too() {
    let code = "use std::{fs, io::{Read, Write},\n net};\nstd::env::args();\nmystd::time();";
    let names = names_below(code, "std::");
    assert_eq!(names, [(1, "fs"), (1, "io"), (1, "net"), (3, "env")]);
    assert_eq!(names_below("use std::{};", "std::"), [(1, "")]);
    assert_eq!(names_below("use std::{fs,};", "std::"), [(1, "fs"), (1, "")]);
}

#[test]
fn layers_catches() {
    let good = "use super::sync::AtomicU64;\nuse crate::core::{word, region::Table};\n\
                // See super::admission.\nmod tests { use super::*; use super::super::word::W; }";
    assert_eq!(found(layers, "src/core/account.rs", good), NONE);
    let bad = "use super::admission::admit;\nuse crate::core::{word,\n registry};\n\
               fn f() { super::super::wait::wake() }";
    assert_eq!(found(layers, "src/core/account.rs", bad), [1, 4, 2]);
    assert_eq!(found(layers, "src/core/account/trim.rs", "use crate::core::evict;"), [1]);
    assert_eq!(found(layers, "src/core/account/trim.rs", "use super::super::account::A;"), NONE);
    assert_eq!(found(layers, "src/core/word.rs", "use super::handle::H;"), [1], "side by side");
    assert_eq!(found(layers, "src/core/word.rs", "use crate::{core::sync};"), [1]);
    assert_eq!(found(layers, "src/core/novel.rs", ""), [1], "not in the table");
    assert_eq!(found(layers, "src/core/mod.rs", "pub mod sync; use self::wait::W;"), NONE);
    assert_eq!(found(layers, "src/governor.rs", "use crate::core::wait;"), NONE);
}

#[test]
fn core_stays_pure_catches() {
    let rule = core_stays_pure;
    let bad = "use std::time::Instant;\nuse std::{cell::Cell, fs};\n\
               fn f() { std::thread::park() }\nuse crate::os::Clock;";
    assert_eq!(found(rule, "src/core/rate.rs", bad), [1, 2, 3, 4]);
    let good = "//! No std::time here.\nuse std::cell::Cell;\n#[cfg(test)]\nmod tests {\n\
                use std::thread;\nfn f() {}\n}\n";
    assert_eq!(found(rule, "src/core/rate.rs", good), NONE);
    assert_eq!(found(rule, "src/core/rate.rs", &format!("{good}use std::fs;")), [8]);
    assert_eq!(found(rule, "src/os/clock.rs", bad), NONE);
}

#[test]
fn one_door_to_atomics_catches() {
    let rule = one_door_to_atomics;
    let bad = "use std::sync::atomic::AtomicU64;\nuse std::sync::{Mutex, atomic};\n\
               use loom::sync;\n\
               use core::sync::atomic::fence;";
    assert_eq!(found(rule, "src/core/account.rs", bad), [1, 2, 4, 3]);
    assert_eq!(found(rule, "src/core/sync.rs", bad), NONE);
    let good = "use super::sync::AtomicU64;\n#[cfg(allot_loom)]\nuse std::sync::Arc; // loom";
    assert_eq!(found(rule, "src/core/account.rs", good), NONE);
}

#[test]
fn os_stays_below_catches() {
    let bad = "use crate::core::sync;\nuse crate::{governor::Governor};";
    assert_eq!(found(os_stays_below, "src/os/linux.rs", bad), [1, 2]);
    assert_eq!(found(os_stays_below, "src/os/linux.rs", "use super::Sample;"), NONE);
    assert_eq!(found(os_stays_below, "src/governor.rs", bad), NONE);
}

#[test]
fn internals_stay_inside_catches() {
    let rule = internals_stay_inside;
    let bad = "use allotment::internals::account;\nuse crate::core::word;";
    assert_eq!(found(rule, "src/manager/monitor.rs", bad), [1, 2]);
    assert_eq!(found(rule, "crates/cli/src/main.rs", bad), [1], "a crate's own core is its own");
    assert_eq!(found(rule, "ffi/src/grant.rs", bad), [1]);
    assert_eq!(found(rule, "tests/account.rs", bad), NONE);
    assert_eq!(found(rule, "crates/cli/src/main.rs", "// internals\nuse allotment::os;"), NONE);
}

#[test]
fn orderings_have_reasons_catches() {
    let rule = |text: &str| found(orderings_have_reasons, "src/core/account.rs", text);
    assert_eq!(rule("// Acquire: pairs with f.\nx.load(Ordering::Acquire);"), NONE);
    assert_eq!(rule("x.load(Ordering::Acquire);"), [1], "no comment");
    assert_eq!(rule("// Release: pairs with f.\nx.load(Ordering::Acquire);"), [2], "another name");
    assert_eq!(rule("// The Acquire of f.\nx.load(Ordering::Acquire);"), [2], "inside a sentence");
    assert_eq!(rule("/// Acquire: of f.\nx.load(Ordering::Acquire);"), [2], "docs are for callers");
    assert_eq!(rule("// Acquire: a.\n\nx.load(Ordering::Acquire);"), [3], "not directly above");
    let twice = "// Acquire: a.\nx.load(Ordering::Acquire);\ny.load(Ordering::Acquire);";
    assert_eq!(rule(twice), [3], "the reason of another statement");
    let exchange = "// AcqRel: pairs with g, for a reason\n\
                    // of two lines. Relaxed: tried again.\n\
                    match x.compare_exchange(\n    a,\n    b,\n    Ordering::AcqRel,\n    \
                    Ordering::Relaxed,\n) {}";
    assert_eq!(rule(exchange), NONE);
    assert_eq!(rule(&exchange.replace("Relaxed: tried", "It is tried")), [7], "both are named");
    let inside = "f(\n    // Relaxed: a hint.\n    x.load(Ordering::Relaxed),\n);";
    assert_eq!(rule(inside), NONE);
    let imported = "use super::sync::Ordering::{Acquire, Release};\nx.load(Acquire);\nA::Release";
    assert_eq!(rule(imported), [2]);
    assert_eq!(rule("let acquired = Release;\nmatch a.cmp(&b) { Ordering::Less => {} }"), NONE);
    assert_eq!(rule("// x.load(Ordering::Acquire)\nlet s = \"Ordering::Acquire\";"), NONE);
    let far = format!("// Relaxed: far.\nf(\n{}x.load(Ordering::Relaxed))", "a,\n".repeat(8));
    assert_eq!(rule(&far), [11]);
    assert_eq!(found(orderings_have_reasons, "src/os/clock.rs", "Ordering::Relaxed"), NONE);
}

#[test]
fn lines_are_short_catches() {
    let text = format!("{}\n{}\n{}", "a".repeat(100), "b".repeat(101), "é".repeat(100));
    assert_eq!(found(lines_are_short, "src/lib.rs", &text), [2]);
}

#[test]
fn functions_are_short_catches() {
    let function = |lines: usize| {
        let body = "    let s = \"}\"; // }\n".repeat(lines - 2);
        format!("//! x\nfn f<'a>(s: &'a str) -> [u8; 4] {{\n{body}}}\nfn g();")
    };
    assert_eq!(found(functions_are_short, "src/lib.rs", &function(70)), NONE);
    assert_eq!(found(functions_are_short, "src/lib.rs", &function(71)), [2]);
    let named = functions_are_short(&Source::new("src/lib.rs", &function(80)));
    assert_eq!(named[0].why, "`f` has 80 lines, at most 70: split it");
    let trait_of = format!("trait T {{\nfn f();\n{}}}\nstruct S(fn(u8) -> u8);", "\n".repeat(99));
    assert_eq!(found(functions_are_short, "src/lib.rs", &trait_of), NONE);
}

#[test]
fn first_line_is_doc_catches() {
    assert_eq!(found(first_line_is_doc, "src/lib.rs", "//! What is here.\n"), NONE);
    assert_eq!(found(first_line_is_doc, "src/lib.rs", "use std::fs;\n//! Late.\n"), [1]);
    assert_eq!(found(first_line_is_doc, "src/lib.rs", ""), [1]);
}

#[test]
fn nothing_left_to_do_catches() {
    let [fix, cross, later] = marks();
    let call = |name: &str| format!("{name}!()");
    let [one, two, three] = ["todo", "unimplemented", "dbg"].map(call);
    let bad = format!("{one};\n// {fix}: it\n#[{}]\nfn t() {{ {three}; {two} }}", "ignore");
    assert_eq!(found(nothing_left_to_do, "src/lib.rs", &bad), [1, 3, 4, 4, 2]);
    for mark in [&cross, &later] {
        assert_eq!(found(nothing_left_to_do, "src/lib.rs", &format!("// {mark}")), [1]);
    }
    let good = format!("f(\"{one} {cross}\"); // xxx, and todo\nlet {cross}X = my_{one};");
    assert_eq!(found(nothing_left_to_do, "src/lib.rs", &good.replace("my_todo!", "my_todo")), NONE);
}

#[test]
fn modules_have_names_catches() {
    assert_eq!(found(modules_have_names, "tests/common/mod.rs", ""), [1]);
    assert_eq!(found(modules_have_names, "src/utils.rs", ""), [1]);
    assert_eq!(found(modules_have_names, "src/lib.rs", "\nmod helpers;"), [2]);
    assert_eq!(found(modules_have_names, "src/commons.rs", "mod utility; // mod misc;"), NONE);
}

#[test]
fn machine_paths_catches() {
    let path = |parts: [&str; 3]| parts.concat();
    let lines = |text: &str| machine_paths(text).iter().map(|f| f.line).collect::<Vec<_>>();
    assert_eq!(lines(&format!("a\ncd {}x", path(["/", "work", "/"]))), [2]);
    assert_eq!(lines(&format!("\"{}.cargo\"", path(["/", "root", "/"]))), [1]);
    for before in ["proc/self", "https://a.org", ".", "$HOME"] {
        assert_eq!(lines(&format!("{before}{}x", path(["/", "work", "/"]))), NONE);
    }
}
