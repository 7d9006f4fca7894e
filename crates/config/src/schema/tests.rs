//! The schema beside the reader: they take and refuse the same, key by key.

use std::path::Path;

use jsonschema::Validator;
use serde_json::Value;

use super::super::keys::SECTIONS;
use super::super::parse;
use super::*;

fn validator() -> Validator {
    jsonschema::validator_for(&serde_json::from_str(&schema()).unwrap()).unwrap()
}

fn as_json(text: &str) -> Value {
    serde_json::to_value(toml::from_str::<toml::Table>(text).unwrap()).unwrap()
}

/// Whether the reader takes a file, and whether the schema does.
fn taken(validator: &Validator, text: &str) -> (bool, bool) {
    (parse(text, Path::new("allot.toml")).is_ok(), validator.is_valid(&as_json(text)))
}

/// A file in which a key of a section has this value, and all else is sound.
fn with(section: &Section, key: &str, value: &str) -> String {
    let line = format!("{key} = {value}\n");
    let pressure = if key == "warning" { "" } else { "hysteresis = 0\n" };
    match section.title {
        "the top level" if key == "capacity" => line,
        "the top level" => format!("capacity = 1000000\n{line}"),
        "[pressure]" if key == "hysteresis" => format!("capacity = 1000000\n[pressure]\n{line}"),
        "[pressure]" => format!("capacity = 1000000\n[pressure]\n{pressure}{line}"),
        "[cache]" | "[defaults]" => format!("capacity = 1000000\n{}\n{line}", section.title),
        "rate" if key == "requests_per_second" => {
            format!("capacity = 1000000\n[defaults]\n[defaults.rate]\n{line}")
        }
        "rate" => {
            format!(
                "capacity = 1000000\n[defaults]\n[defaults.rate]\nrequests_per_second = 1\n{line}"
            )
        }
        "grants_max" => format!("capacity = 1000000\n[defaults]\n[defaults.grants_max]\n{line}"),
        title if key == "name" => format!("capacity = 1000000\n{title}\n{line}"),
        title => format!("capacity = 1000000\n{title}\nname = \"n\"\n{line}"),
    }
}

/// Values that no key of the kind may have.
fn wrong(kind: &Kind) -> Vec<String> {
    let values: Vec<String> = match kind {
        Kind::Size { low, .. } => {
            let mut wrong = vec!["-1".to_string(), (BYTES_MAX + 1).to_string()];
            wrong.extend(low.checked_sub(1).map(|below| below.to_string()));
            wrong.extend(["\"8 apples\"", "\"GiB\"", "\"\"", "1.5", "true"].map(str::to_string));
            wrong
        }
        Kind::Count(low, high) => {
            let mut wrong = vec![(high + 1).to_string(), "-1".to_string(), "1.5".to_string()];
            wrong.extend(low.checked_sub(1).map(|below| below.to_string()));
            wrong.push("\"7\"".to_string());
            wrong
        }
        Kind::Real(low, high) => {
            vec![format!("{:?}", low / 2.0), format!("{:?}", high * 2.0), "\"1\"".to_string()]
        }
        Kind::Text => ["7", "\"\"", "\" \"", "[]"].map(str::to_string).to_vec(),
        Kind::Uuid => ["7", "\"\"", "\"xyz\""].map(str::to_string).to_vec(),
        Kind::Flag => ["1", "\"true\""].map(str::to_string).to_vec(),
        Kind::Words(_) => ["1", "\"\"", "\"other\"", "\"normalx\""].map(str::to_string).to_vec(),
        Kind::Table(_) => ["1", "[]", "{ unheard_of = 1 }"].map(str::to_string).to_vec(),
        Kind::Tables(_) => ["1", "[1]", "{}", "[{}]"].map(str::to_string).to_vec(),
    };
    values
}

