//! `alibaba-lora`: image requests with a tenant and a base model. A base model is a keyed item of
//! the tenant [`BASE_MODELS`], the request itself an `Inference` job of the tenant that sent it.
//!
//! What a model costs to load: the load times published beside the trace have no model id, so a
//! model's milliseconds are the quantile of their distribution at a fixed hash of its id.

use std::path::{Path, PathBuf};

use allotment::AllocationType;

use super::source::Source;
use super::workload::{Items, Job, Numbering, Request, Requests, UseBytes, Workload};
use super::{Scale, file_name, stamp};
use crate::failure::CliError;
use crate::replay::progress::Progress;

/// The tenant that owns the base models; it is tenant 0 of the workload.
pub const BASE_MODELS: &str = "base-models";

/// The published load times, beside the trace.
const LOAD_TIMES: &str = "basemodel_update_latency_anon.csv.gz";

const SECOND_NS: f64 = 1e9;

/// Columns of the trace that are read, by name.
const COLUMNS: [&str; 4] =
    ["gmt_create", "exec_time_seconds", "groupId", "checkpoint_model_version_id"];

/// Decodes one file and the load times beside it.
pub fn decode(path: &Path, scale: &Scale, progress: &Progress) -> Result<Workload, CliError> {
    let load_times = load_times(&path.with_file_name(LOAD_TIMES), progress)?;
    let mut source = Source::open(path, progress)?;
    let mut line = String::new();
    source.line(&mut line)?;
    let places = places(&source, &line)?;
    let mut lora = Lora::new();
    while source.line(&mut line)? {
        let Some(row) = row(&line, &places) else {
            return Err(source.fault(
                "has no date, run time, tenant or model where the header puts them; \
                 check --format",
            ));
        };
        lora.push(&row, scale, &load_times);
    }
    Ok(lora.into_workload(path, scale))
}

/// Where each of [`COLUMNS`] stands.
fn places(source: &Source, header: &str) -> Result<[usize; 4], CliError> {
    let names: Vec<_> = header.split(',').collect();
    let mut places = [0; 4];
    for (place, column) in places.iter_mut().zip(COLUMNS) {
        *place = names.iter().position(|name| *name == column).ok_or_else(|| {
            source.fault(&format!("is a header without column {column}; check --format"))
        })?;
    }
    Ok(places)
}

struct Row<'a> {
    at_ns: u64,
    held_ns: u64,
    tenant: &'a str,
    /// Empty for a request that never got a model; the reference counts these as one model.
    model: &'a str,
}

fn row<'a>(line: &'a str, places: &[usize; 4]) -> Option<Row<'a>> {
    let fields: Vec<&str> = line.split(',').collect();
    let seconds: f64 = fields.get(places[1])?.parse().ok()?;
    if !(0.0..1e9).contains(&seconds) {
        return None;
    }
    Some(Row {
        at_ns: stamp::parse_ns(fields.get(places[0])?)?,
        held_ns: (seconds * SECOND_NS) as u64,
        tenant: fields.get(places[2]).filter(|name| !name.is_empty())?,
        model: fields.get(places[3])?,
    })
}

/// The load times in ms, sorted.
fn load_times(path: &Path, progress: &Progress) -> Result<Vec<u32>, CliError> {
    let beside = |cause: CliError| {
        CliError::new(format!("{cause}; the load times have to lie beside the trace"))
    };
    let mut source = Source::open(path, progress).map_err(beside)?;
    let mut line = String::new();
    let mut times = Vec::new();
    source.line(&mut line)?;
    while source.line(&mut line)? {
        let value = line.split(',').nth(1).and_then(|value| value.parse::<f64>().ok());
        let Some(value) = value.filter(|value| (0.0..=f64::from(u32::MAX)).contains(value)) else {
            return Err(source.fault("has no load time in ms as its second column"));
        };
        times.push(value as u32);
    }
    if times.is_empty() {
        return Err(source.fault_of_file("holds no load times; fetch the file again"));
    }
    times.sort_unstable();
    Ok(times)
}

/// The quantile of the load times at the hash of a model's id.
fn load_ms(model: &str, times: &[u32]) -> u32 {
    let place = (u128::from(model_key(model)) * times.len() as u128) >> 64;
    times[place as usize].max(1)
}

/// A fixed 64-bit hash of a model's id: FNV-1a, then a finishing mix so that the high bits depend
/// on all of them.
fn model_key(model: &str) -> u64 {
    let fnv = model.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed = (fnv ^ (fnv >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed ^ (mixed >> 33)
}

/// Collects requests under dense numbers.
struct Lora {
    tenant_numbering: Numbering<String>,
    model_numbering: Numbering<String>,
    tenants: Vec<String>,
    items: Items,
    uses: Vec<u32>,
    requests: Vec<Request>,
    start_ns: Option<u64>,
    last_ns: u64,
}

impl Lora {
    fn new() -> Self {
        let mut tenant_numbering = Numbering::new();
        tenant_numbering.number(BASE_MODELS.to_string());
        Self {
            tenant_numbering,
            model_numbering: Numbering::new(),
            tenants: vec![BASE_MODELS.to_string()],
            items: Items::default(),
            uses: Vec::new(),
            requests: Vec::new(),
            start_ns: None,
            last_ns: 0,
        }
    }

    fn push(&mut self, row: &Row<'_>, scale: &Scale, load_times: &[u32]) {
        let (tenant, is_new) = self.tenant_numbering.number(row.tenant.to_string());
        if is_new {
            self.tenants.push(row.tenant.to_string());
        }
        let (item, is_new) = self.model_numbering.number(row.model.to_string());
        if is_new {
            self.items.keys.push(model_key(row.model));
            self.items.costs_ms.push(load_ms(row.model, load_times));
            self.items.types.push(AllocationType::ModelLoad);
        }
        let start_ns = *self.start_ns.get_or_insert(row.at_ns);
        self.last_ns = self.last_ns.max(row.at_ns.saturating_sub(start_ns));
        let place = self.uses.len() as u32;
        self.uses.push(item);
        let plain = Job::new(AllocationType::Inference, scale.inference_bytes);
        let job = Some(Job { held_ns: Some(row.held_ns), ..plain });
        let uses = place..place + 1;
        self.requests.push(Request { at_ns: self.last_ns, tenant, uses, job, drops: None });
    }

    fn into_workload(self, path: &Path, scale: &Scale) -> Workload {
        Workload {
            name: file_name(&PathBuf::from(path)),
            tenants: self.tenants,
            footprint_bytes: scale.model_bytes.saturating_mul(self.items.len() as u64),
            items: self.items,
            uses: self.uses,
            use_bytes: UseBytes::Each(scale.model_bytes),
            requests: Requests::Listed(self.requests),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cost_of_a_model_is_fixed_and_from_the_distribution() {
        let times = [10, 20, 30, 40];
        assert_eq!(load_ms("M0001", &times), load_ms("M0001", &times));
        let costs: Vec<_> = (0..64).map(|id| load_ms(&format!("M{id:04}"), &times)).collect();
        for time in times {
            assert!(costs.contains(&time), "{time} is never drawn: {costs:?}");
        }
    }

    #[test]
    fn a_row_needs_its_tenant() {
        let places = [0, 1, 2, 3];
        assert!(row("2024-11-15 16:57:50,32.0,G0,M0", &places).is_some());
        assert!(row("2024-11-15 16:57:50,32.0,,M0", &places).is_none());
        assert!(row("2024-11-15 16:57:50,-1,G0,M0", &places).is_none());
    }
}
