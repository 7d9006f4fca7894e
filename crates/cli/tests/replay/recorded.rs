//! Recorded traces against published figures. They lie beside the project, not in it; where they
//! are missing, a test says so and passes. The long ones are in `scripts/replay-acceptance.sh`.

use std::path::Path;

use crate::command::{Folder, report, reports};

/// The path of a recorded trace; none, and a printed line, where it is missing.
fn recorded(name: &str) -> Option<String> {
    let traces = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/traces");
    let path = traces.join(name);
    if !path.exists() {
        println!("skipped: no recorded trace {name}");
        return None;
    }
    Some(path.to_str().unwrap().to_string())
}

#[test]
fn web_pages_under_lru() {
    let Some(trace) = recorded("cache-keys/caffeine/web07.trace.xz") else { return };
    let runs = reports(&[&trace], "--format keys-u32 --capacity-percent 1,10 --policy lru");
    // The reference has 0.391655 and 0.556649 for an exact LRU.
    for (run, expected) in runs.iter().zip([0.391_655, 0.556_649]) {
        assert_eq!(run["requests"], 76_118);
        let ratio = run["hit_ratio"].as_f64().unwrap();
        assert!((ratio - expected).abs() < 0.015, "{ratio} is not near {expected}");
    }
    assert_eq!(runs[0]["capacity_bytes"], 205);
}

#[test]
fn block_storage_in_bytes() {
    let name = "cache-keys/libcachesim/cloudPhysicsIO.oracleGeneral.bin.gz";
    let Some(trace) = recorded(name) else { return };
    let run = report(&trace, "--format oracle-general --capacity-percent 1 --policy lru");
    assert_eq!((&run["requests"], &run["capacity_bytes"]), (&113_872.into(), &20_297_697.into()));
    let ratio = run["hit_ratio"].as_f64().unwrap();
    assert!((ratio - 0.166_116).abs() < 0.015, "{ratio}");
}

#[test]
fn models_in_slots_under_lru_are_exact() {
    let name = "alibaba-genai-2026/lora_request_trace.until-20241203.csv.gz";
    let Some(trace) = recorded(name) else { return };
    let run = report(&trace, "--format alibaba-lora --slots 8 --policy lru");
    assert_eq!(run["hits"], 17_214);
    assert_eq!((&run["requests"], &run["denied"]), (&20_492.into(), &0.into()));
    assert_eq!(run["tenants"].as_array().unwrap().len(), 3421 + 1);
}

#[test]
fn models_in_slots_are_the_same_by_configuration() {
    let name = "alibaba-genai-2026/lora_request_trace.until-20241203.csv.gz";
    let Some(trace) = recorded(name) else { return };
    let config = "capacity = 1\n[pressure]\npool = false\n[defaults]\nisolation = \"none\"\n\
        [[tenants]]\nname = \"base-models\"\nlimit = \"64GiB\"\nisolation = \"hard\"\n";
    let folder = Folder::new("recorded-models");
    let config = folder.plain("slots.toml", config);
    let options = "--format alibaba-lora --slots 8 --policy lru";
    let by_config = report(&trace, &format!("{options} --config {config}"));
    let plain = report(&trace, options);
    for figure in ["hits", "granted", "denied", "load_seconds", "capacity_bytes"] {
        assert_eq!(by_config[figure], plain[figure], "{figure}");
    }
    assert_eq!(by_config["hits"], 17_214);
    assert_eq!(by_config["tenants"].as_array().unwrap().len(), 3421 + 1);
}

#[test]
fn conversations_with_every_block_kept() {
    let Some(trace) = recorded("mooncake-fast25/conversation_trace.jsonl.gz") else { return };
    let run = report(&trace, "--format mooncake --capacity-blocks 182790 --policy lru");
    assert_eq!((&run["requests"], &run["granted"]), (&12_031.into(), &182_790.into()));
    assert_eq!((&run["hits"], &run["evicted_grants"]), (&105_710.into(), &0.into()));
}

#[test]
fn two_services_share_a_memory() {
    let Some(conv) = recorded("azure-llm-2023/conv.until-1855.csv.gz") else { return };
    let Some(code) = recorded("azure-llm-2023/code.until-1855.csv.gz") else { return };
    let options = "--format azure-llm --capacity 64GiB,8GiB";
    let runs = reports(&[&conv, &code], options);
    assert_eq!((&runs[0]["requests"], &runs[0]["denied"]), (&20_927.into(), &0.into()));
    assert!(runs[1]["denied"].as_u64().unwrap() > 0);
    let names: Vec<_> = runs[0]["tenants"].as_array().unwrap().iter().collect();
    assert_eq!((&names[0]["name"], &names[1]["name"]), (&"conv".into(), &"code".into()));
}

#[test]
fn estimates_of_recorded_waits() {
    let Some(trace) = recorded("mooncake-fast25/conversation_trace.jsonl.gz") else { return };
    let run = report(&trace, "--format mooncake --capacity 32GiB --wait 30s");
    let (waits, figure) = (&run["waits"], |name: &str| run["waits"][name].as_f64().unwrap());
    assert!(figure("granted_after_wait") > 1_000.0 && figure("gave_up") > 1_000.0, "{waits}");
    assert!(figure("wait_longest_s") <= 30.0, "{waits}");
    assert!((0.5..=2.0).contains(&figure("estimate_ratio_p50")), "{waits}");
}
