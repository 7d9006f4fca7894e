//! `azure-llm` traces, two files of CSV that are merged: each line is a request of the tenant of
//! its file, with bytes of its own.

#![no_main]

use allot_cli::fuzzing::{Format, Requests};
use allotment_fuzz::trace::{read, scale};
use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Case<'a> {
    one: &'a [u8],
    two: &'a [u8],
    /// Whether the second file comes at all, and under a name of its own.
    second: Option<bool>,
}

fn rows(file: &[u8]) -> usize {
    std::str::from_utf8(file).expect("what was decoded is text").lines().skip(1).count()
}

fuzz_target!(|case: Case| {
    let files =
        [("one", case.one), (if case.second == Some(true) { "two" } else { "one" }, case.two)];
    let files = &files[..if case.second.is_some() { 2 } else { 1 }];
    let Some(workload) = read(Format::AzureLlm, &scale(), files) else { return };
    assert_eq!(workload.tenants.len(), files.len());
    let Requests::Listed(requests) = &workload.requests else { panic!("requests are listed") };
    for (tenant, (_, file)) in (0..).zip(files) {
        let own = requests.iter().filter(|request| request.tenant == tenant);
        assert_eq!(own.count(), rows(file), "requests of {tenant}");
    }
    assert_eq!(requests[0].at_ns, 0);
    assert!(requests.iter().all(|request| request.job.as_ref().is_some_and(|job| job.bytes > 0)));
});
