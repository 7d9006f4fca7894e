//! What does not fit, and what else is worth knowing. Each finding has a word that stays the same,
//! a sentence, and the bytes it is about.

use serde::Serialize;

use super::Config;
use crate::machine::Machine;
use crate::report::human::{bytes, plural};

/// A share of time, in parts per million, from which stalls are worth a word: that of the probe.
const STALL_PPM: u32 = 70_000;

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// The configuration promises what is not there.
    Unfit,
    /// It may go wrong.
    Warning,
    /// Good to know.
    Note,
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How much it weighs.
    pub weight: Weight,
    /// A word for programs.
    pub kind: &'static str,
    /// A sentence for people.
    pub text: String,
    /// What it is about; where something is short, how much.
    pub bytes: Option<u64>,
}

/// All findings, those that weigh most first.
pub fn of(machine: &Machine, config: Option<&Config>) -> Vec<Finding> {
    let mut findings = Findings(Vec::new());
    if let Some(config) = config {
        of_capacity(&mut findings, machine, config);
        of_limits(&mut findings, config);
    }
    of_machine(&mut findings, machine);
    let Findings(mut findings) = findings;
    findings.sort_by_key(|finding| finding.weight);
    findings
}

struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, weight: Weight, kind: &'static str, bytes: Option<u64>, text: String) {
        self.0.push(Finding { weight, kind, text, bytes });
    }
}

/// The capacity against what there is.
fn of_capacity(findings: &mut Findings, machine: &Machine, config: &Config) {
    let capacity = config.promised.capacity_bytes;
    let shareable = machine.shareable_bytes();
    let short = capacity.saturating_sub(shareable);
    if short > 0 {
        let (has, what) = (bytes(shareable), bound(machine));
        let text = format!(
            "the capacity of {} is {} more than {what} of {has}",
            bytes(capacity),
            bytes(short)
        );
        findings.add(Weight::Unfit, "capacity_beyond_machine", Some(short), text);
        let guarantees = config.promised.guarantees_bytes;
        let short = guarantees.saturating_sub(u128::from(shareable)) as u64;
        if short > 0 {
            let text = format!(
                "the guarantees alone are {} more: not all of them can be kept",
                bytes(short)
            );
            findings.add(Weight::Unfit, "guarantees_beyond_machine", Some(short), text);
        }
        return;
    }
    let rest = shareable - capacity;
    if u128::from(rest) * 10 < u128::from(shareable) {
        let text = format!(
            "{} stays for the system and for all that does not ask: less than a tenth",
            bytes(rest)
        );
        findings.add(Weight::Warning, "little_left", Some(rest), text);
    }
    let available = machine.sample.available_bytes;
    let held = capacity.saturating_sub(available);
    if held > 0 {
        let text = format!(
            "{} are available now: {} of the capacity are held by processes of today",
            bytes(available),
            bytes(held)
        );
        findings.add(Weight::Warning, "held_by_others", Some(held), text);
    }
    let Some(overcommit) = machine.more.overcommit.filter(|overcommit| overcommit.mode == 2) else {
        return;
    };
    let left = overcommit.limit_bytes.saturating_sub(overcommit.committed_bytes);
    let short = capacity.saturating_sub(left);
    if short > 0 {
        let text = format!(
            "the kernel promises {} more and no byte beyond (overcommit mode 2), {} less than the \
             capacity",
            bytes(left),
            bytes(short)
        );
        findings.add(Weight::Warning, "beyond_commit_limit", Some(short), text);
    }
}

/// What bounds what there is to share.
fn bound(machine: &Machine) -> &'static str {
    let shareable = Some(machine.shareable_bytes());
    if shareable == machine.sample.limit_bytes {
        "the cgroup's limit"
    } else if shareable == machine.more.gpu_bytes {
        "the GPU's working set"
    } else {
        "this machine's memory"
    }
}

/// Limits against the capacity.
fn of_limits(findings: &mut Findings, config: &Config) {
    let promised = &config.promised;
    let beyond = promised.limits_beyond;
    if beyond > 0 {
        let tenants = plural(beyond as u64, "tenant");
        let text = format!("{tenants} have limits above the capacity, which are never reached");
        findings.add(Weight::Warning, "limits_beyond_capacity", None, text);
    }
    let over = promised.limits_bytes.saturating_sub(u128::from(promised.capacity_bytes));
    if over > 0 {
        let over = u64::try_from(over).unwrap_or(u64::MAX);
        let text = format!(
            "limits are {} above the capacity together: not all can be reached at the same time",
            bytes(over)
        );
        findings.add(Weight::Note, "limits_overlap", Some(over), text);
    }
}

/// The machine as it is now.
fn of_machine(findings: &mut Findings, machine: &Machine) {
    let sample = &machine.sample;
    if let Some(ppm) = sample.stall_ppm.filter(|ppm| *ppm >= STALL_PPM) {
        let percent = f64::from(ppm) / 1e4;
        let text = format!("tasks waited for memory in {percent:.1} % of the last ten seconds");
        findings.add(Weight::Warning, "stalls", None, text);
    }
    match (sample.swap_total_bytes, sample.swap_used_bytes) {
        (Some(0), _) => {
            let text = "there is no swap: whoever runs out of memory is killed at once";
            findings.add(Weight::Note, "no_swap", None, text.to_string());
        }
        (_, Some(used)) if used > 0 => {
            let text = format!("{} of swap are in use", bytes(used));
            findings.add(Weight::Note, "swap_in_use", Some(used), text);
        }
        _ => {}
    }
    let Some(reserved) = machine.sample.reserved_bytes.filter(|bytes| *bytes > 0) else { return };
    let free = machine.more.huge_pages.as_ref().map_or(0, |pages| pages.free_bytes);
    let text = format!(
        "{} are set aside as huge pages, {} of it used by nobody, and cannot be shared",
        bytes(reserved),
        bytes(free)
    );
    findings.add(Weight::Note, "huge_pages", Some(reserved), text);
}
