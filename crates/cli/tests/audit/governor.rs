//! The log of a real governor: every record says what is used after it, and the report has what
//! was really held.

use std::collections::HashMap;
use std::sync::Arc;

use allotment::audit::{AuditLog, JournalOptions, SyncPolicy};
use allotment::os::ManualClock;
use allotment::*;

use super::command::audit;
use super::scribe::{MIB, SECOND_NS, Scratch};

/// A governor that is written down, and its clock.
fn governor(scratch: &Scratch, mode: AuditMode) -> (Arc<Governor>, ManualClock, AuditLog) {
    let clock = ManualClock::new();
    let config = GovernorConfig {
        audit: mode,
        clock: clock.clone().into(),
        grants_max: 1 << 10,
        ..GovernorConfig::new(100 * MIB)
    };
    let governor = Arc::new(Governor::new(config).unwrap());
    let options = JournalOptions {
        sync: SyncPolicy::Never,
        segment_bytes_max: 4_096,
        ..JournalOptions::default()
    };
    let log = AuditLog::start(&governor, &scratch.log(), &scratch.key(), options).unwrap();
    (governor, clock, log)
}

/// Half a minute of two tenants, one of which has to make way.
fn half_a_minute(scratch: &Scratch) {
    let (governor, clock, log) = governor(scratch, AuditMode::FailClosed);
    let group = governor.register_group(GroupConfig::new("research")).unwrap();
    let tenant = |id, name, priority, parent| {
        let config = TenantConfig::new(TenantId::from_u128(id), name);
        governor.register_tenant(TenantConfig { priority, parent, ..config }).unwrap()
    };
    let chat = tenant(1, "chat", Priority::High, None);
    let coder = tenant(2, "coder", Priority::Low, Some(group));
    governor.on_reclaim(|_| ReclaimAnswer::Freed);
    let model = Request::new(chat, AllocationType::ModelLoad, 40 * MIB);
    let model = governor.request(&model).unwrap();
    clock.advance_ns(10 * SECOND_NS);
    // More than is free with the next: these have to go.
    let blocks: Vec<Grant<'_>> = (0..5)
        .map(|key| {
            let block = Request::new(coder, AllocationType::Cache, 10 * MIB).key(key + 1);
            governor.request(&block).unwrap()
        })
        .collect();
    clock.advance_ns(10 * SECOND_NS);
    model.shrink(10 * MIB).unwrap();
    model.grow(5 * MIB).unwrap();
    let load = Request::new(chat, AllocationType::Inference, 30 * MIB);
    let running = governor.request(&load).unwrap();
    clock.advance_ns(10 * SECOND_NS);
    let refused = governor.request(&Request::new(chat, AllocationType::ModelLoad, 99 * MIB));
    assert!(refused.is_err());
    drop(running);
    drop(blocks);
    clock.advance_ns(5 * SECOND_NS);
    drop(model);
    log.close().unwrap();
}

#[test]
fn every_record_says_what_is_used_after_it_and_the_report_what_was_held() {
    let scratch = Scratch::new();
    half_a_minute(&scratch);
    let mut used: HashMap<u64, u64> = HashMap::new();
    for object in audit("show", &scratch.log(), "--json").lines() {
        let number = |key: &str| object[key].as_u64().unwrap();
        let sign = match object["kind"].as_str().unwrap() {
            "granted" | "grown" => 1,
            "shrunk" | "released" | "evicted" => -1,
            "denied" => 0,
            _ => continue,
        };
        let used = used.entry(number("account")).or_default();
        *used = used.strict_add_signed(sign * number("bytes") as i64);
        assert_eq!(number("used_bytes"), *used, "{object}");
    }
    assert!(used.values().all(|used| *used == 0) && used.len() == 2);

    let report = audit("report", &scratch.log(), &format!("{} --json", scratch.key_option()));
    let report = report.json(0);
    assert_eq!((&report["is_exact"], &report["verified"]), (&true.into(), &true.into()));
    let rows = report["periods"][0]["rows"].as_array().unwrap();
    let of = |name: &str, scope: &str| {
        let row = rows.iter().find(|row| row["name"] == name && row["scope"] == scope).unwrap();
        (row["byte_seconds"].as_str().unwrap().to_string(), row["evicted"].as_u64().unwrap())
    };
    let mib_seconds = |amount: u64| format!("{}.000000000", amount * MIB);
    let evicted = of("coder", "tenant").1;
    assert!(evicted > 0, "nothing had to go");
    let kept = 5 - evicted;
    // 10 s with all blocks, then 10 s with those that were kept.
    let blocks = 10 * 10 * 5 + 10 * 10 * kept;
    let chat = 40 * 20 + 35 * 15 + 30 * 10;
    assert_eq!(of("coder", "tenant").0, mib_seconds(blocks));
    assert_eq!(of("research", "group"), of("coder", "tenant"));
    assert_eq!(of("chat", "tenant"), (mib_seconds(chat), 0));
    assert_eq!(of("total", "total").0, mib_seconds(blocks + chat));
    let names: Vec<_> = rows.iter().map(|row| &row["name"]).collect();
    assert_eq!(names.last().unwrap(), &"total");
}

