//! The audit log: what the verifier and the reader make of any bytes, of real logs with something
//! done to them, and of real logs whose records say anything.
//!
//! ```text
//! A1  bytes that no writer with the key has written are never a whole log
//! A2  a log that differs from the one that was written is found out with its head; without it, it
//!     is found out, or its end was cut off and it is not sealed
//! A3  what a writer has written is whole, and is read as it was written
//! ```

#![no_main]

use allotment::audit::*;
use allotment_fuzz::scratch::Scratch;
use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use std::path::Path;
use std::sync::LazyLock;

/// Segments as their files are: numbers and bytes.
type Log = Vec<(u64, Vec<u8>)>;

const RECORDS_MAX: usize = 40;

#[derive(Arbitrary, Debug)]
enum Case<'a> {
    /// Segments of any bytes.
    Bytes(Vec<(u64, &'a [u8])>),
    /// A real log, after changes.
    Changed(Vec<Change<'a>>),
    /// A log whose records say anything.
    Written(Vec<Said<'a>>),
}

/// Done to one segment, at a place within it; both are taken modulo what there is.
#[derive(Arbitrary, Debug)]
struct Change<'a> {
    segment: u8,
    at: u16,
    what: What<'a>,
    /// Whether the CRC of the record there is made right again.
    is_mended: bool,
}

#[derive(Arbitrary, Debug)]
enum What<'a> {
    Turn(u8),
    Overwrite(&'a [u8]),
    Insert(&'a [u8]),
    Remove(u16),
    Cut,
    /// A record comes a second time.
    Repeat(u16),
    SwapSegments(u8),
    DropSegment,
    Renumber(u64),
}

#[derive(Arbitrary, Debug)]
enum Said<'a> {
    Event([u64; RECORD_WORDS]),
    Text(u8, u64, &'a str),
    Checkpoint,
    Rotate,
}

static SCRATCH: LazyLock<Scratch> = LazyLock::new(|| Scratch::new("audit"));
static KEY: LazyLock<Key> = LazyLock::new(|| Key::from_bytes(b"thirty-two bytes that are secret"));
static SAMPLE: LazyLock<(Log, Head)> = LazyLock::new(sample);

fn moment(clock_ns: u64) -> Moment {
    Moment { unix_ns: 1_700_000_000_000_000_000 + clock_ns, clock_ns }
}

fn open(folder: &Path) -> Journal {
    std::fs::remove_dir_all(folder).ok();
    let options = JournalOptions {
        segment_bytes_max: (HEADER_BYTES + 16 * RECORD_BYTES) as u64,
        sync: SyncPolicy::Never,
        ..JournalOptions::default()
    };
    Journal::open(folder, &KEY, options, moment(1)).expect("a journal in an empty folder")
}

fn load(folder: &Path) -> Log {
    let entries = std::fs::read_dir(folder).expect("the folder of a log");
    let paths = entries.map(|entry| entry.expect("its entries").path());
    let segments = paths.filter(|path| path.extension().is_some_and(|end| end == "audit"));
    let number = |path: &Path| path.file_stem()?.to_str()?.parse().ok();
    let mut log: Log = segments
        .map(|path| (number(&path).unwrap(), std::fs::read(&path).expect("a segment")))
        .collect();
    log.sort();
    log
}

/// Three segments with events, texts, checkpoints and a seal.
fn sample() -> (Log, Head) {
    let folder = SCRATCH.path().join("sample");
    let mut journal = open(&folder);
    for number in 0..30 {
        let words = [number, 1 + number % 16, number, number * 3, 0, number, 0];
        journal.append(&words).expect("room for an event");
        if number % 8 == 3 {
            let text = "a text of more than forty bytes, in two parts";
            journal.append_text(1, number, text).expect("room for a text");
            journal.checkpoint(moment(number)).expect("a checkpoint");
        }
        if journal.is_full() {
            journal.rotate(moment(number), []).expect("a new segment");
        }
    }
    let head = journal.seal(moment(99)).expect("a seal");
    (load(&folder), head)
}

fn verdict(log: &Log, expect: Option<&Head>) -> Option<Verdict> {
    let mut verifier = Verifier::new(&KEY, expect);
    for (number, bytes) in log {
        verifier.segment(*number, bytes).ok()?;
    }
    Some(verifier.finish(false))
}

fn is_found(log: &Log, expect: Option<&Head>) -> bool {
    verdict(log, expect).is_none_or(|verdict| !verdict.is_intact())
}

/// Reads a folder to the end, with the key and without; answers the records, if none is damaged.
fn read(folder: &Path, most: usize) -> Option<Vec<Record>> {
    let mut records = None;
    for key in [None, Some(&*KEY)] {
        let Ok(reader) = Reader::open(folder, key) else { return None };
        // Each entry or error uses up a byte at least.
        let entries: Vec<_> = reader.take(most + 1).collect();
        assert!(entries.len() <= most, "the reader does not come to an end");
        records = entries.into_iter().map(|entry| Some(entry.ok()?.record)).collect();
    }
    records
}

fn store(log: &Log) -> std::path::PathBuf {
    let folder = SCRATCH.path().join("stored");
    std::fs::remove_dir_all(&folder).ok();
    std::fs::create_dir_all(&folder).expect("a folder");
    for (number, bytes) in log {
        let name = format!("{number:020}.audit");
        std::fs::write(folder.join(name), bytes).expect("room for a segment");
    }
    folder
}

fn any_bytes(segments: &[(u64, &[u8])]) {
    let log: Log = segments.iter().map(|(number, bytes)| (*number, bytes.to_vec())).collect();
    if let Some(verdict) = verdict(&log, None) {
        // Without a key there is no record, and no log begins without one.
        assert_eq!(verdict.records, 0);
        assert!(!verdict.sealed);
    }
    let bytes: usize = log.iter().map(|(_, bytes)| bytes.len()).sum();
    read(&store(&log), bytes + log.len());
}

fn change(log: &mut Log, change: &Change<'_>) {
    if log.is_empty() {
        return;
    }
    let place = usize::from(change.segment) % log.len();
    let bytes = &mut log[place].1;
    let at = usize::from(change.at) % (bytes.len() + 1);
    let record = HEADER_BYTES + at.saturating_sub(HEADER_BYTES) / RECORD_BYTES * RECORD_BYTES;
    match &change.what {
        What::Turn(bits) => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= bits),
        What::Overwrite(new) => bytes.iter_mut().skip(at).zip(*new).for_each(|(b, n)| *b = *n),
        What::Insert(new) => drop(bytes.splice(at..at, new.iter().copied())),
        What::Remove(count) => {
            let end = (at + usize::from(*count)).min(bytes.len());
            bytes.drain(at..end);
        }
        What::Cut => bytes.truncate(at),
        What::Repeat(to) => {
            let copy = bytes.get(record..record + RECORD_BYTES).map(<[u8]>::to_vec);
            let to = usize::from(*to) % (bytes.len() + 1);
            bytes.splice(to..to, copy.unwrap_or_default());
        }
        What::SwapSegments(with) => {
            let with = usize::from(*with) % log.len();
            let numbers = (log[place].0, log[with].0);
            log.swap(place, with);
            (log[place].0, log[with].0) = numbers;
        }
        What::DropSegment => drop(log.remove(place)),
        What::Renumber(number) => log[place].0 = *number,
    }
    if change.is_mended
        && let Some((_, bytes)) = log.get_mut(place)
        && let Some(bytes) = bytes.get_mut(record..record + RECORD_BYTES)
        && let Some((said, crc)) = bytes.split_last_chunk_mut::<4>()
    {
        *crc = crc32fast::hash(said).to_le_bytes();
    }
}

/// Whether the end was cut off and nothing else was done. What is less than a record or a header at
/// the end, and zeros, were never finished: as good as cut off.
fn is_prefix(changed: &[(u64, Vec<u8>)], log: &Log) -> bool {
    let Some(((number, bytes), before)) = changed.split_last() else { return true };
    let zeros = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    if zeros < HEADER_BYTES && is_prefix(before, log) {
        return true;
    }
    let Some(whole) = log.get(before.len()) else { return false };
    let part = bytes.len() - bytes.len().saturating_sub(HEADER_BYTES) % RECORD_BYTES;
    let is_cut = |end: usize| whole.1.starts_with(&bytes[..end]);
    *before == log[..before.len()] && *number == whole.0 && (is_cut(zeros) || is_cut(part))
}

fn changed(changes: &[Change<'_>]) {
    let (log, head) = &*SAMPLE;
    let mut other = log.clone();
    changes.iter().for_each(|one| change(&mut other, one));
    if other == *log {
        return assert!(verdict(log, Some(head)).is_some_and(|verdict| verdict.is_intact()));
    }
    assert!(is_found(&other, Some(head)), "with the head");
    match verdict(&other, None) {
        Some(verdict) if verdict.is_intact() => {
            assert!(!verdict.sealed && is_prefix(&other, log), "whole: {verdict:#?}");
        }
        _ => {}
    }
    let bytes: usize = other.iter().map(|(_, bytes)| bytes.len()).sum();
    read(&store(&other), bytes + other.len());
}

fn written(said: &[Said<'_>]) {
    let folder = SCRATCH.path().join("written");
    let mut journal = open(&folder);
    let mut events = Vec::new();
    for one in said.iter().take(RECORDS_MAX) {
        match one {
            Said::Event(words) => {
                // What the journal writes itself is refused.
                if let Ok(sequence) = journal.append(words) {
                    events.push(Record { sequence, words: *words });
                }
            }
            // Too long a text is refused.
            Said::Text(topic, id, text) => drop(journal.append_text(*topic, *id, text)),
            Said::Checkpoint => drop(journal.checkpoint(moment(2)).expect("a checkpoint")),
            Said::Rotate => {}
        }
        if journal.is_full() || matches!(one, Said::Rotate) {
            journal.rotate(moment(3), []).expect("a new segment");
        }
    }
    let head = journal.seal(moment(4)).expect("a seal");
    let log = load(&folder);
    let records = read(&folder, 1 << 20).expect("what was written is whole");
    for event in &events {
        let place = (event.sequence - records[0].sequence) as usize;
        assert_eq!(records[place], *event);
    }
    for record in &records {
        // Whatever the words are, they say something.
        assert!(!format!("{:?}", record.body()).is_empty());
    }
    let verdict = verdict(&log, Some(&head)).expect("it is of this key");
    assert!(verdict.is_intact() && verdict.sealed, "{verdict:#?}");
    assert_eq!((verdict.last_sequence, verdict.records), (head.sequence, records.len() as u64));
}

fuzz_target!(|case: Case| {
    match case {
        Case::Bytes(segments) => any_bytes(&segments),
        Case::Changed(changes) => changed(&changes),
        Case::Written(said) => written(&said),
    }
});
