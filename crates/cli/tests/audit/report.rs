//! Figures that were worked out by hand, and what is said where they are uncertain.

use allotment::audit::{Body, JournalOptions};
use allotment::{AllocationType, AuditMode, EventKind};
use serde_json::Value;

use super::command::audit;
use super::scribe::{
    CHAT, CODER, GIB, MIB, SECOND_NS, START_S, Scratch, Scribe, options, ten_minutes,
};

use AllocationType::{Cache, Inference, ModelLoad};

fn report(scratch: &Scratch, options: &str) -> Value {
    audit("report", &scratch.log(), &format!("{options} --json")).json(0)
}

/// The rows of one name, from all periods: scope or type, whole byte-seconds.
fn byte_seconds(report: &Value, name: &str) -> Vec<(String, u64)> {
    let periods = report["periods"].as_array().unwrap();
    let rows = periods.iter().flat_map(|period| period["rows"].as_array().unwrap());
    let named = rows.filter(|row| row["name"] == name);
    named
        .map(|row| {
            let label = row["type"].as_str().or(row["scope"].as_str()).unwrap();
            let (whole, part) = row["byte_seconds"].as_str().unwrap().split_once('.').unwrap();
            assert_eq!(part, "000000000");
            (label.to_string(), whole.parse().unwrap())
        })
        .collect()
}

fn pairs<const N: usize>(pairs: [(&str, u64); N]) -> Vec<(String, u64)> {
    pairs.map(|(label, amount)| (label.to_string(), amount)).to_vec()
}

#[test]
fn the_table_is_what_can_be_worked_out_by_hand() {
    let scratch = Scratch::new();
    ten_minutes(&scratch, options());
    let rule = "-".repeat(101);
    let expected = format!(
        "\
2023-11-14T22:00:00Z to 2023-11-14T22:10:00Z

Tenant   Type            GiB h       Peak    Held   Grants   Grown   Released      Evicted   Denied
{rule}
chat     model-load   1.333333      8 GiB   8 GiB        1       0          0            0        0
chat     cache        0.004167     64 MiB     0 B        1       0          0   1 (64 MiB)        0
chat     all          1.337500   8.06 GiB   8 GiB        2       0          0   1 (64 MiB)        0
coder    inference    0.316667      3 GiB     0 B        1       1          1            0        1
total                 1.654167   11.1 GiB   8 GiB        3       1          1   1 (64 MiB)        1

34 records of 1 sitting.
Checked: the tenants' byte-seconds and bytes add up to the total's.
The log was verified and is intact.
"
    );
    assert_eq!(audit("report", &scratch.log(), &scratch.key_option()).with(0), expected);
    let report = report(&scratch, "");
    let chat = [("model-load", 8 * GIB * 600), ("cache", 64 * MIB * 240)];
    let sum = chat[0].1 + chat[1].1;
    assert_eq!(byte_seconds(&report, "chat"), pairs([chat[0], chat[1], ("tenant", sum)]));
    let coder = 2 * GIB * 480 + GIB * 180;
    let expected = pairs([("inference", coder), ("tenant", coder)]);
    assert_eq!(byte_seconds(&report, "coder"), expected);
    assert_eq!(byte_seconds(&report, "total"), pairs([("total", sum + coder)]));
    assert_eq!((&report["adds_up"], &report["is_exact"]), (&true.into(), &true.into()));
    assert_eq!(report["verified"], Value::Null);
}