#[test]
fn a_log_that_is_closed_and_begun_again_says_what_is_still_held() {
    let scratch = Scratch::new();
    let (governor, clock, log) = governor(&scratch, AuditMode::FailClosed);
    let config = TenantConfig::new(TenantId::from_u128(1), "chat");
    let chat = governor.register_tenant(config).unwrap();
    let held = governor.request(&Request::new(chat, AllocationType::Cache, MIB)).unwrap();
    clock.advance_ns(10 * SECOND_NS);
    log.close().unwrap();
    clock.advance_ns(10 * SECOND_NS);
    let log = AuditLog::start(&governor, &scratch.log(), &scratch.key(), JournalOptions::default());
    clock.advance_ns(10 * SECOND_NS);
    drop(held);
    log.unwrap().close().unwrap();
    let report = audit("report", &scratch.log(), "--json").json(0);
    assert_eq!((&report["began_late"], &report["is_exact"]), (&false.into(), &true.into()));
    assert_eq!((&report["sittings"], &report["adds_up"]), (&2.into(), &true.into()));
    let total = report["periods"][0]["rows"].as_array().unwrap().last().unwrap();
    // 10 s before the pause and 10 s after it: what was in between is in no log.
    assert_eq!(total["byte_seconds"], format!("{}.000000000", 20 * MIB));
}

#[test]
fn a_log_that_begins_when_events_are_lost_already_counts_what_is_still_held() {
    let scratch = Scratch::new();
    let (governor, clock, log) = governor(&scratch, AuditMode::DropAndCount);
    let config = TenantConfig::new(TenantId::from_u128(1), "chat");
    let chat = governor.register_tenant(config).unwrap();
    log.close().unwrap();
    let held = governor.request(&Request::new(chat, AllocationType::Cache, MIB)).unwrap();
    for _ in 0..AuditMode::EVENTS_DEFAULT {
        drop(governor.request(&Request::new(chat, AllocationType::Inference, 5)).unwrap());
    }
    let segment_bytes_max = 1 << 20;
    let options =
        JournalOptions { sync: SyncPolicy::Never, segment_bytes_max, ..JournalOptions::default() };
    let log = AuditLog::start(&governor, &scratch.log(), &scratch.key(), options);
    log.as_ref().unwrap().flush().unwrap();
    clock.advance_ns(10 * SECOND_NS);
    drop(held);
    log.unwrap().close().unwrap();
    let report = audit("report", &scratch.log(), "--json").json(0);
    assert!(report["events_lost_of_bytes"].as_u64().unwrap() > 0);
    assert_eq!((&report["is_exact"], &report["adds_up"]), (&false.into(), &true.into()));
    let total = report["periods"][0]["rows"].as_array().unwrap().last().unwrap();
    assert_eq!(total["byte_seconds"], format!("{}.000000000", 10 * MIB));
    assert_eq!((&total["held_bytes"], &total["peak_bytes"]), (&0.into(), &(MIB + 5).into()));
    // Nor does a report of its last segment alone pass for an exact one.
    let last = (1..).find(|number| !scratch.segment(number + 1).exists()).unwrap();
    assert!(last > 2);
    (1..last).for_each(|number| std::fs::remove_file(scratch.segment(number)).unwrap());
    let report = audit("report", &scratch.log(), "--json").json(0);
    assert_eq!((&report["events_lost_of_bytes"], &report["began_late"]), (&0.into(), &true.into()));
    assert_eq!(report["is_exact"], false);
}
