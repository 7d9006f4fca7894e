//! `allot stress` from the outside: short runs, what their figures have to do with each other, and
//! what is refused. That a fault is found is tested beside the ledger, which can be lied to.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn stress(options: &[&str]) -> Output {
    let mut allot = Command::new(env!("CARGO_BIN_EXE_allot"));
    allot.arg("stress").args(options).output().unwrap()
}

/// What is printed by a run that has to be sound.
#[track_caller]
fn printed(options: &[&str]) -> String {
    let output = stress(options);
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{complaint}");
    assert_eq!(complaint, "");
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn number(object: &Value, key: &str) -> u64 {
    object[key].as_u64().unwrap_or_else(|| panic!("no number {key} in {object}"))
}

fn report(options: &[&str]) -> Value {
    serde_json::from_str(&printed(options)).unwrap()
}

fn verb<'a>(report: &'a Value, name: &str) -> &'a Value {
    let mut verbs = report["verbs"].as_array().unwrap().iter();
    verbs.find(|verb| verb["verb"] == name).unwrap_or_else(|| panic!("no verb {name}"))
}

#[test]
fn a_run_of_so_many_calls_is_sound_and_adds_up() {
    let report = report(&["--operations", "30000", "--threads", "3", "--seed", "5", "--json"]);
    assert_eq!((&report["schema"], &report["sound"]), (&1.into(), &true.into()));
    assert_eq!((number(&report, "seed"), number(&report, "threads")), (5, 3));
    assert_eq!(number(&report, "tenants"), 16);
    assert!(number(&report, "quiet_points") >= 4, "{report}");
    for zero in ["over_committed_bytes", "lost_bytes"] {
        assert_eq!(number(&report, zero), 0);
    }
    assert_eq!(report["discrepancy"], Value::Null);
    let verbs = report["verbs"].as_array().unwrap();
    let operations = number(&report, "operations");
    assert!(operations >= 30_000, "{operations}");
    assert_eq!(verbs.iter().map(|verb| number(verb, "calls")).sum::<u64>(), operations);
    for verb in verbs {
        let denied = verb["denied"].as_object().unwrap().values().filter_map(Value::as_u64);
        let outcomes = ["ok", "nothing", "misuse"].map(|key| number(verb, key));
        let sum = denied.sum::<u64>() + outcomes.iter().sum::<u64>();
        assert_eq!(sum, number(verb, "calls"), "{verb}");
        assert!(verb["share_percent"].as_f64().unwrap() >= 1.0, "{verb}");
    }
    for seen in ["evicted", "busy", "deferred", "panics_survived", "threads_ended_holding"] {
        assert!(number(&report, seen) > 0, "no {seen} in {report}");
    }
}

/// Names of the public functions of a type, as its source in `src/` has them; those that are hidden
/// are parts of others.
fn interface(of: &str) -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../src");
    let mut names = BTreeSet::new();
    for file in std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()) {
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        let (mut within, mut hidden) = (false, false);
        for line in text.lines() {
            if line.starts_with("impl") || line.starts_with('}') {
                within = line.ends_with(&format!(" {of} {{"));
            }
            let name = line.strip_prefix("    pub fn ").filter(|_| within && !hidden);
            hidden = line == "    #[doc(hidden)]" || hidden && line.starts_with("    #[");
            names.extend(name.and_then(|rest| rest.split(['(', '<']).next()).map(str::to_string));
        }
    }
    names
}

#[test]
fn no_verb_of_the_interface_is_left_out() {
    let report = report(&["--operations", "1", "--threads", "1", "--json"]);
    let verbs = report["verbs"].as_array().unwrap().iter().filter_map(|verb| verb["verb"].as_str());
    let called: BTreeSet<&str> = verbs.filter_map(|verb| verb.split(',').next()).collect();
    // How one is made, and what it was made of.
    let plain = ["new", "config", "clock"];
    let of_governor = interface("Governor");
    let of_ticket = interface("HeldTicket<G>");
    assert!(of_governor.len() > 60 && of_ticket.len() > 8, "{of_governor:?}, {of_ticket:?}");
    for verb in of_governor.iter().filter(|verb| !plain.contains(&verb.as_str())) {
        assert!(called.contains(verb.as_str()), "{verb} is not called");
    }
    for verb in of_ticket.iter().filter(|verb| !["number", "tenant"].contains(&verb.as_str())) {
        assert!(called.contains(format!("ticket.{verb}").as_str()), "ticket.{verb} is not called");
    }
}

#[test]
fn events_are_told_where_they_are_recorded() {
    for recorded in [true, false] {
        let mut options =
            vec!["--operations", "4000", "--tenants", "3", "--threads", "1", "--json"];
        options.extend(recorded.then_some("--events"));
        let report = report(&options);
        assert_eq!(report["events_recorded"], recorded);
        let told = number(verb(&report, "events"), "ok");
        assert_eq!(told > 0, recorded, "{told}");
    }
}

#[test]
fn the_table_has_a_row_for_every_verb_and_the_verdict() {
    let text = printed(&["--seconds", "1", "--threads", "2"]);
    for part in [
        "2 threads and 16 tenants in 32 MiB",
        "try_request",
        "ticket.look_after",
        "unregister_tenant, force",
        "events_after",
        "its turn did not come in time",
        "panics survived",
        "quiet points checked",
        "over-committed bytes",
        "no byte lost, none over",
    ] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (options, part) in [
        (["--seconds", "0"], "from 1 to 604800"),
        (["--seconds", "soon"], "from 1 to 604800"),
        (["--threads", "65"], "from 1 to 64"),
        (["--tenants", "0"], "from 1 to 1024"),
        (["--operations", "0"], "from 1 to 1000000000000"),
        (["--seed", "one"], "--seed"),
        (["--json", "figures.json"], "figures.json"),
    ] {
        let output = stress(&options);
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{options:?}: {complaint}");
        assert!(complaint.contains(part), "{options:?}: {complaint}");
        assert_eq!(output.stdout, b"", "{options:?}");
    }
}

#[test]
fn help_names_the_ledger_and_all_options() {
    let help = String::from_utf8(stress(&["--help"]).stdout).unwrap();
    let options = ["--seconds", "--threads", "--tenants", "--operations", "--seed", "--events"];
    for part in options.into_iter().chain(["--json", "ledger", "exit code 1", "[default: 16]"]) {
        assert!(help.contains(part), "no {part:?} in\n{help}");
    }
}
