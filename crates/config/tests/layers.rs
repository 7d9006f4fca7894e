//! Layers of a configuration: which one wins, where each value comes from, what is refused of each.

use std::ffi::OsString;
use std::path::Path;

use allotment_config::{Configuration, Datum, Layers, Origin, differences, read_file};

const FILE: &str = "capacity = \"16GiB\"\n\n[[tenants]]\nname = \"Chat-1\"\nmax = \"4GiB\"\n\n\
    [[tenants]]\nname = \"batch\"\npriority = \"low\"\n";

fn layers(file: &str, variables: &[(&str, &str)], flags: &[&str]) -> Layers {
    let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
    Layers::default()
        .file(Path::new("allot.toml"), file)
        .variables(variables)
        .flags(flags.iter().copied())
        .memory(Some(10_000 << 20))
}

fn read(file: &str, variables: &[(&str, &str)], flags: &[&str]) -> Configuration {
    layers(file, variables, flags).read().unwrap_or_else(|error| panic!("{error}"))
}

/// The value of a key, and where it comes from.
fn value(configuration: &Configuration, key: &str) -> (Datum, String) {
    let values = configuration.values();
    let found = values.into_iter().find(|value| value.key == key);
    let found = found.unwrap_or_else(|| panic!("no {key}"));
    (found.value, found.origin.to_string())
}

#[track_caller]
fn refused(file: &str, variables: &[(&str, &str)], flags: &[&str], complaint: &str) {
    let error = layers(file, variables, flags).read().expect_err("it must be refused");
    let error = error.to_string();
    assert!(error.contains(complaint), "{error}\ndoes not say\n{complaint}");
}

#[test]
fn each_layer_goes_over_those_before_it() {
    let limit = |variables: &[(&str, &str)], flags: &[&str]| {
        let read = read(FILE, variables, flags);
        value(&read, "tenants.Chat-1.limit")
    };
    let gib = |gib: u64| Datum::Bytes(gib << 30);
    assert_eq!(limit(&[], &[]), (gib(4), "allot.toml:5".to_string()));
    let variable = ("ALLOT__TENANTS__CHAT_1__MAX", "8GiB");
    assert_eq!(limit(&[variable], &[]), (gib(8), format!("variable {}", variable.0)));
    let flag = "tenants.Chat-1.limit=9GiB";
    assert_eq!(limit(&[variable], &[flag]), (gib(9), "--set tenants.Chat-1.limit".to_string()));
    let plain = read(FILE, &[variable], &[]);
    assert_eq!(value(&plain, "tenants.batch.priority").1, "allot.toml:9");
    assert_eq!(value(&plain, "tenants.batch.limit"), (Datum::Missing, "default".to_string()));
    assert_eq!(value(&plain, "pressure.high"), (Datum::Count(90), "default".to_string()));
    assert_eq!(plain.setup.tenants.len(), 2, "the variable means a tenant of the file");
}

#[test]
fn without_a_file_variables_are_enough() {
    let read = read(
        "",
        &[
            ("ALLOT__CAPACITY", "1_000"),
            ("ALLOT__PRESSURE__POOL", "false"),
            ("ALLOT__TENANTS__A__MAX", "25%"),
            ("ALLOT__TENANTS__A__GRANTS_MAX__CACHE", "7"),
            ("ALLOT__TENANTS__A__RATE", "{ requests_per_second = 2.5 }"),
            ("ALLOT__TENANTS__A__GROUP", "team"),
            ("ALLOT__GROUPS", "[{ name = \"team\", limit = 500 }]"),
            ("ALLOT_OTHER", "is none of ours"),
            ("PATH", "neither"),
        ],
        &[],
    );
    let tenant = &read.setup.tenants[0];
    assert_eq!((tenant.name.as_str(), tenant.limit_bytes), ("a", Some(250)));
    assert_eq!((tenant.grants_max[2], tenant.group), (Some(7), Some(0)));
    assert!(!read.setup.pressure.pool);
    assert_eq!(value(&read, "tenants.a.rate.requests_per_second").0, Datum::Real(2.5));
    assert_eq!(value(&read, "groups.team.limit").1, "variable ALLOT__GROUPS");
}

#[test]
fn variables_that_services_know_are_heard_for_caches() {
    let known = [
        ("CACHE_MEMORY_PERCENT", "30"),
        ("CACHE_MAX_ITEMS", "2000"),
        ("CACHE_TENANT_MAX_ITEMS", "700"),
        ("CACHE_MIMIR_MAX_ITEMS", "800"),
        ("CACHE_MEMORY_THRESHOLD", "0.7"),
        ("CACHE_EVICTION_THRESHOLD", "0.95"),
        ("CACHE_EVICTION_POLICY", "LRU"),
    ];
    let plain = read("", &known, &[]);
    let cache = &plain.setup.cache;
    let items = (cache.max_items, cache.tenant_max_items, cache.mimir_max_items);
    assert_eq!((cache.memory_percent, items), (30, (2_000, 700, 800)));
    assert_eq!((cache.memory_threshold, cache.eviction_threshold), (0.7, 0.95));
    assert_eq!(cache.eviction_policy, allotment::Policy::Lru);
    let exact = [("CACHE_MAX_ITEMS", "2000"), ("ALLOT__CACHE__MAX_ITEMS", "3000")];
    let over = value(&read("", &exact, &[]), "cache.max_items");
    assert_eq!(over, (Datum::Count(3_000), "variable ALLOT__CACHE__MAX_ITEMS".to_string()));
    let percent = [("CACHE_MEMORY_PERCENT", "101")];
    refused("", &percent, &[], "variable CACHE_MEMORY_PERCENT: `memory_percent` is 101; it must");
}

