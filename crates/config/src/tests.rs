//! One case for each complaint: the file, the line it must name and what it must say.

use super::*;

fn complaint(text: &str) -> String {
    parse(text, Path::new("allot.toml")).expect_err("the file must be refused").to_string()
}

#[track_caller]
fn refused(text: &str, line: usize, parts: &[&str]) {
    let error = complaint(text);
    assert!(error.starts_with(&format!("allot.toml:{line}: ")), "{error}");
    for part in parts {
        assert!(error.contains(part), "{error:?} does not say {part:?}");
    }
}

const FULL: &str = r#"
capacity = "24GiB"
grants_max = 65536

[pressure]
warning = 70
high = 85
critical = 92
hysteresis = 3
pool = false

[[groups]]
name = "vision"
parent = "research"
guarantee = "1GiB"

[[groups]]
name = "research"
guarantee = "25%"
limit = "50%"

[[tenants]]
name = "chat"
id = "6f1b2c3d-0000-4000-8000-000000000001"
guarantee = "4GiB"
limit = "10GiB"
burst = 12884901888
priority = "Critical"
isolation = "soft"
policy = "lru"
grants_max = { cache = 100, background = 0 }
rate = { requests_per_second = 12.5, bucket_depth = 20 }

[[tenants]]
name = "images"
group = "vision"
"#;

#[test]
fn everything_at_once() {
    let setup = parse(FULL, Path::new("allot.toml")).unwrap();
    assert_eq!(setup.capacity_bytes, 24 << 30);
    assert_eq!(setup.grants_max, Some(65_536));
    assert_eq!(setup.pressure.critical_percent, 92);
    assert!(!setup.pressure.pool);
    assert_eq!(setup.groups[0].name, "research", "parents come first");
    assert_eq!(setup.groups[0].guarantee_bytes, 6 << 30);
    assert_eq!(setup.groups[1].parent, Some(0));
    let chat = &setup.tenants[0];
    assert_eq!((chat.burst_bytes, chat.priority), (Some(12 << 30), Priority::Critical));
    assert_eq!(chat.grants_max, [None, None, Some(100), Some(0)]);
    assert_eq!(chat.rate, Some(RateLimit::from_interval(80_000_000, 20).unwrap()));
    let images = &setup.tenants[1];
    assert_eq!((images.group, images.limit_bytes), (Some(1), None));
    assert_eq!((images.priority, images.isolation), (Priority::Normal, Isolation::Soft));
}

#[test]
fn ids_come_from_names() {
    assert_eq!(id_of("chat"), id_of("chat"));
    assert_ne!(id_of("chat"), id_of("chau"));
    assert_eq!(id_of("chat").get_version_num(), 8);
}

#[test]
fn what_is_not_toml() {
    refused("capacity = \"1GiB\"\n[[tenants\n", 2, &[]);
    refused("capacity = 1\ncapacity = 2\n", 2, &["duplicate key"]);
}

#[test]
fn the_file_must_be_there() {
    let error = load(Path::new("no/such/allot.toml")).unwrap_err().to_string();
    assert!(error.starts_with("no/such/allot.toml: the configuration cannot be read"), "{error}");
    assert!(error.ends_with(": no such file; check the path"), "{error}");
}

#[test]
fn usual_causes_are_told_in_plain_words() {
    use std::io::{Error, ErrorKind};
    for (kind, words) in [
        (ErrorKind::NotFound, "no such file; check the path"),
        (ErrorKind::PermissionDenied, "not readable; check its permissions"),
        (ErrorKind::IsADirectory, "is a folder; name a file"),
    ] {
        assert_eq!(in_words(&Error::from(kind)), words);
    }
    assert_eq!(in_words(&Error::other("the disk has gone")), "the disk has gone");
}