#[test]
fn lines_of_values_have_the_same_figures() {
    let scratch = Scratch::new();
    ten_minutes(&scratch, options());
    let file = scratch.path("report.csv");
    audit("report", &scratch.log(), &format!("--csv={}", file.display())).with(0);
    let written = std::fs::read_to_string(&file).unwrap();
    assert_eq!(written.trim_end(), audit("report", &scratch.log(), "--csv").with(0).trim_end());
    let lines: Vec<Vec<&str>> = written.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(lines.len(), 7, "{written}");
    let objects = report(&scratch, "");
    for (line, row) in lines[1..].iter().zip(objects["periods"][0]["rows"].as_array().unwrap()) {
        for (key, cell) in lines[0].iter().zip(line) {
            let key = if *key == "from" || *key == "to" { continue } else { key };
            let value = match &row[*key] {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            assert_eq!(value, **cell, "{key}");
        }
    }
    let json = scratch.path("report.json");
    audit("report", &scratch.log(), &format!("--json={}", json.display())).with(0);
    let read: Value = serde_json::from_str(&std::fs::read_to_string(json).unwrap()).unwrap();
    assert_eq!(read, objects);
    let nowhere = format!("--csv={}", scratch.path("none/x.csv").display());
    assert!(audit("report", &scratch.log(), &nowhere).failure().contains("x.csv"));
}

#[test]
fn names_with_commas_and_quotes_stay_one_value() {
    let scratch = Scratch::new();
    let mut scribe = Scribe::open(&scratch, options());
    scribe.tenant(1, 1, CHAT, "a, \"b\"", None);
    scribe.grant(1, Cache, MIB);
    scribe.wait_s(1);
    scribe.seal();
    let csv = audit("report", &scratch.log(), "--csv").with(0);
    assert!(csv.contains(",\"a, \"\"b\"\"\",,cache,"), "{csv}");
}

#[test]
fn a_period_begins_with_what_was_held_before_it() {
    let scratch = Scratch::new();
    ten_minutes(&scratch, options());
    let part = report(&scratch, "--period 2023-11-14T22:01:30Z/2023-11-14T22:02:30Z");
    let chat = [("model-load", 8 * GIB * 60), ("cache", 64 * MIB * 60)];
    let sum = chat[0].1 + chat[1].1;
    assert_eq!(byte_seconds(&part, "chat"), pairs([chat[0], chat[1], ("tenant", sum)]));
    let coder = 2 * GIB * 30 + 3 * GIB * 30;
    let expected = pairs([("inference", coder), ("tenant", coder)]);
    assert_eq!(byte_seconds(&part, "coder"), expected);
    let rows = part["periods"][0]["rows"].as_array().unwrap();
    let chat = rows.iter().find(|row| row["name"] == "chat").unwrap();
    assert_eq!((&chat["granted"], &chat["held_bytes"]), (&0.into(), &(8 * GIB).into()));
    let total = rows.last().unwrap();
    assert_eq!(total["peak_bytes"], 11 * GIB + 64 * MIB);
    assert_eq!((&total["denied"], &total["grown"]), (&1.into(), &1.into()));

    let open = report(&scratch, "--period 2023-11-14T22:09:00Z/");
    assert_eq!(byte_seconds(&open, "total"), pairs([("total", 8 * GIB * 60)]));
    let early = audit("report", &scratch.log(), "--period /2023-11-14").with(0);
    assert!(early.contains("Nobody held or asked for anything then."), "{early}");
    let late = audit("report", &scratch.log(), "--period -1h/").with(0);
    assert!(late.contains("Nobody held or asked for anything then."), "{late}");
}

#[test]
fn hours_days_and_months_each_have_their_share() {
    let scratch = Scratch::new();
    let mut scribe = Scribe::open(&scratch, options());
    scribe.tenant(1, 1, CHAT, "chat", None);
    scribe.wait_s(1_800);
    let grant = scribe.grant(1, Cache, MIB);
    scribe.wait_s(3 * 3_600);
    scribe.less(EventKind::Released, 1, Cache, grant, MIB);
    scribe.seal();
    let shares = |period: &str| -> Vec<u64> {
        let report = report(&scratch, &format!("--period {period}"));
        byte_seconds(&report, "total").into_iter().map(|(_, share)| share / MIB).collect()
    };
    assert_eq!(shares("hour"), [1_800, 3_600, 3_600, 1_800]);
    assert_eq!(shares("day"), [5_400, 5_400], "midnight is in the middle of it");
    assert_eq!(shares("month"), [10_800]);
    let days = report(&scratch, "--period day");
    assert_eq!(days["periods"][1]["from"], "2023-11-15T00:00:00.000000Z");
    assert_eq!(days["periods"][1]["to"], "2023-11-16T00:00:00.000000Z");
}

#[test]
fn the_next_sitting_begins_with_nothing_and_clocks_begin_anew() {
    let scratch = Scratch::new();
    let mut first = Scribe::open(&scratch, options());
    first.tenant(1, 1, CHAT, "chat", None);
    first.grant(1, ModelLoad, GIB);
    first.wait_s(100);
    first.seal();
    let later = (START_S + 1_000) * SECOND_NS;
    let mut second = Scribe::open_at(&scratch, options(), later);
    second.tenant(1, 1, CODER, "coder", None);
    second.tenant(2, 1, CHAT, "chat, renamed", None);
    second.grant(1, ModelLoad, GIB);
    second.grant(2, ModelLoad, GIB);
    second.wait_s(10);
    second.seal();
    let report = report(&scratch, "");
    assert_eq!(report["sittings"], 2);
    let chat = 110 * GIB;
    let expected = pairs([("model-load", chat), ("tenant", chat)]);
    assert_eq!(byte_seconds(&report, "chat, renamed"), expected, "one id, one row");
    assert_eq!(byte_seconds(&report, "coder")[1].1, 10 * GIB);
    assert_eq!(byte_seconds(&report, "total"), pairs([("total", 120 * GIB)]));
    let total = report["periods"][0]["rows"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&total["peak_bytes"], &total["held_bytes"]),
        (&(2 * GIB).into(), &(2 * GIB).into())
    );
}

