//! `--record`, `--format audit` and `--what-if`: a recording comes out again to the bit, an altered
//! one does not, and a day under other limits is what a fresh replay under them is.

use std::path::Path;

use allotment::audit::{Body, Journal, JournalOptions, Key, Moment, Reader, verify};
use allotment::{Event, EventKind};
use serde_json::Value;

use crate::command::{Folder, replay, report, reports};
use crate::formats::{CONFIG, lora};

/// Numbers that look random and are the same in every run.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }
}

/// Keys of which some come again and again.
fn keys(count: usize) -> Vec<u64> {
    let mut dice = Dice(7);
    (0..count).map(|_| dice.below(40).min(dice.below(400)) + 1).collect()
}

/// Two tenants that use items, each always of the same size, and run jobs, of which some are denied
/// and some evicted.
fn table(rows: u64) -> String {
    let mut dice = Dice(11);
    let mut text = "time_ms,tenant,allocation_type,bytes,duration_ms,key\n".to_string();
    for row in 0..rows {
        let tenant = ["kept", "free"][dice.below(2) as usize];
        let line = match dice.below(3) {
            0 => format!("{row},{tenant},inference,{},{},\n", 1 + dice.below(30), dice.below(40)),
            1 => format!("{row},{tenant},background,{},{},\n", 1 + dice.below(9), dice.below(90)),
            _ => {
                let key = 1 + dice.below(20);
                format!("{row},{tenant},cache,{},,{key}\n", 1 + key % 9)
            }
        };
        text.push_str(&line);
    }
    text
}

/// Records a run, and makes it again: the outcome of that.
#[track_caller]
fn recorded(folder: &Folder, traces: &[&str], options: &str) -> Value {
    let log = folder.path("log");
    let runs = reports(traces, &format!("{options} --record {log}"));
    assert_eq!(runs.len(), 1);
    let key = Key::load(Path::new(&format!("{log}.key"))).unwrap();
    let verdict = verify(Path::new(&log), &key, None).unwrap();
    assert!(verdict.is_intact() && verdict.sealed && verdict.events_lost == 0, "{verdict:?}");
    again(&log)
}

#[track_caller]
pub fn again(log: &str) -> Value {
    let output = replay(&[log], "--format audit --json");
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{complaint}");
    let Value::Array(mut outcomes) = serde_json::from_slice(&output.stdout).unwrap() else {
        panic!("not an array")
    };
    assert_eq!(outcomes.len(), 1);
    outcomes.remove(0)
}

#[track_caller]
pub fn to_the_bit(outcome: &Value, answers_min: u64) {
    assert_eq!(outcome["shape"], "in_turn", "{outcome}");
    assert_eq!(outcome["differing"], 0, "{outcome}");
    assert!(outcome["answers"].as_u64().unwrap() >= answers_min, "{outcome}");
}

#[test]
fn keys_of_every_kind_come_out_again() {
    let used = keys(3_000);
    let u32s: Vec<u8> = used.iter().flat_map(|key| (*key as u32).to_be_bytes()).collect();
    let u64s: Vec<u8> = used.iter().flat_map(|key| key.to_be_bytes()).collect();
    let arc: String = used.iter().map(|key| format!("{key} 1 0 0\n")).collect();
    let sized: String = used.iter().map(|key| format!("1 {key} {}\n", key * 3)).collect();
    let oracle: Vec<u8> = used
        .iter()
        .flat_map(|key| {
            let mut record = 5_u32.to_le_bytes().to_vec();
            record.extend(key.to_le_bytes());
            record.extend(17_u32.to_le_bytes());
            record.extend(0_i64.to_le_bytes());
            record
        })
        .collect();
    for (format, bytes) in [
        ("keys-u32", u32s),
        ("keys-u64", u64s),
        ("keys-arc", arc.into_bytes()),
        ("keys-sized", sized.into_bytes()),
        ("oracle-general", oracle),
    ] {
        for policy in ["lru", "lfu", "hybrid"] {
            let folder = Folder::new(&format!("record-{format}-{policy}"));
            let trace = folder.plain("t", &bytes);
            let options = format!("--format {format} --capacity-percent 10 --policy {policy}");
            to_the_bit(&recorded(&folder, &[&trace], &options), 1_000);
        }
    }
}

/// Prompts with common beginnings, so close to each other that many wait.
fn prompts(count: u64) -> String {
    let mut dice = Dice(3);
    let line = |n: u64| {
        let (chain, own) = (dice.below(4), n + 10);
        format!(
            "{{\"timestamp\": {}, \"input_length\": 1536, \"output_length\": {}, \
             \"hash_ids\": [{chain}, {}, {own}]}}\n",
            n * 300,
            1 + n % 50,
            chain + 4
        )
    };
    (0..count).map(line).collect()
}

