//! `alibaba-lora` traces, CSV with a header and the load times of models beside it: each line is a
//! request that uses one model, and no model loads in no time.

#![no_main]

use allot_cli::fuzzing::{Format, Requests};
use allotment_fuzz::trace::{file, read, scale};
use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;

/// Beside the trace, by this name.
const LOAD_TIMES: &str = "basemodel_update_latency_anon.csv.gz";

#[derive(Arbitrary, Debug)]
struct Case<'a> {
    /// None: load times as they should be.
    load_times: Option<&'a [u8]>,
    trace: &'a [u8],
}

/// Without compression: a gzip file of one stored block. 64 KiB at most.
fn stored(bytes: &[u8]) -> Vec<u8> {
    let bytes = &bytes[..bytes.len().min(usize::from(u16::MAX))];
    let length = bytes.len() as u16;
    let mut file = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    file.extend(length.to_le_bytes());
    file.extend((!length).to_le_bytes());
    file.extend(bytes);
    file.extend(crc32fast::hash(bytes).to_le_bytes());
    file.extend(u32::from(length).to_le_bytes());
    file
}

fuzz_target!(|case: Case| {
    let load_times = case.load_times.unwrap_or(b"model,ms\na,1500\nb,0\nc,2.5\n");
    file(LOAD_TIMES, &stored(load_times));
    let Some(workload) = read(Format::AlibabaLora, &scale(), &[("trace", case.trace)]) else {
        return;
    };
    let text = std::str::from_utf8(case.trace).expect("what was decoded is text");
    assert_eq!(workload.requests_len(), text.lines().count() - 1);
    assert_eq!(workload.uses.len(), workload.requests_len());
    assert_eq!(workload.items.costs_ms.len(), workload.items.len());
    assert!(workload.items.costs_ms.iter().all(|&cost| cost > 0));
    let Requests::Listed(requests) = &workload.requests else { panic!("requests are listed") };
    assert!(requests.iter().all(|request| request.job.as_ref().is_some_and(|job| job.bytes > 0)));
});
