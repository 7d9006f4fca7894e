//! The visit for people: the machine, its largest processes, what is promised, what was found.

use std::fmt::Write;

use allotment::os::MachineLevel;

use super::findings::Weight;
use super::{Config, Visit};
use crate::machine::Machine;
use crate::report::columns::Grid;
use crate::report::human::{bytes, percent, plural};
use crate::report::table;

/// The whole text, ending in a new line.
pub fn text(visit: &Visit) -> String {
    let mut out = table::text(&machine(&visit.machine));
    let largest = &visit.machine.processes.largest;
    if !largest.is_empty() {
        let _ = write!(out, "\n{}", table::text(&processes(&visit.machine)));
    }
    if let Some(config) = &visit.config {
        let _ = write!(out, "\n{}", table::text(&promised(config, &visit.machine)));
    }
    if !visit.findings.is_empty() {
        out.push('\n');
    }
    for finding in &visit.findings {
        let weight = match finding.weight {
            Weight::Unfit => "does not fit",
            Weight::Warning => "warning",
            Weight::Note => "note",
        };
        let _ = writeln!(out, "{weight}: {}", finding.text);
    }
    let _ = writeln!(out, "\n{}", verdict(visit));
    out
}

fn verdict(visit: &Visit) -> String {
    match &visit.config {
        None => format!("A configuration for this machine:\n\n{}", visit.suggested),
        Some(config) if visit.fits() => format!("{} fits.", config.path.display()),
        Some(config) => {
            let path = config.path.display();
            format!("{path} does not fit. One that does:\n\n{}", visit.suggested)
        }
    }
}

fn machine(machine: &Machine) -> Grid {
    let Machine { sample, more, .. } = machine;
    let mut rows = vec![
        row("memory", bytes(sample.total_bytes)),
        row("available now", bytes(sample.available_bytes)),
    ];
    if let Some(limit) = sample.limit_bytes {
        rows.push(row("limit of the cgroup", bytes(limit)));
    }
    if let Some(used) = sample.used_bytes.filter(|_| sample.limit_bytes.is_some()) {
        rows.push(row("used under that limit", bytes(used)));
    }
    if let Some(gpu) = more.gpu_bytes {
        rows.push(row("working set of the GPU", bytes(gpu)));
    }
    if let (Some(total), Some(used)) = (sample.swap_total_bytes, sample.swap_used_bytes) {
        rows.push(row("swap, in use", format!("{}, {}", bytes(total), bytes(used))));
    }
    push_more(&mut rows, machine);
    let level = match sample.level {
        MachineLevel::Normal => "normal",
        MachineLevel::Warning => "warning",
        MachineLevel::Critical => "critical",
    };
    rows.push(row("its own judgement", level.to_string()));
    rows.push(row("can be shared", bytes(machine.shareable_bytes())));
    Grid { headers: vec![("This machine", false), ("", true)], rows }
}

fn row(name: &str, value: String) -> Vec<String> {
    vec![name.to_string(), value]
}

fn push_more(rows: &mut Vec<Vec<String>>, machine: &Machine) {
    let Machine { sample, more, .. } = machine;
    if let Some(stalls) = more.stalls {
        let shares = |ppm: [u32; 3]| ppm.map(|ppm| percent(f64::from(ppm) / 1e6)).join(", ");
        rows.push(row("some waited in 10, 60, 300 s", shares(stalls.some_ppm)));
        rows.push(row("all waited in 10, 60, 300 s", shares(stalls.full_ppm)));
    }
    if let Some(overcommit) = more.overcommit {
        let mode = match overcommit.mode {
            0 => "0, what seems possible",
            1 => "1, everything",
            _ => "2, up to the limit",
        };
        rows.push(row("overcommit mode", mode.to_string()));
        let promised = [overcommit.committed_bytes, overcommit.limit_bytes].map(bytes).join(", ");
        rows.push(row("promised by the kernel, limit", promised));
    }
    if let Some(reserved) = sample.reserved_bytes {
        rows.push(row("set aside as huge pages", bytes(reserved)));
    }
    if let Some(transparent) = more.huge_pages.as_ref().and_then(|of| of.transparent.clone()) {
        rows.push(row("transparent huge pages", transparent));
    }
}

fn processes(machine: &Machine) -> Grid {
    let headers = vec![("Largest processes", false), ("Number", true), ("Memory", true)];
    let row = |process: &crate::machine::Process| {
        vec![process.name.clone(), process.pid.to_string(), bytes(process.bytes)]
    };
    Grid { headers, rows: machine.processes.largest.iter().map(row).collect() }
}

fn promised(config: &Config, machine: &Machine) -> Grid {
    let shareable = machine.shareable_bytes();
    let share = |amount: u128| percent(amount as f64 / shareable.max(1) as f64);
    let promised = &config.promised;
    let row = |name: String, amount: u128| {
        let whole = u64::try_from(amount).unwrap_or(u64::MAX);
        vec![name, bytes(whole), share(amount)]
    };
    let (tenants, groups) = (config.setup.tenants.len() as u64, config.setup.groups.len() as u64);
    let members = match groups {
        0 => plural(tenants, "tenant"),
        groups => format!("{} in {}", plural(tenants, "tenant"), plural(groups, "group")),
    };
    let rows = vec![
        row("capacity".to_string(), u128::from(promised.capacity_bytes)),
        row(format!("guarantees of {members}"), promised.guarantees_bytes),
        row("limits together".to_string(), promised.limits_bytes),
    ];
    let headers = vec![("Promised", false), ("", true), ("Of what there is", true)];
    Grid { headers, rows }
}
