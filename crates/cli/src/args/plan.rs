//! The options of `allot plan`.

use std::path::PathBuf;

use clap::Args;

use crate::plan::{CONTEXT_MAX, KV_BYTES_PER_TOKEN_MAX, REQUESTS_MAX};

/// The most bytes that a governor counts: 256 TiB less one.
const BUDGET_BYTES_MAX: u64 = (1 << 48) - 1;

/// Options of `allot plan`.
#[derive(Args, Debug)]
pub struct PlanArgs {
    /// A .gguf or .safetensors file, one of its parts, or the folder of a Hugging Face model
    #[arg(required = true, value_name = "MODEL")]
    pub models: Vec<PathBuf>,

    /// What may be used, such as 24GiB [default: four fifths of what this machine or its cgroup
    /// has, or of what a Mac's GPU works with]
    #[arg(long, value_name = "SIZE", value_parser = budget)]
    pub budget: Option<u64>,

    /// Tokens of a request, prompt and answer; several are several questions
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "8192",
        value_parser = tokens)]
    pub context: Vec<u64>,

    /// Requests at the same time, of each model [default: as many as fit]
    #[arg(long, value_name = "N", value_parser = requests)]
    pub requests: Option<u64>,

    /// Bits of a number in the cache, 16 or 8; scales that 8 bits may need are not counted
    #[arg(long, value_name = "BITS", default_value = "16", value_parser = bits)]
    pub kv_bits: u64,

    /// What a token takes in the cache of a model, where its files do not say; 0 for a model
    /// without a cache
    #[arg(long, value_name = "[MODEL=]BYTES", value_parser = stated)]
    pub kv_bytes_per_token: Vec<Stated>,

    /// Print one object for programs
    #[arg(long)]
    pub json: bool,

    /// Print the configuration that grants the plan, for the longest context
    #[arg(long, conflicts_with = "json")]
    pub toml: bool,
}

/// What a token takes, as the user says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stated {
    /// Of which model; none: of the only one.
    pub model: Option<String>,
    /// Of keys and values in all layers.
    pub kv_bytes_per_token: u64,
}

fn budget(text: &str) -> Result<u64, String> {
    match allotment_config::parse_size(text)? {
        bytes if (1..=BUDGET_BYTES_MAX).contains(&bytes) => Ok(bytes),
        bytes => Err(format!("`{text}` is {bytes} bytes; write 1 to {BUDGET_BYTES_MAX}")),
    }
}

fn tokens(text: &str) -> Result<u64, String> {
    within(text, CONTEXT_MAX)
}

fn requests(text: &str) -> Result<u64, String> {
    within(text, REQUESTS_MAX)
}

fn within(text: &str, most: u64) -> Result<u64, String> {
    match text.parse() {
        Ok(number) if (1..=most).contains(&number) => Ok(number),
        _ => Err(format!("write a whole number from 1 to {most}")),
    }
}

fn bits(text: &str) -> Result<u64, String> {
    match text {
        "8" => Ok(8),
        "16" => Ok(16),
        _ => Err("write 16 or 8".to_string()),
    }
}

fn stated(text: &str) -> Result<Stated, String> {
    // A name may have the sign in it, a number not.
    let (model, bytes) = match text.rsplit_once('=') {
        Some((model, bytes)) => (Some(model.to_string()), bytes),
        None => (None, text),
    };
    match allotment_config::parse_size(bytes)? {
        bytes if bytes <= KV_BYTES_PER_TOKEN_MAX => Ok(Stated { model, kv_bytes_per_token: bytes }),
        bytes => Err(format!("`{text}` is {bytes} bytes; write 0 to {KV_BYTES_PER_TOKEN_MAX}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_bounds() {
        assert_eq!((budget("24GiB"), budget("1")), (Ok(24 << 30), Ok(1)));
        assert!(budget("0").is_err() && budget("257TiB").is_err() && budget("much").is_err());
        assert_eq!((tokens("16777216"), requests("65536")), (Ok(1 << 24), Ok(1 << 16)));
        assert!(tokens("0").is_err() && tokens("16777217").is_err() && requests("65537").is_err());
        assert_eq!((bits("8"), bits("16")), (Ok(8), Ok(16)));
        assert!(bits("4").is_err());
    }

    #[test]
    fn what_is_stated_may_name_its_model() {
        let of = |model: Option<&str>, kv_bytes_per_token| {
            Ok(Stated { model: model.map(str::to_string), kv_bytes_per_token })
        };
        assert_eq!(stated("131072"), of(None, 131_072));
        assert_eq!(stated("chat=128KiB"), of(Some("chat"), 131_072));
        assert_eq!(stated("a=b=0"), of(Some("a=b"), 0));
        assert!(stated("chat=65MiB").is_err() && stated("chat=").is_err());
    }
}
