//! The visit for programs. Keys are stable, with the unit at the end; one that does not apply is
//! null.

use serde::Serialize;

use super::Visit;
use super::findings::Finding;
use crate::machine::Machine;

/// Raised when a key changes its meaning or goes away; new keys do not count.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    machine: OfMachine<'a>,
    /// The largest, the largest first.
    processes: Vec<OfProcess<'a>>,
    processes_seen: usize,
    promised: Option<OfConfig>,
    findings: &'a [Finding],
    fits: bool,
    suggested_toml: &'a str,
}

#[derive(Serialize)]
struct OfMachine<'a> {
    os: &'static str,
    total_bytes: u64,
    available_bytes: u64,
    limit_bytes: Option<u64>,
    used_bytes: Option<u64>,
    gpu_working_set_bytes: Option<u64>,
    shareable_bytes: u64,
    /// What is shared where nobody says.
    shared_bytes: u64,
    level: &'static str,
    /// Of the last 10, 60 and 300 seconds.
    stall_some_ppm: Option<[u32; 3]>,
    stall_full_ppm: Option<[u32; 3]>,
    swap_total_bytes: Option<u64>,
    swap_used_bytes: Option<u64>,
    overcommit_mode: Option<u8>,
    commit_limit_bytes: Option<u64>,
    committed_bytes: Option<u64>,
    huge_pages_bytes: Option<u64>,
    transparent_huge_pages: Option<&'a str>,
}

#[derive(Serialize)]
struct OfProcess<'a> {
    pid: u64,
    name: &'a str,
    bytes: u64,
}

#[derive(Serialize)]
struct OfConfig {
    capacity_bytes: u64,
    guarantees_bytes: u64,
    limits_bytes: u64,
    tenants: usize,
    groups: usize,
}

/// The visit as indented JSON, ending in a new line.
pub fn json(visit: &Visit) -> String {
    let whole = |amount: u128| u64::try_from(amount).unwrap_or(u64::MAX);
    let processes = visit.machine.processes.largest.iter();
    let promised = visit.config.as_ref().map(|config| OfConfig {
        capacity_bytes: config.promised.capacity_bytes,
        guarantees_bytes: whole(config.promised.guarantees_bytes),
        limits_bytes: whole(config.promised.limits_bytes),
        tenants: config.setup.tenants.len(),
        groups: config.setup.groups.len(),
    });
    let document = Document {
        schema: SCHEMA,
        machine: of_machine(&visit.machine),
        processes: processes
            .map(|process| OfProcess {
                pid: process.pid,
                name: &process.name,
                bytes: process.bytes,
            })
            .collect(),
        processes_seen: visit.machine.processes.seen,
        promised,
        findings: &visit.findings,
        fits: visit.fits(),
        suggested_toml: &visit.suggested,
    };
    let text = serde_json::to_string_pretty(&document);
    text.expect("plain fields always have a JSON form") + "\n"
}

fn of_machine(machine: &Machine) -> OfMachine<'_> {
    let Machine { sample, more, .. } = machine;
    let levels = ["normal", "warning", "critical"];
    OfMachine {
        os: std::env::consts::OS,
        total_bytes: sample.total_bytes,
        available_bytes: sample.available_bytes,
        limit_bytes: sample.limit_bytes,
        used_bytes: sample.used_bytes,
        gpu_working_set_bytes: more.gpu_bytes,
        shareable_bytes: machine.shareable_bytes(),
        shared_bytes: machine.shared_bytes(),
        level: levels[sample.level as usize],
        stall_some_ppm: more.stalls.map(|stalls| stalls.some_ppm),
        stall_full_ppm: more.stalls.map(|stalls| stalls.full_ppm),
        swap_total_bytes: sample.swap_total_bytes,
        swap_used_bytes: sample.swap_used_bytes,
        overcommit_mode: more.overcommit.map(|overcommit| overcommit.mode),
        commit_limit_bytes: more.overcommit.map(|overcommit| overcommit.limit_bytes),
        committed_bytes: more.overcommit.map(|overcommit| overcommit.committed_bytes),
        huge_pages_bytes: sample.reserved_bytes,
        transparent_huge_pages: more.huge_pages.as_ref().and_then(|p| p.transparent.as_deref()),
    }
}
