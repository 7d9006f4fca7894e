//! `allot config` from the outside: what is sound, every fault, where values come from.

use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

/// A folder of this test alone.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("config-{name}"));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, text: &str) {
        fs::write(self.0.join("allot.toml"), text).unwrap();
    }

    /// Runs `allot config` with these options and variables.
    fn run(&self, options: &[&str], variables: &[(&str, &str)]) -> (i32, String, String) {
        let mut allot = Command::new(env!("CARGO_BIN_EXE_allot"));
        for (name, _) in std::env::vars_os() {
            let ours = name
                .to_str()
                .is_some_and(|name| name.starts_with("ALLOT__") || name.starts_with("CACHE_"));
            if ours {
                allot.env_remove(name);
            }
        }
        allot.current_dir(&self.0).arg("config").args(options);
        let Output { status, stdout, stderr } =
            allot.envs(variables.iter().copied()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (status.code().unwrap(), text(stdout), text(stderr))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const FILE: &str = "capacity = \"1GiB\"\n[[tenants]]\nname = \"chat\"\nlimit = \"512MiB\"\n";

#[test]
fn a_sound_configuration_is_told_in_a_line() {
    let folder = Folder::new("sound");
    folder.write(FILE);
    let (code, out, _) = folder.run(&["check", "--config", "allot.toml"], &[]);
    assert_eq!((code, out.as_str()), (0, "sound: 1.0 GiB to 1 tenant in 0 groups\n"));
    let (code, out, _) = folder.run(&["check"], &[("ALLOT__CAPACITY", "2GiB")]);
    assert_eq!((code, out.as_str()), (0, "sound: 2.0 GiB to 0 tenants in 0 groups\n"));
}

#[test]
fn every_fault_has_a_line_with_its_place() {
    let folder = Folder::new("faults");
    folder.write("capacity = \"1GiB\"\n[[tenants]]\nname = \"chat\"\nlimt = 1\nburst = 0\n");
    let options = ["check", "--config", "allot.toml", "--set", "tenants.chat.priority=urgent"];
    let (code, out, _) = folder.run(&options, &[("CACHE_MAX_ITEMS", "0")]);
    assert_eq!(code, 1, "{out}");
    let lines: Vec<&str> = out.lines().collect();
    let begins = [
        "allot.toml:4: unknown key `limt` in [[tenants]]; did you mean `limit`?",
        "allot.toml:5: `burst` is 0 bytes; it must be 1 to 281474976710655",
        "variable CACHE_MAX_ITEMS: `max_items` is 0; it must be 1 to 8388608",
        "--set tenants.chat.priority: `priority` is `urgent`; it must be one of critical,",
        "4 faults",
    ];
    assert_eq!(lines.len(), begins.len(), "{out}");
    for (line, begin) in lines.iter().zip(begins) {
        assert!(line.starts_with(begin), "{line}\ndoes not begin with\n{begin}");
    }
    folder.write("capacity = 1\ncapacity = 2\n");
    let (code, out, _) = folder.run(&["check", "--config", "allot.toml"], &[]);
    assert!(code == 1 && out.starts_with("allot.toml:2: duplicate key"), "{out}");
}

#[test]
fn what_cannot_be_read_is_another_exit_code() {
    let folder = Folder::new("unread");
    let (code, _, complaint) = folder.run(&["check", "--config", "none.toml"], &[]);
    assert_eq!(code, 2);
    assert!(complaint.contains("none.toml: the configuration cannot be read"), "{complaint}");
    fs::write(folder.0.join("allot.toml"), b"capacity = \"\xff\"").unwrap();
    let (code, _, complaint) = folder.run(&["check", "--config", "allot.toml"], &[]);
    assert!(code == 2 && complaint.contains("allot.toml:1: this is not UTF-8"), "{complaint}");
    let (code, _, complaint) = folder.run(&["show", "--set", "capacity=0"], &[]);
    assert!(code == 2 && complaint.contains("--set capacity: `capacity` is 0"), "{complaint}");
}

#[test]
fn each_value_is_shown_with_its_origin() {
    let folder = Folder::new("show");
    folder.write(FILE);
    let variables = [("ALLOT__TENANTS__CHAT__PRIORITY", "high"), ("CACHE_MAX_ITEMS", "7")];
    let options = ["show", "--config", "allot.toml", "--set", "grants_max=100"];
    let (code, out, _) = folder.run(&options, &variables);
    assert_eq!(code, 0);
    let shown: Vec<Vec<&str>> = out.lines().map(|line| line.split_whitespace().collect()).collect();
    let wanted = [
        vec!["capacity", "1GiB", "allot.toml:1"],
        vec!["grants_max", "100", "--set", "grants_max"],
        vec!["cache.max_items", "7", "variable", "CACHE_MAX_ITEMS"],
        vec!["tenants.chat.limit", "512MiB", "allot.toml:4"],
        vec!["tenants.chat.priority", "high", "variable", "ALLOT__TENANTS__CHAT__PRIORITY"],
    ];
    assert_eq!(shown, wanted, "only what somebody has set");
    let (_, out, _) = folder.run(&["show", "--effective", "--json"], &[]);
    let all: Value = serde_json::from_str(&out).unwrap();
    let values = all["values"].as_array().unwrap();
    assert!(values.iter().all(|value| value["origin"] == "default"), "{out}");
    let find = |key: &str| values.iter().find(|value| value["key"] == key).unwrap();
    assert_eq!(find("pressure.high")["value"], 90);
    let capacity = find("capacity")["value"].as_u64().unwrap();
    let memory = allotment_config::memory_bytes().unwrap();
    assert_eq!(capacity, memory / 100 * 80);
}

#[test]
fn every_variable_for_services_is_shown_with_its_origin() {
    let folder = Folder::new("variables");
    let variables = [
        ("ALLOT__TENANTS__A__MAX", "2GiB", "tenants.a.limit", "2GiB"),
        ("CACHE_MEMORY_PERCENT", "30", "cache.memory_percent", "30"),
        ("CACHE_MAX_ITEMS", "2000", "cache.max_items", "2000"),
        ("CACHE_TENANT_MAX_ITEMS", "700", "cache.tenant_max_items", "700"),
        ("CACHE_MIMIR_MAX_ITEMS", "800", "cache.mimir_max_items", "800"),
        ("CACHE_MEMORY_THRESHOLD", "0.7", "cache.memory_threshold", "0.7"),
        ("CACHE_EVICTION_THRESHOLD", "0.95", "cache.eviction_threshold", "0.95"),
        ("CACHE_EVICTION_POLICY", "lru", "cache.eviction_policy", "lru"),
    ];
    let set = variables.map(|(name, value, ..)| (name, value));
    let (code, out, complaint) = folder.run(&["show", "--effective"], &set);
    assert_eq!(code, 0, "{complaint}");
    for (name, _, key, value) in variables {
        let line = out.lines().find(|line| line.split_whitespace().next() == Some(key));
        let words: Vec<&str> = line.unwrap_or_default().split_whitespace().collect();
        assert_eq!(words, [key, value, "variable", name], "{out}");
    }
    let defaults = out.lines().filter(|line| line.ends_with("default")).count();
    assert!(defaults > 5, "{out}");
}

#[test]
fn a_secret_in_a_variable_is_not_shown() {
    let folder = Folder::new("secret");
    let secret = [("ALLOT__ADMIN_TOKEN", "correct-horse"), ("ALLOT_ADMIN_TOKEN", "battery")];
    let (code, out, complaint) = folder.run(&["check"], &secret);
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("variable ALLOT__ADMIN_TOKEN: unknown key `ADMIN_TOKEN`"), "{out}");
    let (_, shown, more) = folder.run(&["show", "--effective"], &secret);
    for text in [out, complaint, shown, more] {
        assert!(!text.contains("correct-horse") && !text.contains("battery"), "{text}");
    }
}

#[test]
fn the_schema_is_json() {
    let folder = Folder::new("schema");
    let (code, out, _) = folder.run(&["schema"], &[]);
    let schema: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(code, 0);
    assert_eq!(schema["properties"]["tenants"]["items"]["required"], serde_json::json!(["name"]));
}
