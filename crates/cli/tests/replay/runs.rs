//! Sweeps, determinism, several threads, and where the output goes.

use serde_json::Value;

use crate::command::{Folder, replay, report, reports};
use crate::formats::CONFIG;

/// A trace of keys with some order in it, from a fixed congruence.
fn keys(count: u32) -> Vec<u8> {
    let mut state = 7_u32;
    let mut bytes = Vec::new();
    for _ in 0..count {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let spread = (state >> 8) % 1000;
        bytes.extend((spread * spread / 1000).to_be_bytes());
    }
    bytes
}

#[test]
fn a_sweep_has_sizes_outermost_in_the_order_given() {
    let folder = Folder::new("sweep");
    let trace = folder.plain("t", keys(500));
    let options = "--format keys-u32 --capacity 30,10 --capacity 20 --policy size,lru";
    let runs = reports(&[&trace], options);
    let order: Vec<_> = runs
        .iter()
        .map(|run| (run["capacity_bytes"].as_u64().unwrap(), run["policy"].as_str().unwrap()))
        .collect();
    let expected =
        [(30, "size"), (30, "lru"), (10, "size"), (10, "lru"), (20, "size"), (20, "lru")];
    assert_eq!(order, expected);
}

#[test]
fn each_trace_is_a_replay_of_its_own() {
    let folder = Folder::new("several-traces");
    let (one, two) = (folder.plain("one", keys(100)), folder.plain("two", keys(200)));
    let runs = reports(&[&one, &two], "--format keys-u32 --capacity-percent 10");
    let requests: Vec<_> = runs.iter().map(|run| run["requests"].as_u64().unwrap()).collect();
    assert_eq!(requests, [100, 200]);
    assert_eq!(runs[0]["capacity_percent"], 10.0);
}

#[test]
fn two_parts_of_a_trace_have_all_of_its_requests() {
    let folder = Folder::new("parts");
    let bytes = keys(1001);
    let trace = folder.plain("t", &bytes);
    let options = "--format keys-u32 --capacity 50 --policy lru";
    let part = |part: &str| report(&trace, &format!("{options} --part {part}"));
    let (head, rest) = (part("0-60"), part("60-100"));
    assert_eq!((&head["requests"], &rest["requests"]), (&600.into(), &401.into()));
    // A part is a replay from an empty memory, as that of a file with these keys only.
    let alone = report(&folder.plain("rest", &bytes[4 * 600..]), options);
    assert_eq!((&rest["hits"], &rest["misses"]), (&alone["hits"], &alone["misses"]));
    assert_eq!(part("0-100")["hits"], report(&trace, options)["hits"]);
}

/// A report without the figures that depend on the machine.
fn without_speed(mut run: Value) -> Value {
    for figure in ["events_per_second", "plain_lru_ratio"] {
        run[figure] = Value::Null;
    }
    run
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let folder = Folder::new("deterministic");
    let trace = folder.plain("t", keys(20_000));
    for policy in ["lru", "lfu", "hybrid"] {
        let options =
            format!("--format keys-u32 --capacity 100 --policy {policy} --seed 5 --tenant-shift 7");
        let one = without_speed(report(&trace, &options));
        let two = without_speed(report(&trace, &options));
        assert_eq!(one, two, "{policy}");
    }
}

#[test]
fn several_threads_keep_every_bound() {
    let folder = Folder::new("threads");
    let trace = folder.plain("t", keys(100_000));
    let runs = reports(&[&trace], "--format keys-u32 --capacity 50,500 --threads 4 --policy lru");
    for run in &runs {
        assert_eq!((&run["threads"], &run["requests"]), (&4.into(), &100_000.into()));
        let (hits, misses) = (run["hits"].as_u64().unwrap(), run["misses"].as_u64().unwrap());
        assert_eq!(hits + misses, 100_000);
    }
}

