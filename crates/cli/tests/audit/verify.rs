//! The verdict, heads, and an exit code for each kind of damage.

use std::path::Path;

use allotment::AllocationType;
use allotment::audit::{HEADER_BYTES, Head, JournalOptions, Key, RECORD_BYTES};

use super::command::{Answer, audit};
use super::scribe::{CHAT, MIB, Scratch, Scribe, options, ten_minutes};

fn verify(scratch: &Scratch, more: &str) -> Answer {
    audit("verify", &scratch.log(), &format!("{} {more}", scratch.key_option()))
}

/// Where record `number` of a log of one segment begins.
fn place(number: usize) -> usize {
    HEADER_BYTES + (number - 1) * RECORD_BYTES
}

/// Changes the bytes of a segment.
fn change(scratch: &Scratch, segment: u64, change: impl FnOnce(&mut Vec<u8>)) {
    let path = scratch.segment(segment);
    let mut bytes = std::fs::read(&path).unwrap();
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_key_is_made_once() {
    let scratch = Scratch::new();
    let file = scratch.path("new.key");
    let said = audit("keygen", &file, "").with(0);
    let key = Key::load(&file).unwrap();
    assert!(said.contains(&key.id().to_string()) && said.contains("new.key.head"), "{said}");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!said.contains(text.trim()), "the secret is not shown");
    let complaint = audit("keygen", &file, "").failure();
    assert!(complaint.contains("nothing is overwritten"), "{complaint}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
}

#[test]
fn a_sealed_log_is_told_of_in_a_few_lines() {
    let scratch = Scratch::new();
    let head = ten_minutes(&scratch, options());
    let said = scratch.plain(&verify(&scratch, "").with(0));
    let (log_id, _) = said.split_once("  log ").unwrap().1.split_once(':').unwrap();
    let expected = format!(
        "\
PLACE/log: intact and sealed
  log {log_id}: 1 segment, 34 records (1 to 34), 1 checkpoint
  no head was expected: that its end was not cut off is not shown
  keep the head below, elsewhere, and name it next time: --expect HEAD
head {head}
"
    );
    assert_eq!(said, expected);
    let verdict = verify(&scratch, "--json --sealed").json(0);
    assert_eq!((&verdict["intact"], &verdict["sealed"]), (&true.into(), &true.into()));
    assert_eq!((&verdict["records"], &verdict["exit_code"]), (&34.into(), &0.into()));
    assert_eq!(verdict["head"], head.to_string());
    assert!(verdict["tail"].is_null() && verdict["findings"].as_array().unwrap().is_empty());
}

#[test]
fn each_damage_is_a_finding() {
    let record = |bytes: &[u8], number| bytes[place(number)..place(number + 1)].to_vec();
    type Change = Box<dyn Fn(&mut Vec<u8>)>;
    let cases: [(&str, Change); 7] = [
        ("edited", Box::new(|bytes| bytes[place(26) + 30] ^= 1)),
        ("edited", Box::new(|bytes| bytes[50] ^= 1)),
        ("inserted", Box::new(|bytes| drop(bytes.splice(place(5)..place(5), [7; 96])))),
        (
            "duplicated",
            Box::new(move |bytes| {
                let copy = record(bytes, 26);
                bytes.splice(place(27)..place(27), copy);
            }),
        ),
        (
            "reordered",
            Box::new(move |bytes| {
                let first = record(bytes, 26);
                let second = record(bytes, 27);
                bytes.splice(place(26)..place(28), [second, first].concat());
            }),
        ),
        ("removed", Box::new(|bytes| drop(bytes.drain(place(26)..place(27))))),
        ("inserted", Box::new(|bytes| bytes.extend([9; 40]))),
    ];
    for (number, (kind, damage)) in cases.iter().enumerate() {
        let scratch = Scratch::new();
        ten_minutes(&scratch, options());
        change(&scratch, 1, damage);
        let said = scratch.plain(&verify(&scratch, "").with(1));
        assert!(said.starts_with("PLACE/log: NOT INTACT\n"), "{said}");
        let name = "00000000000000000001.audit:";
        let line = said.lines().find(|line| line.starts_with(name)).expect(&said);
        let (offset, what) = line[name.len()..].split_once(": ").unwrap();
        assert!(offset.parse::<u64>().is_ok(), "{line}");
        let verdict = verify(&scratch, "--json").json(1);
        let findings = verdict["findings"].as_array().unwrap();
        let kinds: Vec<_> = findings.iter().map(|finding| &finding["kind"]).collect();
        assert!(kinds.iter().any(|found| *found == kind), "case {number}: {kinds:?}, {what}");
        assert_eq!(verdict["intact"], false);
    }
}

#[test]
fn a_finding_names_segment_offset_and_record() {
    let scratch = Scratch::new();
    ten_minutes(&scratch, options());
    change(&scratch, 1, |bytes| bytes[place(26) + 30] ^= 1);
    let said = verify(&scratch, "").with(1);
    let expected = format!(
        "00000000000000000001.audit:{}: record 26: edited: record 26 is not what was written\n",
        place(26)
    );
    assert!(said.contains(&expected), "{said}");
}

#[test]
fn a_segment_that_is_gone_is_a_finding() {
    let scratch = Scratch::new();
    let small = JournalOptions { segment_bytes_max: 1_728, ..options() };
    let mut scribe = Scribe::open(&scratch, small);
    scribe.tenant(1, 1, CHAT, "chat", None);
    for _ in 0..3 {
        for _ in 0..20 {
            scribe.grant(1, AllocationType::Cache, MIB);
        }
        let now = scribe.moment();
        scribe.journal.rotate(now, []).unwrap();
    }
    scribe.seal();
    let said = verify(&scratch, "").with(0);
    assert!(said.contains("4 segments"), "{said}");
    std::fs::remove_file(scratch.segment(2)).unwrap();
    let said = verify(&scratch, "").with(1);
    assert!(said.contains("removed: no segment between 1 and 3"), "{said}");
}

#[test]
fn a_log_that_is_being_written_is_not_sealed() {
    let scratch = Scratch::new();
    let mut scribe = Scribe::open(&scratch, options());
    scribe.tenant(1, 1, CHAT, "chat", None);
    let head = scribe.journal.checkpoint(scribe.moment()).unwrap();
    scribe.grant(1, AllocationType::Cache, MIB);
    scribe.grant(1, AllocationType::Cache, MIB);
    scribe.gap(5);
    scribe.journal.flush().unwrap();
    let said = scratch.plain(&verify(&scratch, "").with(3));
    let (log_id, _) = said.split_once("  log ").unwrap().1.split_once(':').unwrap();
    let at = head.sequence;
    let expected = format!(
        "\
PLACE/log: intact, not sealed
  log {log_id}: 1 segment, {} records (1 to {}), 1 checkpoint
  the last checkpoint is record {at} of 2023-11-14T22:00:00Z (00000000000000000001.audit:{}); \
         3 records after it verify
  a writer has it open now
  5 events lost before they reached the log, by its own account
  no head was expected: that its end was not cut off is not shown
  keep the head below, elsewhere, and name it next time: --expect HEAD
head {head}
",
        at + 3,
        at + 3,
        place(at as usize)
    );
    assert_eq!(said, expected);
    let said = verify(&scratch, "--sealed").with(1);
    assert!(said.contains("intact, but NOT SEALED"), "{said}");
    assert_eq!(verify(&scratch, "--json").json(3)["tail"]["writer_active"], true);

    // Its writer dies within a record.
    drop(scribe);
    change(&scratch, 1, |bytes| bytes.truncate(place(at as usize + 3) + 40));
    let said = verify(&scratch, "").with(3);
    let torn = format!(
        "00000000000000000001.audit:{}: 40 bytes of a record that was never finished",
        place(at as usize + 3)
    );
    assert!(said.contains(&torn) && said.contains("2 records after it verify"), "{said}");
    assert!(said.contains("no writer has it open"), "{said}");
    let tail = &verify(&scratch, "--json").json(3)["tail"];
    assert_eq!((&tail["torn"][0]["bytes"], &tail["records"]), (&40.into(), &2.into()));
    assert_eq!(tail["after"]["sequence"], at);
}

#[test]
fn a_head_tells_that_the_end_was_cut_off() {
    let scratch = Scratch::new();
    let head = ten_minutes(&scratch, options());
    let said = verify(&scratch, &format!("--expect {head}")).with(0);
    assert!(said.contains("the head, record 34, is in it"), "{said}");
    let file = scratch.path("kept");
    head.write(&file).unwrap();
    let option = format!("--expect @{}", file.display());
    assert!(verify(&scratch, &option).with(0).contains("kept, record 34, is in it"));

    change(&scratch, 1, |bytes| bytes.truncate(place(31)));
    let said = verify(&scratch, "").with(3);
    assert!(said.contains("no head was expected"), "{said}");
    let said = verify(&scratch, &option).with(1);
    assert!(said.contains("the log ends at record 30, and a head at 34 is known"), "{said}");
    assert!(!said.contains("is in it"), "{said}");
    let other = Head { sequence: 20, mac: [1; 32] };
    let said = verify(&scratch, &format!("--expect {other}")).with(1);
    assert!(said.contains("forked") && !said.contains("is in it"), "{said}");
}

#[test]
fn the_head_beside_the_key_is_expected() {
    let scratch = Scratch::new();
    let kept = JournalOptions { head_file: Some(scratch.path("key.head")), ..options() };
    ten_minutes(&scratch, kept);
    let said = scratch.plain(&verify(&scratch, "").with(0));
    assert!(said.contains("the head of PLACE/key.head, record 34, is in it"), "{said}");
    change(&scratch, 1, |bytes| bytes.truncate(place(31)));
    assert!(verify(&scratch, "").with(1).contains("truncated"));
    let verdict = verify(&scratch, "--json").json(1);
    assert!(verdict["expected_head_file"].as_str().unwrap().ends_with("key.head"));
    std::fs::write(scratch.path("key.head"), "nonsense").unwrap();
    assert!(verify(&scratch, "").failure().contains("is no head"));
    let slip = format!("--expect @{}", scratch.path("key").display());
    let said = verify(&scratch, &slip).failure();
    let secret = std::fs::read_to_string(scratch.path("key")).unwrap();
    assert!(said.contains("is no head file") && !said.contains(&secret[..16]), "{said}");
}

#[test]
fn what_cannot_be_looked_at_is_said_in_one_line() {
    let scratch = Scratch::new();
    ten_minutes(&scratch, options());
    let at = |folder: &Path, options: &str| audit("verify", folder, options).failure();
    let right = scratch.key_option();

    Key::generate(&scratch.path("other")).unwrap();
    let wrong = format!("--key {}", scratch.path("other").display());
    let said = at(&scratch.log(), &wrong);
    assert!(said.contains("was written with key") && said.contains("load the key"), "{said}");
    std::fs::write(scratch.path("short"), "5a5a").unwrap();
    let short = format!("--key {}", scratch.path("short").display());
    assert!(at(&scratch.log(), &short).contains("is no key"));
    assert!(at(&scratch.log(), "--key none-such").contains("none-such"));

    let empty = scratch.path("empty");
    std::fs::create_dir(&empty).unwrap();
    assert!(at(&empty, &right).contains("there is no audit log"));
    assert!(at(&scratch.path("nowhere"), &right).contains("check the path"));
    assert!(at(&scratch.path("key"), &right).contains("name a folder"));
    std::fs::write(scratch.log().join("notes.txt"), "x").unwrap();
    assert!(at(&scratch.log(), &right).contains("notes.txt is not part of an audit log"));
    std::fs::remove_file(scratch.log().join("notes.txt")).unwrap();

    // Nobody can read a folder as a file.
    std::fs::create_dir(scratch.segment(2)).unwrap();
    assert!(at(&scratch.log(), &right).contains("cannot read"));
    for verb in ["show", "report"] {
        let answer = audit(verb, &scratch.log(), "");
        assert_eq!(answer.code, 2, "{verb}: {}", answer.complaint);
    }
}

#[test]
fn a_later_version_is_not_guessed_at() {
    let scratch = Scratch::new();
    ten_minutes(&scratch, options());
    change(&scratch, 1, |bytes| {
        bytes[8] = 2;
        let crc = crc32fast::hash(&bytes[..188]);
        bytes[188..HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
    });
    let said = verify(&scratch, "").failure();
    assert!(said.contains("is of version 2") && said.contains("newer allot"), "{said}");
    for verb in ["show", "report"] {
        let said = audit(verb, &scratch.log(), "").failure();
        assert!(said.contains("is of version 2"), "{said}");
    }
}

#[test]
fn bad_options_say_what_would_be_right() {
    let scratch = Scratch::new();
    ten_minutes(&scratch, options());
    let wrong = [
        ("verify", "--key k --expect 17:ab", "64 hex digits"),
        ("verify", "", "--key"),
        ("show", "--kind bought", "granted, denied"),
        ("show", "--type disk", "model-load, inference"),
        ("show", "--reason envy", "tenant-limit"),
        ("show", "--since yesterday", "2026-01-31"),
        ("show", "--min-bytes much", "8GiB"),
        ("show", "--grant zz", "16 hex digits"),
        ("report", "--period week", "hour, day, month"),
        ("report", "--csv --json", "cannot be used with"),
    ];
    for (verb, options, right) in wrong {
        let answer = audit(verb, &scratch.log(), options);
        assert_eq!((answer.code, answer.out.as_str()), (2, ""), "{options}");
        assert!(answer.complaint.contains(right), "{options}: {}", answer.complaint);
    }
}
