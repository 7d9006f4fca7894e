//! Names in sentences: which a tenant may have, and that what the caller wrote cannot spoil one.

use super::*;

const NASTY: &str = "a\nb\u{1b}[31m\u{85}";
const NASTY_SHOWN: &str = "a\\nb\\u{1b}[31m\\u{85}";

fn is_one_line(sentence: &str) -> bool {
    !sentence.chars().any(char::is_control)
}

#[test]
fn a_tenants_name_is_one_to_128_printable_characters() {
    let manager = manager(100);
    let one = named(&manager, 1, "chat", 50);
    let before = all(&manager);
    let name = |name: &str| now(manager.set_tenant_name(one, name));
    let refused = |text: &str| name(text).unwrap_err().to_string();
    assert_eq!(refused(""), "name: 0 characters are out of range; use 1 to 128");
    assert_eq!(refused(&"ä".repeat(129)), "name: 129 characters are out of range; use 1 to 128");
    assert_eq!(
        refused("chat\n"),
        "name: character 5 is the control character \\n; use letters, digits and signs that can \
         be printed on one line"
    );
    for control in ["\u{1b}[2J", "\0", "\t", "\u{7f}", "\u{9b}"] {
        let error = name(control).unwrap_err();
        assert!(matches!(error, MemoryError::Config { field: "name", .. }), "{error}");
        assert!(is_one_line(&error.to_string()), "{error:?}");
        let exact = now(manager.register_tenant_bytes(TenantConfig::new(id(2), control)));
        assert_eq!(exact, Err(error));
    }
    assert_eq!(all(&manager), before);
    for fine in ["ä".repeat(128).as_str(), "x", "Chat für alle (日本) 🙂"] {
        assert_eq!(name(fine), Ok(()));
        assert_eq!(now(manager.get_tenant_usage(one)).unwrap().name, fine);
    }
}

#[test]
fn a_model_is_called_anything_and_shown_on_one_line() {
    let manager = manager(1_000);
    let one = named(&manager, 1, "chat", 60);
    let long = "m".repeat(81);
    for (model, mb) in [(NASTY, 30), ("", 20), (long.as_str(), 10)] {
        granted(ask(&manager, one, mb, model, AllocationType::ModelLoad));
    }
    let (reason, _) = denied(inference(&manager, one, 5));
    assert!(is_one_line(&reason), "{reason:?}");
    let largest = format!("its largest models are {NASTY_SHOWN} (30 MiB) and (unnamed) (20 MiB); ");
    assert!(reason.contains(&largest), "{reason}");
    // What is data is as it was given.
    let usage = now(manager.get_tenant_usage(one)).unwrap();
    let models: Vec<&str> = usage.models.iter().map(|model| model.model_name.as_str()).collect();
    assert_eq!(models, [NASTY, "", long.as_str()]);
}

#[test]
fn a_long_name_is_cut() {
    let manager = manager(1_000);
    let (exact, longer) = ("m".repeat(80), "n".repeat(81));
    for (number, model, shown) in
        [(1, &exact, exact.clone()), (2, &longer, format!("{}…", "n".repeat(80)))]
    {
        let tenant = named(&manager, number, "chat", 10);
        granted(ask(&manager, tenant, 10, model, AllocationType::ModelLoad));
        let (reason, _) = denied(inference(&manager, tenant, 5));
        assert!(reason.contains(&format!("its largest model is {shown} (10 MiB); ")), "{reason}");
    }
}

#[test]
fn ids_groups_and_the_log_are_shown_on_one_line() {
    let manager = unqueued(100);
    let one = named(&manager, 1, "chat", 50);
    let unknown = now(manager.touch_allocation(one, NASTY)).unwrap_err();
    let begins = format!("allocation {NASTY_SHOWN} is not held by tenant {one}: ");
    assert!(unknown.to_string().starts_with(&begins), "{unknown}");
    let unnamed = now(manager.touch_allocation(one, "")).unwrap_err().to_string();
    assert!(unnamed.starts_with("allocation (unnamed) is not held by "), "{unnamed}");
    let huge = now(manager.touch_allocation(one, &"9".repeat(100_000))).unwrap_err().to_string();
    assert!(huge.starts_with(&format!("allocation {}… is not", "9".repeat(80))), "{huge}");

    let held = granted(ask(&manager, one, 5, NASTY, AllocationType::ModelLoad));
    now(manager.revoke_allocation(one, &held)).unwrap();
    let log = now(manager.emergency_log());
    assert_eq!(log[0].what, format!("{NASTY_SHOWN} ({held}) of 5 MiB"));

    let group = GroupConfig { limit_bytes: Some(10 * MIB), ..GroupConfig::new(NASTY) };
    let parent = manager.governor().register_group(group).ok();
    let in_group = TenantConfig { parent, ..TenantConfig::new(id(2), "coder") };
    now(manager.register_tenant_bytes(in_group)).unwrap();
    let (reason, _) = denied(inference(&manager, id(2), 20));
    assert!(reason.starts_with(&format!("group {NASTY_SHOWN} of 10 MiB has ")), "{reason}");
    let promised = TenantConfig { parent, ..TenantConfig::new(id(3), "images") };
    let promised = TenantConfig { guarantee_bytes: 11 * MIB, ..promised };
    let exceeds = now(manager.register_tenant_bytes(promised)).unwrap_err().to_string();
    assert!(exceeds.contains(NASTY_SHOWN) && is_one_line(&exceeds), "{exceeds}");
}