#[test]
fn prompts_come_out_again_and_those_who_waited_too() {
    let trace = prompts(300);
    let tokens = "--format mooncake --kv-bytes-per-token 10 --decode-ms-per-token 100";
    for (name, options) in [
        ("record-mooncake", "--capacity 90000"),
        ("record-mooncake-blocks", "--capacity-blocks 9"),
        ("record-mooncake-wait", "--capacity 60000 --wait 20s"),
    ] {
        let folder = Folder::new(name);
        let file = folder.plain("t.jsonl", &trace);
        to_the_bit(&recorded(&folder, &[&file], &format!("{tokens} {options}")), 500);
    }
}

#[test]
fn services_images_and_tables_come_out_again() {
    let folder = Folder::new("record-azure");
    let header = "TIMESTAMP,ContextTokens,GeneratedTokens\n";
    let rows = |of: u64| -> String {
        let mut dice = Dice(of);
        let row = |n: u64| {
            let (context, generated) = (1 + dice.below(200), dice.below(60));
            format!("2023-11-16 18:{:02}:{:02}.0,{context},{generated}\n", n / 60, n % 60)
        };
        (0..600).map(row).collect()
    };
    let chat = folder.plain("chat.csv", format!("{header}{}", rows(5)));
    let code = folder.plain("code.csv", format!("{header}{}", rows(6)));
    let options = "--format azure-llm --kv-bytes-per-token 1 --capacity 600";
    to_the_bit(&recorded(&folder, &[&chat, &code], options), 1_000);

    let folder = Folder::new("record-lora");
    let trace = lora(&folder);
    to_the_bit(&recorded(&folder, &[&trace], "--format alibaba-lora --slots 2"), 5);

    let folder = Folder::new("record-csv");
    let trace = folder.plain("t.csv", table(2_000));
    let config = folder.plain("allot.toml", CONFIG.replace("pool = false", "pool = true"));
    to_the_bit(&recorded(&folder, &[&trace], &format!("--format csv --config {config}")), 1_000);
}

/// Writes a log anew, with other records where `change` says so.
fn rewritten(from: &str, to: &str, mut change: impl FnMut(Event) -> Body) {
    let key = Key::from_bytes(&[1; 32]);
    let (options, folder) = (JournalOptions::default(), Path::new(to));
    let mut journal = Journal::open(folder, &key, options, Moment::default()).unwrap();
    for entry in Reader::open(Path::new(from), None).unwrap() {
        match entry.unwrap().record.body() {
            Body::Opened { .. } | Body::Checkpoint { .. } | Body::Seal { .. } => continue,
            Body::Event(event) => drop(journal.append_body(&change(event)).unwrap()),
            other => drop(journal.append_body(&other).unwrap()),
        }
        if journal.room() < 2 {
            journal.flush().unwrap();
        }
    }
    journal.seal(Moment::default()).unwrap();
}

/// The control: one answer that was not given is found, and the first of them is told.
#[test]
fn an_altered_answer_does_not_come_out() {
    let folder = Folder::new("record-altered");
    let trace = folder.plain("t.csv", table(800));
    let config = folder.plain("allot.toml", CONFIG);
    to_the_bit(&recorded(&folder, &[&trace], &format!("--format csv --config {config}")), 400);
    let log = folder.path("log");
    let same = folder.path("same");
    rewritten(&log, &same, Body::Event);
    to_the_bit(&again(&same), 400);
    type Change = fn(&mut Event);
    let changes: [(EventKind, Change); 4] = [
        (EventKind::Granted, |event| event.bytes += 1),
        (EventKind::Denied, |event| event.detail += 1),
        (EventKind::Evicted, |event| event.grant += 1),
        (EventKind::Touched, |event| event.kind = EventKind::Balanced),
    ];
    for (kind, change) in changes {
        let altered = folder.path(&format!("altered-{kind:?}"));
        let mut count = 0;
        rewritten(&log, &altered, |mut event| {
            count += u32::from(event.kind == kind);
            if event.kind == kind && count == 20 {
                change(&mut event);
            }
            Body::Event(event)
        });
        assert!(count >= 20, "{count} of {kind:?}");
        let outcome = again(&altered);
        assert!(outcome["differing"].as_u64().unwrap() > 0, "{kind:?}: {outcome}");
        let told = outcome["differences"][0].as_str().unwrap();
        assert!(told.contains("recorded") && told.contains("now"), "{told}");
    }
}

