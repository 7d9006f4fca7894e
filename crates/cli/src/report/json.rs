//! A report for programs: `{"schema": 1, "sound": .., "verdict": "..", "runs": [..]}`. Keys are
//! stable; one that does not apply is null, never absent.

use serde::Serialize;

use super::{RunReport, verdict};

/// Raised when a key changes its meaning or goes away; new keys do not count.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    sound: bool,
    verdict: String,
    runs: &'a [RunReport],
}

/// All runs as indented JSON, ending in a new line. A number that is not finite becomes null.
pub fn json(runs: &[RunReport]) -> String {
    let verdict = verdict(runs);
    let document =
        Document { schema: SCHEMA, sound: verdict.sound, verdict: verdict.sentence, runs };
    let mut text =
        serde_json::to_string_pretty(&document).expect("plain fields always have a JSON form");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_do_not_apply_are_null() {
        let run = RunReport { events_per_second: f64::NAN, ..RunReport::default() };
        let value: serde_json::Value = serde_json::from_str(&json(&[run])).unwrap();
        assert_eq!(value["schema"], 1);
        assert_eq!(value["sound"], true);
        let run = value["runs"][0].as_object().unwrap();
        assert!(run["hit_ratio"].is_null() && run.contains_key("hit_ratio"));
        assert!(run["events_per_second"].is_null());
        assert!(!run.contains_key("history"));
        assert_eq!(run.len(), 28);
    }
}
