//! The options of `allot tune`.

use std::path::PathBuf;

use clap::Args;

use super::{TraceArgs, quantity, threads};
use crate::failure::CliError;
use crate::trace::Format;
use crate::trace::part::Part;

/// Most runs of one search.
const EVALUATIONS_MAX: usize = 100_000;

/// Largest weight: what is above it cannot be told from never.
const WEIGHT_MAX: f64 = 1e9;

/// Options of `allot tune`.
#[derive(Args, Debug)]
pub struct TuneArgs {
    /// The traces and how they are read.
    #[command(flatten)]
    pub trace: TraceArgs,

    /// Size of the pool in the unit of the trace; the tenants are those of the trace, and the
    /// figures are held against an even split [suffixes: KiB MiB GiB TiB]
    #[arg(long, value_name = "N", value_parser = quantity)]
    pub capacity: Option<u64>,

    /// Tenants, groups and limits to begin with (TOML) [default: those of the log, with audit]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// How many candidates are judged, each by a replay of the part to tune on
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = evaluations)]
    pub evaluations: usize,

    /// Which candidates; the same seed finds the same
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,

    /// How much of the trace to tune on; the figures are those of the rest
    #[arg(long, value_name = "PERCENT", default_value = "60", value_parser = train)]
    pub train: u8,

    /// What a denial of tenant NAME costs [default: by priority, critical 4, high 3, normal 2,
    /// low 1]
    #[arg(long, value_name = "NAME=W", value_parser = named_weight)]
    pub weight: Vec<(String, f64)>,

    /// What a second of loading again what had been evicted or refused costs: by default, who waits
    /// for less than 100 s is still better off than one of low priority who is denied
    #[arg(long, value_name = "X", default_value = "0.01", value_parser = weight)]
    pub rebuild_weight: f64,

    /// Candidates that are judged at one time; what is found does not depend on it [default: as
    /// many as there are cores]
    #[arg(long, value_name = "N", value_parser = threads)]
    pub threads: Option<u64>,

    /// Print JSON; to FILE if one is given
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    pub json: Option<Option<PathBuf>>,

    /// Also write the configuration that is proposed, and nothing else
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

impl TuneArgs {
    /// Checks that the options go together.
    pub fn check(&self) -> Result<(), CliError> {
        self.trace.check()?;
        let format = self.trace.format;
        match (self.capacity, &self.config) {
            (None, None) if format != Format::Audit => {
                return Err(CliError::new(
                    "tune needs a size: give --capacity N, or --config FILE to begin with",
                ));
            }
            (Some(_), Some(_)) => {
                return Err(CliError::new("give --capacity or --config, not both"));
            }
            _ => {}
        }
        if format == Format::Mooncake || format.is_keys() && self.trace.tenant_shift.is_none() {
            let instead =
                if format.is_keys() { "; --tenant-shift N makes tenants of its keys" } else { "" };
            return Err(CliError::new(format!(
                "there is nothing to tune: --format {} has one tenant, which can have all{instead}",
                format.name()
            )));
        }
        if format != Format::AzureLlm && self.trace.traces.len() > 1 {
            return Err(CliError::new(format!(
                "tune takes one trace of --format {}, not {}; name one",
                format.name(),
                self.trace.traces.len()
            )));
        }
        Ok(())
    }

    /// The part to tune on, and the rest.
    pub fn parts(&self) -> (Part, Part) {
        let head = Part { from_percent: 0, to_percent: self.train };
        (head, Part { from_percent: self.train, to_percent: 100 })
    }
}

fn evaluations(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if (1..=EVALUATIONS_MAX).contains(&count) => Ok(count),
        _ => Err(format!("write a whole number from 1 to {EVALUATIONS_MAX}")),
    }
}

fn train(text: &str) -> Result<u8, String> {
    match text.trim_end_matches('%').parse() {
        Ok(percent) if (1..100).contains(&percent) => Ok(percent),
        _ => Err("write a whole number from 1 to 99: both parts need requests".to_string()),
    }
}

fn weight(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(weight) if (0.0..=WEIGHT_MAX).contains(&weight) => Ok(weight),
        _ => Err(format!("write a number from 0 to {WEIGHT_MAX}")),
    }
}

fn named_weight(text: &str) -> Result<(String, f64), String> {
    match text.rsplit_once('=') {
        Some((name, number)) if !name.is_empty() => Ok((name.to_string(), weight(number)?)),
        _ => Err("write NAME=W, such as chat=4".to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_bounds() {
        assert_eq!((evaluations("1"), train("99%")), (Ok(1), Ok(99)));
        for text in ["0", "-1", "100001", "x"] {
            assert!(evaluations(text).is_err(), "{text}");
        }
        for text in ["0", "100", "50.5", ""] {
            assert!(train(text).is_err(), "{text}");
        }
        for text in ["-1", "nan", "inf", "2e9", "a"] {
            assert!(weight(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_weight_has_a_name() {
        assert_eq!(named_weight("a=b=0.5"), Ok(("a=b".to_string(), 0.5)));
        for text in ["chat", "=3", "chat=", "chat=x"] {
            assert!(named_weight(text).is_err(), "{text}");
        }
    }
}
