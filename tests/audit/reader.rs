//! Reading: with the key and without, while the writer is at it, and past what is damaged.

use super::*;

#[test]
fn a_reader_follows_the_writer() {
    let scratch = Scratch::new();
    let mut journal = scratch.open(small());
    let key = key();
    let mut readers = [None, Some(&key)].map(|key| Reader::open(&scratch.log(), key).unwrap());
    let mut chance = Chance(3);
    let mut seen = [0; 2];
    for round in 0..200 {
        let first = journal.sequence();
        append(&mut journal, first..first + chance.next() % 5);
        match chance.below(4) {
            0 => journal.flush().unwrap(),
            1 if journal.is_full() => journal.rotate(at(round), []).unwrap(),
            _ => {}
        }
        for (reader, seen) in readers.iter_mut().zip(&mut seen) {
            for entry in reader {
                *seen += 1;
                assert_eq!(entry.unwrap().record.sequence, *seen);
            }
            assert_eq!(*seen, journal.flushed());
        }
    }
    assert!(journal.segment() > 5);
}

#[test]
fn entries_say_where_they_stand() {
    let scratch = Scratch::new();
    let mut journal = scratch.open(small());
    append(&mut journal, 0..20);
    journal.rotate(at(2), []).unwrap();
    append(&mut journal, 20..25);
    journal.flush().unwrap();
    for entry in Reader::open(&scratch.log(), None).unwrap() {
        let Entry { record, segment, offset } = entry.unwrap();
        let bytes = std::fs::read(scratch.segment(segment)).unwrap();
        let at = offset as usize;
        assert_eq!(bytes[at..at + 8], record.sequence.to_le_bytes());
        assert_eq!(bytes[at + 8..at + 16], record.words[0].to_le_bytes());
    }
}

#[test]
fn a_reader_may_begin_one_segment_before_a_record() {
    let scratch = Scratch::new();
    let mut journal = scratch.open(small());
    for round in 0..5 {
        append(&mut journal, 10 * round..10 * round + 10);
        journal.rotate(at(round), []).unwrap();
    }
    journal.flush().unwrap();
    let key = key();
    let all: Vec<Entry> = Reader::open(&scratch.log(), None).unwrap().map(Result::unwrap).collect();
    for (wanted, key) in all.iter().flat_map(|entry| [(entry, None), (entry, Some(&key))]) {
        let sequence = wanted.record.sequence;
        let reader = Reader::open_before(&scratch.log(), key, sequence).unwrap();
        let read: Vec<Entry> = reader.map(Result::unwrap).collect();
        assert_eq!(read[0].segment, wanted.segment.saturating_sub(1).max(1), "{sequence}");
        assert!(read[0].record.sequence <= sequence);
        assert_eq!(read, all[all.len() - read.len()..]);
    }
    let last = all.last().unwrap();
    let reader = Reader::open_before(&scratch.log(), None, u64::MAX).unwrap();
    assert_eq!(reader.map(Result::unwrap).last().as_ref(), Some(last));
    // A header that cannot be read hides nothing.
    std::fs::write(scratch.segment(4), [7; 300]).unwrap();
    let mut reader = Reader::open_before(&scratch.log(), None, all[0].record.sequence).unwrap();
    assert_eq!(reader.next().unwrap().unwrap(), all[0]);
}

#[test]
fn a_reader_goes_on_after_what_is_damaged() {
    let scratch = Scratch::new();
    let mut journal = scratch.open(small());
    append(&mut journal, 0..10);
    drop(journal);
    let mut bytes = std::fs::read(scratch.segment(1)).unwrap();
    // Of record 4 a bit is turned; before record 7 bytes are put in; the last one is cut.
    let place = |record: usize| HEADER_BYTES + (record - 1) * RECORD_BYTES;
    bytes[place(4) + 30] ^= 1;
    bytes.splice(place(7)..place(7), [9; 50]);
    bytes.truncate(bytes.len() - 10);
    std::fs::write(scratch.segment(1), &bytes).unwrap();
    for key in [None, Some(&key())] {
        let mut reader = Reader::open(&scratch.log(), key).unwrap();
        let shown: Vec<_> = reader.by_ref().map(|e| e.map(|e| e.record.sequence).ok()).collect();
        let expected = [1, 2, 3, 0, 5, 6, 0, 7, 8, 9, 10].map(|n| Some(n).filter(|&n| n > 0));
        assert_eq!(shown, expected);
        assert!(reader.next().is_none());
    }
}

#[test]
fn only_the_key_tells_forgeries() {
    let scratch = Scratch::new();
    let mut journal = scratch.open(small());
    append(&mut journal, 0..5);
    drop(journal);
    let mut bytes = std::fs::read(scratch.segment(1)).unwrap();
    let record = &mut bytes[HEADER_BYTES + 2 * RECORD_BYTES..][..RECORD_BYTES];
    record[20] ^= 1;
    let (said, crc) = record.split_last_chunk_mut::<4>().unwrap();
    *crc = crc32fast::hash(said).to_le_bytes();
    std::fs::write(scratch.segment(1), &bytes).unwrap();
    let errors = |key| Reader::open(&scratch.log(), key).unwrap().filter(Result::is_err).count();
    assert_eq!((errors(None), errors(Some(&key()))), (0, 1));
}