#[test]
fn a_number_that_is_used_again_is_somebody_else() {
    let scratch = Scratch::new();
    let mut scribe = Scribe::open(&scratch, options());
    scribe.tenant(1, 1, CHAT, "chat", None);
    let grant = scribe.grant(1, Cache, MIB);
    scribe.wait_s(10);
    scribe.less(EventKind::Released, 1, Cache, grant, MIB);
    scribe.tenant(1, 2, CODER, "coder", None);
    scribe.grant(1, Cache, MIB);
    scribe.wait_s(5);
    scribe.seal();
    let report = report(&scratch, "");
    assert_eq!(byte_seconds(&report, "chat"), pairs([("cache", 10 * MIB), ("tenant", 10 * MIB)]));
    assert_eq!(byte_seconds(&report, "coder"), pairs([("cache", 5 * MIB), ("tenant", 5 * MIB)]));
}

#[test]
fn groups_have_what_is_below_them() {
    let scratch = Scratch::new();
    let mut scribe = Scribe::open(&scratch, options());
    scribe.group(1, "research", None);
    scribe.group(2, "vision", Some(1));
    scribe.tenant(3, 1, CHAT, "chat", Some(2));
    scribe.tenant(4, 1, CODER, "coder", Some(1));
    scribe.grant(3, Cache, MIB);
    scribe.grant(4, Inference, 2 * MIB);
    scribe.deny(3, Cache, GIB, 2, GIB);
    scribe.wait_s(10);
    scribe.seal();
    let report = report(&scratch, "");
    assert_eq!(byte_seconds(&report, "research"), pairs([("group", 30 * MIB)]));
    assert_eq!(byte_seconds(&report, "research/vision"), pairs([("group", 10 * MIB)]));
    let rows = report["periods"][0]["rows"].as_array().unwrap();
    let chat = rows.iter().find(|row| row["name"] == "chat").unwrap();
    assert_eq!(chat["group"], "research/vision");
    let research = rows.iter().find(|row| row["name"] == "research").unwrap();
    assert_eq!((&research["peak_bytes"], &research["denied"]), (&(3 * MIB).into(), &1.into()));
}

/// A log whose first segment retention has taken: two tenants hold something, by the balances with
/// which the second segment begins.
fn without_beginning(scratch: &Scratch, chat_bytes: u64) {
    let kept = JournalOptions { keep_segments_max: Some(1), ..options() };
    let mut scribe = Scribe::open(scratch, kept);
    scribe.tenant(1, 1, CHAT, "chat", None);
    let grant = scribe.grant(1, Cache, 4 * MIB);
    scribe.wait_s(60);
    let now = scribe.moment();
    let balance = Body::Balance {
        clock_ns: scribe.clock_ns,
        account: 1,
        allocation_type: Cache as u8,
        bytes: chat_bytes,
        grants: 1,
    };
    scribe.journal.rotate(now, [balance]).unwrap();
    scribe.stated(1, CHAT, "chat");
    scribe.wait_s(30);
    scribe.less(EventKind::Released, 1, Cache, grant, 4 * MIB);
    scribe.wait_s(30);
    scribe.seal();
    assert!(!scratch.segment(1).exists());
}

