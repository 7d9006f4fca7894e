//! Every filter, lines for people, objects for programs.

use std::io::{BufRead, BufReader};

use allotment::audit::{Body, JournalOptions};
use allotment::{AllocationType, AuditMode, Event, EventKind, Verb};
use serde_json::Value;

use super::command::{audit, start};
use super::scribe::{CHAT, CODER, GIB, MIB, Scratch, Scribe, handle, options, ten_minutes};

fn show(scratch: &Scratch, options: &str) -> String {
    audit("show", &scratch.log(), options).with(0)
}

/// The numbers of the records that are shown, from both outputs.
#[track_caller]
fn shown(scratch: &Scratch, options: &str) -> Vec<u64> {
    let lines = show(scratch, options).lines().count();
    let objects = audit("show", &scratch.log(), &format!("{options} --json")).lines();
    assert_eq!(objects.len(), lines, "{options}");
    objects.iter().map(|object| object["sequence"].as_u64().unwrap()).collect()
}

#[test]
fn what_happened_is_told_line_by_line() {
    let scratch = Scratch::new();
    ten_minutes(&scratch, options());
    let expected = "\
2023-11-14T22:00:00.000000Z  -             opened
2023-11-14T22:00:00.000000Z  chat          registered        guaranteed 0 B
2023-11-14T22:00:00.000000Z  coder         registered        guaranteed 0 B
2023-11-14T22:00:00.000000Z  chat          granted           8 GiB model-load, uses 8 GiB, \
         grant 0100000001000001
2023-11-14T22:01:00.000000Z  chat          granted           64 MiB cache, uses 8.06 GiB, \
         grant 0100000001000002
2023-11-14T22:01:00.000000Z  coder         granted           2 GiB inference, uses 2 GiB, \
         grant 0100000001000003
2023-11-14T22:02:00.000000Z  coder         grown             1 GiB inference, uses 3 GiB, \
         grant 0100000001000003
2023-11-14T22:02:00.000000Z  coder         denied            20 GiB inference, \
         refused by capacity, 7 GiB short, uses 3 GiB
2023-11-14T22:05:00.000000Z  chat          evicted           64 MiB cache, uses 8 GiB, \
         grant 0100000001000002
2023-11-14T22:05:00.000000Z  coder         shrunk            1 GiB inference, uses 2 GiB, \
         grant 0100000001000003
2023-11-14T22:09:00.000000Z  coder         released          2 GiB inference, uses 0 B, \
         grant 0100000001000003
2023-11-14T22:10:00.000000Z  -             seal              34 records
";
    assert_eq!(show(&scratch, ""), expected);
}

#[test]
fn every_filter_lets_pass_what_it_says() {
    let scratch = Scratch::new();
    ten_minutes(&scratch, options());
    let cases: [(&str, &[u64]); 17] = [
        ("--tenant chat", &[20, 26, 27, 31]),
        ("--tenant 00000000-0000-0000-0000-000000000022", &[25, 28, 29, 30, 32, 33]),
        ("--kind granted", &[26, 27, 28]),
        ("--kind granted,denied --tenant coder", &[28, 30]),
        ("--kind granted --kind evicted", &[26, 27, 28, 31]),
        ("--type cache", &[27, 31]),
        ("--type model-load,cache", &[26, 27, 31]),
        ("--since 2023-11-14T22:05:00Z", &[31, 32, 33, 34]),
        ("--until 2023-11-14T22:01:00Z", &[1, 20, 25, 26]),
        ("--since 2023-11-14T23:01:00+01:00 --until 2023-11-14T22:02:00Z", &[27, 28]),
        ("--since -1h", &[]),
        ("--since 2023-11-15", &[]),
        ("--grant 0100000001000003", &[28, 29, 32, 33]),
        ("--reason capacity", &[30]),
        ("--reason tenant-limit,group-limit", &[]),
        ("--min-bytes 2GiB", &[26, 28, 30, 33]),
        ("--limit 3", &[1, 20, 25]),
    ];
    for (options, expected) in cases {
        assert_eq!(shown(&scratch, options), expected, "{options}");
    }
    assert_eq!(shown(&scratch, "--kind seal,opened --follow --limit 2"), [1, 34]);
    let failure = audit("show", &scratch.log(), "--tenant nobody").failure();
    assert!(failure.contains("nobody: no tenant or group"), "{failure}");
}

