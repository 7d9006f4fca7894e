//! A report for programs: an array with one object per run. Keys are stable, new ones may come;
//! one that does not apply is null, never absent.

use super::RunReport;

/// All runs as indented JSON, ending in a new line. A number that is not finite becomes null.
pub fn json(runs: &[RunReport]) -> String {
    let mut text =
        serde_json::to_string_pretty(runs).expect("plain fields always have a JSON form");
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
        let run = value[0].as_object().unwrap();
        assert!(run["hit_ratio"].is_null() && run.contains_key("hit_ratio"));
        assert!(run["events_per_second"].is_null());
        assert!(!run.contains_key("history"));
        assert!(run["waits"].is_null() && run.contains_key("wait_max_s"));
        assert_eq!(run.len(), 30);
    }
}