/// The text of a configuration stands in the log even if the event that puts it in force is lost.
#[test]
fn who_was_registered_in_a_gap_is_known() {
    let folder = Folder::new("record-gap");
    let trace = folder.plain("t.csv", table(800));
    let config = folder.plain("allot.toml", CONFIG);
    let whole = recorded(&folder, &[&trace], &format!("--format csv --config {config}"));
    let (log, holed) = (folder.path("log"), folder.path("holed"));
    let mut gaps = 0;
    rewritten(&log, &holed, |event| match event.kind {
        EventKind::Registered => {
            gaps += 1;
            Body::Gap { clock_ns: event.time_ns, first: gaps - 1, count: 1 }
        }
        _ => Body::Event(event),
    });
    assert!(gaps > 1);
    let outcome = again(&holed);
    assert_eq!((&outcome["shape"], &outcome["gaps"]), (&"overlapping".into(), &gaps.into()));
    assert_eq!((&outcome["differing"], &whole["differing"]), (&0.into(), &0.into()), "{outcome}");
    let same = outcome["answers"].as_u64().unwrap();
    assert!(2 * same > whole["answers"].as_u64().unwrap(), "{outcome}");
    let day = what_if(&holed, &config);
    assert_eq!(day["tenants"].as_array().unwrap().len(), 2, "{day}");
}

#[test]
fn a_recording_of_several_threads_is_followed() {
    let folder = Folder::new("record-threads");
    let bytes: Vec<u8> = keys(60_000).iter().flat_map(|key| (*key as u32).to_be_bytes()).collect();
    let trace = folder.plain("t", bytes);
    let options = "--format keys-u32 --capacity-percent 10 --policy lru --threads 4";
    let outcome = recorded(&folder, &[&trace], options);
    let figure = |name: &str| outcome[name].as_u64().unwrap();
    assert!(figure("answers") > 10_000, "{outcome}");
    if outcome["shape"] == "overlapping" {
        // A denial may have been decided a moment before its record.
        assert!(figure("differing") * 100 < figure("answers"), "{outcome}");
    } else {
        assert_eq!(figure("differing"), 0, "{outcome}");
    }
}

/// Tenants by name with the figures that a log and a fresh replay must agree on.
fn figures<'v>(tenants: &'v Value, side: Option<&str>) -> Vec<(&'v str, [u64; 4])> {
    let tenants = tenants.as_array().unwrap().iter();
    let mut told: Vec<_> = tenants
        .map(|tenant| {
            let of = side.map_or(tenant, |side| &tenant[side]);
            let names = ["granted", "denied", "evicted", "peak_used_bytes"];
            let figures = names.map(|name| of[name].as_u64().unwrap());
            (tenant["name"].as_str().unwrap(), figures)
        })
        .collect();
    told.sort_unstable();
    told
}

#[track_caller]
fn what_if(log: &str, config: &str) -> Value {
    let output = replay(&[log], &format!("--format audit --what-if {config} --json"));
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{complaint}");
    let answers: Value = serde_json::from_slice(&output.stdout).unwrap();
    answers[0].clone()
}

#[test]
fn what_if_is_what_a_fresh_replay_is() {
    let folder = Folder::new("what-if");
    let trace = folder.plain("t.csv", table(3_000));
    let was = folder.plain("was.toml", CONFIG);
    let options = "--format csv --config";
    to_the_bit(&recorded(&folder, &[&trace], &format!("{options} {was}")), 1_500);
    let log = folder.path("log");
    let changes = [
        ("guarantee = 40", "guarantee = 60"),
        ("limit = 60", "limit = 90"),
        ("capacity = 100", "capacity = 60"),
        ("isolation = \"none\"", "isolation = \"soft\"\nlimit = 20\nburst = 30"),
        ("pool = false", "pool = true"),
    ];
    let as_it_was = figures(&report(&trace, &format!("{options} {was}"))["tenants"], None)
        .into_iter()
        .map(|(name, figures)| (name.to_string(), figures))
        .collect::<Vec<_>>();
    for (from, to) in changes {
        let other = folder.plain("other.toml", CONFIG.replace(from, to));
        let answer = what_if(&log, &other);
        assert_eq!(answer["apart"], 0, "as it was configured the day comes out: {answer}");
        let fresh = report(&trace, &format!("{options} {other}"));
        let after = figures(&answer["tenants"], Some("after"));
        assert_eq!(after, figures(&fresh["tenants"], None), "{to}");
        assert_eq!(answer["sums"]["after"]["peak_used_bytes"], fresh["peak_used_bytes"]);
        let before = figures(&answer["tenants"], Some("before"));
        let before: Vec<_> = before.into_iter().map(|(n, f)| (n.to_string(), f)).collect();
        assert_eq!(before, as_it_was);
        assert_ne!(after, figures(&answer["tenants"], Some("before")), "{to} changes something");
    }
}