/// Values at the bounds of the kind, and between.
fn right(key: &Key) -> Vec<String> {
    match &key.kind {
        Kind::Size { low, .. } => {
            let mut right = vec![(*low).max(1).to_string(), "\"0.5 kib\"".to_string()];
            right.extend(["\"1_000B\"", "\".5KB\"", "\"7.KB\"", "\" 700 \""].map(str::to_string));
            right
        }
        // Thresholds must not fall, and have defaults: only what is right beside those.
        Kind::Count(low, high) => match key.name {
            "warning" => vec!["6".to_string(), "90".to_string()],
            "high" => vec!["80".to_string(), "95".to_string()],
            "critical" => vec!["90".to_string(), "100".to_string()],
            "hysteresis" => vec!["0".to_string(), "79".to_string()],
            _ => vec![low.to_string(), high.to_string()],
        },
        Kind::Real(low, high) => match key.name {
            "memory_threshold" => vec![format!("{low:?}"), "0.9".to_string()],
            "eviction_threshold" => vec!["1".to_string(), "0.8".to_string()],
            _ => vec![format!("{low:?}"), format!("{high:?}"), "1".to_string()],
        },
        Kind::Text | Kind::Uuid | Kind::Tables(_) => Vec::new(),
        Kind::Flag => ["true", "false"].map(str::to_string).to_vec(),
        Kind::Words(words) => {
            let both = words.iter().flat_map(|word| [word.to_string(), word.to_uppercase()]);
            both.map(|word| format!("\"{word}\"")).collect()
        }
        Kind::Table(_) if key.name == "rate" => vec!["{ requests_per_second = 2 }".to_string()],
        Kind::Table(_) => vec!["{}".to_string()],
    }
}

#[test]
fn each_key_is_refused_alike_and_taken_alike() {
    let validator = validator();
    let mut compared = 0;
    for section in SECTIONS {
        for key in section.keys {
            for value in wrong(&key.kind) {
                let text = with(section, key.name, &value);
                assert_eq!(taken(&validator, &text), (false, false), "{text}");
                compared += 1;
            }
            for value in right(key) {
                // A burst needs a limit, and nothing is guaranteed to who is not named.
                let burst = if key.name == "burst" { "limit = 1\n" } else { "" };
                if (section.title, key.name) == ("[defaults]", "guarantee") {
                    continue;
                }
                let text = with(section, key.name, &value) + burst;
                assert_eq!(taken(&validator, &text), (true, true), "{text}");
                compared += 1;
            }
        }
        let unknown = with(section, "unheard_of", "1");
        assert_eq!(taken(&validator, &unknown), (false, false), "{unknown}");
    }
    assert!(compared > 300, "{compared}");
}

#[test]
fn what_is_needed_and_what_is_said_twice() {
    let validator = validator();
    for text in [
        "capacity = 1\n[[tenants]]\nlimit = 1\n",
        "capacity = 1\n[[groups]]\nlimit = 1\n",
        "capacity = 1\n[defaults]\nrate = { bucket_depth = 1 }\n",
        "capacity = 1\n[[tenants]]\nname = \"a\"\nlimit = 1\nmax = 1\n",
    ] {
        assert_eq!(taken(&validator, text), (false, false), "{text}");
    }
    let alias = "capacity = 1\n[[tenants]]\nname = \"a\"\nmax = 1\n";
    assert_eq!(taken(&validator, alias), (true, true));
}

#[test]
fn the_example_of_the_manual_is_taken() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/CONFIG.md");
    let manual = std::fs::read_to_string(path).unwrap();
    let example = manual.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next());
    assert_eq!(taken(&validator(), example.unwrap()), (true, true));
}

#[test]
fn what_only_the_machine_can_tell_is_taken_by_the_schema() {
    let validator = validator();
    for text in ["", "capacity = \"auto\"", "capacity = \"80%\"", "capacity = \"AUTO\""] {
        assert!(validator.is_valid(&as_json(text)), "{text}");
    }
}
