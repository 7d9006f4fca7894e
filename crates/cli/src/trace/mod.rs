//! Traces: one decoder per format, one result for all.
//!
//! | file | formats |
//! |---|---|
//! | `source` | opening, unpacking, lines and records |
//! | `workload` | what every decoder delivers |
//! | `part` | some of the requests of a trace |
//! | `keys` | `keys-arc`, `keys-u32`, `keys-u64`, `keys-sized`, `oracle-general` |
//! | `mooncake` | `mooncake` |
//! | `azure_llm` | `azure-llm` |
//! | `alibaba_lora` | `alibaba-lora` |
//! | `table` | `csv`, our own |
//! | `stamp` | dates as nanoseconds |

mod alibaba_lora;
mod azure_llm;
mod keys;
mod mooncake;
pub mod part;
mod source;
mod stamp;
mod table;
pub mod workload;

pub use alibaba_lora::BASE_MODELS;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use allotment_config::Setup;

use crate::failure::CliError;
use crate::recording::joined::joined;
use crate::recording::stretch::Stretch;
use crate::replay::progress::Progress;
use workload::Workload;

/// The formats that `--format` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// LLM requests with the hashes of their prefix blocks (JSON lines)
    Mooncake,
    /// LLM requests with context and generated tokens (CSV); one tenant per file
    AzureLlm,
    /// Image requests with tenant and base model (CSV)
    AlibabaLora,
    /// Block keys as text, runs of consecutive blocks (ARC)
    KeysArc,
    /// Keys as 32-bit big-endian numbers
    KeysU32,
    /// Keys as 64-bit big-endian numbers
    KeysU64,
    /// Text lines: time in s, key, bytes
    KeysSized,
    /// 24-byte little-endian records: u32 time in s, u64 key, u32 bytes, i64 next use
    OracleGeneral,
    /// Our own: `time_ms,tenant,allocation_type,bytes,duration_ms,key` (replay needs --config)
    Csv,
    /// An audit log, made by --record or by a service: a folder
    Audit,
}

impl Format {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mooncake => "mooncake",
            Self::AzureLlm => "azure-llm",
            Self::AlibabaLora => "alibaba-lora",
            Self::KeysArc => "keys-arc",
            Self::KeysU32 => "keys-u32",
            Self::KeysU64 => "keys-u64",
            Self::KeysSized => "keys-sized",
            Self::OracleGeneral => "oracle-general",
            Self::Csv => "csv",
            Self::Audit => "audit",
        }
    }

    /// True for the formats where each request is one key.
    pub fn is_keys(self) -> bool {
        matches!(
            self,
            Self::KeysArc | Self::KeysU32 | Self::KeysU64 | Self::KeysSized | Self::OracleGeneral
        )
    }

    /// The unit of the keys formats where `--unit` is not given.
    pub fn default_unit(self) -> Unit {
        match self {
            Self::KeysSized | Self::OracleGeneral => Unit::Bytes,
            _ => Unit::Objects,
        }
    }
}

/// What a key counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Unit {
    /// 1 each
    Objects,
    /// The bytes that the trace names
    Bytes,
}

impl Unit {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Objects => "objects",
            Self::Bytes => "bytes",
        }
    }
}

/// How a trace is read: how its counts become bytes and times, and which part of a log.
pub struct Scale {
    /// What of a log is read.
    pub stretch: Stretch,
    /// What a key counts.
    pub unit: Unit,
    /// The tenant of a key is `key >> shift`; none: one tenant.
    pub tenant_shift: Option<u32>,
    /// Bytes of one token.
    pub kv_bytes_per_token: u64,
    /// Time to generate one token.
    pub decode_ns_per_token: u64,
    /// Bytes of one base model.
    pub model_bytes: u64,
    /// Bytes of one image request while it runs.
    pub inference_bytes: u64,
}

/// Tokens of one prefix block of the `mooncake` format.
pub const BLOCK_TOKENS: u64 = 512;

/// The tenant of the formats that know only one.
pub const SINGLE_TENANT: &str = "trace";

/// Decodes the files of one replay. `tenants` are the only names that `csv` may have; none: any. A
/// log also says how its tenants were configured.
pub fn decode(
    format: Format,
    files: &[TraceFile],
    scale: &Scale,
    tenants: Option<&HashSet<String>>,
    progress: &Progress,
) -> Result<(Workload, Option<Setup>), CliError> {
    let path = files[0].path.as_path();
    let mut recorded = None;
    let workload = match format {
        Format::Mooncake => mooncake::decode(path, scale, progress)?,
        Format::AzureLlm => azure_llm::decode(files, scale, progress)?,
        Format::AlibabaLora => alibaba_lora::decode(path, scale, progress)?,
        Format::Audit => {
            let (workload, setup) = joined(path, &scale.stretch)?;
            recorded = Some(setup);
            workload
        }
        Format::Csv => table::decode(path, tenants, progress)?,
        _ => keys::decode(format, path, scale, progress)?,
    };
    if workload.requests_len() == 0 {
        let path = path.display();
        return Err(CliError::new(format!("{path}: holds no requests; check --format")));
    }
    Ok((workload, recorded))
}

/// A file to replay, and what to call it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceFile {
    /// The name before `=`, or the file's name up to its first dot.
    pub tenant: String,
    /// Where it is.
    pub path: PathBuf,
}

impl TraceFile {
    /// Reads `NAME=PATH` or `PATH`. A path that exists as it stands is never split.
    pub fn parse(text: &str) -> Self {
        if let Some((name, path)) = text.split_once('=')
            && !name.is_empty()
            && !name.contains('/')
            && !Path::new(text).exists()
        {
            return Self { tenant: name.to_string(), path: PathBuf::from(path) };
        }
        let path = PathBuf::from(text);
        let name = file_name(&path);
        let stem = name.split('.').next().unwrap_or_default();
        let tenant = if stem.is_empty() { name.clone() } else { stem.to_string() };
        Self { tenant, path }
    }
}

/// The last part of a path.
fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_may_carry_a_name() {
        let named = TraceFile::parse("chat=a/conv.until.csv.gz");
        assert_eq!(
            (named.tenant.as_str(), named.path.as_path()),
            ("chat", Path::new("a/conv.until.csv.gz"))
        );
        assert_eq!(TraceFile::parse("a/conv.until.csv.gz").tenant, "conv");
        assert_eq!(TraceFile::parse("a/x=y.csv").path, Path::new("a/x=y.csv"));
    }
}
