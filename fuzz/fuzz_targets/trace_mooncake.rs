//! `mooncake` traces, JSON lines: the keys that are used are those of the lines, in order, and each
//! line is a request.

#![no_main]

use allot_cli::fuzzing::{Format, Requests};
use allotment_fuzz::trace::{keys, read, scale};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|file: &[u8]| {
    let Some(workload) = read(Format::Mooncake, &scale(), &[("requests", file)]) else { return };
    let text = std::str::from_utf8(file).expect("what was decoded is text");
    let lines = text.lines().map(|line| serde_json::from_str(line).expect("and JSON"));
    let lines: Vec<Value> = lines.collect();
    assert_eq!(workload.requests_len(), lines.len());
    let of_line = |line: &Value| match line {
        Value::Object(fields) => fields["hash_ids"].as_array().cloned(),
        // Fields without names, in their order.
        other => other[2].as_array().cloned(),
    };
    let hashes = lines.iter().flat_map(|line| of_line(line).expect("and has its hashes"));
    assert!(hashes.map(|hash| hash.as_u64().unwrap()).eq(keys(&workload)));
    let Requests::Listed(requests) = &workload.requests else { panic!("requests are listed") };
    let mut jobs = requests.iter().filter_map(|request| request.job.as_ref());
    assert!(jobs.all(|job| job.bytes > 0));
});