#[test]
fn configurations_balances_and_checkpoints_are_shown_to_who_asks() {
    let scratch = Scratch::new();
    let mut scribe = Scribe::open(&scratch, options());
    scribe.governor(AuditMode::DropAndCount);
    scribe.group(3, "research", None);
    scribe.tenant(1, 1, CHAT, "a\nname", Some(3));
    let now = scribe.moment();
    scribe.journal.checkpoint(now).unwrap();
    let balance = Body::Balance {
        clock_ns: scribe.clock_ns,
        account: 1,
        allocation_type: 2,
        bytes: MIB,
        grants: 3,
    };
    scribe.journal.append_body(&balance).unwrap();
    scribe.seal();
    let plain = show(&scratch, "");
    assert_eq!(plain.lines().count(), 4, "{plain}");
    let texts = show(&scratch, "--kind configured");
    let lines: Vec<&str> = texts.lines().collect();
    assert_eq!(lines.len(), 3, "{texts}");
    assert!(lines[0].contains("the pool      configured        governor capacity_bytes=2576"));
    assert!(lines[1].contains("research      configured        group handle=0100000001000003"));
    assert!(
        lines[2].contains("a name        configured        tenant") && lines[2].ends_with("a name")
    );
    let text = &audit("show", &scratch.log(), "--kind configured --json").lines()[2];
    assert!(text["text"].as_str().unwrap().ends_with("name=a\nname"), "{text}");
    assert_eq!((&text["text_id"], &text["time"]), (&2.into(), &Value::Null));
    let others = show(&scratch, "--kind checkpoint,balance");
    assert!(others.contains("holds 1 MiB cache in 3 grants"), "{others}");
    assert_eq!(others.lines().count(), 2);
}

#[test]
fn calls_are_shown_only_where_they_are_asked_for() {
    let scratch = Scratch::new();
    let mut scribe = Scribe::open(&scratch, options());
    scribe.tenant(1, 1, CHAT, "chat", None);
    let grant = scribe.grant(1, AllocationType::Cache, MIB);
    // Of a request the field has the key of its content, of a growth the grant.
    for verb in [Verb::Request, Verb::Grow] {
        let asked = Event::new(EventKind::Asked, 7);
        scribe.event(Event { account: 1, grant, from: verb as u8, ..asked });
    }
    scribe.event(Event { account: 1, grant, ..Event::new(EventKind::Touched, 7) });
    scribe.event(Event { account: 0, ..Event::new(EventKind::Balanced, 7) });
    scribe.seal();
    assert!(!show(&scratch, "").contains("touched"));
    let all = show(&scratch, "--calls");
    assert!(["asked", "touched", "balanced"].iter().all(|call| all.contains(call)), "{all}");
    assert_eq!(show(&scratch, "--kind touched").lines().count(), 1);
    assert_eq!(show(&scratch, &format!("--calls --grant {grant:016x}")).lines().count(), 3);
}

#[test]
fn a_log_is_followed_while_it_is_written() {
    let scratch = Scratch::new();
    let mut scribe = Scribe::open(&scratch, options());
    scribe.tenant(1, 1, CHAT, "chat", None);
    scribe.journal.flush().unwrap();
    let mut following = start("show", &scratch.log(), "--follow --limit 4 --tenant chat");
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let mut next = || lines.next().map(Result::unwrap);
    assert!(next().unwrap().contains("registered"));
    // What is written once it has seen all there was, in this segment and in the next.
    scribe.grant(1, AllocationType::Cache, MIB);
    scribe.journal.flush().unwrap();
    assert!(next().unwrap().contains("uses 1 MiB"));
    let now = scribe.moment();
    scribe.journal.rotate(now, []).unwrap();
    scribe.grant(1, AllocationType::Cache, MIB);
    scribe.grant(1, AllocationType::Cache, MIB);
    scribe.journal.flush().unwrap();
    assert!(next().unwrap().contains("uses 2 MiB"));
    assert!(next().unwrap().contains("uses 3 MiB"));
    assert_eq!(next(), None);
    assert!(following.wait().unwrap().success());
}