#[test]
fn what_if_keeps_who_is_not_named_and_tells_people() {
    let folder = Folder::new("what-if-part");
    let trace = folder.plain("t.csv", table(600));
    let was = folder.plain("was.toml", CONFIG);
    recorded(&folder, &[&trace], &format!("--format csv --config {was}"));
    let log = folder.path("log");
    let part = CONFIG.split("[[tenants]]").next().unwrap().to_string();
    let part = part + "[[tenants]]\nname = \"free\"\nlimit = 10\nisolation = \"hard\"\n";
    let part = folder.plain("part.toml", part);
    let whole = CONFIG.replace("isolation = \"none\"", "isolation = \"hard\"\nlimit = 10");
    let whole = folder.plain("whole.toml", whole);
    assert_eq!(what_if(&log, &part)["tenants"], what_if(&log, &whole)["tenants"]);
    let output = replay(&[&log], &format!("--format audit --what-if {part}"));
    let text = String::from_utf8(output.stdout).unwrap();
    for said in ["as it was", "what if", "kept", "free", "0 of", "apart from the log (0.0 %)"] {
        assert!(text.contains(said), "{text}");
    }
}

/// Those who waited are served at once where there is room, and the table says so.
#[test]
fn what_if_lets_those_wait_who_did() {
    let folder = Folder::new("what-if-wait");
    let trace = folder.plain("t.jsonl", prompts(200));
    let tokens = "--format mooncake --kv-bytes-per-token 10 --decode-ms-per-token 100";
    recorded(&folder, &[&trace], &format!("{tokens} --capacity 60000 --wait 20s"));
    let log = folder.path("log");
    let config = |bytes: u64| {
        format!("capacity = {bytes}\n[[tenants]]\nname = \"trace\"\nisolation = \"none\"\n")
    };
    let roomy = folder.plain("roomy.toml", config(1_000_000));
    let answer = what_if(&log, &roomy);
    let side = |side: &str| answer["sums"][side].clone();
    let apart = answer["apart"].as_u64().unwrap();
    assert!(apart * 50 < answer["answers"].as_u64().unwrap(), "{answer}");
    assert!(side("before")["waited"].as_u64().unwrap() > 20, "{answer}");
    assert_eq!(side("after")["waited"], 0);
    assert_eq!(side("after")["denied"], 0);
}

#[test]
fn bad_recordings_are_refused_with_a_word() {
    let folder = Folder::new("record-refused");
    let trace = folder.plain("t", [0; 8]);
    let refused = |traces: &[&str], options: &str, parts: &[&str]| {
        let output = replay(traces, options);
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{options}: {complaint}");
        assert_eq!(output.stdout, b"", "{options}");
        for part in parts {
            assert!(complaint.contains(part), "{options}: {complaint:?} does not say {part:?}");
        }
    };
    let keys = "--format keys-u32 --capacity";
    let log = folder.path("log");
    let sweep = format!("{keys} 1,2 --record {log}");
    refused(&[&trace], &sweep, &["one run", "makes 2"]);
    std::fs::create_dir(folder.path("full")).unwrap();
    folder.plain("full/file", "x");
    let full = folder.path("full");
    refused(&[&trace], &format!("{keys} 1 --record {full}"), &["full", "name a new folder"]);
    refused(&[&trace], &format!("{keys} 1 --key k"), &["--record"]);
    let file = folder.plain("file", "x");
    refused(&[&trace], &format!("{keys} 1 --record {file}"), &["file", "name a folder"]);
    let inside = format!("{keys} 1 --record {log} --key {log}/key");
    refused(&[&trace], &inside, &["log"]);
    refused(&[&trace], &format!("{keys} 1 --what-if x.toml"), &["--what-if", "--format audit"]);
    refused(&[&full], "--format audit", &["not part of an audit log"]);
    refused(&[&folder.path("none")], "--format audit", &["none", "check the path"]);
    refused(&[&log], "--format audit --capacity 5", &["--capacity", "a log says by itself"]);
    refused(&[&log], "--format audit --config c", &["--what-if FILE"]);
}

#[test]
fn a_torn_log_is_made_again_as_far_as_it_goes_and_a_damaged_one_is_not() {
    let folder = Folder::new("record-torn");
    let bytes: Vec<u8> = keys(500).iter().flat_map(|key| (*key as u32).to_be_bytes()).collect();
    let trace = folder.plain("t", bytes);
    to_the_bit(&recorded(&folder, &[&trace], "--format keys-u32 --capacity 20"), 100);
    let segment = format!("{}/{:020}.audit", folder.path("log"), 1);
    let whole = std::fs::read(&segment).unwrap();
    std::fs::write(&segment, &whole[..whole.len() / 2 / 96 * 96 + 50]).unwrap();
    let outcome = again(&folder.path("log"));
    assert_eq!(outcome["differing"], 0, "{outcome}");
    let mut damaged = whole;
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    std::fs::write(&segment, &damaged).unwrap();
    let output = replay(&[&folder.path("log")], "--format audit");
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{complaint}");
    assert!(complaint.contains("damaged"), "{complaint}");
}
