//! Two services of a recorded trace. It lies beside the project, not in it; where it is missing, a
//! test says so and passes.

use std::path::Path;

use crate::command::{cost, tuned};

/// The path of a recorded trace; none, and a printed line, where it is missing.
fn recorded(name: &str) -> Option<String> {
    let traces = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/traces");
    let path = traces.join(name);
    if !path.exists() {
        println!("skipped: no recorded trace {name}");
        return None;
    }
    Some(path.to_str().unwrap().to_string())
}

#[test]
fn two_services_fare_better_than_evenly_split() {
    let Some(conv) = recorded("azure-llm-2023/conv.until-1855.csv.gz") else { return };
    let Some(code) = recorded("azure-llm-2023/code.until-1855.csv.gz") else { return };
    let options = "--format azure-llm --capacity 12GiB --evaluations 20 --threads 2";
    let report = tuned(&[&conv, &code], options);
    assert_eq!(
        (&report["proposed"], &report["held_out_requests"]),
        (&"found".into(), &8371.into())
    );
    assert!(cost(&report, "even split") > 0.0);
    assert!(cost(&report, "found") < cost(&report, "even split"), "{report}");
}