#[test]
fn unknown_keys_come_with_a_suggestion() {
    refused("capacty = 1\n", 1, &["unknown key `capacty`", "did you mean `capacity`?"]);
    let tenant = "capacity = \"1GiB\"\n[[tenants]]\nname = \"a\"\n";
    refused(
        &format!("{tenant}limt = 5\n"),
        4,
        &["unknown key `limt` in [[tenants]]", "did you mean `limit`?"],
    );
    let far = complaint(&format!("{tenant}colour = 5\n"));
    assert!(far.contains("`colour`") && !far.contains("did you mean"), "{far}");
    refused(&format!("{tenant}grants_max = {{ cach = 5 }}\n"), 4, &["did you mean `cache`?"]);
    refused("capacity = 1\n[pressure]\nhihg = 5\n", 3, &["did you mean `high`?"]);
}

#[test]
fn values_of_the_wrong_kind() {
    refused("capacity = true\n", 1, &["`capacity` must be a size", "not true or false"]);
    refused("capacity = 1\ngroups = 5\n", 2, &["written as [[groups]]", "whole number"]);
    refused("capacity = 1\n[pressure]\npool = 1\n", 3, &["`pool` must be true or false"]);
    refused("capacity = 1\n[[tenants]]\nname = 7\n", 3, &["`name` must be a text"]);
    refused("capacity = 1\n[pressure]\nhigh = 90.5\n", 3, &["`high` must be a whole number"]);
}

#[test]
fn capacity_is_needed_and_bounded() {
    let error = complaint("");
    assert!(error.contains("there is no `capacity`"), "{error}");
    refused("capacity = 0\n", 1, &["0 bytes", "1 to 281474976710655"]);
    refused("capacity = \"256TiB\"\n", 1, &["281474976710656 bytes"]);
    refused("capacity = \"25%\"\n", 1, &["nothing here to take it of"]);
    refused("capacity = \"24Gib/s\"\n", 1, &["unknown unit `Gib/s`"]);
    refused("capacity = 1\ngrants_max = 0\n", 2, &["`grants_max` is 0", "1 to 8388608"]);
}

#[test]
fn thresholds_are_bounded_and_in_order() {
    let with = |keys: &str| format!("capacity = 1\n[pressure]\n{keys}\n");
    refused(&with("high = 101"), 3, &["`high` is 101; it must be 1 to 100"]);
    refused(&with("warning = 0"), 3, &["1 to 100"]);
    refused(&with("warning = 96"), 2, &["warning 96, high 90, critical 95"]);
    refused(&with("hysteresis = 80"), 3, &["must be below `warning`, which is 80"]);
}

#[test]
fn a_cache_is_bounded() {
    let with = |keys: &str| format!("capacity = 1\n[cache]\n{keys}\n");
    let text = with("memory_percent = 30\nmax_items = 7\neviction_threshold = 1");
    let setup = parse(&text, Path::new("allot.toml")).unwrap();
    let usual = CacheSettings::default();
    let wanted = CacheSettings { memory_percent: 30, max_items: 7, ..usual.clone() };
    assert_eq!(setup.cache, CacheSettings { eviction_threshold: 1.0, ..wanted });
    assert_eq!(parse("capacity = 1", Path::new("allot.toml")).unwrap().cache, usual);
    let limit = |keys: &str| {
        let text = format!("capacity = \"8GiB\"\n[cache]\n{keys}\n");
        parse(&text, Path::new("allot.toml")).unwrap().cache.bytes_max
    };
    assert_eq!(limit("max_items = 7"), None);
    assert_eq!(limit("limit = \"auto\""), Some(2 << 30), "a quarter of what is shared");
    assert_eq!(limit("limit = \"auto\"\nmemory_percent = 10"), Some((8 << 30) / 10));
    assert_eq!(limit("limit = \"50%\""), Some(4 << 30));
    assert_eq!(limit("limit = \"3GiB\""), Some(3 << 30));
    refused(&with("limit = 0"), 3, &["`limit` is 0 bytes; it must be 1"]);
    refused(&with("memory_percent = 101"), 3, &["`memory_percent` is 101", "1 to 100"]);
    refused(&with("max_items = 0"), 3, &["`max_items` is 0; it must be 1 to 8388608"]);
    refused(
        &with("memory_threshold = 1.5"),
        3,
        &["`memory_threshold` is 1.5; it must be 0.01 to 1"],
    );
    refused(&with("memory_threshold = 0.95"), 3, &["0.95, above the `eviction_threshold` of 0.9"]);
    refused(&with("eviction_policy = \"lru2\""), 3, &["did you mean `lru`?"]);
    refused(&with("mimir_items = 1"), 3, &["unknown key `mimir_items` in [cache]"]);
}

