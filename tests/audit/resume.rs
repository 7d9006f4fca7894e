//! After a crash: what was announced is there, the tail is named to the byte, the log goes on.

use super::*;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

const CHILD: &str = "ALLOTMENT_AUDIT_CHILD";
/// How many writers are killed, unless the variable says otherwise.
const KILLS: &str = "ALLOTMENT_AUDIT_KILLS";
const KILLS_DEFAULT: u64 = 25;
const KILLS_PER_LOG: u64 = 8;

fn options(scratch: &Path) -> JournalOptions {
    JournalOptions {
        segment_bytes_max: 256 << 10,
        head_file: Some(scratch.join("head")),
        ..JournalOptions::default()
    }
}

/// What a writer says as it goes: the number of the last record flushed, or a head.
#[derive(Default)]
struct Announced {
    flushed: u64,
    head: Option<Head>,
}

/// Runs in a process of its own, until it is killed.
#[test]
fn writer_that_is_killed() {
    let Some(scratch) = std::env::var_os(CHILD).map(PathBuf::from) else { return };
    let mut journal =
        Journal::open(&scratch.join("log"), &key(), options(&scratch), at(1)).unwrap();
    let mut chance = Chance(journal.sequence() + u64::from(std::process::id()));
    let mut out = std::io::stdout();
    for number in 0.. {
        let first = journal.sequence();
        append(&mut journal, first..first + 1 + chance.next() % 1_500);
        journal.flush().unwrap();
        writeln!(out, "\nflushed {}", journal.flushed()).unwrap();
        if chance.below(4) == 0 {
            let head = journal.checkpoint(at(number)).unwrap();
            writeln!(out, "\nhead {head}").unwrap();
        }
        if journal.is_full() {
            let text = TextPart::cut(1, number, "what is configured, and more than forty bytes");
            journal.rotate(at(number), text.map(Body::from)).unwrap();
        }
    }
}

/// Starts a writer, kills it at some moment, and answers what it announced.
fn kill_one(scratch: &Scratch, chance: &mut Chance) -> Announced {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "resume::writer_that_is_killed", "--nocapture", "--test-threads=1"])
        .env(CHILD, &scratch.0)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut announced = Announced::default();
    let mut take = |line: &str| match line.trim_end().split_once(' ') {
        Some(("flushed", number)) => announced.flushed = number.parse().unwrap(),
        Some(("head", head)) => announced.head = Some(head.parse().unwrap()),
        _ => {}
    };
    let mut line = String::new();
    while !line.starts_with("flushed") {
        line.clear();
        assert_ne!(lines.read_line(&mut line).unwrap(), 0, "the writer ended by itself");
    }
    take(&line);
    std::thread::sleep(Duration::from_micros(chance.next() % 30_000));
    child.kill().unwrap();
    child.wait().unwrap();
    loop {
        line.clear();
        // What is said in part was not said.
        if lines.read_line(&mut line).unwrap() == 0 || !line.ends_with('\n') {
            return announced;
        }
        take(&line);
    }
}

/// Where the last segment's last whole record ends, how many bytes follow, and the number of the
/// last record, by the format alone.
fn end_by_hand(folder: &Path) -> (String, u64, u64, Option<u64>) {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| name.into_string().unwrap());
    let last = names.filter(|name| name.ends_with(".audit")).max().unwrap();
    let bytes = std::fs::read(folder.join(&last)).unwrap();
    if bytes.len() < 192 {
        return (last, 0, bytes.len() as u64, None);
    }
    let whole = (bytes.len() - 192) / 96;
    let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    let sequence = (whole > 0).then(|| number(192 + (whole - 1) * 96));
    let end = 192 + whole * 96;
    (last, end as u64, (bytes.len() - end) as u64, sequence)
}

#[test]
fn killed_writers_lose_nothing_that_was_announced() {
    let kills = std::env::var(KILLS).map_or(KILLS_DEFAULT, |kills| kills.parse().unwrap());
    let (mut chance, mut torn_count, mut heads) = (Chance(11), 0, 0);
    let mut scratch = Scratch::new();
    for kill in 0..kills {
        if kill % KILLS_PER_LOG == 0 {
            scratch = Scratch::new();
        }
        let announced = kill_one(&scratch, &mut chance);
        let verdict = verify(&scratch.log(), &key(), announced.head.as_ref()).unwrap();
        assert!(verdict.is_intact() && !verdict.sealed, "{kill}: {:#?}", verdict.findings);
        assert!(verdict.last_sequence >= announced.flushed, "{kill}");
        let tail = verdict.tail.unwrap();
        assert!(!tail.is_writer_active, "{kill}");
        let (segment, offset, bytes, sequence) = end_by_hand(&scratch.log());
        assert_eq!(sequence.unwrap_or(verdict.last_sequence), verdict.last_sequence, "{kill}");
        let torn: Vec<_> =
            tail.torn.iter().map(|t| (t.segment.clone(), t.offset, t.bytes)).collect();
        let expected =
            if bytes > 0 || offset == 0 { vec![(segment, offset, bytes)] } else { vec![] };
        assert_eq!(torn, expected, "{kill}");
        let checkpoint = tail.after.as_ref().map_or(0, |checkpoint| checkpoint.sequence);
        assert_eq!(tail.records, verdict.last_sequence - checkpoint, "{kill}");
        if let Ok(head) = Head::read(&scratch.0.join("head")) {
            let verdict = verify(&scratch.log(), &key(), Some(&head)).unwrap();
            assert!(verdict.is_intact(), "{kill}: {:#?}", verdict.findings);
            heads += 1;
        }
        torn_count += torn.len();
        goes_on(&scratch, verdict.last_sequence, torn.len());
    }
    println!("{kills} killed, {torn_count} torn tails, {heads} with a head");
    assert!(heads > kills / 2);
}