#[test]
fn objects_have_every_field() {
    let scratch = Scratch::new();
    ten_minutes(&scratch, options());
    let objects = audit("show", &scratch.log(), "--json").lines();
    let keys = |object: &Value| object.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert!(objects.iter().all(|object| keys(object) == keys(&objects[0])));
    let denied = objects.iter().find(|object| object["kind"] == "denied").unwrap();
    let expected = [
        ("sequence", 30.into()),
        ("segment", 1.into()),
        ("time", "2023-11-14T22:02:00.000000Z".into()),
        ("clock_ns", 120_000_000_000_u64.into()),
        ("account", 2.into()),
        ("tenant", "coder".into()),
        ("tenant_id", "00000000-0000-0000-0000-000000000022".into()),
        ("type", "inference".into()),
        ("bytes", (20 * GIB).into()),
        ("used_bytes", (3 * GIB).into()),
        ("reason", "capacity".into()),
        ("short_bytes", (7 * GIB).into()),
        ("grant", Value::Null),
    ];
    for (key, value) in expected {
        assert_eq!(denied[key], value, "{key}");
    }
}

#[test]
fn who_has_a_number_may_change() {
    let scratch = Scratch::new();
    let mut scribe = Scribe::open(&scratch, options());
    scribe.tenant(1, 1, CHAT, "first", None);
    scribe.grant(1, AllocationType::Cache, MIB);
    scribe.tenant(1, 2, CODER, "second", None);
    scribe.grant(1, AllocationType::Cache, MIB);
    scribe.seal();
    let mut next = Scribe::open_at(&scratch, options(), 1_800_000_000_000_000_000);
    next.grant(1, AllocationType::Cache, MIB);
    next.seal();
    let names: Vec<Value> = audit("show", &scratch.log(), "--kind granted --json")
        .lines()
        .iter()
        .map(|object| object["tenant"].clone())
        .collect();
    assert_eq!(names, ["first", "second", "account 1"]);
    assert!(show(&scratch, "--kind seal").contains("2027-01-15T08:00:00.000000Z"));
}

#[test]
fn a_log_without_its_beginning_and_one_with_damage_are_shown() {
    let scratch = Scratch::new();
    let kept = JournalOptions { keep_segments_max: Some(1), ..options() };
    let mut scribe = Scribe::open(&scratch, kept);
    scribe.tenant(1, 1, CHAT, "chat", None);
    scribe.wait_s(30);
    let now = scribe.moment();
    scribe.journal.rotate(now, []).unwrap();
    scribe.stated(1, CHAT, "chat");
    let grant = scribe.grant(1, AllocationType::Cache, MIB);
    scribe.gap(7);
    scribe.seal();
    let said = show(&scratch, "");
    assert!(!scratch.segment(1).exists() && !said.contains("opened"), "{said}");
    assert!(said.contains("7 events lost") && said.contains("segments before 2"), "{said}");
    let line = format!(
        "2023-11-14T22:00:30.000000Z  chat          granted           1 MiB cache, uses 1 MiB, \
         grant {grant:016x}\n"
    );
    assert!(said.contains(&line), "{said}");

    let segment = scratch.segment(2);
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[192 + 4 * 96 + 3] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let answer = audit("show", &scratch.log(), "");
    assert_eq!(answer.code, 1);
    assert!(answer.complaint.contains("bytes are no record"), "{}", answer.complaint);
    assert!(answer.out.contains("seal"), "{}", answer.out);
    assert_eq!(handle(1, 1), 0x0100_0000_0100_0001);
}