#[test]
fn automatic_limits_are_shares_of_the_memory_there_is() {
    let memory = 10_000_u64 << 20;
    let automatic = read("[[tenants]]\nname = \"cache\"\nlimit = \"auto\"\n", &[], &[]);
    assert_eq!(automatic.setup.capacity_bytes, memory / 100 * 80);
    assert_eq!(automatic.setup.tenants[0].limit_bytes, Some(2 << 30), "no more than 2 GiB");
    assert_eq!(value(&automatic, "capacity").1, "default");
    let half = read("capacity = \"50%\"\n", &[], &[]);
    assert_eq!(half.setup.capacity_bytes, memory / 2);
    assert_eq!(read("capacity = \"AUTO\"\n", &[], &[]).setup, read("", &[], &[]).setup);
    let blind = layers("capacity = \"auto\"", &[], &[]).memory(None).read().unwrap_err();
    assert!(blind.to_string().starts_with("allot.toml:1: `capacity`: `auto`"), "{blind}");
    refused("capacity = \"101%\"", &[], &[], "allot.toml:1: `capacity`: `101%` is more than 100%");
}

#[test]
fn what_is_wrong_with_variables_and_options_names_them() {
    let variable = |name: &str, value: &str, complaint: &str| {
        refused(FILE, &[(name, value)], &[], &format!("variable {name}: {complaint}"));
    };
    variable("ALLOT__CAPACTY", "1", "unknown key `CAPACTY` in the top level; did you mean `capac");
    variable("ALLOT__TENANTS__A__MXA", "1", "unknown key `MXA` in [[tenants]]; did you mean `max");
    variable("ALLOT__CAPACITY", "8 apples", "`capacity`: `8 apples` has the unknown unit");
    variable("ALLOT__CAPACITY", "", "the value is empty");
    variable("ALLOT__CAPACITY__X", "1", "`capacity` has no keys of its own");
    variable("ALLOT__TENANTS__BATCH", "1", "`BATCH` is a table; name one of its keys");
    variable("ALLOT__PRESSURE__HIGH", "lots", "`high` must be a whole number, not a text");
    variable("ALLOT__TENANTS__BATCH__BURST", "1GiB", "`batch` has a `burst` but no `limit`");
    variable("ALLOT__", "1", "unknown key `` in the top level");
    let twice = [("ALLOT__CAPACITY", "1GiB"), ("ALLOT__capacity", "2GiB")];
    refused("", &twice, &[], "variable ALLOT__CAPACITY says the same; unset one of them");
    let alike = "[[tenants]]\nname = \"a-b\"\n[[tenants]]\nname = \"a.b\"\n";
    refused(alike, &[("ALLOT__TENANTS__A_B__MAX", "1")], &[], "`A_B` may mean several names");
    let exact = read(alike, &[], &["tenants.\"a.b\".limit=5"]);
    assert_eq!(value(&exact, "tenants.\"a.b\".limit").0, Datum::Bytes(5));
    refused("", &[], &["capacity"], "--set: a setting has the form KEY=VALUE");
    refused("", &[], &["tenants.\"a.limit=1"], "--set: a quote is not closed");
    refused("", &[], &[".=1"], "an empty key");
    refused("", &[], &["TENANTS.a.limit=1"], "--set TENANTS.a.limit: unknown key `TENANTS`");
    refused(FILE, &[], &["tenants.batch.limit=0"], "--set tenants.batch.limit: `limit` is 0 bytes");
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_no_text_is_named_and_its_value_is_not_shown() {
    use std::os::unix::ffi::OsStringExt;
    let value = OsString::from_vec(b"secret\xff".to_vec());
    let layers = Layers::default().memory(Some(1 << 30));
    let error = layers.variables([("ALLOT__TENANTS__A__NAME".into(), value)]).read().unwrap_err();
    assert_eq!(
        error.to_string(),
        "variable ALLOT__TENANTS__A__NAME: the value is not UTF-8; set it again"
    );
    let unknown = [("ALLOT__ADMIN_TOKEN", "do-not-show-this")];
    let error = self::layers("", &unknown, &[]).read().unwrap_err().to_string();
    assert!(error.contains("`ADMIN_TOKEN`") && !error.contains("do-not-show"), "{error}");
}

#[test]
fn one_reading_finds_everything() {
    let text = "capacity = \"1GiB\"\ncolour = 1\n[pressure]\nhigh = 101\n[[groups]]\nname = \"g\"\n\
        parent = \"h\"\n[[tenants]]\nname = \"a\"\nguarantee = \"2GiB\"\nlimit = \"1 apple\"\n\
        [[tenants]]\nname = \"a\"\npriority = \"urgent\"\ngrants_max = { cach = 1 }\n";
    let variable = [("ALLOT__TENANTS__A__BRUST", "1")];
    let error = layers(text, &variable, &[]).read().unwrap_err();
    let places: Vec<String> = error.faults().iter().map(|f| f.origin.to_string()).collect();
    let wanted = [2, 4, 7, 11, 13, 14, 15].map(|line| format!("allot.toml:{line}"));
    assert_eq!(places[..7], wanted, "{error}");
    assert_eq!(places[7..], ["variable ALLOT__TENANTS__A__BRUST"], "{error}");
    assert_eq!(error.count(), 8);
    let sum = text.replace("parent = \"h\"\n", "");
    refused(&sum, &[], &[], "allot.toml:9: the guarantees add up to 2147483648 bytes");
    let many = "x = 1\n".replace('x', "k") + &"[[tenants]]\n".repeat(150);
    let error = layers(&many, &[], &[]).read().unwrap_err();
    assert_eq!((error.count(), error.faults().len()), (151, 100));
    assert!(error.to_string().ends_with("\nand 51 more"), "{error}");
}

#[test]
fn a_text_that_is_no_toml_names_every_such_line() {
    let error = layers("a = \n[b\n", &[("ALLOT__CAPACITY", "1")], &[]).read().unwrap_err();
    let lines: Vec<String> = error.faults().iter().map(|f| f.origin.to_string()).collect();
    assert_eq!(lines, ["allot.toml:1", "allot.toml:2"], "{error}");
}

#[test]
fn a_complaint_is_one_line_whatever_it_quotes() {
    let error = layers("\"a\\nb\" = 1\n", &[], &[]).read().unwrap_err();
    assert!(error.to_string().contains("unknown key `a\\nb`"), "{error}");
    let long = layers(&format!("{} = 1\n", "k".repeat(100_000)), &[], &[]).read().unwrap_err();
    assert!(long.to_string().chars().count() < 600);
}

#[test]
fn files_are_bounded_and_utf_8() {
    let folder = std::env::temp_dir();
    let path = folder.join(format!("allotment-config-{}.toml", std::process::id()));
    std::fs::write(&path, b"capacity = 1\nx = \"\xff\"\n").unwrap();
    let error = read_file(&path).unwrap_err().to_string();
    assert!(error.ends_with(".toml:2: this is not UTF-8; save the file as UTF-8"), "{error}");
    std::fs::write(&path, vec![b'#'; allotment_config::FILE_BYTES_MAX + 1]).unwrap();
    let error = read_file(&path).unwrap_err().to_string();
    assert!(error.ends_with("the file has more than 4194304 bytes"), "{error}");
    std::fs::remove_file(&path).unwrap();
    let error = read_file(&folder).unwrap_err().to_string();
    assert!(error.ends_with("is a folder; name a file"), "{error}");
}

#[test]
fn the_last_of_many_tenants_has_its_line() {
    let tenant = |n| format!("[[tenants]]\nname = \"t{n}\"\nlimit = {}\n", n + 1);
    let text: String = (0..10_000).map(tenant).collect();
    let read = read(&text, &[("ALLOT__CAPACITY", "1GiB")], &[]);
    assert_eq!(read.setup.tenants.len(), 10_000);
    assert_eq!(
        value(&read, "tenants.t9999.limit"),
        (Datum::Bytes(10_000), "allot.toml:30000".into())
    );
}

#[test]
fn what_differs_is_named_with_before_and_after() {
    let before = read(FILE, &[], &[]).setup;
    let changed =
        [("ALLOT__TENANTS__BATCH__MAX", "1GiB"), ("ALLOT__TENANTS__NEW__PRIORITY", "high")];
    let after = read(FILE, &changed, &[]).setup;
    let found = differences(&before, &after);
    let limit = found.iter().find(|one| one.key == "tenants.batch.limit").unwrap();
    assert_eq!(limit.before, Some(Datum::Missing));
    assert_eq!(limit.after, Some(Datum::Bytes(1 << 30)));
    let new = found.iter().find(|one| one.key == "tenants.new.priority").unwrap();
    assert_eq!((&new.before, &new.after), (&None, &Some(Datum::Text("high".to_string()))));
    assert!(found.iter().all(|one| !one.key.starts_with("tenants.Chat-1")), "{found:?}");
    assert!(differences(&before, &before).is_empty());
    let gone = differences(&after, &before);
    assert!(gone.iter().any(|one| one.key == "tenants.new.priority" && one.after.is_none()));
    assert_eq!(Configuration::of(before).values()[0].origin, Origin::Default);
}
