//! What this machine has, and what of it may be shared.

use allotment::os::probe;

use crate::failure::CliError;

/// What is shared of the machine's memory where nobody says.
const SHARED_PERCENT: u64 = 80;

/// Four fifths of what this machine or its cgroup has.
///
/// # Errors
///
/// If the machine does not say.
pub fn shared_bytes() -> Result<u64, CliError> {
    let sample = probe().sample().map_err(|error| {
        CliError::new(format!("{error}: say how much memory there is to share"))
    })?;
    let whole =
        sample.limit_bytes.map_or(sample.total_bytes, |limit| limit.min(sample.total_bytes));
    Ok(whole / 100 * SHARED_PERCENT)
}
