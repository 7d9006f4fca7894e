//! Stretches of a log: what came before is known and not run, what comes after is not looked at.

use std::path::Path;
use std::sync::Arc;

use allotment::audit::{AuditLog, Body, JournalOptions, Key, Reader, SyncPolicy};
use allotment::os::ManualClock;
use allotment::*;
use serde_json::Value;

use crate::command::{Folder, replay};

const SECOND_NS: u64 = 1_000_000_000;

/// Three minutes. In the first `chat` gets 60 bytes and `batch`, whose ceiling falls to 30, an item
/// of 10; in the second `batch` asks for 20, 25 and its item; in the third all is given back, and
/// `batch` asks for 25 once more.
fn three_minutes(folder: &Folder) {
    let clock = ManualClock::new();
    let config = GovernorConfig {
        audit: AuditMode::FailClosed,
        audit_calls: true,
        pool_pressure: false,
        clock: clock.clone().into(),
        grants_max: 1 << 10,
        ..GovernorConfig::new(100)
    };
    let governor = Arc::new(Governor::new(config).unwrap());
    let key = Key::generate(Path::new(&folder.path("key"))).unwrap();
    let options = JournalOptions { sync: SyncPolicy::Never, ..JournalOptions::default() };
    let log = AuditLog::start(&governor, Path::new(&folder.path("log")), &key, options).unwrap();
    let tenant = |id, name| {
        let config = TenantConfig::new(TenantId::from_u128(id), name);
        let config = TenantConfig { isolation: Isolation::Hard, ..config };
        governor.register_tenant(config).unwrap()
    };
    let (chat, batch) = (tenant(1, "chat"), tenant(2, "batch"));
    let ask = |tenant, kind, bytes| governor.request(&Request::new(tenant, kind, bytes));
    let item = Request::new(batch, AllocationType::Cache, 10).key(7);

    clock.advance_ns(10 * SECOND_NS);
    let model = ask(chat, AllocationType::ModelLoad, 60).unwrap();
    let cached = governor.request(&item).unwrap();
    assert!(ask(chat, AllocationType::ModelLoad, 90).is_err());
    governor.set_tenant(batch, |config| config.limit_bytes = Some(30)).unwrap();

    clock.advance_ns(60 * SECOND_NS);
    let running = ask(batch, AllocationType::Inference, 20).unwrap();
    assert!(ask(batch, AllocationType::Inference, 25).is_err(), "its ceiling is 30");
    cached.touch().unwrap();

    clock.advance_ns(60 * SECOND_NS);
    drop((model, cached, running));
    drop(ask(batch, AllocationType::Inference, 25).unwrap());
    log.close().unwrap();
}

/// `--since` and `--until` so many seconds after the log began.
fn between(folder: &Folder, since_s: Option<u64>, until_s: Option<u64>) -> String {
    let mut reader = Reader::open(Path::new(&folder.path("log")), None).unwrap();
    let Body::Opened { clock_ns, unix_ns } = reader.next().unwrap().unwrap().record.body() else {
        panic!("a log begins with its writer");
    };
    let at = |seconds: u64| {
        let unix_ns = i128::from(unix_ns - clock_ns + seconds * SECOND_NS);
        jiff::Timestamp::from_nanosecond(unix_ns).unwrap()
    };
    let since = since_s.map(|seconds| format!("--since {} ", at(seconds))).unwrap_or_default();
    since + &until_s.map(|seconds| format!("--until {}", at(seconds))).unwrap_or_default()
}

fn asked(folder: &Folder, capacity_bytes: u64, stretch: &str) -> Value {
    let config = folder.plain("if.toml", format!("capacity = {capacity_bytes}\n"));
    let options = format!("--format audit --what-if {config} --json {stretch}");
    let output = replay(&[&folder.path("log")], &options);
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{complaint}");
    serde_json::from_slice::<Value>(&output.stdout).unwrap()[0].clone()
}

/// Granted, denied and peak of `chat` and `batch`.
fn figures(answer: &Value, side: &str) -> [[u64; 3]; 2] {
    [0, 1].map(|tenant| {
        ["granted", "denied", "peak_used_bytes"]
            .map(|name| answer["tenants"][tenant][side][name].as_u64().unwrap())
    })
}

