//! What is printed is what `allot replay` says of the part that was held out, and what is proposed
//! can be read.

use serde_json::Value;

use crate::command::{Folder, START, csv, outcome, printed, tuned};

const TENANT_FIGURES: [&str; 11] = [
    "name",
    "priority",
    "isolation",
    "granted",
    "denied",
    "evicted",
    "load_seconds",
    "rebuild_seconds",
    "peak_used_bytes",
    "guarantee_bytes",
    "limit_bytes",
];

/// Holds one configuration of a report against a replay of the part it was not tuned on.
#[track_caller]
fn same_as_replayed(outcome: &Value, trace: &str, options: &str) {
    let text = printed("replay", &[trace], &format!("{options} --json"));
    let runs: Value = serde_json::from_str(&text).unwrap();
    let replayed = runs[0]["tenants"].as_array().unwrap();
    let told = outcome["tenants"].as_array().unwrap();
    assert_eq!(told.len(), replayed.len());
    for (told, replayed) in told.iter().zip(replayed) {
        for figure in TENANT_FIGURES {
            assert_eq!(told[figure], replayed[figure], "{figure} of {}", told["name"]);
        }
    }
    assert_eq!(outcome["peak_used_bytes"], runs[0]["peak_used_bytes"]);
}

#[test]
fn figures_are_those_of_a_replay_of_the_rest() {
    let folder = Folder::new("figures");
    let trace = folder.file("t.csv", csv());
    let out = folder.path("proposed.toml");
    let start = folder.file("start.toml", START);
    for (begin, train) in [("--capacity 1000".to_string(), 60), (format!("--config {start}"), 35)] {
        let options = format!(
            "--format csv {begin} --evaluations 60 --threads 2 --train {train} --out {out}"
        );
        let report = tuned(&[&trace], &options);
        assert_eq!(report["proposed"], "found", "{begin}");
        let rest = format!("--format csv --part {train}-100");
        same_as_replayed(outcome(&report, "found"), &trace, &format!("{rest} --config {out}"));
        if begin.starts_with("--config") {
            let options = format!("{rest} --config {start}");
            same_as_replayed(outcome(&report, "start"), &trace, &options);
        }
        let even = "capacity = 1000\n[pressure]\n".to_string()
            + if begin.starts_with("--config") { "high = 85\n" } else { "" };
        let part = |name: &str, keys: &str| {
            format!("[[tenants]]\nname = \"{name}\"\nlimit = 333\nisolation = \"hard\"\n{keys}")
        };
        let (web, batch, cache) = match train {
            35 => ("priority = \"high\"\n", "priority = \"low\"\n", "policy = \"lru\"\n"),
            _ => ("", "", ""),
        };
        let even = even + &part("web", web) + &part("batch", batch) + &part("cache", cache);
        let even = folder.file("even.toml", even);
        let options = format!("{rest} --config {even}");
        same_as_replayed(outcome(&report, "even split"), &trace, &options);
    }
}

/// Requests of four tenants for six models of 1 to 30 s, three of which fit.
fn lora(folder: &Folder) -> String {
    let times = |folder: &Folder| {
        let rows: String = (1..=30).map(|s| format!("{s}.0,{}.0,a\n", s * 1000)).collect();
        let text = format!("timestamp_anon,value,container_ip\n{rows}");
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut packed, text.as_bytes()).unwrap();
        folder.file("basemodel_update_latency_anon.csv.gz", packed.finish().unwrap());
    };
    times(folder);
    let mut rows = "gmt_create,exec_time_seconds,groupId,checkpoint_model_version_id\n".to_string();
    for at in 0..400_u32 {
        let (minute, second) = (at / 60, at % 60);
        let (tenant, model) = (at * 7 % 11 % 4, at * at % 17 % 6);
        rows += &format!("2024-11-15 16:{minute:02}:{second:02},3.0,G{tenant},M{model}\n");
    }
    folder.file("lora.csv", rows)
}