#[test]
fn names_are_needed_and_unique() {
    refused("capacity = 1\n[[tenants]]\nlimit = 1\n", 2, &["[[tenants]] has no `name`"]);
    refused("capacity = 1\n[[tenants]]\nname = \" \"\n", 3, &["`name` is empty"]);
    let two =
        |kind: &str| format!("capacity = 1\n[[{kind}]]\nname = \"a\"\n[[{kind}]]\nname = \"a\"\n");
    refused(&two("tenants"), 5, &["two tenants named `a`"]);
    refused(&two("groups"), 5, &["two groups named `a`"]);
}

#[test]
fn ids_are_uuids_and_unique() {
    let with = |ids: [&str; 2]| {
        let [a, b] = ids;
        format!(
            "capacity = 1\n[[tenants]]\nname = \"a\"\nid = \"{a}\"\n[[tenants]]\nname = \"b\"\n\
             id = \"{b}\"\n"
        )
    };
    let id = "6f1b2c3d-0000-4000-8000-000000000001";
    refused(&with([id, "7"]), 7, &["`7`, which is not a UUID"]);
    refused(&with([id, id]), 7, &["tenants `a` and `b` have the same id"]);
}

#[test]
fn groups_must_exist_and_not_contain_themselves() {
    let group = "capacity = 1\n[[groups]]\nname = \"team\"\n";
    refused(
        &format!("{group}[[tenants]]\nname = \"a\"\ngroup = \"taem\"\n"),
        6,
        &["the group `taem`, which is not there", "did you mean `team`?"],
    );
    refused(&format!("{group}parent = \"team\"\n"), 4, &["group `team` contains itself"]);
    let mut deep = String::from("capacity = 1\n[[groups]]\nname = \"g0\"\n");
    for n in 1..=5 {
        deep += &format!("[[groups]]\nname = \"g{n}\"\nparent = \"g{}\"\n", n - 1);
    }
    refused(&deep, 18, &["`g5` stands 6 deep; groups may stand 5 deep"]);
}

#[test]
fn floors_fit_under_ceilings() {
    let with = |keys: &str| format!("capacity = 100\n[[tenants]]\nname = \"a\"\n{keys}\n");
    refused(&with("guarantee = 9\nlimit = 8"), 4, &["guaranteed 9 bytes, above its limit of 8"]);
    refused(&with("limit = 0"), 4, &["`limit` is 0 bytes; it must be 1 to"]);
    refused(&with("limit = 8\nburst = 7"), 5, &["burst of 7 bytes, below its limit of 8"]);
    refused(&with("burst = 7"), 4, &["`burst` but no `limit`"]);
    refused(&with("limit = \"101%\""), 4, &["more than 100%"]);
    refused(
        "capacity = 100\n[[groups]]\nname = \"g\"\nguarantee = 9\nlimit = 8\n",
        4,
        &["guaranteed 9 bytes"],
    );
}

#[test]
fn guarantees_fit_into_what_is_there() {
    refused(
        "capacity = 100\n[[tenants]]\nname = \"a\"\nguarantee = 60\n\
         [[tenants]]\nname = \"b\"\nguarantee = 50\n",
        4,
        &["add up to 110 bytes, 10 more than the capacity of 100"],
    );
    refused(
        "capacity = 100\n[[groups]]\nname = \"g\"\nguarantee = 40\n\
         [[tenants]]\nname = \"a\"\ngroup = \"g\"\nguarantee = 41\n",
        4,
        &["group `g` are guaranteed 41 bytes", "the group itself only 40"],
    );
}