#[test]
fn balances_open_the_books_where_older_segments_are_gone() {
    let scratch = Scratch::new();
    without_beginning(&scratch, 4 * MIB);
    let report = report(&scratch, "");
    let expected = pairs([("cache", 120 * MIB), ("tenant", 120 * MIB)]);
    assert_eq!(byte_seconds(&report, "chat"), expected);
    assert_eq!((&report["sittings"], &report["is_exact"]), (&0.into(), &true.into()));
    assert_eq!(report["first"], "2023-11-14T22:01:00.000000Z");
}

#[test]
fn books_that_do_not_add_up_are_an_error() {
    let scratch = Scratch::new();
    without_beginning(&scratch, 3 * MIB);
    let said = audit("report", &scratch.log(), "").with(1);
    assert!(said.contains("THE BOOKS DO NOT ADD UP"), "{said}");
    assert!(said.contains("chat gave back 4194304 bytes and held 3145728 of this type"), "{said}");
    assert!(said.contains("hold 0 bytes together, and the total is -1048576"), "{said}");
    let answer = audit("report", &scratch.log(), "--json");
    assert!(answer.complaint.contains("do not add up"), "{}", answer.complaint);
    assert_eq!(answer.json(1)["adds_up"], false);

    // A balance that says something else than the records before it.
    let scratch = Scratch::new();
    let mut scribe = Scribe::open(&scratch, options());
    scribe.tenant(1, 1, CHAT, "chat", None);
    scribe.grant(1, Cache, MIB);
    let (clock_ns, account, allocation_type) = (0, 1, Cache as u8);
    let right = Body::Balance { clock_ns, account, allocation_type, bytes: MIB, grants: 1 };
    scribe.journal.append_body(&right).unwrap();
    scribe.journal.flush().unwrap();
    audit("report", &scratch.log(), "").with(0);
    let wrong = Body::Balance { clock_ns, account, allocation_type, bytes: MIB, grants: 2 };
    scribe.journal.append_body(&wrong).unwrap();
    scribe.seal();
    let said = audit("report", &scratch.log(), "").with(1);
    assert!(said.contains("the log's own balance is 1048576 in 2"), "{said}");
}

#[test]
fn after_a_gap_the_next_record_of_an_account_sets_it_right() {
    let scratch = Scratch::new();
    let mut scribe = Scribe::open(&scratch, options());
    scribe.governor(AuditMode::DropAndCount);
    scribe.tenant(1, 1, CHAT, "chat", None);
    scribe.tenant(2, 1, CODER, "coder", None);
    scribe.grant(1, ModelLoad, GIB);
    let lost = scribe.grant(1, Cache, 4 * MIB);
    scribe.wait_s(10);
    // Lost: the cache went, and 2 MiB of inference came.
    scribe.gap(2);
    scribe.wait_s(10);
    scribe.set_used(1, GIB + 2 * MIB);
    let inference = scribe.grant(1, Inference, MIB);
    scribe.grant(2, Cache, MIB);
    scribe.wait_s(10);
    scribe.less(EventKind::Released, 1, Inference, 77, 2 * MIB);
    scribe.less(EventKind::Released, 1, Inference, inference, MIB);
    scribe.wait_s(10);
    scribe.seal();
    assert!(lost > 0);
    let answer = report(&scratch, "");
    // Held to be 4 MiB of cache for 20 s, 2 MiB of it afterwards: 2 MiB less than the books had.
    let chat = byte_seconds(&answer, "chat");
    assert_eq!(chat[0], ("model-load".to_string(), 40 * GIB));
    assert_eq!(answer["is_exact"], false);
    assert_eq!(
        (&answer["corrections"], &answer["corrected_bytes"]),
        (&1.into(), &(2 * MIB).into())
    );
    let rows = answer["periods"][0]["rows"].as_array().unwrap();
    let held = rows.iter().find(|row| row["name"] == "chat" && row["scope"] == "tenant").unwrap();
    assert_eq!(answer["adds_up"], true);
    assert_eq!(byte_seconds(&answer, "coder")[1].1, 20 * MIB);
    assert!(held["held_bytes"].as_u64().unwrap() >= GIB);
    let said = audit("report", &scratch.log(), "").with(0);
    assert!(said.contains("Warning: 2 events lost"), "{said}");
    assert!(said.contains("counts are the least there can have been"), "{said}");
    assert!(said.contains("Warning: bytes are estimates: 1 time"), "{said}");
    let values = audit("report", &scratch.log(), "--csv");
    assert!(values.complaint.contains("allot: Warning: 2 events lost"), "{}", values.complaint);
}

