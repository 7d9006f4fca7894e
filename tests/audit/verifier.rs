//! Whatever is done to a log is found.

use super::*;
use std::ops::Range;

/// Segments as their files are: numbers and bytes.
type Log = Vec<(u64, Vec<u8>)>;

struct Sample {
    log: Log,
    head: Head,
}

fn load(folder: &Path) -> Log {
    let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|extension| extension == "audit"));
    names.sort();
    let number = |path: &PathBuf| path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    names.iter().map(|path| (number(path), std::fs::read(path).unwrap())).collect()
}

fn verdict(log: &Log, expect: Option<&Head>) -> Result<Verdict, AuditError> {
    let key = key();
    let mut verifier = Verifier::new(&key, expect);
    for (number, bytes) in log {
        verifier.segment(*number, bytes)?;
    }
    Ok(verifier.finish(false))
}

fn is_found(log: &Log, expect: Option<&Head>) -> bool {
    verdict(log, expect).map_or(true, |verdict| !verdict.is_intact())
}

/// A sealed log with a bit of everything: sessions that ended in a crash, torn tails, retention,
/// texts, balances.
fn sample(seed: u64) -> Sample {
    let mut chance = Chance(seed);
    let scratch = Scratch::new();
    let keep = 2 + chance.below(3) as u32;
    let options = || JournalOptions { keep_segments_max: Some(keep), ..small() };
    for _ in 0..chance.below(3) {
        let mut journal = scratch.open(options());
        fill(&mut journal, &mut chance);
        let segment = scratch.segment(journal.segment());
        drop(journal);
        let torn = chance.below(RECORD_BYTES);
        let mut bytes = std::fs::read(&segment).unwrap();
        bytes.extend_from_within(HEADER_BYTES..HEADER_BYTES + torn);
        std::fs::write(&segment, bytes).unwrap();
    }
    let mut journal = scratch.open(options());
    fill(&mut journal, &mut chance);
    let head = journal.seal(at(99)).unwrap();
    Sample { log: load(&scratch.log()), head }
}

fn fill(journal: &mut Journal, chance: &mut Chance) {
    for _ in 0..chance.below(40) {
        match chance.below(10) {
            0 => drop(journal.checkpoint(at(5)).unwrap()),
            1 => drop(journal.append_text(1, 2, "a text of more than forty bytes, in two parts")),
            _ => append(journal, 7..8),
        }
        if journal.is_full() {
            let balance = |account| Body::Balance {
                clock_ns: 1,
                account,
                allocation_type: 2,
                bytes: 100,
                grants: 1,
            };
            journal.rotate(at(7), (0..3).map(balance)).unwrap();
        }
    }
    journal.flush().unwrap();
}

#[test]
fn samples_verify() {
    let mut seen = [0; 3];
    for seed in 0..40 {
        let Sample { log, head } = sample(seed);
        for expect in [None, Some(&head)] {
            let verdict = verdict(&log, expect).unwrap();
            assert!(verdict.is_intact() && verdict.sealed, "{seed}: {verdict:#?}");
            assert_eq!((verdict.head, verdict.tail), (Some(head), None));
            assert_eq!(verdict.last_sequence, head.sequence);
            assert_eq!(verdict.records, head.sequence + 1 - verdict.first_sequence);
        }
        seen[0] += usize::from(log.len() > 2);
        seen[1] += usize::from(log[0].0 > 1);
        seen[2] += usize::from(log.iter().any(|(_, bytes)| bytes.len() % RECORD_BYTES != 0));
    }
    assert!(seen.iter().all(|&count| count > 3), "the samples are too plain: {seen:?}");
}

#[test]
fn no_segment_comes_after_the_last_number_of_all() {
    let mut samples = (0..40).map(|seed| sample(seed).log);
    let mut log = samples.find(|log| log.len() > 2).expect("a sample of three segments");
    log[1].0 = u64::MAX;
    assert!(is_found(&log, None));
}

/// How many tamperings are tried.
const TAMPERINGS: u64 = 100_000;

#[test]
fn every_tampering_is_found() {
    let samples: Vec<_> = (0..32).map(sample).collect();
    let threads = 2;
    let mut counts = [0; KINDS];
    std::thread::scope(|scope| {
        let samples = &samples;
        let run = |thread: u64| {
            move || {
                let mut counts = [0; KINDS];
                for seed in (0..TAMPERINGS).filter(|seed| seed % threads == thread) {
                    counts[tamper_and_look(samples, seed)] += 1;
                }
                counts
            }
        };
        let running: Vec<_> = (0..threads).map(|thread| scope.spawn(run(thread))).collect();
        for counted in running {
            let counted: [u64; KINDS] = counted.join().unwrap();
            counts.iter_mut().zip(counted).for_each(|(sum, count)| *sum += count);
        }
    });
    assert_eq!(counts.iter().sum::<u64>(), TAMPERINGS);
    let least = TAMPERINGS / KINDS as u64 / 2;
    assert!(counts.iter().all(|&count| count > least), "some kinds are rare: {counts:?}");
}

