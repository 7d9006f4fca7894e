//! `mooncake`: LLM requests as JSON lines. Every prefix block of 512 tokens is a keyed `Cache`
//! item; the output tokens are an `Inference` job for as long as they take to generate.

use std::path::Path;

use allotment::AllocationType;
use serde::Deserialize;

use super::source::Source;
use super::workload::{Items, Job, Numbering, Request, Requests, UseBytes, Workload};
use super::{BLOCK_TOKENS, SINGLE_TENANT, Scale, file_name};
use crate::failure::CliError;
use crate::replay::progress::Progress;

const MS_NS: u64 = 1_000_000;

/// One line. The length of the input is told by its blocks.
#[derive(Deserialize)]
struct Line {
    timestamp: u64,
    output_length: u64,
    hash_ids: Vec<u64>,
}

/// Decodes one file.
pub fn decode(path: &Path, scale: &Scale, progress: &Progress) -> Result<Workload, CliError> {
    let mut source = Source::open(path, progress)?;
    let mut text = String::new();
    let mut numbering = Numbering::new();
    let (mut items, mut uses, mut requests) = (Items::default(), Vec::new(), Vec::new());
    let mut at_ns = 0;
    while source.line(&mut text)? {
        let line: Line = serde_json::from_str(&text).map_err(|cause| {
            source.fault(&format!("is not a request ({cause}); check --format"))
        })?;
        let first = uses.len() as u32;
        for key in line.hash_ids {
            let (item, is_new) = numbering.number(key);
            if is_new {
                items.keys.push(key);
            }
            uses.push(item);
        }
        at_ns = line.timestamp.saturating_mul(MS_NS).max(at_ns);
        let job = output_job(line.output_length, scale);
        requests.push(Request {
            at_ns,
            tenant: 0,
            uses: first..uses.len() as u32,
            job,
            drops: None,
        });
    }
    let block_bytes = BLOCK_TOKENS.saturating_mul(scale.kv_bytes_per_token);
    Ok(Workload {
        name: file_name(path),
        tenants: vec![SINGLE_TENANT.to_string()],
        footprint_bytes: block_bytes.saturating_mul(items.len() as u64),
        items,
        uses,
        use_bytes: UseBytes::Each(block_bytes),
        requests: Requests::Listed(requests),
    })
}

/// The memory of the output tokens; none where nothing is generated.
fn output_job(tokens: u64, scale: &Scale) -> Option<Job> {
    let bytes = tokens.saturating_mul(scale.kv_bytes_per_token);
    (tokens > 0).then(|| Job {
        held_ns: Some(tokens.saturating_mul(scale.decode_ns_per_token)),
        ..Job::new(AllocationType::Inference, bytes)
    })
}