#[test]
fn several_threads_keep_guarantees_and_limits() {
    let folder = Folder::new("threads-tenants");
    let config = folder.plain("allot.toml", CONFIG);
    let mut rows = "time_ms,tenant,allocation_type,bytes,duration_ms,key\n".to_string();
    for time_ms in 0..4000_u32 {
        let row = match time_ms % 4 {
            0 => format!("{time_ms},kept,inference,7,3,\n"),
            1 => format!("{time_ms},kept,cache,5,,{}\n", time_ms % 13),
            2 => format!("{time_ms},free,cache,9,,{}\n", time_ms % 29),
            _ => format!("{time_ms},free,background,4,50,\n"),
        };
        rows.push_str(&row);
    }
    let trace = folder.plain("t.csv", rows);
    for threads in [1, 4] {
        let run = report(&trace, &format!("--format csv --config {config} --threads {threads}"));
        assert_eq!(run["requests"], 4000);
    }
}

#[test]
fn a_plain_lru_map_stands_beside_it() {
    let folder = Folder::new("compare-lru");
    let trace = folder.plain("t", keys(2000));
    let run = report(&trace, "--format keys-u32 --capacity 50 --compare-lru");
    assert!(run["plain_lru_ratio"].as_f64().unwrap() > 0.0);
    assert!(run["events_per_second"].as_f64().unwrap() > 0.0);
}

#[test]
fn a_configuration_governs_a_trace_of_keys() {
    let folder = Folder::new("keys-config");
    let trace = folder.plain("t", keys(2000));
    let config = "capacity = 1000\n[pressure]\npool = false\n\
        [[tenants]]\nname = \"only\"\nlimit = 25\nisolation = \"hard\"\npolicy = \"lru\"\n";
    let config = folder.plain("allot.toml", config);
    let run = report(&trace, &format!("--format keys-u32 --config {config}"));
    assert_eq!(run["policy"], "configured");
    assert_eq!(run["peak_used_bytes"], 25);
    let plain = report(&trace, "--format keys-u32 --capacity 25 --policy lru");
    assert_eq!(run["hits"], plain["hits"]);
}

#[test]
fn files_are_written_whole() {
    let folder = Folder::new("output");
    let trace = folder.plain("t", keys(200));
    let (json, html) = (folder.path("out.json"), folder.path("out.html"));
    let options = format!("--format keys-u32 --capacity 9 --json={json} --html {html}");
    let output = replay(&[&trace], &options);
    assert!(output.status.success());
    assert_eq!(output.stdout, b"");
    assert_eq!(folder.names(), ["out.html", "out.json", "t"]);
    let runs: Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    assert_eq!(runs[0]["requests"], 200);
}

#[test]
fn the_table_is_the_default() {
    let folder = Folder::new("table");
    let trace = folder.plain("t", keys(200));
    let output = replay(&[&trace], "--format keys-u32 --capacity 9");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("hybrid") && text.contains("200"), "{text}");
}

/// Nobody's device or link is taken away by a file that is moved to its place.
#[cfg(unix)]
#[test]
fn links_and_devices_stay_what_they_are() {
    let folder = Folder::new("links");
    let trace = folder.plain("t", [0, 0, 0, 1]);
    let (link, device) = (folder.path("link"), folder.path("device"));
    let real = folder.plain("real.json", "old");
    std::os::unix::fs::symlink(&real, &link).unwrap();
    std::os::unix::fs::symlink("/dev/stdout", &device).unwrap();
    for path in [&link, &device] {
        let options = format!("--format keys-u32 --capacity 1 --json={path}");
        let output = replay(&[&trace], &options);
        assert_eq!(output.status.code(), Some(0), "{options}");
        let printed = if path == &device { output.stdout } else { std::fs::read(&real).unwrap() };
        let reports: Value = serde_json::from_slice(&printed).unwrap();
        assert_eq!(reports[0]["requests"], 1);
        assert!(std::fs::symlink_metadata(path).unwrap().is_symlink(), "{path}");
    }
    assert_eq!(folder.names(), ["device", "link", "real.json", "t"]);
}
