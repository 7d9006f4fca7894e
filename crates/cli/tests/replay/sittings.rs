//! Logs of several sittings: each is run by itself, and what came of it is added up.

use std::path::Path;
use std::sync::Arc;

use allotment::audit::{AuditLog, JournalOptions, Key, SyncPolicy};
use allotment::os::ManualClock;
use allotment::*;
use serde_json::Value;

use crate::command::{Folder, replay};

/// A governor of so many bytes, written down into `log` from its first call to its last.
fn sit(folder: &Folder, log: &str, capacity_bytes: u64, names: &[&str]) {
    let file = folder.path("key");
    let file = Path::new(&file);
    let key = if file.exists() { Key::load(file) } else { Key::generate(file) }.unwrap();
    let clock = ManualClock::new();
    let config = GovernorConfig {
        audit: AuditMode::FailClosed,
        audit_calls: true,
        clock: clock.clone().into(),
        grants_max: 1 << 10,
        ..GovernorConfig::new(capacity_bytes)
    };
    let governor = Arc::new(Governor::new(config).unwrap());
    let options = JournalOptions { sync: SyncPolicy::Never, ..JournalOptions::default() };
    let log = AuditLog::start(&governor, Path::new(&folder.path(log)), &key, options).unwrap();
    governor.on_reclaim(|_| ReclaimAnswer::Freed);
    let ids = names.iter().map(|name| u128::from(name.as_bytes()[0]));
    let tenants: Vec<_> = names
        .iter()
        .zip(ids)
        .map(|(name, id)| {
            let config = TenantConfig::new(TenantId::from_u128(id), *name);
            governor.register_tenant(config).unwrap()
        })
        .collect();
    let mut held = Vec::new();
    for step in 0..300_u64 {
        clock.advance_ns(1_000_000);
        let tenant = tenants[(step * 7 % 11 % tenants.len() as u64) as usize];
        let bytes = 1 + step * 13 % 29;
        held.extend(governor.request(&Request::new(tenant, AllocationType::Inference, bytes)));
        if step % 3 > 0 && !held.is_empty() {
            drop(held.remove(0));
        }
    }
    drop(held);
    log.close().unwrap();
}

#[track_caller]
fn asked(folder: &Folder, log: &str, options: &str) -> Value {
    let what_if = format!("--format audit --what-if {} {options} --json", folder.path("if.toml"));
    let output = replay(&[&folder.path(log)], &what_if);
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{complaint}");
    let answers: Value = serde_json::from_slice(&output.stdout).unwrap();
    answers[0].clone()
}

/// Two sittings in the folder `both`, and each in a folder of its own.
fn two_sittings(test: &str) -> Folder {
    let folder = Folder::new(test);
    for log in ["both", "first"] {
        sit(&folder, log, 200, &["chat", "batch"]);
    }
    for log in ["both", "second"] {
        sit(&folder, log, 150, &["search", "chat"]);
    }
    folder.plain("if.toml", "capacity = 180\n[[tenants]]\nname = \"chat\"\nguarantee = 100\n");
    folder
}

fn figures(tenant: &Value, side: &str) -> [u64; 4] {
    ["granted", "denied", "evicted", "peak_used_bytes"]
        .map(|name| tenant[side][name].as_u64().unwrap())
}

fn tenant<'v>(answer: &'v Value, name: &str) -> &'v Value {
    let mut tenants = answer["tenants"].as_array().unwrap().iter();
    tenants.find(|tenant| tenant["name"] == name).unwrap()
}

