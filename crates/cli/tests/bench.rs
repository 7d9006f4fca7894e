//! `allot bench` from the outside: what its figures have to do with each other, and what it
//! refuses. Nothing is said of how fast anything is: machines differ, and debug builds are slow.

use std::process::{Command, Output};

use serde_json::Value;

/// The names of all cases in the JSON form.
const CASES: [&str; 8] = [
    "bare_pair",
    "request_release_inside",
    "request_release_beyond",
    "grow_shrink_inside",
    "grow_shrink_beyond",
    "touch",
    "denied",
    "evict",
];

fn bench(options: &[&str]) -> Output {
    let mut allot = Command::new(env!("CARGO_BIN_EXE_allot"));
    allot.arg("bench").args(options).output().unwrap()
}

/// What is printed by a run that has to succeed.
#[track_caller]
fn printed(options: &[&str]) -> String {
    let output = bench(options);
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{complaint}");
    let is_warned = complaint.contains("debug build");
    assert_eq!(is_warned, cfg!(debug_assertions), "{complaint}");
    assert!(complaint.lines().count() <= 1, "{complaint}");
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn number(object: &Value, key: &str) -> f64 {
    object[key].as_f64().unwrap_or_else(|| panic!("no number {key} in {object}"))
}

#[track_caller]
fn assert_same(seen: f64, expected: f64, what: &str) {
    assert!((seen - expected).abs() <= expected.abs() * 1e-9, "{what}: {seen}, not {expected}");
}

#[test]
fn figures_fit_together() {
    let report: Value = serde_json::from_str(&printed(&["--json", "--seconds", "1"])).unwrap();
    assert_eq!(report["schema"], 1);
    assert_eq!(report["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(report["os"], std::env::consts::OS);
    assert_eq!(report["arch"], std::env::consts::ARCH);
    assert_eq!(report["debug_build"], cfg!(debug_assertions));
    assert!(number(&report, "cores") >= 1.0 && number(&report, "took_s") > 0.0);
    costs_fit(&report);
    throughput_fits(&report);
    latency_fits(&report);
}

fn costs_fit(report: &Value) {
    let costs = &report["costs"];
    let bare_ns = number(costs, "bare_pair_ns");
    for case in CASES {
        let ns = number(costs, &format!("{case}_ns"));
        assert!(ns > 0.0, "{case}: {ns}");
        assert_same(number(costs, &format!("{case}_ratio")), ns / bare_ns, case);
        assert!(number(costs, &format!("{case}_spread_percent")) >= 0.0, "{case}");
    }
    // Three figures each, and the number of rounds.
    assert_eq!(costs.as_object().unwrap().len(), 3 * CASES.len() + 1, "{costs}");
    let spread = number(costs, "bare_pair_spread_percent");
    assert_eq!(report["noisy"], spread > 5.0, "{spread}");
}

fn throughput_fits(report: &Value) {
    let throughput = &report["throughput"];
    assert_eq!(throughput["asked_for_per_second"], 10_000);
    assert_eq!(throughput["all_threads"], report["cores"]);
    for what in ["allocations", "bare_pairs"] {
        let one = number(throughput, &format!("one_thread_{what}_per_second"));
        let all = number(throughput, &format!("all_threads_{what}_per_second"));
        assert!(one > 0.0 && all > 0.0, "{throughput}");
        assert_same(number(throughput, &format!("{what}_ratio")), all / one, what);
    }
}

fn latency_fits(report: &Value) {
    let latency = &report["latency"];
    assert_eq!(number(latency, "threads"), 2.0 * number(report, "cores"));
    assert!(number(latency, "timer_ns") > 0.0);
    let (requests, evicted) = (number(latency, "requests"), number(latency, "evicted"));
    assert!(evicted > 0.0 && evicted < requests, "{latency}");
    assert_same(number(latency, "evicted_percent"), evicted / requests * 100.0, "evicted");
    assert!(number(latency, "denied") < requests, "{latency}");
    assert_eq!(latency["request"]["samples"], latency["requests"]);
    for of in ["request", "bare_pair"] {
        let times = &latency[of];
        assert!(number(times, "samples") > 0.0, "{times}");
        let ladder = ["p50_ns", "p99_ns", "p99_9_ns", "p99_99_ns", "max_ns"];
        let ladder = ladder.map(|key| number(times, key));
        assert!(ladder.is_sorted(), "{of}: {times}");
    }
}

#[test]
fn tables_say_the_same_in_words() {
    let text = printed(&["--seconds", "1"]);
    for part in [
        concat!("allot ", env!("CARGO_PKG_VERSION")),
        "10.0 k/s",
        "request + release, inside the guarantee",
        "request + release, beyond it",
        "grow + shrink, inside the guarantee",
        "touch",
        "denied at the own limit",
        "request that evicts one",
        "p99.99",
        "requests evicted",
        "reading of the clock",
    ] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    assert_eq!(text.contains("WARNING"), cfg!(debug_assertions), "{text}");
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (options, part) in [
        (["--seconds", "0"], "from 1 to 3600"),
        (["--seconds", "3601"], "from 1 to 3600"),
        (["--seconds", "soon"], "from 1 to 3600"),
        (["--json", "figures.json"], "figures.json"),
        (["--json", "--threads"], "--threads"),
    ] {
        let output = bench(&options);
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{options:?}: {complaint}");
        assert!(complaint.contains(part), "{options:?}: {complaint}");
        assert_eq!(output.stdout, b"", "{options:?}");
    }
}

#[test]
fn help_names_the_bare_pair_and_all_options() {
    let output = bench(&["--help"]);
    let help = String::from_utf8(output.stdout).unwrap();
    for part in ["fetch_add", "--seconds", "--json", "[default: 20]"] {
        assert!(help.contains(part), "no {part:?} in\n{help}");
    }
}
