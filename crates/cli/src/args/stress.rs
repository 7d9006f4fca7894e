//! The options of `allot stress`.

use clap::Args;

/// Longest run: a week.
const SECONDS_MAX: u64 = 604_800;

/// Most threads; more would only wait for each other.
const THREADS_MAX: u64 = 64;

/// Most tenants that stay.
const TENANTS_MAX: u64 = 1_024;

/// Most calls of one run.
const OPERATIONS_MAX: u64 = 1_000_000_000_000;

/// Options of `allot stress`.
#[derive(Args, Debug)]
pub struct StressArgs {
    /// How long to go on [default: 10, or until --operations are done]
    #[arg(long, value_name = "N", value_parser = seconds)]
    pub seconds: Option<u64>,

    /// Threads at work [default: one for each core]
    #[arg(long, value_name = "N", value_parser = threads)]
    pub threads: Option<u64>,

    /// Tenants that stay to the end; more come and go
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = tenants)]
    pub tenants: u64,

    /// Stop after so many calls of all threads, rounded up so that every verb has its share
    #[arg(long, value_name = "N", value_parser = operations)]
    pub operations: Option<u64>,

    /// What is called, and with what; how the threads interleave is the machine's doing
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,

    /// Let the governor record events too: its verbs then take their full paths, and without it
    /// their quick ones
    #[arg(long)]
    pub events: bool,

    /// Print one object for programs; its keys are stable, with the unit at the end
    #[arg(long)]
    pub json: bool,
}

fn seconds(text: &str) -> Result<u64, String> {
    whole(text, SECONDS_MAX)
}

fn threads(text: &str) -> Result<u64, String> {
    whole(text, THREADS_MAX)
}

fn tenants(text: &str) -> Result<u64, String> {
    whole(text, TENANTS_MAX)
}

fn operations(text: &str) -> Result<u64, String> {
    whole(text, OPERATIONS_MAX)
}

fn whole(text: &str, max: u64) -> Result<u64, String> {
    match text.parse() {
        Ok(number) if (1..=max).contains(&number) => Ok(number),
        _ => Err(format!("write a whole number from 1 to {max}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_bounds() {
        assert_eq!((seconds("1"), seconds("604800")), (Ok(1), Ok(604_800)));
        assert_eq!((threads("64"), tenants("1024")), (Ok(64), Ok(1_024)));
        assert_eq!(operations("1000000000"), Ok(1_000_000_000));
        for text in ["0", "-1", "1.5", "1s", "", "1000000000001"] {
            for parse in [seconds, threads, tenants, operations] {
                assert!(parse(text).is_err(), "{text}");
            }
        }
    }
}