/// One tampering with one sample; answers its kind.
fn tamper_and_look(samples: &[Sample], seed: u64) -> usize {
    let mut chance = Chance(seed);
    loop {
        let Sample { log, head } = &samples[chance.below(samples.len())];
        let other = &samples[chance.below(samples.len())].log;
        let kind = chance.below(KINDS);
        let tampered = tamper(kind, log, other, &mut chance);
        // Another log as a whole is a log; only the head tells that it is not this one.
        if tampered == *log || tampered == *other {
            assert!(tampered == *log || is_found(&tampered, Some(head)), "seed {seed}");
            continue;
        }
        let say = || format!("seed {seed}, kind {kind}");
        assert!(is_found(&tampered, Some(head)), "{}, with the head", say());
        let cut = match kind {
            12 => &without_part(&tampered),
            17 => &without_zeros(&tampered),
            _ => &tampered,
        };
        if is_prefix(cut, log) || is_prefix(cut, other) {
            let is_whole = |verdict: Verdict| verdict.sealed && verdict.is_intact();
            assert!(!verdict(&tampered, None).is_ok_and(is_whole), "{}: cut off", say());
        } else {
            assert!(is_found(&tampered, None), "{}, without the head", say());
        }
        return kind;
    }
}

/// Less than a record at the end is one that was never finished, whatever it holds: as good as cut
/// off.
fn without_part(log: &Log) -> Log {
    let mut log = log.clone();
    if let Some((_, bytes)) = log.last_mut() {
        bytes.truncate(bytes.len() - bytes.len() % RECORD_BYTES);
    }
    log
}

/// Zeros at the end are blocks that were never written: as good as cut off.
fn without_zeros(log: &Log) -> Log {
    let mut log = log.clone();
    if let Some((_, bytes)) = log.last_mut() {
        let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        bytes.truncate(end);
    }
    log
}

/// Whether the end of the log was cut off and nothing else was done.
fn is_prefix(tampered: &Log, log: &Log) -> bool {
    let Some((last, before)) = tampered.split_last() else { return true };
    let (number, bytes) = &log[before.len().min(log.len() - 1)];
    tampered.len() <= log.len()
        && *before == log[..before.len()]
        && last.0 == *number
        && bytes.starts_with(&last.1)
}

const KINDS: usize = 18;

fn tamper(kind: usize, log: &Log, other: &Log, chance: &mut Chance) -> Log {
    let mut log = log.clone();
    let at = chance.below(log.len());
    match kind {
        8..=13 => return tamper_segments(kind, log, at, other, chance),
        14.. => tamper_header(kind, &mut log, at, chance),
        _ => tamper_records(kind, &mut log[at].1, chance),
    }
    log
}

/// Where a record stands; of a segment without records, its header.
fn place(bytes: &[u8], chance: &mut Chance) -> Range<usize> {
    let records = bytes.len().saturating_sub(HEADER_BYTES) / RECORD_BYTES;
    let start = HEADER_BYTES + chance.below(records.max(1)) * RECORD_BYTES;
    if records == 0 { 0..bytes.len() } else { start..start + RECORD_BYTES }
}

/// Makes the last four bytes the CRC of those before.
fn mend(bytes: &mut [u8]) {
    if let Some((said, crc)) = bytes.split_last_chunk_mut::<4>() {
        *crc = crc32fast::hash(said).to_le_bytes();
    }
}