#[test]
fn loading_is_that_of_a_replay_of_the_rest() {
    let folder = Folder::new("loading");
    let trace = lora(&folder);
    let out = folder.path("proposed.toml");
    let start = "capacity = \"28GiB\"\n[defaults]\npriority = \"low\"\n\
        [[tenants]]\nname = \"base-models\"\nlimit = \"16GiB\"\npriority = \"high\"\n\
        [[tenants]]\nname = \"G0\"\nguarantee = \"1GiB\"\n";
    let start = folder.file("start.toml", start);
    let options = format!("--format alibaba-lora --config {start} --evaluations 60");
    let options = format!("{options} --rebuild-weight 1 --out {out}");
    let report = tuned(&[&trace], &options);
    assert_eq!(report["proposed"], "found");
    let found = outcome(&report, "found");
    let rest = format!("--format alibaba-lora --part 60-100 --config {out}");
    same_as_replayed(found, &trace, &rest);
    let text = printed("replay", &[&trace], &format!("{rest} --json"));
    let runs: Value = serde_json::from_str(&text).unwrap();
    let loading = |tenant: &Value| tenant["load_seconds"].as_f64().unwrap();
    let all: f64 = found["tenants"].as_array().unwrap().iter().map(loading).sum();
    assert!(all > 0.0);
    assert_eq!(runs[0]["load_seconds"].as_f64(), Some(all));
}

#[test]
fn the_terms_add_up_to_the_cost() {
    let folder = Folder::new("terms");
    let trace = folder.file("t.csv", csv());
    let start = folder.file("start.toml", START);
    let options = format!(
        "--format csv --config {start} --evaluations 20 --weight cache=7.5 --rebuild-weight 1e6"
    );
    let report = tuned(&[&trace], &options);
    for outcome in report["outcomes"].as_array().unwrap() {
        let tenants = outcome["tenants"].as_array().unwrap();
        let sum = |figure: &dyn Fn(&Value) -> f64| tenants.iter().map(figure).sum::<f64>();
        let number = |tenant: &Value, key: &str| tenant[key].as_f64().unwrap();
        let denials = sum(&|tenant| number(tenant, "weight") * number(tenant, "denied"));
        let rebuild = 1e6 * sum(&|tenant| number(tenant, "rebuild_seconds"));
        let cost = &outcome["cost"];
        assert_eq!(cost["weighted_denials"].as_f64(), Some(denials));
        assert_eq!(cost["weighted_rebuild"].as_f64(), Some(rebuild));
        assert_eq!(cost["total"].as_f64(), Some(denials + rebuild));
    }
    let weights = |name| -> Vec<f64> {
        let tenants = outcome(&report, name)["tenants"].as_array().unwrap();
        tenants.iter().map(|tenant| tenant["weight"].as_f64().unwrap()).collect()
    };
    assert_eq!(weights("found"), [3.0, 1.0, 7.5], "high, low, and what was given");
    let evicted = &outcome(&report, "no limits")["tenants"][2];
    assert!(evicted["rebuild_seconds"].as_f64().unwrap() > 0.0, "{evicted}");
}

#[test]
fn who_pays_are_those_who_get_less() {
    let folder = Folder::new("payers");
    let trace = folder.file("t.csv", csv());
    let options = "--format csv --capacity 700 --evaluations 80 --weight batch=0 --weight cache=0";
    let report = tuned(&[&trace], options);
    assert_eq!(report["proposed"], "found");
    let denied =
        |name, at: usize| outcome(&report, name)["tenants"][at]["denied"].as_u64().unwrap();
    let payers = report["who_pays"].as_array().unwrap();
    let batch = payers.iter().find(|payer| payer["name"] == "batch").expect("batch counts nothing");
    assert_eq!(batch["denied_before"], denied("even split", 1));
    assert_eq!(batch["denied_after"], denied("found", 1));
    assert!(denied("found", 1) > denied("even split", 1));
    let text = printed("tune", &[&trace], options);
    let (_, told) = text.split_once("\nWho pays, against the even split\n").unwrap();
    let more = denied("found", 1) - denied("even split", 1);
    assert!(told.contains(&format!("\n  batch: {more} denials more (")), "{text}");
}

#[test]
fn the_configuration_is_printed_and_written_whole() {
    let folder = Folder::new("out");
    let trace = folder.file("t.csv", csv());
    let (out, json) = (folder.path("proposed.toml"), folder.path("report.json"));
    let options = "--format csv --capacity 1000 --evaluations 30";
    let text = printed("tune", &[&trace], &format!("{options} --out {out}"));
    let written = std::fs::read_to_string(&out).unwrap();
    let (_, shown) = text.split_once("The proposed configuration\n\n").unwrap();
    assert_eq!(shown, written);
    assert!(written.starts_with("capacity = 1000\n"), "{written}");
    assert_eq!(printed("tune", &[&trace], &format!("{options} --json={json}")), "");
    let report: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert_eq!(report["config"].as_str(), Some(written.as_str()));
    assert_eq!(folder.names(), ["proposed.toml", "report.json", "t.csv"]);
}
