//! The options of `allot bench`.

use clap::Args;

/// Longest measurement: an hour.
const SECONDS_MAX: u64 = 3_600;

/// Options of `allot bench`.
#[derive(Args, Debug)]
pub struct BenchArgs {
    /// How long to measure: half of it single costs, a fifth allocations per second, the rest the
    /// slowest of many requests
    #[arg(long, value_name = "N", default_value_t = crate::bench::SECONDS, value_parser = seconds)]
    pub seconds: u64,

    /// Print one object for programs; its keys are stable, with the unit at the end
    #[arg(long)]
    pub json: bool,
}

fn seconds(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(seconds) if (1..=SECONDS_MAX).contains(&seconds) => Ok(seconds),
        _ => Err(format!("write a whole number from 1 to {SECONDS_MAX}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_have_bounds() {
        assert_eq!((seconds("1"), seconds("3600")), (Ok(1), Ok(3_600)));
        for text in ["0", "3601", "-1", "1.5", "1s", ""] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
