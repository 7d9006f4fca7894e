//! `csv` traces, our own: each line is a request, for a key or for a job, of bytes that are not 0,
//! and the keys that are used are those of the lines.

#![no_main]

use allot_cli::fuzzing::{Format, Requests};
use allotment_fuzz::trace::{keys, read, scale};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| {
    let Some(workload) = read(Format::Csv, &scale(), &[("trace", file)]) else { return };
    let text = std::str::from_utf8(file).expect("what was decoded is text");
    let rows: Vec<Vec<&str>> =
        text.lines().skip(1).map(|row| row.split(',').map(str::trim).collect()).collect();
    let Requests::Listed(requests) = &workload.requests else { panic!("requests are listed") };
    assert_eq!(requests.len(), rows.len());
    for (request, row) in requests.iter().zip(&rows) {
        assert_eq!(workload.tenants[request.tenant as usize], row[1]);
        assert_eq!(request.job.is_none(), !row[5].is_empty());
        let bytes = match &request.job {
            Some(job) => job.bytes,
            None => workload.use_bytes.at(request.uses.start as usize),
        };
        assert_eq!(Ok(bytes), row[3].parse());
    }
    let keyed =
        rows.iter().filter(|row| !row[5].is_empty()).map(|row| row[5].parse::<u64>().unwrap());
    assert!(keyed.eq(keys(&workload)));
});
