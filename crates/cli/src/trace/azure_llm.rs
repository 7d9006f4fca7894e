//! `azure-llm`: LLM requests as CSV, one file per tenant. A request holds its context and grows
//! by 16 tokens whenever the room for the last 16 is used up, until all tokens are generated.

use allotment::AllocationType;

use super::source::Source;
use super::workload::{Growth, Items, Job, Request, Requests, UseBytes, Workload};
use super::{Scale, TraceFile, file_name, stamp};
use crate::failure::CliError;
use crate::replay::progress::Progress;

/// Tokens that get their memory at once.
const STEP_TOKENS: u64 = 16;

const HEADER: &str = "TIMESTAMP,ContextTokens,GeneratedTokens";

/// Decodes the files and merges them in the order of time.
pub fn decode(
    files: &[TraceFile],
    scale: &Scale,
    progress: &Progress,
) -> Result<Workload, CliError> {
    let mut tenants: Vec<String> = Vec::new();
    let mut requests = Vec::new();
    for file in files {
        if tenants.contains(&file.tenant) {
            return Err(CliError::new(format!(
                "two traces are called '{}'; name them: NAME=PATH",
                file.tenant
            )));
        }
        let tenant = tenants.len() as u32;
        tenants.push(file.tenant.clone());
        decode_one(file, tenant, scale, progress, &mut requests)?;
    }
    requests.sort_by_key(|request: &Request| request.at_ns);
    let start_ns = requests.first().map_or(0, |request| request.at_ns);
    requests.iter_mut().for_each(|request| request.at_ns -= start_ns);
    let names: Vec<_> = files.iter().map(|file| file_name(&file.path)).collect();
    Ok(Workload {
        name: names.join("+"),
        tenants,
        items: Items::default(),
        uses: Vec::new(),
        use_bytes: UseBytes::Each(0),
        requests: Requests::Listed(requests),
        footprint_bytes: 0,
    })
}

fn decode_one(
    file: &TraceFile,
    tenant: u32,
    scale: &Scale,
    progress: &Progress,
    requests: &mut Vec<Request>,
) -> Result<(), CliError> {
    let mut source = Source::open(&file.path, progress)?;
    let mut line = String::new();
    if source.line(&mut line)? && line != HEADER {
        return Err(source.fault(&format!("is not the header `{HEADER}`; check --format")));
    }
    while source.line(&mut line)? {
        let Some((at_ns, context, generated)) = fields(&line) else {
            return Err(source.fault(&format!("does not match `{HEADER}`; check --format")));
        };
        let job = job(context, generated, scale);
        requests.push(Request { at_ns, tenant, uses: 0..0, job: Some(job), drops: None });
    }
    Ok(())
}

fn fields(line: &str) -> Option<(u64, u64, u64)> {
    let mut fields = line.split(',');
    let at_ns = stamp::parse_ns(fields.next()?)?;
    let context = fields.next()?.parse().ok()?;
    let generated = fields.next()?.parse().ok()?;
    fields.next().is_none().then_some((at_ns, context, generated))
}

/// A request of no context still holds room for one token.
fn job(context: u64, generated: u64, scale: &Scale) -> Job {
    let token_bytes = scale.kv_bytes_per_token;
    let growth = Growth {
        total_bytes: generated.saturating_mul(token_bytes),
        step_bytes: STEP_TOKENS.saturating_mul(token_bytes),
        step_ns: STEP_TOKENS.saturating_mul(scale.decode_ns_per_token),
    };
    let bytes = context.max(1).saturating_mul(token_bytes);
    Job {
        held_ns: Some(generated.saturating_mul(scale.decode_ns_per_token)),
        growth: (generated > 0).then_some(growth),
        ..Job::new(AllocationType::Inference, bytes)
    }
}
