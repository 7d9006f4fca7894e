//! Recorded keys, read from the shared traces. `crates/cli/src/trace/keys.rs` reads the same
//! formats for replays, with sizes and times; here each request is a key.

use flate2::read::MultiGzDecoder;
use lzma_rust2::XzReader;
use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result};
use std::path::Path;

/// The traces, below `cache-keys`, and how their keys are written.
pub const TRACES: [(&str, &str, Format); 9] = [
    ("OLTP", "arc/OLTP.lis.gz", Format::Runs),
    ("P3", "arc/P3.lis.gz", Format::Runs),
    ("P6", "arc/P6.lis.gz", Format::Runs),
    ("w106", "caffeine/w106.trace.xz", Format::Big32),
    ("scarab-recs", "caffeine/scarab-recs.trace.xz", Format::Big64),
    ("orm-busy", "caffeine/orm-busy.trace.xz", Format::Big32),
    ("web07", "caffeine/web07.trace.xz", Format::Big32),
    ("adaptsize", "caffeine/adaptsize-request.trace.xz", Format::Lines),
    ("cloudPhysicsIO", "libcachesim/cloudPhysicsIO.oracleGeneral.bin.gz", Format::Records),
];

/// How keys are written.
#[derive(Clone, Copy, Debug)]
pub enum Format {
    /// `first count ...`: a run of keys in each line.
    Runs,
    /// `time key ...`: a key in each line.
    Lines,
    /// 32 bits, big-endian.
    Big32,
    /// 64 bits, big-endian.
    Big64,
    /// Records of 24 bytes, the key at 4, little-endian.
    Records,
}

/// The keys of a trace, in order.
pub struct Trace {
    /// What it is called.
    pub name: &'static str,
    /// One for each request.
    pub keys: Vec<u64>,
    /// How many different ones.
    pub distinct: usize,
    /// Whether only the head of the file was read.
    pub is_head: bool,
}

impl Trace {
    /// Reads at most `keys_max` keys of a file below `folder`.
    pub fn read(
        folder: &Path,
        (name, file, format): (&'static str, &str, Format),
        keys_max: usize,
    ) -> Result<Self> {
        let packed = BufReader::new(File::open(folder.join(file))?);
        let unpacked: Box<dyn Read> = match file.rsplit('.').next() {
            Some("gz") => Box::new(MultiGzDecoder::new(packed)),
            Some("xz") => Box::new(XzReader::new(packed, true)),
            _ => Box::new(packed),
        };
        // One more than wanted says whether there are more.
        let mut keys = format.keys(&mut BufReader::new(unpacked), keys_max + 1)?;
        let is_head = keys.len() > keys_max;
        keys.truncate(keys_max);
        let distinct = keys.iter().collect::<HashSet<_>>().len();
        Ok(Self { name, keys, distinct, is_head })
    }

    /// Keys that fit into so many percent of the different ones.
    pub fn capacity(&self, percent: usize) -> usize {
        (self.distinct * percent / 100).max(1)
    }
}

impl Format {
    fn keys(self, source: &mut impl BufRead, keys_max: usize) -> Result<Vec<u64>> {
        match self {
            Self::Runs => in_lines(source, keys_max, |[first, count]| first..first + count),
            Self::Lines => in_lines(source, keys_max, |[_, key]| key..key + 1),
            Self::Big32 => {
                in_records(source, keys_max, |r: [u8; 4]| u64::from(u32::from_be_bytes(r)))
            }
            Self::Big64 => in_records(source, keys_max, u64::from_be_bytes),
            Self::Records => in_records(source, keys_max, |record: [u8; 24]| {
                u64::from_le_bytes(std::array::from_fn(|byte| record[4 + byte]))
            }),
        }
    }
}

/// Lines that begin with two numbers, each a run of keys.
fn in_lines(
    source: &mut impl BufRead,
    keys_max: usize,
    run: impl Fn([u64; 2]) -> std::ops::Range<u64>,
) -> Result<Vec<u64>> {
    let (mut keys, mut line) = (Vec::new(), String::new());
    while keys.len() < keys_max && source.read_line(&mut line)? > 0 {
        let mut numbers = line.split_ascii_whitespace().map(str::parse);
        let (Some(Ok(first)), Some(Ok(second))) = (numbers.next(), numbers.next()) else {
            return Err(Error::new(ErrorKind::InvalidData, "a line without two numbers"));
        };
        keys.extend(run([first, second]).take(keys_max - keys.len()));
        line.clear();
    }
    Ok(keys)
}

fn in_records<const BYTES: usize>(
    source: &mut impl BufRead,
    keys_max: usize,
    key: impl Fn([u8; BYTES]) -> u64,
) -> Result<Vec<u64>> {
    let (mut keys, mut record) = (Vec::new(), [0; BYTES]);
    while keys.len() < keys_max && !source.fill_buf()?.is_empty() {
        source.read_exact(&mut record)?;
        keys.push(key(record));
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(format: Format, mut bytes: &[u8], keys_max: usize) -> Result<Vec<u64>> {
        format.keys(&mut bytes, keys_max)
    }

    #[test]
    fn each_format_is_read() {
        let runs = b"7 3 0 0\n100 1 0 1\n";
        assert_eq!(keys(Format::Runs, runs, 9).unwrap(), [7, 8, 9, 100]);
        assert_eq!(keys(Format::Runs, runs, 2).unwrap(), [7, 8], "the head");
        assert_eq!(keys(Format::Lines, b"1 70 5\n2 80 5\n", 9).unwrap(), [70, 80]);
        assert_eq!(keys(Format::Big32, &[0, 0, 1, 0, 0, 0, 0, 5], 9).unwrap(), [256, 5]);
        assert_eq!(keys(Format::Big64, &[0, 0, 0, 0, 0, 0, 2, 1], 9).unwrap(), [513]);
        let mut record = [0; 24];
        record[4..6].copy_from_slice(&[3, 1]);
        assert_eq!(keys(Format::Records, &record, 9).unwrap(), [259]);
    }

    #[test]
    fn what_is_torn_is_refused() {
        assert!(keys(Format::Runs, b"7\n", 9).is_err());
        assert!(keys(Format::Big32, &[0, 0, 1, 0, 0], 9).is_err());
    }

    #[test]
    fn a_capacity_is_never_nothing() {
        let trace = Trace { name: "few", keys: vec![1; 9], distinct: 1, is_head: false };
        assert_eq!(trace.capacity(10), 1);
    }
}
