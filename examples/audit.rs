//! A log that proves what happened: a governor that grants nothing without a record, and somebody
//! who changes one afterwards.
//!
//! `cargo run --example audit`

use allotment::audit::{AuditLog, Body, JournalOptions, Key, Reader, verify};
use allotment::*;
use std::collections::BTreeMap;
use std::error::Error;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

const MIB: u64 = 1 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let place = std::env::temp_dir().join(format!("allotment-example-{}", std::process::id()));
    std::fs::create_dir_all(&place)?;
    let shown = show(&place);
    std::fs::remove_dir_all(&place)?;
    shown
}

fn show(place: &Path) -> Result<(), Box<dyn Error>> {
    // The key lies outside the log, and so does the head, which says how far the log has come.
    let key = Key::generate(&place.join("audit.key"))?;
    let folder = place.join("audit");
    let head_file = Some(place.join("audit.key.head"));
    let options = JournalOptions { head_file, ..JournalOptions::default() };

    let config = GovernorConfig { audit: AuditMode::FailClosed, ..GovernorConfig::new(100 * MIB) };
    let governor = Arc::new(Governor::new(config)?);
    let log = AuditLog::start(&governor, &folder, &key, options)?;
    work(&governor)?;
    let status = log.status();
    println!("{} events are on their way to the disk", status.events_waiting);
    let head = log.close()?;

    let verdict = verify(&folder, &key, Some(&head))?;
    assert!(verdict.is_intact() && verdict.sealed);
    println!("{} records, intact and sealed; head {head}", verdict.records);

    let held = account(&folder)?;
    for (account, bytes) in &held {
        println!("account {account}: {} MiB granted in all", bytes / MIB);
    }
    assert_eq!(held.values().sum::<u64>(), 100 * MIB);

    forge(&folder)?;
    let verdict = verify(&folder, &key, Some(&head))?;
    assert!(!verdict.is_intact());
    for finding in &verdict.findings {
        println!("{finding}");
    }
    Ok(())
}

/// What a service does all day.
fn work(governor: &Governor) -> Result<(), Refusal> {
    let chat = governor.register_tenant(TenantConfig {
        guarantee_bytes: 60 * MIB,
        ..TenantConfig::new(TenantId::from_u128(1), "chat")
    })?;
    let batch = governor.register_tenant(TenantConfig::new(TenantId::from_u128(2), "batch"))?;
    governor.on_reclaim(|_| ReclaimAnswer::Freed);
    let cache = Request::new(batch, AllocationType::Cache, 30 * MIB);
    let _results = governor.request(&cache)?;
    let model = governor.request(&Request::new(chat, AllocationType::ModelLoad, 60 * MIB))?;
    model.grow(10 * MIB)?;
    // The pool is full, and this verb does not evict: a denial, which is in the log as well.
    let denied = governor.try_request(&Request::new(chat, AllocationType::Inference, MIB));
    assert!(denied.is_err());
    Ok(())
}

/// Bytes granted to each account, by the log alone.
fn account(folder: &Path) -> Result<BTreeMap<u32, u64>, Box<dyn Error>> {
    let mut granted = BTreeMap::new();
    for entry in Reader::open(folder, None)? {
        let Body::Event(event) = entry?.record.body() else { continue };
        if matches!(event.kind, EventKind::Granted | EventKind::Grown) {
            *granted.entry(event.account).or_default() += event.bytes;
        }
    }
    Ok(granted)
}

/// Somebody who has the folder and not the key makes a number smaller.
fn forge(folder: &Path) -> std::io::Result<()> {
    let segment = folder.join(format!("{:020}.audit", 1));
    let middle = std::fs::metadata(&segment)?.len() / 2;
    let mut file = std::fs::OpenOptions::new().read(true).write(true).open(segment)?;
    let mut byte = [0];
    file.seek(SeekFrom::Start(middle))?;
    file.read_exact(&mut byte)?;
    file.seek(SeekFrom::Start(middle))?;
    file.write_all(&[byte[0] ^ 1])
}
