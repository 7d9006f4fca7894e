//! The header says of every function who may call it, whether it blocks, what it answers and who
//! owns what; of every field and number what it is; and names nothing that is not there.

#![cfg(unix)]

#[expect(dead_code, reason = "neither structs nor macros are asked for here")]
mod header;
#[expect(dead_code, reason = "nothing is compiled here")]
mod toolchain;

use header::{Function, functions, text};
use std::collections::BTreeSet;

/// What a comment says, in this order. [`needed`] says which of it has to be there.
const LABELS: [&str; 5] = ["Owns:", "Threads:", "Blocks:", "Returns:", "Since:"];
/// What ends, or comes by, something that was handed over.
const OWNING_VERBS: [&str; 4] = ["retain", "free", "release", "cancel"];
/// How a declaration hands something over: a buffer to be filled, a function of the caller's, and
/// places for an object, a grant or a ticket.
const OWNING_PARAMETERS: [&str; 5] =
    ["char *buffer", "_fn function", " **", "allot_grant *out_", "allot_ticket *out_"];

/// Why `label` has to be said of a function, if it has to be.
fn needed(label: &str, function: &Function) -> bool {
    let Function { name, declaration, .. } = function;
    match label {
        "Owns:" => {
            declaration.starts_with("const char *")
                || name.split('_').any(|word| OWNING_VERBS.contains(&word))
                || OWNING_PARAMETERS.iter().any(|part| declaration.contains(part))
        }
        "Returns:" => !declaration.starts_with("void "),
        _ => true,
    }
}

/// What is wrong with the comment of a function.
fn faults(function: &Function) -> Vec<String> {
    let comment = &function.comment;
    let mut faults = Vec::new();
    let mut last = 0;
    for label in LABELS {
        let places: Vec<usize> = comment.match_indices(label).map(|(at, _)| at).collect();
        match places[..] {
            [] if needed(label, function) => faults.push(format!("`{label}` is missing")),
            [] => {}
            [at] if at < last => faults.push(format!("`{label}` comes too late")),
            [at] if at > 0 && !comment[..at].trim_end().ends_with(['.', ':']) => {
                faults.push(format!("`{label}` begins no sentence"));
            }
            [at] => last = at,
            _ => faults.push(format!("`{label}` is there {} times", places.len())),
        }
    }
    if LABELS.iter().any(|label| comment.starts_with(label)) {
        faults.push("what it does is not said".into());
    }
    let since = comment.split("Since: ").nth(1).unwrap_or_default();
    let number = since.strip_suffix('.').and_then(|number| number.split_once('.'));
    let number = number.map(|(major, minor)| (major.parse::<u32>(), minor.parse::<u32>()));
    let now = [env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR")];
    let now = now.map(|number| number.parse::<u32>().unwrap());
    match number {
        Some((Ok(major), Ok(minor))) if [major, minor] <= now => {}
        _ => faults.push(format!("`Since: {since}` is no version up to {}.{}.", now[0], now[1])),
    }
    faults
}

#[test]
fn every_function_says_what_a_caller_has_to_know() {
    let functions = functions(&text());
    assert!(functions.len() > 60, "{} functions were found in the header", functions.len());
    let told = functions.iter().flat_map(|function| {
        faults(function).into_iter().map(move |fault| format!("{}: {fault}\n", function.name))
    });
    let report: String = told.collect();
    assert!(report.is_empty(), "\n{report}");
}

#[test]
fn every_field_type_and_number_says_what_it_is() {
    let header = text();
    let lines: Vec<&str> = header.lines().collect();
    let mut report = String::new();
    for pair in lines.windows(2) {
        let [above, line] = [pair[0].trim(), pair[1]];
        let field = line.starts_with("    ") && line.ends_with(';') && !line.contains("//");
        // Within a declaration of several lines there is nothing to say.
        let parameter = field && line.contains(')');
        let number = line.starts_with("#define ALLOT_") && !line.contains("_INIT");
        let declared = (field && !parameter) || line.starts_with("typedef ") || number;
        let version = line.starts_with("#define ALLOT_VERSION") || line.ends_with("ALLOT_H");
        if declared && !version && !above.starts_with("//") && !above.starts_with("/*") {
            report += &format!("nothing is said of: {}\n", line.trim());
        }
    }
    assert!(report.is_empty(), "\n{report}");
}

/// The words of the library in a text.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.to_ascii_lowercase().starts_with("allot_")).collect()
}

#[test]
fn comments_name_nothing_that_is_not_declared() {
    let header = text();
    let (comments, code): (Vec<&str>, Vec<&str>) = header.lines().partition(|line| {
        let line = line.trim_start();
        line.starts_with("//") || line.starts_with('*') || line.starts_with("/*")
    });
    let (comments, code) = (comments.join("\n"), code.join("\n"));
    let declared = names(&code);
    let known = |name: &str| {
        // `one of the ALLOT_CLOCK numbers`
        let family = format!("{name}_");
        declared.contains(name) || declared.iter().any(|declared| declared.starts_with(&family))
    };
    let unknown: Vec<_> = names(&comments).into_iter().filter(|name| !known(name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn what_is_missing_is_found() {
    let function = |declaration: &str, comment: &str| {
        let declaration = declaration.to_string();
        Function { name: "allot_x_on_y".into(), declaration, comment: comment.into() }
    };
    let plain = "Does. Threads: any. Blocks: no. Returns: ALLOT_OK. Since: 0.1.";
    let found = |declaration: &str, comment: &str| faults(&function(declaration, comment));
    assert_eq!(found("allot_status allot_x(void);", plain), [""; 0]);
    assert_eq!(found("allot_status f(char *buffer);", plain), ["`Owns:` is missing"]);
    assert_eq!(found("allot_status f(allot_fn function);", plain), ["`Owns:` is missing"]);
    assert_eq!(found("const char *f(void);", plain), ["`Owns:` is missing"]);
    let less = plain.replace("Returns: ALLOT_OK. ", "");
    assert_eq!(found("void allot_x(void);", &less), [""; 0]);
    assert_eq!(found("allot_status f(void);", &less), ["`Returns:` is missing"]);
    let turned = "Does. Blocks: no. Threads: any. Since: 0.1.";
    assert_eq!(found("void f(void);", turned), ["`Blocks:` comes too late"]);
    let bare = plain.replace("Does. ", "");
    assert_eq!(found("allot_status f(void);", &bare), ["what it does is not said"]);
    let never = plain.replace("0.1.", "9.1.");
    assert_eq!(found("allot_status f(void);", &never).len(), 1);
}
