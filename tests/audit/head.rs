//! Heads: remembered elsewhere, whole, and only once they are true.

use super::*;

#[test]
fn only_heads_are_parsed() {
    let hex = "0123456789abcdef".repeat(4);
    assert!(format!(" 18:{hex}\n").parse::<Head>().is_ok());
    for text in [
        String::new(),
        hex.clone(),
        format!(":{hex}"),
        format!("18:{}", &hex[1..]),
        format!("18:{hex}0"),
        format!("-1:{hex}"),
        format!("99999999999999999999:{hex}"),
    ] {
        let error = text.parse::<Head>().unwrap_err();
        assert!(error.to_string().contains("is no head"), "{error}");
    }
}

#[test]
fn the_head_file_follows_the_checkpoints() {
    let scratch = Scratch::new();
    let file = scratch.0.join("head");
    let options = || JournalOptions { head_file: Some(file.clone()), ..JournalOptions::default() };
    let mut journal = scratch.open(options());
    assert!(!file.exists());
    append(&mut journal, 0..5);
    let first = journal.checkpoint(at(2)).unwrap();
    assert_eq!((Head::read(&file).unwrap(), journal.head()), (first, Some(first)));
    assert_eq!(journal.checkpoint(at(3)).unwrap(), first, "nothing is new");
    append(&mut journal, 5..6);
    let sealed = journal.seal(at(4)).unwrap();
    assert_eq!(Head::read(&file).unwrap(), sealed);
    for head in [first, sealed] {
        assert!(verify(&scratch.log(), &key(), Some(&head)).unwrap().is_intact());
    }
    assert!(scratch.open(options()).sequence() > sealed.sequence);
    let left: Vec<_> = std::fs::read_dir(&scratch.0).unwrap().collect();
    assert_eq!(left.len(), 2, "the log and the head, and nothing on the way to it");
}

#[test]
fn a_head_file_that_cannot_be_written_holds_the_checkpoint_back() {
    let scratch = Scratch::new();
    let folder = scratch.0.join("heads");
    std::fs::create_dir(&folder).unwrap();
    let options = JournalOptions { head_file: Some(folder.join("head")), ..small() };
    let mut journal = scratch.open(options);
    std::fs::remove_dir(&folder).unwrap();
    append(&mut journal, 0..1);
    for _ in 0..3 {
        let error = journal.checkpoint(at(2)).unwrap_err();
        assert!(error.to_string().contains("check the path"), "{error}");
        assert_eq!((journal.head(), journal.sequence()), (None, 3));
    }
    std::fs::create_dir(&folder).unwrap();
    assert_eq!(journal.checkpoint(at(3)).unwrap().sequence, 3);
    assert!(Head::read(&folder.join("head")).is_ok());
}

#[test]
fn other_heads_are_found() {
    let scratch = Scratch::new();
    let mut journal = scratch.open(small());
    append(&mut journal, 0..5);
    let head = journal.seal(at(2)).unwrap();
    let kind = |head: Head| {
        let verdict = verify(&scratch.log(), &key(), Some(&head)).unwrap();
        verdict.findings.first().map(|finding| finding.kind)
    };
    assert_eq!(kind(head), None);
    assert_eq!(kind(Head { sequence: 8, ..head }), Some(FindingKind::Truncated));
    assert_eq!(kind(Head { mac: [0; 32], ..head }), Some(FindingKind::Forked));
    assert_eq!(kind(Head { sequence: 3, ..head }), Some(FindingKind::Forked));
    assert_eq!(kind(Head { sequence: 0, ..head }), Some(FindingKind::HeadRetired));
}
