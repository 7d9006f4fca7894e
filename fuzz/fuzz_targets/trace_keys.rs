//! Traces of keys, in all five formats: the keys that are used are those that stand in the file, by
//! a reader of a line or two, and what is refused it cannot read either, or not count.

#![no_main]

use allot_cli::fuzzing::{Format, Scale, Unit, UseBytes, Workload};
use allotment_fuzz::trace::{keys, read, scale};
use arbitrary::Arbitrary;
use libfuzzer_sys::{Corpus, fuzz_target};

/// So many uses of one line are tried; more cost memory and show nothing.
const RUN_MAX: u64 = 1 << 12;
/// A line of more is refused before anything is done.
const REFUSED_FROM: u64 = (1 << 30) + 1;

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Kind {
    Arc,
    U32,
    U64,
    Sized,
    Oracle,
}

#[derive(Arbitrary, Debug)]
struct Case<'a> {
    kind: Kind,
    in_bytes: bool,
    tenant_shift: Option<u8>,
    file: &'a [u8],
}

fn fixed<const WIDTH: usize>(file: &[u8], key: impl Fn(&[u8; WIDTH]) -> u64) -> Option<Vec<u64>> {
    let (records, rest) = file.as_chunks::<WIDTH>();
    rest.is_empty().then(|| records.iter().map(key).collect())
}

/// The first fields of each line, which are numbers; what stands behind them is not looked at.
fn lines<const FIELDS: usize>(file: &[u8]) -> Option<Vec<[u64; FIELDS]>> {
    let text = std::str::from_utf8(file).ok()?;
    let line = |line: &str| {
        let fields = line.split_ascii_whitespace().take(FIELDS);
        let numbers: Option<Vec<u64>> = fields.map(|field| field.parse().ok()).collect();
        numbers?.try_into().ok()
    };
    text.lines().map(line).collect()
}

/// A key and its bytes for each use, where the file is as it should be.
fn naive(kind: Kind, file: &[u8]) -> Option<Vec<(u64, u64)>> {
    let plain = |keys: Vec<u64>| keys.into_iter().map(|key| (key, 1)).collect();
    match kind {
        Kind::U32 => fixed(file, |record| u64::from(u32::from_be_bytes(*record))).map(plain),
        Kind::U64 => fixed(file, |record| u64::from_be_bytes(*record)).map(plain),
        Kind::Oracle => {
            let (records, rest) = file.as_chunks::<24>();
            let use_of = |record: &[u8; 24]| {
                let key = u64::from_le_bytes(record[4..12].try_into().unwrap());
                (key, u32::from_le_bytes(record[12..16].try_into().unwrap()).into())
            };
            rest.is_empty().then(|| records.iter().map(use_of).collect())
        }
        Kind::Sized => {
            let uses = lines::<3>(file)?;
            Some(uses.into_iter().map(|[_, key, bytes]| (key, bytes)).collect())
        }
        Kind::Arc => {
            let mut keys = Vec::new();
            for [first, count] in lines::<2>(file)? {
                if count > RUN_MAX {
                    return None;
                }
                keys.extend((first..first.checked_add(count)?).map(|key| (key, 1)));
            }
            Some(keys)
        }
    }
}

fn footprint(uses: &[(u64, u64)], unit: Unit) -> u64 {
    let mut last: Vec<(u64, u64)> = Vec::new();
    for &(key, bytes) in uses {
        match last.iter_mut().find(|(known, _)| *known == key) {
            Some(known) => known.1 = bytes,
            None => last.push((key, bytes)),
        }
    }
    let bytes = last.iter().map(|&(_, bytes)| if unit == Unit::Bytes { bytes } else { 1 });
    bytes.fold(0, u64::saturating_add)
}

fn check(workload: &Workload, uses: &[(u64, u64)], scale: &Scale) {
    assert!(keys(workload).into_iter().eq(uses.iter().map(|&(key, _)| key)));
    let bytes = |place| workload.use_bytes.at(place);
    let each = matches!(workload.use_bytes, UseBytes::Each(1));
    assert_eq!(each, scale.unit == Unit::Objects);
    assert!(each || uses.iter().enumerate().all(|(place, &(_, is))| bytes(place) == is));
    if uses.len() < 200 {
        assert_eq!(workload.footprint_bytes, footprint(uses, scale.unit));
    }
    if let Some(shift) = scale.tenant_shift {
        for (item, key) in (0..).zip(&workload.items.keys) {
            let tenant = workload.items.tenant(item) as usize;
            assert_eq!(workload.tenants[tenant], (key >> shift).to_string());
        }
    }
}

/// Whether a line of blocks would have to be written out at length.
fn is_long(file: &[u8]) -> bool {
    let text = String::from_utf8_lossy(file);
    let counts = text.lines().filter_map(|line| line.split_ascii_whitespace().nth(1));
    let counts = counts.filter_map(|count| count.parse::<u64>().ok());
    let counts: Vec<u64> = counts.filter(|&count| count < REFUSED_FROM).collect();
    counts.iter().any(|&count| count > RUN_MAX) || counts.len() as u64 > RUN_MAX
}

fuzz_target!(|case: Case| -> Corpus {
    let format = match case.kind {
        Kind::Arc => Format::KeysArc,
        Kind::U32 => Format::KeysU32,
        Kind::U64 => Format::KeysU64,
        Kind::Sized => Format::KeysSized,
        Kind::Oracle => Format::OracleGeneral,
    };
    if matches!(case.kind, Kind::Arc) && is_long(case.file) {
        return Corpus::Reject;
    }
    let unit = if case.in_bytes { Unit::Bytes } else { Unit::Objects };
    let tenant_shift = case.tenant_shift.map(|shift| u32::from(shift % 64));
    let scale = Scale { unit, tenant_shift, ..scale() };
    match read(format, &scale, &[("keys", case.file)]) {
        Some(workload) => {
            let uses = naive(case.kind, case.file).expect("what was decoded can be read");
            check(&workload, &uses, &scale);
        }
        None => {
            let sized = matches!(case.kind, Kind::Sized | Kind::Oracle);
            let countable = |uses: Vec<(u64, u64)>| {
                !uses.is_empty() && uses.iter().all(|&(_, bytes)| bytes > 0 || !case.in_bytes)
            };
            let well = naive(case.kind, case.file).is_some_and(countable);
            // A line of another number of fields is none of these; sizes that are not there cannot
            // be counted.
            assert!(!well || matches!(case.kind, Kind::Sized) || case.in_bytes && !sized);
        }
    }
    Corpus::Keep
});
