//! Key traces: each request is one key, and each key one `Cache` grant.

use std::path::Path;

use super::source::Source;
use super::workload::{Items, Numbering, Request, Requests, UseBytes, Workload};
use super::{Format, SINGLE_TENANT, Scale, Unit, file_name};
use crate::failure::CliError;
use crate::replay::progress::Progress;

const SECOND_NS: u64 = 1_000_000_000;

/// Most requests of one key trace.
const USES_MAX: u64 = 1 << 30;

/// Decodes one of the keys formats.
pub fn decode(
    format: Format,
    path: &Path,
    scale: &Scale,
    progress: &Progress,
) -> Result<Workload, CliError> {
    let mut source = Source::open(path, progress)?;
    let mut keys = Keys::new(scale);
    match format {
        Format::KeysU32 => fixed_keys(&mut source, &mut keys, |record: &[u8; 4]| {
            u64::from(u32::from_be_bytes(*record))
        })?,
        Format::KeysU64 => {
            fixed_keys(&mut source, &mut keys, |record: &[u8; 8]| u64::from_be_bytes(*record))?
        }
        Format::KeysSized => sized_lines(&mut source, &mut keys)?,
        Format::OracleGeneral => oracle_records(&mut source, &mut keys)?,
        _ => arc_lines(&mut source, &mut keys)?,
    }
    Ok(keys.into_workload(file_name(path)))
}

/// Keys of a fixed width and nothing else.
fn fixed_keys<const WIDTH: usize>(
    source: &mut Source,
    keys: &mut Keys,
    key_of: impl Fn(&[u8; WIDTH]) -> u64,
) -> Result<(), CliError> {
    let mut record = [0; WIDTH];
    while source.record(&mut record)? {
        keys.room_for(source, 1)?;
        keys.push(key_of(&record));
    }
    keys.refuse_bytes(source)
}

/// `first_block count ignored request_number`: one use of each of `count` consecutive blocks.
fn arc_lines(source: &mut Source, keys: &mut Keys) -> Result<(), CliError> {
    let mut line = String::new();
    while source.line(&mut line)? {
        let mut fields = line.split_ascii_whitespace().map(str::parse::<u64>);
        let (Some(Ok(first)), Some(Ok(count))) = (fields.next(), fields.next()) else {
            return Err(source.fault("is not `first_block count ...`; check --format"));
        };
        let Some(end) = first.checked_add(count) else {
            return Err(source.fault("runs past the last block number; check --format"));
        };
        keys.room_for(source, count)?;
        (first..end).for_each(|key| keys.push(key));
    }
    keys.refuse_bytes(source)
}

/// `time key bytes`, time in seconds.
fn sized_lines(source: &mut Source, keys: &mut Keys) -> Result<(), CliError> {
    let mut line = String::new();
    while source.line(&mut line)? {
        let mut fields = line.split_ascii_whitespace().map(str::parse::<u64>);
        let (Some(Ok(time_s)), Some(Ok(key)), Some(Ok(bytes)), None) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err(source.fault("is not `time key bytes`; check --format"));
        };
        keys.push_sized(source, time_s, key, bytes)?;
    }
    Ok(())
}

/// `u32 time (s), u64 key, u32 bytes, i64 next use`, little-endian, without padding.
fn oracle_records(source: &mut Source, keys: &mut Keys) -> Result<(), CliError> {
    let mut record = [0; 24];
    while source.record(&mut record)? {
        let time_s = u64::from(u32::from_le_bytes(part(&record, 0)));
        let key = u64::from_le_bytes(part(&record, 4));
        let bytes = u64::from(u32::from_le_bytes(part(&record, 12)));
        keys.push_sized(source, time_s, key, bytes)?;
    }
    Ok(())
}

/// `WIDTH` bytes of `record` from `start`.
fn part<const WIDTH: usize>(record: &[u8; 24], start: usize) -> [u8; WIDTH] {
    std::array::from_fn(|place| record[start + place])
}

/// Collects keys under dense numbers.
struct Keys {
    unit: Unit,
    tenant_shift: Option<u32>,
    numbering: Numbering<u64>,
    tenant_numbering: Numbering<u64>,
    tenants: Vec<String>,
    items: Items,
    uses: Vec<u32>,
    /// Size last seen of each item; kept only where sizes count.
    sizes: Vec<u64>,
    use_bytes: Vec<u64>,
    requests: Vec<Request>,
    first_s: Option<u64>,
    last_ns: u64,
}