#[test]
fn words_and_numbers_of_tenants() {
    let with = |keys: &str| format!("capacity = 100\n[[tenants]]\nname = \"a\"\n{keys}\n");
    refused(
        &with("priority = \"hihg\""),
        4,
        &["one of critical, high, normal, low", "did you mean `high`?"],
    );
    refused(&with("isolation = \"firm\""), 4, &["one of none, soft, hard"]);
    refused(&with("policy = \"arc\""), 4, &["one of lru, lfu, ttl, size, hybrid"]);
    refused(&with("rate = { bucket_depth = 5 }"), 4, &["needs `requests_per_second`"]);
    refused(&with("rate = { requests_per_second = 0 }"), 4, &["must be 0.001 to 1000000000"]);
    refused(
        &with("rate = { requests_per_second = 1, bucket_depth = 0 }"),
        4,
        &["`bucket_depth` is 0; it must be 1 to 1000000"],
    );
}

#[test]
fn defaults_are_for_tenants_that_are_not_named() {
    let text = "capacity = \"8GiB\"\n[[groups]]\nname = \"others\"\n\
        [defaults]\ngroup = \"others\"\nguarantee = 0\nlimit = \"25%\"\npriority = \"low\"\n\
        [[tenants]]\nname = \"chat\"\n";
    let setup = parse(text, Path::new("allot.toml")).unwrap();
    assert_eq!((setup.tenants.len(), setup.only_names()), (1, None), "nobody has come yet");
    let come = setup.defaults.unwrap().tenant("late");
    assert_eq!((come.name.as_str(), come.id), ("late", id_of("late")));
    assert_eq!((come.group, come.limit_bytes), (Some(0), Some(2 << 30)));
    assert_eq!((come.priority, come.isolation), (Priority::Low, Isolation::Soft));
    let setup = parse(FULL, Path::new("allot.toml")).unwrap();
    assert_eq!(setup.only_names().map(|names| names.len()), Some(2));
}

#[test]
fn defaults_are_refused_like_tenants() {
    let with = |keys: &str| format!("capacity = 100\n[defaults]\n{keys}\n");
    refused(&with("guarantee = 5"), 3, &["under [defaults] is 5 bytes", "[[tenants]]"]);
    refused(&with("name = \"a\""), 3, &["unknown key `name` in [defaults]"]);
    refused(&with("id = \"a\""), 3, &["unknown key `id`"]);
    refused(&with("limt = 5"), 3, &["did you mean `limit`?"]);
    refused(&with("burst = 5"), 3, &["`[defaults]` has a `burst` but no `limit`"]);
    refused(&with("group = \"g\""), 3, &["the group `g`, which is not there"]);
    refused("capacity = 1\ndefaults = 5\n", 2, &["`defaults` must be a table"]);
}

fn manual() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/CONFIG.md");
    std::fs::read_to_string(path).expect("docs/CONFIG.md is in the tree")
}

#[test]
fn the_manual_names_every_key_and_its_example_is_sound() {
    let manual = manual();
    for key in keys::SECTIONS.iter().flat_map(|section| section.names()) {
        let forms = [format!("`{key}`"), format!("`[{key}]`"), format!("`[[{key}]]`")];
        assert!(forms.iter().any(|form| manual.contains(form)), "{key} is not in the manual");
    }
    let example = manual.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next());
    let setup = parse(example.unwrap(), Path::new("docs/CONFIG.md")).unwrap();
    assert_eq!((setup.groups.len(), setup.tenants.len()), (2, 3));
}

#[test]
fn a_sound_file_becomes_a_governor() {
    let setup = parse(FULL, Path::new("allot.toml")).unwrap();
    let clock = allotment::os::ManualClock::new();
    let built = setup.build(Clock::Manual(clock), |config| config).unwrap();
    assert_eq!(built.tenants.len(), 2);
    let snapshot = built.governor.snapshot();
    assert_eq!(snapshot.capacity_bytes, 24 << 30);
    let names: Vec<&str> = snapshot.tenants.iter().map(|tenant| tenant.name.as_str()).collect();
    assert_eq!(names, ["chat", "images"]);
    assert_eq!(built.groups.len(), 2);
    for (group, &handle) in setup.groups.iter().zip(&built.groups) {
        let name = format!("guest of {}", group.name);
        let guest = TenantConfig { parent: Some(handle), ..TenantConfig::new(id_of(&name), &name) };
        let guest = built.governor.register_tenant(guest).unwrap();
        assert_eq!(built.governor.usage(guest).unwrap().group.as_ref(), Some(&group.name));
    }
}
