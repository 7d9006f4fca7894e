//! Bytes as a trace: whatever they are, they are decoded or refused with a message that names the
//! file. What is decoded keeps what every decoder promises:
//!
//! ```text
//! T1  there is a request, and requests stand in the order of time
//! T2  requests share out the uses: they begin where the one before ended
//! T3  every number of a tenant or an item is below the number of those
//! T4  a column of items is empty or has a place for each
//! T5  parts FROM-MIDDLE and MIDDLE-TO have each request once
//! ```

use crate::scratch::Scratch;
use allot_cli::fuzzing::{
    Format, Part, Progress, Requests, Scale, Stretch, TraceFile, Unit, UseBytes, Workload, decode,
};
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::LazyLock;

static SCRATCH: LazyLock<Scratch> = LazyLock::new(|| Scratch::new("trace"));

/// How counts become bytes and times where nothing else is said: as on the command line.
pub fn scale() -> Scale {
    Scale {
        stretch: Stretch { sitting: None, since_ns: None, until_ns: None },
        unit: Unit::Objects,
        tenant_shift: None,
        kv_bytes_per_token: 131_072,
        decode_ns_per_token: 30_000_000,
        model_bytes: 8 << 30,
        inference_bytes: 1 << 30,
    }
}

/// Writes a file of this name, for a decoder to read.
pub fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = SCRATCH.path().join(name);
    std::fs::write(&path, bytes).expect("there is room for a file");
    path
}

/// Decodes files, each of which is of a tenant of its own; none: they were refused.
pub fn read(format: Format, scale: &Scale, files: &[(&str, &[u8])]) -> Option<Workload> {
    let written = files
        .iter()
        .map(|(name, bytes)| TraceFile { tenant: name.to_string(), path: file(name, bytes) });
    let written: Vec<TraceFile> = written.collect();
    match decode(format, &written, scale, None, &Progress::hidden()) {
        Ok((workload, _)) => {
            check(&workload);
            Some(workload)
        }
        Err(failure) => {
            let message = failure.to_string();
            let is_named = files.iter().any(|(name, _)| message.contains(name));
            assert!(is_named, "names no file: {message}");
            assert!(message.contains(": "), "does not say what is wrong: {message}");
            None
        }
    }
}

fn check(workload: &Workload) {
    let items = workload.items.len();
    let tenants = workload.tenants.len();
    let names: HashSet<&String> = workload.tenants.iter().collect();
    assert_eq!(names.len(), tenants, "tenants of one name");
    assert!(workload.requests_len() > 0);
    assert!(workload.uses.iter().all(|&item| (item as usize) < items));
    assert!(workload.items.tenants.iter().all(|&tenant| (tenant as usize) < tenants));
    for column in
        [workload.items.tenants.len(), workload.items.costs_ms.len(), workload.items.types.len()]
    {
        assert!(column == 0 || column == items, "a column of {column} for {items} items");
    }
    if let UseBytes::PerUse(bytes) = &workload.use_bytes {
        assert_eq!(bytes.len(), workload.uses.len());
    }
    if let Requests::Listed(requests) = &workload.requests {
        let (mut at_ns, mut place) = (0, 0);
        for request in requests {
            assert!(request.at_ns >= at_ns && (request.tenant as usize) < tenants);
            assert_eq!(request.uses.start, place, "uses of nobody, or of two");
            assert!(request.uses.end >= place && request.uses.end as usize <= workload.uses.len());
            (at_ns, place) = (request.at_ns, request.uses.end);
        }
        assert_eq!(place as usize, workload.uses.len(), "uses of nobody");
    }
    let (jobs, _) = workload.peak_jobs(1_000);
    assert!(jobs <= workload.requests_len() as u64);
    for item in 0..items as u32 {
        workload.load_ns(item, u64::MAX);
    }
    let [from, to] = [(0, 37), (37, 100)].map(|(from_percent, to_percent)| {
        workload.part(Part { from_percent, to_percent }).requests_len()
    });
    assert_eq!(from + to, workload.requests_len());
}

/// The keys that are used, in order.
pub fn keys(workload: &Workload) -> Vec<u64> {
    workload.uses.iter().map(|&item| workload.items.keys[item as usize]).collect()
}
