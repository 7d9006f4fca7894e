//! Headers of segments: later versions are refused by name.

use super::*;

#[test]
fn a_later_version_is_refused_by_name() {
    for size in [16, 64, HEADER_BYTES, 256] {
        let scratch = Scratch::new();
        drop(scratch.open(small()));
        let mut bytes = std::fs::read(scratch.segment(1)).unwrap();
        bytes[8..10].copy_from_slice(&(VERSION + 1).to_le_bytes());
        bytes[10..12].copy_from_slice(&(size as u16).to_le_bytes());
        let crc = crc32fast::hash(&bytes[..size - 4]);
        bytes[size - 4..size].copy_from_slice(&crc.to_le_bytes());
        std::fs::write(scratch.segment(1), &bytes).unwrap();
        let expected = "is of version 2, this one reads up to 1: use a newer allot";
        let text = verify(&scratch.log(), &key(), None).unwrap_err().to_string();
        assert!(text.contains(expected), "{text}");
        let opened = Journal::open(&scratch.log(), &key(), small(), at(2));
        assert!(opened.unwrap_err().to_string().contains(expected));
        let shown = Reader::open(&scratch.log(), None).unwrap().next().unwrap();
        assert!(shown.unwrap_err().to_string().contains(expected));
    }
}