fn tamper_records(kind: usize, bytes: &mut Vec<u8>, chance: &mut Chance) {
    let (one, two) = (place(bytes, chance), place(bytes, chance));
    match kind {
        // Bits, anywhere.
        0 => {
            for _ in 0..=chance.below(3) {
                let bit = chance.below(bytes.len() * 8);
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
        }
        // A record, with a CRC that is right.
        1 => {
            let record = &mut bytes[one];
            let start = chance.below(record.len() - 4);
            let count = 1 + chance.below(record.len() - 4 - start);
            record[start..start + count].copy_from_slice(&chance.bytes(count));
            mend(record);
        }
        // Bytes are put in, anywhere.
        2 => {
            let (start, count) = (chance.below(bytes.len() + 1), 1 + chance.below(300));
            bytes.splice(start..start, chance.bytes(count));
        }
        // A record is made up: the right number, the right CRC.
        3 => {
            let mut record = bytes[one.clone()].to_vec();
            let tag = 64.min(record.len())..92.min(record.len());
            record[tag.clone()].copy_from_slice(&chance.bytes(tag.len()));
            mend(&mut record);
            bytes.splice(one.start..one.start, record);
        }
        // A record a second time, anywhere.
        4 => {
            let record = bytes[one].to_vec();
            bytes.splice(two.start..two.start, record);
        }
        // Two records change places.
        5 => {
            let (first, second) = (bytes[one.clone()].to_vec(), bytes[two.clone()].to_vec());
            bytes[one].copy_from_slice(&second);
            bytes[two].copy_from_slice(&first);
        }
        // Records are taken out.
        6 => drop(bytes.drain(one.start.min(two.start)..one.end.max(two.end))),
        // The end is cut off.
        _ => bytes.truncate(chance.below(bytes.len())),
    }
}

fn tamper_segments(kind: usize, mut log: Log, at: usize, other: &Log, chance: &mut Chance) -> Log {
    let second = chance.below(log.len());
    let theirs = other[chance.below(other.len())].1.clone();
    match kind {
        // One is taken out, and maybe nobody is to see it.
        8 => {
            log.remove(at);
            if chance.below(2) == 0 {
                log[at..].iter_mut().for_each(|(number, _)| *number -= 1);
            }
        }
        // Two change places.
        9 => {
            let bytes = std::mem::take(&mut log[at].1);
            let moved = std::mem::replace(&mut log[second].1, bytes);
            if at != second {
                log[at].1 = moved;
            }
        }
        // One is there twice; those behind it make room.
        10 => {
            let bytes = log[second].1.clone();
            let number = log[at].0;
            log[at..].iter_mut().for_each(|(number, _)| *number += 1);
            log.insert(at, (number, bytes));
        }
        // One of another log.
        11 => log[at].1 = theirs,
        // The end of one of another log.
        12 => {
            let ours = &mut log[at].1;
            let start = place(ours, chance).start.min(theirs.len());
            ours.truncate(start);
            ours.extend_from_slice(&theirs[start..]);
        }
        // One as it was earlier: fewer records, all of them right.
        _ => {
            let start = place(&log[at].1, chance).start;
            log[at].1.truncate(start);
        }
    }
    log
}

fn tamper_header(kind: usize, log: &mut Log, at: usize, chance: &mut Chance) {
    let second = chance.below(log.len());
    let theirs = log[second].1.clone();
    let bytes = &mut log[at].1;
    let size = HEADER_BYTES.min(bytes.len());
    match kind {
        // A header, with a CRC that is right.
        14 => {
            let place = chance.below(size);
            bytes[place] ^= 1 << chance.below(8);
            mend(&mut bytes[..size]);
        }
        // The header of another segment.
        15 => {
            let size = size.min(theirs.len());
            bytes[..size].copy_from_slice(&theirs[..size]);
        }
        // Zeros behind the end.
        16 => bytes.resize(bytes.len() + 1 + chance.below(300), 0),
        // Zeros at the end.
        _ => {
            let start = chance.below(bytes.len());
            bytes[start..].fill(0);
        }
    }
}

/// A log of one segment: opened, ten events, a checkpoint, ten events, the seal.
fn plain() -> Sample {
    let scratch = Scratch::new();
    let options = JournalOptions { sync: SyncPolicy::Never, ..JournalOptions::default() };
    let mut journal = scratch.open(options);
    append(&mut journal, 0..10);
    journal.checkpoint(at(2)).unwrap();
    append(&mut journal, 10..20);
    let head = journal.seal(at(3)).unwrap();
    Sample { log: load(&scratch.log()), head }
}

/// Where record `sequence` of a plain log stands.
fn record(sequence: usize) -> Range<usize> {
    let start = HEADER_BYTES + (sequence - 1) * RECORD_BYTES;
    start..start + RECORD_BYTES
}

/// What is found after a change of a plain log: kinds, places and records.
fn found(change: impl FnOnce(&mut Vec<u8>)) -> Vec<(FindingKind, u64, Option<u64>)> {
    let Sample { mut log, head } = plain();
    change(&mut log[0].1);
    let findings = verdict(&log, Some(&head)).unwrap().findings;
    findings.into_iter().map(|found| (found.kind, found.offset, found.sequence)).collect()
}

#[test]
fn findings_name_what_was_done_and_where() {
    use FindingKind::*;
    let is =
        |kind, place: usize, sequence| vec![(kind, record(place).start as u64, Some(sequence))];
    assert_eq!(found(|_| {}), []);
    // A word, the tag, the CRC: one record, whatever was touched, and whether or not the CRC was
    // made right again.
    for byte in [8, 40, 64, 91] {
        for is_mended in [false, true] {
            let edit = |bytes: &mut Vec<u8>| {
                let record = &mut bytes[record(5)];
                record[byte] ^= 4;
                if is_mended {
                    mend(record);
                }
            };
            assert_eq!(found(edit), is(Edited, 5, 5), "byte {byte}, {is_mended}");
        }
    }
    assert_eq!(found(|bytes| bytes[record(5).start + 93] ^= 1), is(Edited, 5, 5));
    assert_eq!(found(|bytes| drop(bytes.drain(record(5)))), is(Removed, 5, 5));
    assert_eq!(found(|bytes| drop(bytes.drain(record(5).start..record(9).end))), is(Removed, 5, 5));
    let insert =
        |bytes: &mut Vec<u8>| drop(bytes.splice(record(5).start..record(5).start, [7; 55]));
    assert_eq!(found(insert), is(Inserted, 5, 5));
    let twice = |bytes: &mut Vec<u8>| bytes.extend_from_within(record(5));
    assert_eq!(found(twice).len(), 1, "after the seal");
    let again = |bytes: &mut Vec<u8>| {
        let copy = bytes[record(3)].to_vec();
        bytes.splice(record(6).start..record(6).start, copy);
    };
    assert_eq!(found(again), is(Duplicated, 6, 6));
    let swapped = found(|bytes| {
        let (first, second) = (bytes[record(5)].to_vec(), bytes[record(6)].to_vec());
        bytes[record(5)].copy_from_slice(&second);
        bytes[record(6)].copy_from_slice(&first);
    });
    assert_eq!(swapped[0], is(Reordered, 5, 5)[0]);
    let cut = found(|bytes| bytes.truncate(record(15).end));
    assert_eq!(cut, [(Truncated, 0, Some(23))]);
    assert_eq!(found(|bytes| bytes[100] ^= 1), [(Edited, 0, None)]);
}

#[test]
fn what_follows_a_finding_is_proved() {
    let Sample { mut log, head } = plain();
    log[0].1[record(5).start + 20] ^= 1;
    log[0].1[record(16).start + 70] ^= 1;
    let verdict = verdict(&log, Some(&head)).unwrap();
    assert_eq!(verdict.findings.len(), 2, "{:#?}", verdict.findings);
    assert_eq!((verdict.records, verdict.checkpoints, verdict.sealed), (21, 2, true));
}

#[test]
fn findings_are_bounded() {
    let scratch = Scratch::new();
    let mut journal = scratch.open(JournalOptions::default());
    append(&mut journal, 0..4_000);
    drop(journal);
    let mut log = load(&scratch.log());
    (2..4_000).step_by(2).for_each(|sequence| log[0].1[record(sequence).start + 9] ^= 1);
    let verdict = verdict(&log, None).unwrap();
    assert_eq!((verdict.findings.len(), verdict.is_complete), (FINDINGS_MAX, false));
    assert!(!verdict.is_intact());
}

#[test]
fn a_log_may_be_sealed_and_go_on() {
    let scratch = Scratch::new();
    let first = scratch.open(small()).seal(at(2)).unwrap();
    let second = scratch.open(small()).seal(at(3)).unwrap();
    let log = load(&scratch.log());
    for head in [first, second] {
        let verdict = verdict(&log, Some(&head)).unwrap();
        assert!(verdict.is_intact() && verdict.sealed, "{:#?}", verdict.findings);
    }
    // What only a head can tell: the log as it was when it was sealed first.
    let earlier = verdict(&log[..1].to_vec(), None).unwrap();
    assert!(earlier.is_intact() && earlier.sealed);
    assert!(is_found(&log[..1].to_vec(), Some(&second)));
}

#[test]
fn a_log_verifies_while_it_is_written_and_retired() {
    let scratch = Scratch::new();
    let options = JournalOptions { keep_segments_max: Some(8), ..small() };
    let mut journal = scratch.open(options);
    journal.flush().unwrap();
    let (folder, mut seen) = (scratch.log(), Vec::new());
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in 0..40_000 {
                journal.append(&words(number)).unwrap();
                if number % 3 == 0 {
                    journal.flush().unwrap();
                }
                if journal.is_full() {
                    journal.rotate(at(number), []).unwrap();
                }
            }
        });
        while !writer.is_finished() {
            let verdict = match verify(&folder, &key(), None) {
                Ok(verdict) => verdict,
                // The writer deletes faster than anybody reads; nothing wrong was seen.
                Err(AuditError::Io { source, .. }) => {
                    assert_eq!(source.kind(), std::io::ErrorKind::NotFound);
                    continue;
                }
                Err(error) => panic!("{error}"),
            };
            assert!(verdict.is_intact(), "{:#?}", verdict.findings);
            seen.push(verdict.last_sequence);
            for entry in Reader::open(&folder, Some(&key())).unwrap().take(100) {
                entry.unwrap();
            }
        }
    });
    assert!(seen.is_sorted() && seen.len() > 3, "{}", seen.len());
}
