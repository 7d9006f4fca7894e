//! A recorded log is tuned from what it was configured as, unless something else is given.

use crate::command::{Folder, START, allot, csv, outcome, printed, tuned};

#[test]
fn the_search_begins_with_what_was_recorded() {
    let folder = Folder::new("log");
    let (trace, was) = (folder.file("t.csv", csv()), folder.file("was.toml", START));
    let log = folder.path("log");
    printed("replay", &[&trace], &format!("--format csv --config {was} --record {log} --json"));
    let search = "--format audit --evaluations 40";
    let alone = tuned(&[&log], search);
    assert_eq!(alone, tuned(&[&log], &format!("{search} --sitting 1")), "there is one");
    let start = outcome(&alone, "start");
    let by_hand = tuned(&[&log], &format!("{search} --config {was}"));
    assert_eq!(start["tenants"], outcome(&by_hand, "start")["tenants"]);
    assert_eq!(start["cost"], outcome(&by_hand, "start")["cost"]);
    assert_eq!(alone["capacity_bytes"], 1000);
    let config = alone["config"].as_str().unwrap();
    for kept in ["high = 85", "name = \"services\"", "priority = \"low\"", "policy = \"lru\""] {
        assert!(config.contains(kept), "{config}");
    }
    // A size is a start of its own: the even split.
    let split = tuned(&[&log], &format!("{search} --capacity 1000"));
    let names: Vec<_> = split["outcomes"].as_array().unwrap().iter().map(|o| &o["name"]).collect();
    assert_eq!(names, ["no limits", "even split", "found"]);
}

#[test]
fn other_traces_still_need_a_size() {
    let folder = Folder::new("log-size");
    let trace = folder.file("t.csv", csv());
    let output = allot("tune", &[&trace], "--format csv");
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
    assert!(complaint.contains("give --capacity N, or --config FILE"), "{complaint}");
}
