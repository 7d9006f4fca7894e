//! A configuration that fits: the one that was given if it does, with everything in proportion if
//! it does not, and nothing but a capacity where there is none.

use std::path::Path;

use allotment_config::{SHARED_PERCENT, Setup};

use crate::machine::Machine;

/// Sizes are round where that costs less than a thousandth.
const ROUND_BYTES: u64 = 1 << 20;

/// The text of the file, ending in a new line.
pub fn toml(machine: &Machine, setup: Option<&Setup>) -> String {
    let shared_bytes = round(machine.shared_bytes());
    match setup {
        Some(setup) if setup.capacity_bytes <= machine.shareable_bytes() => {
            allotment_config::write(setup)
        }
        Some(setup) => {
            format!(
                "# {SHARED_PERCENT} % of what there is; guarantees and limits in proportion\n{}",
                allotment_config::write(&setup.scaled(shared_bytes))
            )
        }
        None => {
            let text = format!("capacity = {shared_bytes}");
            let setup = allotment_config::parse(&text, Path::new("suggested"));
            let setup = setup.expect("a machine has at least a byte and less than 256 TiB");
            format!("# {SHARED_PERCENT} % of what there is\n{}", allotment_config::write(&setup))
        }
    }
}

fn round(bytes: u64) -> u64 {
    let rounded = bytes / ROUND_BYTES * ROUND_BYTES;
    if rounded >= ROUND_BYTES * 1_000 { rounded } else { bytes.max(1) }
}