/// The log is continued, and says what happened.
fn goes_on(scratch: &Scratch, last: u64, torn: usize) {
    let options = options(&scratch.0);
    let mut journal = Journal::open(&scratch.log(), &key(), options, at(5)).unwrap();
    assert_eq!(journal.sequence(), last + torn as u64 + 1);
    append(&mut journal, 0..3);
    let head = journal.checkpoint(at(6)).unwrap();
    drop(journal);
    let verdict = verify(&scratch.log(), &key(), Some(&head)).unwrap();
    assert!(verdict.is_intact(), "{:#?}", verdict.findings);
    assert_eq!(verdict.tail.unwrap().torn, []);
}

#[test]
fn every_cut_is_continued() {
    let scratch = Scratch::new();
    let mut journal = scratch.open(small());
    append(&mut journal, 0..3);
    journal.flush().unwrap();
    let length = HEADER_BYTES + 4 * RECORD_BYTES;
    drop(journal);
    let bytes = std::fs::read(scratch.segment(1)).unwrap();
    assert_eq!(bytes.len(), length);
    for cut in 0..=length {
        let copy = Scratch::new();
        std::fs::create_dir_all(copy.log()).unwrap();
        std::fs::write(copy.segment(1), &bytes[..cut]).unwrap();
        // Twice, so that a beginning without a record of its own is met as well.
        let whole = cut.saturating_sub(HEADER_BYTES) / RECORD_BYTES;
        let is_torn = cut < HEADER_BYTES || cut % RECORD_BYTES != 0;
        drop(copy.open(small()));
        let second = std::fs::read(copy.segment(2)).unwrap();
        for cut in [0, 100, HEADER_BYTES, HEADER_BYTES + 40, HEADER_BYTES + RECORD_BYTES] {
            std::fs::write(copy.segment(2), &second[..cut]).unwrap();
            std::fs::remove_file(copy.segment(3)).ok();
            let journal = copy.open(small());
            let sequence = journal.sequence();
            drop(journal);
            let verdict = verify(&copy.log(), &key(), None).unwrap();
            assert!(verdict.is_intact(), "{:#?}", verdict.findings);
            let recovered = records(&copy.log())
                .into_iter()
                .filter(|record| matches!(record.body(), Body::Recovered { .. }));
            let is_second_torn = cut < HEADER_BYTES || cut % RECORD_BYTES != 0;
            let expected = usize::from(is_torn) + usize::from(is_second_torn);
            assert_eq!(recovered.count(), expected, "{cut}");
            assert!(sequence > whole as u64);
        }
    }
}

#[test]
fn blocks_that_were_never_written_are_torn() {
    let scratch = Scratch::new();
    let mut journal = scratch.open(small());
    append(&mut journal, 0..14);
    journal.flush().unwrap();
    drop(journal);
    let bytes = std::fs::read(scratch.segment(1)).unwrap();
    // The edge of a sector lies within a record, and zeros follow it to the end of the file.
    for (edge, length) in [(512, bytes.len()), (1024, bytes.len()), (1536, 4096), (1632, 4096)] {
        let mut torn = bytes[..edge.min(bytes.len())].to_vec();
        torn.resize(length, 0);
        std::fs::write(scratch.segment(1), &torn).unwrap();
        let verdict = verify(&scratch.log(), &key(), None).unwrap();
        assert!(verdict.is_intact(), "{edge}: {:#?}", verdict.findings);
        let whole = (edge - HEADER_BYTES) / RECORD_BYTES;
        let end = (HEADER_BYTES + whole * RECORD_BYTES) as u64;
        let tail = verdict.tail.unwrap();
        let (offset, bytes) = (tail.torn[0].offset, tail.torn[0].bytes);
        assert_eq!((offset, bytes), (end, length as u64 - end), "{edge}");
        assert_eq!(verdict.records, whole as u64);
    }
    // Zeros that do not begin there were not left by a drive.
    let mut edited = bytes.clone();
    let end = edited.len();
    edited[end - 30..].fill(0);
    std::fs::write(scratch.segment(1), &edited).unwrap();
    assert!(!verify(&scratch.log(), &key(), None).unwrap().is_intact());
    let error = Journal::open(&scratch.log(), &key(), small(), at(2)).unwrap_err();
    assert!(matches!(error, AuditError::Damaged(_)), "{error}");
    assert_eq!(std::fs::read(scratch.segment(1)).unwrap(), edited, "nothing was touched");
}

#[test]
fn a_log_behind_its_head_is_not_continued() {
    let scratch = Scratch::new();
    let mut journal = scratch.open(options(&scratch.0));
    append(&mut journal, 0..5);
    journal.checkpoint(at(2)).unwrap();
    append(&mut journal, 0..5);
    journal.checkpoint(at(3)).unwrap();
    drop(journal);
    let bytes = std::fs::read(scratch.segment(1)).unwrap();
    std::fs::write(scratch.segment(1), &bytes[..bytes.len() - RECORD_BYTES]).unwrap();
    let open = || Journal::open(&scratch.log(), &key(), options(&scratch.0), at(4));
    match open().unwrap_err() {
        AuditError::Damaged(finding) => assert_eq!(finding.kind, FindingKind::Truncated),
        error => panic!("{error}"),
    }
    std::fs::remove_file(scratch.segment(1)).unwrap();
    let error = open().unwrap_err();
    assert!(matches!(&error, AuditError::HeadOnly { .. }), "{error}");
    assert!(error.to_string().contains("give each a head file of its own"), "{error}");
    std::fs::write(scratch.segment(1), &bytes).unwrap();
    assert_eq!(open().unwrap().head().unwrap().sequence, 13);
}
