//! How a trace is read: the options that all commands with traces share.

use clap::Args;

use super::quantity;
use crate::audit::when;
use crate::failure::CliError;
use crate::recording::stretch::Stretch;
use crate::trace::{Format, Scale, TraceFile, Unit};

const MS_NS: u64 = 1_000_000;

/// Traces, their format, and how their counts become bytes and times.
#[derive(Args, Clone, Debug)]
pub struct TraceArgs {
    /// Trace files: plain, .gz or .xz. NAME=PATH names a tenant (azure-llm: one tenant per file;
    /// all other formats: each file by itself)
    #[arg(required = true, value_name = "TRACE", value_parser = trace_file)]
    pub traces: Vec<TraceFile>,

    /// How the traces are written
    #[arg(long, value_enum)]
    pub format: Format,

    /// What a key counts (keys formats) [default: bytes where the trace has sizes, else objects]
    #[arg(long, value_enum)]
    pub unit: Option<Unit>,

    /// Make `key >> N` the tenant of a key (keys formats)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..64))]
    pub tenant_shift: Option<u32>,

    /// How its counts become bytes and times.
    #[command(flatten)]
    pub scale: ScaleArgs,

    /// Only this sitting of the log, counted from 1 (audit). A service that is started again in
    /// the same folder begins a new one [default: all of them]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub sitting: Option<u64>,

    /// Only from this time on, in UTC: 2026-01-31T09:30:00Z, 2026-01-31, or -2h. What is held then
    /// is asked for at the beginning (audit with --what-if, or tune)
    #[arg(long, value_name = "TIME", value_parser = when::parse, allow_hyphen_values = true)]
    pub since: Option<i128>,

    /// Only before this time (audit with --what-if, or tune)
    #[arg(long, value_name = "TIME", value_parser = when::parse, allow_hyphen_values = true)]
    pub until: Option<i128>,
}

/// How counts of a trace become bytes and times.
#[derive(Args, Clone, Debug)]
pub struct ScaleArgs {
    /// Bytes that one token takes (mooncake, azure-llm)
    #[arg(long, value_name = "BYTES", default_value = "131072", value_parser = quantity)]
    pub kv_bytes_per_token: u64,

    /// Milliseconds to generate one token (mooncake, azure-llm)
    #[arg(long, value_name = "MS", default_value = "30", value_parser = quantity)]
    pub decode_ms_per_token: u64,

    /// Bytes of one base model (alibaba-lora)
    #[arg(long, value_name = "BYTES", default_value = "8GiB", value_parser = quantity)]
    pub model_bytes: u64,

    /// Bytes of one running request (alibaba-lora)
    #[arg(long, value_name = "BYTES", default_value = "1GiB", value_parser = quantity)]
    pub inference_bytes: u64,
}

impl ScaleArgs {
    fn scale(&self, unit: Unit) -> Scale {
        Scale {
            stretch: Stretch::default(),
            unit,
            tenant_shift: None,
            kv_bytes_per_token: self.kv_bytes_per_token,
            decode_ns_per_token: self.decode_ms_per_token.saturating_mul(MS_NS),
            model_bytes: self.model_bytes,
            inference_bytes: self.inference_bytes,
        }
    }
}

impl TraceArgs {
    /// How a whole trace of a format is read, its keys in their usual unit.
    #[cfg(feature = "serve")]
    pub fn scaled(format: Format, scale: &ScaleArgs) -> Scale {
        scale.scale(format.default_unit())
    }

    /// Checks that the options suit the format.
    pub fn check(&self) -> Result<(), CliError> {
        let keys_only =
            [("--unit", self.unit.is_some()), ("--tenant-shift", self.tenant_shift.is_some())];
        for (option, is_given) in keys_only {
            if is_given && !self.format.is_keys() {
                return Err(self.keys_only(option));
            }
        }
        let of_logs = [
            ("--sitting", self.sitting.is_some()),
            ("--since", self.since.is_some()),
            ("--until", self.until.is_some()),
        ];
        for (option, is_given) in of_logs {
            if is_given && self.format != Format::Audit {
                return Err(CliError::new(format!(
                    "{option} does not go with --format {}; it is for a recorded log, --format \
                     audit",
                    self.format.name()
                )));
            }
        }
        if let (Some(since), Some(until)) = (self.since, self.until)
            && since >= until
        {
            return Err(CliError::new(format!(
                "--since {} is not before --until {}; give the earlier time first",
                when::short(since),
                when::short(until)
            )));
        }
        Ok(())
    }

    /// The complaint about an option that is for traces of keys, of which this is none.
    pub fn keys_only(&self, option: &str) -> CliError {
        let format = self.format.name();
        CliError::new(format!(
            "{option} does not go with --format {format}; it is for traces of keys"
        ))
    }

    /// What of a log is looked at.
    pub fn stretch(&self) -> Stretch {
        let Self { sitting, since, until, .. } = *self;
        Stretch { sitting, since_ns: since, until_ns: until }
    }

    /// The unit of the keys.
    pub fn unit(&self) -> Unit {
        self.unit.unwrap_or_else(|| self.format.default_unit())
    }

    /// How counts become bytes and times.
    pub fn scale(&self) -> Scale {
        Scale {
            stretch: self.stretch(),
            tenant_shift: self.tenant_shift,
            ..self.scale.scale(self.unit())
        }
    }
}

/// A file, and what to call it.
pub fn trace_file(text: &str) -> Result<TraceFile, String> {
    Ok(TraceFile::parse(text))
}