#[test]
fn where_the_log_comes_first_a_gap_moves_no_bytes() {
    let scratch = Scratch::new();
    let mut scribe = Scribe::open(&scratch, options());
    scribe.governor(AuditMode::FailClosed);
    scribe.tenant(1, 1, CHAT, "chat", None);
    scribe.grant(1, ModelLoad, GIB);
    scribe.gap(9);
    let refused = Body::Refused { from_ns: 0, to_ns: 0, requests: 3, bytes: 5 * GIB };
    scribe.journal.append_body(&refused).unwrap();
    scribe.seal();
    let answer = report(&scratch, "");
    assert_eq!((&answer["is_exact"], &answer["events_lost"]), (&true.into(), &9.into()));
    assert_eq!(
        (&answer["requests_refused"], &answer["refused_bytes"]),
        (&3.into(), &(5 * GIB).into())
    );
    let said = audit("report", &scratch.log(), "").with(0);
    assert!(said.contains("9 events lost before they reached the log, none of them about bytes"));
    assert!(said.contains("Note: 3 requests of 5 GiB refused"), "{said}");
}

#[test]
fn a_log_that_began_while_its_governor_was_at_work_says_so() {
    let scratch = Scratch::new();
    let mut scribe = Scribe::open(&scratch, options());
    scribe.governor(AuditMode::FailClosed);
    scribe.stated(1, CHAT, "chat");
    scribe.set_used(1, GIB);
    scribe.wait_s(10);
    scribe.grant(1, Cache, MIB);
    scribe.wait_s(10);
    scribe.less(EventKind::Released, 1, ModelLoad, 77, GIB);
    scribe.seal();
    let answer = report(&scratch, "");
    assert_eq!((&answer["began_late"], &answer["is_exact"]), (&true.into(), &false.into()));
    // Held from the beginning on. It was released as a model, and nobody had said so before.
    let sum = 20 * GIB + 10 * MIB;
    let parts = [("model-load", 0), ("cache", 10 * MIB), ("unknown", 20 * GIB), ("tenant", sum)];
    assert_eq!(byte_seconds(&answer, "chat"), pairs(parts));
    assert!(audit("report", &scratch.log(), "").with(0).contains("began while its governor"));
}

#[test]
fn a_damaged_log_is_accounted_for_as_far_as_it_goes_and_is_an_error() {
    let scratch = Scratch::new();
    ten_minutes(&scratch, options());
    let mut bytes = std::fs::read(scratch.segment(1)).unwrap();
    let release = 192 + 32 * 96;
    bytes.drain(release..release + 96);
    std::fs::write(scratch.segment(1), bytes).unwrap();
    let said = audit("report", &scratch.log(), "").with(1);
    assert!(
        said.contains("THE LOG IS DAMAGED; verify it:\n  records 33 to 33 are missing"),
        "{said}"
    );
    let said = audit("report", &scratch.log(), &scratch.key_option()).with(1);
    assert!(said.contains("THE LOG IS NOT INTACT:\n  00000000000000000001.audit:"), "{said}");

    // The same record twice counts once.
    let scratch = Scratch::new();
    ten_minutes(&scratch, options());
    let mut bytes = std::fs::read(scratch.segment(1)).unwrap();
    let copy = bytes[release..release + 96].to_vec();
    bytes.splice(release..release, copy);
    std::fs::write(scratch.segment(1), bytes).unwrap();
    let answer = audit("report", &scratch.log(), "--json").json(1);
    assert_eq!(answer["damage"], serde_json::json!(["record 33 after 33"]));
    let expected = 2 * GIB * 480 + GIB * 180;
    assert_eq!(byte_seconds(&answer, "coder")[1].1, expected);
}