#[test]
fn sittings_are_run_by_themselves_and_added_up() {
    let folder = two_sittings("sittings");
    let [both, first, second] = ["both", "first", "second"].map(|log| asked(&folder, log, ""));
    assert_eq!((&both["sittings"], &first["sittings"]), (&2.into(), &1.into()));
    for side in ["recorded", "before", "after"] {
        let chat = [&first, &second].map(|answer| figures(tenant(answer, "chat"), side));
        let [[a, b, c, d], [e, f, g, h]] = chat;
        assert!(b + f > 0, "{side}: nobody was denied");
        assert_eq!(figures(tenant(&both, "chat"), side), [a + e, b + f, c + g, d.max(h)], "{side}");
        for (name, alone) in [("batch", &first), ("search", &second)] {
            assert_eq!(figures(tenant(&both, name), side), figures(tenant(alone, name), side));
        }
        let [x, y, z] = [&both, &first, &second].map(|answer| figures(&answer["sums"], side));
        assert_eq!((x[0], x[3]), (y[0] + z[0], y[3].max(z[3])), "{side}");
    }
    assert_ne!(figures(&both["sums"], "before"), figures(&both["sums"], "after"));
    let number = |answer: &Value, key: &str| answer[key].as_u64().unwrap();
    for key in ["apart", "answers"] {
        assert_eq!(number(&both, key), number(&first, key) + number(&second, key), "{key}");
    }
}

#[test]
fn one_sitting_is_what_it_would_be_in_a_folder_of_its_own() {
    let folder = two_sittings("sitting");
    for (log, sitting) in [("first", 1), ("second", 2)] {
        let alone = asked(&folder, log, "");
        let one = asked(&folder, "both", &format!("--sitting {sitting}"));
        assert_eq!((&one["tenants"], &one["sums"]), (&alone["tenants"], &alone["sums"]));
        assert_eq!((&one["sitting"], &one["sittings"]), (&sitting.into(), &1.into()));
    }
    let calls = |log: &str, options: &str| {
        let output = replay(&[&folder.path(log)], &format!("--format audit --json {options}"));
        let outcomes: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(outcomes[0]["differing"], 0);
        outcomes[0]["calls"].as_u64().unwrap()
    };
    assert_eq!(calls("both", "--sitting 2"), calls("second", ""));
    assert_eq!(calls("both", ""), calls("first", "") + calls("second", ""));
}

#[test]
fn sittings_that_are_not_there_are_refused() {
    let folder = two_sittings("sitting-refused");
    let refused = |log: &str, options: &str, parts: &[&str]| {
        let output = replay(&[&folder.path(log)], options);
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{complaint}");
        for part in parts {
            assert!(complaint.contains(part), "{complaint:?} does not say {part:?}");
        }
    };
    let audit = "--format audit --sitting";
    refused("both", &format!("{audit} 3"), &["both: the log holds 2 sittings", "number 3"]);
    refused("both", &format!("{audit} 0"), &["--sitting"]);
    let keys = "--format keys-u32 --capacity 1 --sitting 1";
    refused("key", keys, &["--sitting does not go with --format keys-u32", "--format audit"]);
    sit(&folder, "idle", 10, &["chat"]);
    let what_if = format!("--format audit --what-if {}", folder.path("none.toml"));
    refused("both", &what_if, &["none.toml", "no such file; check the path"]);
    let low =
        folder.plain("low.toml", "capacity = 50\n[[tenants]]\nname = \"x\"\nguarantee = 60\n");
    refused("both", &format!("--format audit --what-if {low}"), &["low.toml"]);
}

/// A slip in a name is a tenant more, whose guarantee all others miss: that has to be said.
#[test]
fn tenants_that_the_log_does_not_have_are_named() {
    let folder = two_sittings("sitting-strangers");
    folder.plain("if.toml", "capacity = 200\n[[tenants]]\nname = \"chatt\"\nguarantee = 100\n");
    assert_eq!(asked(&folder, "both", "")["strangers"], serde_json::json!(["chatt"]));
    let options = format!("--format audit --what-if {}", folder.path("if.toml"));
    let output = replay(&[&folder.path("both")], &options);
    let text = String::from_utf8(output.stdout).unwrap();
    for said in [
        "both, 2 sittings added up, under ",
        "`chatt`, which is not in the log",
        "did you mean `chat`?",
    ] {
        assert!(text.contains(said), "{text}");
    }
}
