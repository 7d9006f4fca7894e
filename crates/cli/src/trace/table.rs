//! `csv`, our own format: `time_ms,tenant,allocation_type,bytes,duration_ms,key`.
//!
//! - `time_ms`: from the start of the trace, never backwards;
//! - `tenant`: a name that `--config` knows, or any where that has `[defaults]`;
//! - `allocation_type`: `model_load`, `inference`, `cache` or `background`;
//! - `bytes`: at least 1;
//! - `duration_ms`: how long the bytes are held; empty: to the end;
//! - `key`: a number; the bytes are then an item that stays until it is evicted, is touched when
//!   its tenant names the key again, and has no duration. Empty: held as `duration_ms` says.

use std::collections::HashSet;
use std::path::Path;

use allotment::AllocationType;

use super::file_name;
use super::source::Source;
use super::workload::{Items, Job, Numbering, Request, Requests, UseBytes, Workload};
use crate::failure::CliError;
use crate::replay::progress::Progress;

const HEADER: &str = "time_ms,tenant,allocation_type,bytes,duration_ms,key";

const MS_NS: u64 = 1_000_000;

/// Decodes one file; `known` are the tenants that it may name, none: any.
pub fn decode(
    path: &Path,
    known: Option<&HashSet<String>>,
    progress: &Progress,
) -> Result<Workload, CliError> {
    let mut source = Source::open(path, progress)?;
    let mut line = String::new();
    if !source.line(&mut line)? || line != HEADER {
        return Err(source.fault(&format!("is not the header `{HEADER}`")));
    }
    let mut table = Table::new();
    while source.line(&mut line)? {
        let row = row(&line).map_err(|what| source.fault(&what))?;
        if known.is_some_and(|known| !known.contains(row.tenant)) {
            return Err(source.fault(&format!(
                "names the unknown tenant '{}'; add it to the file of --config, or \
                 say under [defaults] what tenants have that it does not name",
                row.tenant
            )));
        }
        if row.at_ns < table.last_ns {
            return Err(source.fault("goes back in time; sort the file by time_ms"));
        }
        table.push(&row);
    }
    let mut requests = table.requests;
    requests.shrink_to_fit();
    Ok(Workload {
        name: file_name(path),
        tenants: table.tenants,
        footprint_bytes: table.footprint_bytes,
        items: table.items,
        uses: table.uses,
        use_bytes: UseBytes::PerUse(table.use_bytes),
        requests: Requests::Listed(requests),
    })
}

struct Row<'a> {
    at_ns: u64,
    tenant: &'a str,
    allocation: AllocationType,
    bytes: u64,
    held_ns: Option<u64>,
    key: Option<u64>,
}

fn row(line: &str) -> Result<Row<'_>, String> {
    let fields: Vec<&str> = line.split(',').map(str::trim).collect();
    let [time, tenant, allocation, bytes, duration, key] = fields[..] else {
        return Err(format!("has {} fields, not the 6 of `{HEADER}`", fields.len()));
    };
    let number = |name: &str, text: &str| {
        let bound = "a whole number below 2^64";
        text.parse::<u64>().map_err(|_| format!("has {name} '{text}'; write {bound}"))
    };
    let optional = |name: &str, text: &str| {
        if text.is_empty() { Ok(None) } else { number(name, text).map(Some) }
    };
    let row = Row {
        at_ns: number("time_ms", time)?.saturating_mul(MS_NS),
        tenant,
        allocation: allocation_type(allocation)?,
        bytes: number("bytes", bytes)?,
        held_ns: optional("duration_ms", duration)?.map(|held| held.saturating_mul(MS_NS)),
        key: optional("key", key)?,
    };
    if tenant.is_empty() {
        return Err("has no tenant; name one".to_string());
    }
    if row.bytes == 0 {
        return Err("asks for 0 bytes; ask for at least 1".to_string());
    }
    if row.key.is_some() && row.held_ns.is_some() {
        return Err("has a key and a duration_ms; leave one of them empty".to_string());
    }
    Ok(row)
}

fn allocation_type(text: &str) -> Result<AllocationType, String> {
    match text {
        "model_load" => Ok(AllocationType::ModelLoad),
        "inference" => Ok(AllocationType::Inference),
        "cache" => Ok(AllocationType::Cache),
        "background" => Ok(AllocationType::Background),
        _ => Err(format!(
            "has allocation_type '{text}'; write model_load, inference, cache or background"
        )),
    }
}

/// Collects rows under dense numbers.
struct Table {
    tenant_numbering: Numbering<String>,
    item_numbering: Numbering<(u32, u64)>,
    tenants: Vec<String>,
    items: Items,
    uses: Vec<u32>,
    use_bytes: Vec<u64>,
    requests: Vec<Request>,
    footprint_bytes: u64,
    last_ns: u64,
}

impl Table {
    fn new() -> Self {
        Self {
            tenant_numbering: Numbering::new(),
            item_numbering: Numbering::new(),
            tenants: Vec::new(),
            items: Items::default(),
            uses: Vec::new(),
            use_bytes: Vec::new(),
            requests: Vec::new(),
            footprint_bytes: 0,
            last_ns: 0,
        }
    }

    fn push(&mut self, row: &Row<'_>) {
        let (tenant, is_new) = self.tenant_numbering.number(row.tenant.to_string());
        if is_new {
            self.tenants.push(row.tenant.to_string());
        }
        let place = self.uses.len() as u32;
        let mut job = None;
        if let Some(key) = row.key {
            self.use_item(row, tenant, key);
        } else {
            job = Some(Job { held_ns: row.held_ns, ..Job::new(row.allocation, row.bytes) });
        }
        let uses = place..self.uses.len() as u32;
        self.last_ns = row.at_ns;
        self.requests.push(Request { at_ns: row.at_ns, tenant, uses, job, drops: None });
    }

    fn use_item(&mut self, row: &Row<'_>, tenant: u32, key: u64) {
        let (item, is_new) = self.item_numbering.number((tenant, key));
        self.uses.push(item);
        self.use_bytes.push(row.bytes);
        if is_new {
            self.items.keys.push(key);
            self.items.tenants.push(tenant);
            self.items.types.push(row.allocation);
            self.footprint_bytes = self.footprint_bytes.saturating_add(row.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bad_field_is_named() {
        for (line, part) in [
            ("1,a,cache,10,", "has 5 fields"),
            ("x,a,cache,10,,", "time_ms 'x'"),
            ("1,a,ram,10,,", "allocation_type 'ram'"),
            ("1,a,cache,-1,,", "bytes '-1'"),
            ("1,a,cache,0,,", "asks for 0 bytes"),
            ("1, ,cache,10,,", "has no tenant"),
            ("1,a,cache,10,soon,", "duration_ms 'soon'"),
            ("1,a,cache,10,,me", "key 'me'"),
            ("1,a,cache,10,5,7", "a key and a duration_ms"),
        ] {
            let what = row(line).err().unwrap_or_default();
            assert!(what.contains(part), "{line}: {what}");
        }
    }

    #[test]
    fn a_key_belongs_to_its_tenant() {
        let mut table = Table::new();
        for line in ["0,a,cache,10,,7", "1,b,cache,20,,7", "2,a,cache,10,,7"] {
            table.push(&row(line).unwrap());
        }
        assert_eq!(table.uses, [0, 1, 0]);
        assert_eq!(table.footprint_bytes, 30);
    }
}