impl Keys {
    fn new(scale: &Scale) -> Self {
        Self {
            unit: scale.unit,
            tenant_shift: scale.tenant_shift,
            numbering: Numbering::new(),
            tenant_numbering: Numbering::new(),
            tenants: Vec::new(),
            items: Items::default(),
            uses: Vec::new(),
            sizes: Vec::new(),
            use_bytes: Vec::new(),
            requests: Vec::new(),
            first_s: None,
            last_ns: 0,
        }
    }

    /// Refuses what would not fit into 32-bit places, and into most machines.
    fn room_for(&self, source: &Source, count: u64) -> Result<(), CliError> {
        if count <= USES_MAX - self.uses.len() as u64 {
            return Ok(());
        }
        Err(source
            .fault(&format!("is past {USES_MAX} requests; check --format or split the trace")))
    }

    fn push(&mut self, key: u64) {
        let (item, is_new) = self.numbering.number(key);
        self.uses.push(item);
        if !is_new {
            return;
        }
        self.items.keys.push(key);
        if let Some(shift) = self.tenant_shift {
            let name = key >> shift;
            let (tenant, is_new) = self.tenant_numbering.number(name);
            if is_new {
                self.tenants.push(name.to_string());
            }
            self.items.tenants.push(tenant);
        }
    }

    /// A key with a time and a size. Time that runs backwards stands still.
    fn push_sized(
        &mut self,
        source: &Source,
        time_s: u64,
        key: u64,
        bytes: u64,
    ) -> Result<(), CliError> {
        self.room_for(source, 1)?;
        let place = self.uses.len() as u32;
        self.push(key);
        let item = self.uses[place as usize] as usize;
        if self.unit == Unit::Bytes {
            if bytes == 0 {
                return Err(source.fault("asks for 0 bytes; replay it with --unit objects"));
            }
            if item == self.sizes.len() {
                self.sizes.push(bytes);
            }
            self.sizes[item] = bytes;
            self.use_bytes.push(bytes);
        }
        let since_s = time_s.saturating_sub(*self.first_s.get_or_insert(time_s));
        self.last_ns = self.last_ns.max(since_s.saturating_mul(SECOND_NS));
        let tenant = self.items.tenant(item as u32);
        let uses = place..place + 1;
        self.requests.push(Request { at_ns: self.last_ns, tenant, uses, job: None, drops: None });
        Ok(())
    }

    /// Refuses `--unit bytes` for a format without sizes.
    fn refuse_bytes(&self, source: &Source) -> Result<(), CliError> {
        match self.unit {
            Unit::Objects => Ok(()),
            Unit::Bytes => Err(source.fault_of_file(
                "this format names no sizes, so --unit bytes cannot be; use --unit objects",
            )),
        }
    }

    fn into_workload(mut self, name: String) -> Workload {
        if self.tenants.is_empty() {
            self.tenants.push(SINGLE_TENANT.to_string());
        }
        let footprint_bytes = match self.unit {
            Unit::Objects => self.items.len() as u64,
            Unit::Bytes => self.sizes.iter().copied().fold(0, u64::saturating_add),
        };
        let use_bytes = match self.unit {
            Unit::Objects => UseBytes::Each(1),
            Unit::Bytes => UseBytes::PerUse(self.use_bytes),
        };
        let requests = match self.first_s {
            None => Requests::EachUse,
            Some(_) => Requests::Listed(self.requests),
        };
        Workload {
            name,
            tenants: self.tenants,
            items: self.items,
            uses: self.uses,
            use_bytes,
            requests,
            footprint_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::stretch::Stretch;

    #[test]
    fn a_footprint_beyond_all_numbers_is_the_largest() {
        let scale = Scale {
            stretch: Stretch { sitting: None, since_ns: None, until_ns: None },
            unit: Unit::Bytes,
            tenant_shift: None,
            kv_bytes_per_token: 1,
            decode_ns_per_token: 1,
            model_bytes: 1,
            inference_bytes: 1,
        };
        let mut keys = Keys::new(&scale);
        keys.sizes = vec![u64::MAX, 5];
        assert_eq!(keys.into_workload("t".to_string()).footprint_bytes, u64::MAX);
    }
}
