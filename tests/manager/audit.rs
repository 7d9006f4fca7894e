//! The facade writes its log: what was decided, and who used an emergency verb.

use super::*;
use allotment::audit::*;
use std::path::PathBuf;

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::remove_dir_all(&folder).ok();
        Self(folder)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

fn key() -> Key {
    Key::from_bytes(&[3; 32])
}

fn audited(max_memory_mb: u64) -> Manager {
    let options = ManagerOptions::default();
    clocked(max_memory_mb, &ManualClock::new(), options, |governor| {
        governor.audit = AuditMode::FailClosed;
    })
}

fn events(scratch: &Scratch) -> Vec<Event> {
    let reader = Reader::open(&scratch.0, None).unwrap();
    let bodies = reader.map(|entry| entry.unwrap().record.body());
    bodies
        .filter_map(|body| if let Body::Event(event) = body { Some(event) } else { None })
        .collect()
}

#[test]
fn emergency_verbs_are_in_the_log() {
    let scratch = Scratch::new("audit-emergency");
    let manager = audited(100);
    manager.start_audit(&scratch.0, &key(), JournalOptions::default()).unwrap();
    let one = named(&manager, 1, "chat", 50);
    let held = granted(ask(&manager, one, 10, "llama", AllocationType::ModelLoad));
    now(manager.freeze_tenant(one)).unwrap();
    now(manager.thaw_tenant(one)).unwrap();
    now(manager.revoke_allocation(one, &held)).unwrap();
    now(manager.set_observe_only(true));
    let head = manager.audit_checkpoint().unwrap();
    assert_eq!(manager.audit_status().unwrap().head, Some(head));
    let last = manager.close_audit().unwrap();
    assert!(manager.audit_status().is_none());
    assert!(verify(&scratch.0, &key(), Some(&head)).unwrap().is_intact());
    assert!(verify(&scratch.0, &key(), Some(&last)).unwrap().sealed);
    let used: Vec<_> = events(&scratch)
        .iter()
        .filter(|event| event.kind == EventKind::Emergency)
        .map(|event| (event.to, event.account != 0, event.bytes))
        .collect();
    let verb = |verb: EmergencyVerb| verb as u8;
    assert_eq!(
        used,
        [
            (verb(EmergencyVerb::Freeze), true, 10 * MIB),
            (verb(EmergencyVerb::Thaw), true, 10 * MIB),
            (verb(EmergencyVerb::Revoke), true, 10 * MIB),
            (verb(EmergencyVerb::ObserveOnly), false, 0),
        ]
    );
}

/// The last clone returns what is held, and the log has that before it is sealed.
#[test]
fn a_manager_that_goes_leaves_a_sealed_log_of_everything() {
    let scratch = Scratch::new("audit-goes");
    let manager = audited(100);
    manager.start_audit(&scratch.0, &key(), JournalOptions::default()).unwrap();
    let one = named(&manager, 1, "chat", 50);
    granted(ask(&manager, one, 10, "llama", AllocationType::Cache));
    drop(manager);
    assert!(verify(&scratch.0, &key(), None).unwrap().sealed);
    let kinds: Vec<_> = events(&scratch).iter().map(|event| event.kind).collect();
    assert!(kinds.contains(&EventKind::Granted) && kinds.contains(&EventKind::Released));
}

#[test]
fn a_manager_that_was_not_created_for_it_has_no_log() {
    let scratch = Scratch::new("audit-none");
    let manager = manager(100);
    let begun = manager.start_audit(&scratch.0, &key(), JournalOptions::default());
    let said = begun.unwrap_err().to_string();
    assert!(said.contains("set `audit` in its configuration"), "{said}");
    let said = manager.audit_checkpoint().unwrap_err().to_string();
    assert!(said.contains("begin one with start_audit"), "{said}");
    assert_eq!(manager.close_audit().unwrap_err().to_string(), said);
}