#[test]
fn what_is_held_when_it_begins_is_asked_for_first() {
    let folder = Folder::new("stretch");
    three_minutes(&folder);
    let second = asked(&folder, 65, &between(&folder, Some(60), Some(120)));
    assert_eq!(figures(&second, "recorded"), [[1, 0, 60], [2, 1, 30]]);
    assert_eq!(
        figures(&second, "before"),
        figures(&second, "recorded"),
        "limits are those of then"
    );
    assert_eq!((&second["apart"], &second["changes"]), (&0.into(), &0.into()));
    // Beside what chat holds there is room for nobody any more.
    assert_eq!(figures(&second, "after")[0], [1, 0, 60]);
    assert_eq!(figures(&second, "after")[1][0], 0, "{second}");
    let third = asked(&folder, 100, &between(&folder, Some(120), None));
    assert_eq!(figures(&third, "recorded"), [[1, 0, 60], [3, 0, 30]]);
    assert_eq!(third["apart"], 0);
    let options = format!("--format audit --what-if {}", folder.path("if.toml"));
    let stretch = between(&folder, Some(120), None);
    let output = replay(&[&folder.path("log")], &format!("{options} {stretch}"));
    let text = String::from_utf8(output.stdout).unwrap();
    let since = third["since"].as_str().unwrap();
    assert!(text.contains(&format!("/log, from {since}, under ")), "{text}");
}

/// Who left and who came after share no memory at one time, but would in one configuration.
#[test]
fn who_left_keeps_no_guarantee_from_who_came() {
    let folder = Folder::new("stretch-left");
    let config = GovernorConfig {
        audit: AuditMode::FailClosed,
        audit_calls: true,
        grants_max: 1 << 10,
        ..GovernorConfig::new(100)
    };
    let governor = Arc::new(Governor::new(config).unwrap());
    let key = Key::generate(Path::new(&folder.path("key"))).unwrap();
    let options = JournalOptions { sync: SyncPolicy::Never, ..JournalOptions::default() };
    let log = AuditLog::start(&governor, Path::new(&folder.path("log")), &key, options).unwrap();
    for (id, name) in [(1, "old"), (2, "")] {
        let config = TenantConfig::new(TenantId::from_u128(id), name);
        let config = TenantConfig { guarantee_bytes: 80, ..config };
        let tenant = governor.register_tenant(config).unwrap();
        let request = Request::new(tenant, AllocationType::Inference, 50);
        drop(governor.request(&request).unwrap());
        governor.unregister_tenant(tenant, Unregister::IfIdle).unwrap();
    }
    log.close().unwrap();
    let answer = asked(&folder, 100, "");
    assert_eq!(figures(&answer, "before"), [[1, 0, 50], [1, 0, 50]]);
    // A file cannot name who has no name.
    assert_eq!(answer["tenants"][1]["name"], TenantId::from_u128(2).to_string());
}

#[test]
fn bounds_outside_of_the_log_change_nothing() {
    let folder = Folder::new("stretch-whole");
    three_minutes(&folder);
    let whole = asked(&folder, 65, "");
    assert_eq!(figures(&whole, "recorded"), [[1, 1, 60], [3, 1, 30]]);
    assert_eq!(whole["changes"], 1);
    for (since_s, until_s) in [(None, Some(300)), (Some(0), Some(300)), (Some(0), None)] {
        let bounded = asked(&folder, 65, &between(&folder, since_s, until_s));
        assert_eq!((&bounded["tenants"], &bounded["sums"]), (&whole["tenants"], &whole["sums"]));
    }
    let first = asked(&folder, 65, &between(&folder, None, Some(60)));
    assert_eq!(figures(&first, "recorded"), [[1, 1, 60], [1, 0, 10]]);
}

#[test]
fn stretches_without_anything_are_refused() {
    let folder = Folder::new("stretch-refused");
    three_minutes(&folder);
    let config = folder.plain("if.toml", "capacity = 100\n");
    let refused = |options: &str, parts: &[&str]| {
        let output = replay(&[&folder.path("log")], &format!("--format {options}"));
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{complaint}");
        parts.iter().for_each(|part| assert!(complaint.contains(part), "{complaint}"));
    };
    let later = between(&folder, Some(900), None);
    refused(&format!("audit --what-if {config} {later}"), &["nothing was asked for"]);
    let turned = "--since 2026-01-02 --until 2026-01-01";
    refused(&format!("audit --what-if {config} {turned}"), &["is not before --until 2026-01-01"]);
    refused(&format!("audit {later}"), &["--since does not go with", "with --what-if"]);
    refused(&format!("keys-u32 --capacity 1 {later}"), &["--since does not go with"]);
}
