//! Every format, on a trace small enough to be replayed by hand.
//!
//! The keys 1 2 1 3 2 1 through two places under LRU: only the second 1 is a hit.

use crate::command::{Folder, report, reports};

const KEYS: [u32; 6] = [1, 2, 1, 3, 2, 1];

const LRU_2: &str = "--capacity 2 --policy lru";

fn big_endian() -> Vec<u8> {
    KEYS.iter().flat_map(|key| key.to_be_bytes()).collect()
}

#[test]
fn keys_u32_packed_in_every_way() {
    let folder = Folder::new("keys-u32");
    let bytes = big_endian();
    let mut two_members = crate::command::gzipped(&bytes[..8]);
    two_members.extend(crate::command::gzipped(&bytes[8..]));
    for trace in [
        folder.plain("plain.trace", &bytes),
        folder.gz("packed.trace.gz", &bytes),
        folder.xz("packed.trace.xz", &bytes),
        folder.plain("members.trace.gz", two_members),
    ] {
        let report = report(&trace, &format!("--format keys-u32 {LRU_2}"));
        assert_eq!((&report["requests"], &report["hits"]), (&6.into(), &1.into()), "{trace}");
        assert_eq!((&report["granted"], &report["evicted_grants"]), (&5.into(), &3.into()));
        assert_eq!(report["unit"], "objects");
    }
}

#[test]
fn keys_u64() {
    let folder = Folder::new("keys-u64");
    let bytes: Vec<u8> = KEYS.iter().flat_map(|key| u64::from(*key).to_be_bytes()).collect();
    let report = report(&folder.plain("t", bytes), &format!("--format keys-u64 {LRU_2}"));
    assert_eq!((&report["requests"], &report["hits"]), (&6.into(), &1.into()));
}

#[test]
fn keys_arc_are_runs_of_blocks() {
    let folder = Folder::new("keys-arc");
    let trace = folder.gz("t.lis.gz", "1 2 0 0\n1 1 0 1\n3 1 0 2\n2 1 0 3\n1 1 0 4\n");
    let report = report(&trace, &format!("--format keys-arc {LRU_2}"));
    assert_eq!((&report["requests"], &report["hits"]), (&6.into(), &1.into()));
}

#[test]
fn keys_sized_count_bytes_or_objects() {
    let folder = Folder::new("keys-sized");
    let trace = folder.plain("t", "0 1 40\n1 2 40\n2 1 40\n3 3 40\n3 2 40\n9 1 40\n");
    let bytes = report(&trace, "--format keys-sized --capacity 80 --policy lru");
    assert_eq!((&bytes["unit"], &bytes["hits"]), (&"bytes".into(), &1.into()));
    assert_eq!(bytes["peak_used_bytes"], 80);
    let objects = report(&trace, &format!("--format keys-sized --unit objects {LRU_2}"));
    assert_eq!((&objects["unit"], &objects["hits"]), (&"objects".into(), &1.into()));
    assert_eq!(objects["peak_used_bytes"], 2);
    let share = report(&trace, "--format keys-sized --capacity-percent 50 --policy lru");
    assert_eq!(share["capacity_bytes"], 60, "half of three keys of 40 bytes");
}

#[test]
fn a_key_larger_than_the_pool_is_denied_and_evicts_nobody() {
    let folder = Folder::new("keys-too-large");
    let trace = folder.plain("t", "0 1 40\n1 2 90\n2 1 40\n");
    let report = report(&trace, "--format keys-sized --capacity 80 --policy lru");
    assert_eq!((&report["denied"], &report["evicted_grants"]), (&1.into(), &0.into()));
    assert_eq!(report["hits"], 1);
}

#[test]
fn oracle_general_records() {
    let folder = Folder::new("oracle-general");
    let mut bytes = Vec::new();
    for (time_s, key) in (0_u32..).zip(KEYS) {
        bytes.extend(time_s.to_le_bytes());
        bytes.extend(u64::from(key).to_le_bytes());
        bytes.extend(512_u32.to_le_bytes());
        bytes.extend((-1_i64).to_le_bytes());
    }
    let options = "--format oracle-general --capacity 1KiB --policy lru";
    let report = report(&folder.gz("t.bin.gz", bytes), options);
    assert_eq!((&report["requests"], &report["hits"]), (&6.into(), &1.into()));
    assert_eq!(report["peak_used_bytes"], 1024);
}

#[test]
fn the_tenant_of_a_key_is_in_its_high_bits() {
    let folder = Folder::new("tenant-shift");
    let keys = [0x100_u32, 0x101, 0x200, 0x100];
    let bytes: Vec<u8> = keys.iter().flat_map(|key| key.to_be_bytes()).collect();
    let options = "--format keys-u32 --capacity 4 --tenant-shift 8";
    let report = report(&folder.plain("t", bytes), options);
    let tenants = report["tenants"].as_array().unwrap();
    let granted: Vec<_> =
        tenants.iter().map(|tenant| (&tenant["name"], &tenant["granted"])).collect();
    assert_eq!(granted, [(&"1".into(), &2.into()), (&"2".into(), &1.into())]);
}

/// Two requests of 3 and 4 blocks that share the first; 2 tokens are generated each.
const MOONCAKE: &str = concat!(
    r#"{"timestamp": 0, "input_length": 1500, "output_length": 2, "hash_ids": [0, 1, 2]}"#,
    "\n",
    r#"{"timestamp": 50, "input_length": 2000, "output_length": 2, "hash_ids": [0, 3, 2, 4]}"#,
    "\n",
);

#[test]
fn mooncake_blocks_hit_by_prefix() {
    let folder = Folder::new("mooncake");
    let trace = folder.gz("t.jsonl.gz", MOONCAKE);
    let report = report(&trace, "--format mooncake --capacity-blocks 9 --policy lru");
    assert_eq!((&report["requests"], &report["granted"]), (&2.into(), &5.into()));
    assert_eq!((&report["hits"], &report["misses"]), (&2.into(), &5.into()));
    assert_eq!(report["prefix_hit_ratio"].as_f64(), Some(1.0 / 7.0), "block 2 follows a miss");
    assert_eq!(report["capacity_blocks"], 9);
    assert_eq!(report["peak_used_bytes"], 5 * 512 * 131_072);
}

#[test]
fn mooncake_counts_what_is_generated_where_bytes_are_given() {
    let folder = Folder::new("mooncake-bytes");
    let trace = folder.plain("t.jsonl", MOONCAKE);
    let options = "--format mooncake --kv-bytes-per-token 10 --capacity 25620 --policy lru";
    let late = report(&trace, &format!("{options} --decode-ms-per-token 100"));
    assert_eq!(late["granted"], 7);
    assert_eq!(late["peak_used_bytes"], 5 * 5120 + 20, "the second output waits for no room");
    assert_eq!(late["evicted_grants"], 1, "its room is a block's");
    let early = report(&trace, &format!("{options} --decode-ms-per-token 25"));
    assert_eq!(early["evicted_grants"], 0, "the first output has ended after 50 ms");
}

#[test]
fn azure_llm_requests_grow_and_end() {
    let folder = Folder::new("azure-llm");
    let header = "TIMESTAMP,ContextTokens,GeneratedTokens\n";
    let chat = format!("{header}2023-11-16 18:15:46.6800000,100,20\n");
    let code = format!("{header}2023-11-16 18:15:46.0800000,10,1\n");
    let chat = folder.gz("chat.until.csv.gz", chat);
    let named = format!("code={}", folder.plain("x.csv", code));
    let options = "--format azure-llm --kv-bytes-per-token 1";
    let runs = reports(&[&chat, &named], &format!("{options} --capacity 120"));
    let tenants = runs[0]["tenants"].as_array().unwrap();
    assert_eq!(tenants[0]["name"], "chat");
    assert_eq!(tenants[0]["peak_used_bytes"], 120, "100 and 20, in steps of 16 and 4");
    assert_eq!(tenants[1]["name"], "code");
    assert_eq!(tenants[1]["peak_used_bytes"], 11);
    assert_eq!(runs[0]["peak_used_bytes"], 120, "one had ended when the other began");
    assert_eq!((&runs[0]["hits"], &runs[0]["denied"]), (&().into(), &0.into()));
    let runs = reports(&[&chat, &named], &format!("{options} --capacity 119"));
    assert_eq!((&runs[0]["granted"], &runs[0]["denied"]), (&2.into(), &1.into()));
}

/// Requests of three tenants for three models, each of which takes 2 s to load.
pub fn lora(folder: &Folder) -> String {
    let load_times = "timestamp_anon,value,container_ip\n1.0,2000.0,a\n2.0,2000.0,b\n";
    folder.gz("basemodel_update_latency_anon.csv.gz", load_times);
    let rows = "gmt_create,exec_time_seconds,groupId,checkpoint_model_version_id\n\
        2024-11-15 16:57:50,32.0,G0,M0\n\
        2024-11-15 16:57:51,32.0,G1,M1\n\
        2024-11-15 16:57:52,32.0,G0,M0\n\
        2024-11-15 16:57:53,32.0,G1,M2\n\
        2024-11-15 16:57:54,32.0,G2,M1\n";
    folder.gz("lora.csv.gz", rows)
}

#[test]
fn alibaba_lora_models_take_slots() {
    let folder = Folder::new("alibaba-lora");
    let trace = lora(&folder);
    let report = report(&trace, "--format alibaba-lora --slots 2 --policy lru");
    assert_eq!((&report["hits"], &report["misses"]), (&1.into(), &4.into()));
    assert_eq!(report["load_seconds"], 8.0);
    assert_eq!((&report["granted"], &report["denied"]), (&9.into(), &0.into()));
    assert_eq!(report["evicted_grants"], 2);
    assert_eq!(report["peak_used_bytes"], (2_u64 * 8 + 5) << 30);
    let tenants = report["tenants"].as_array().unwrap();
    assert_eq!(
        (&tenants[0]["name"], &tenants[0]["group"]),
        (&"base-models".into(), &"shared".into())
    );
    assert_eq!(tenants.len(), 4);
}

/// The owner of the models and one tenant by name, and what the others have.
const LORA_CONFIG: &str = r#"
capacity = "20GiB"

[pressure]
pool = false

[defaults]
limit = "1GiB"
isolation = "hard"
priority = "low"

[[tenants]]
name = "base-models"
limit = "16GiB"
isolation = "hard"
policy = "lru"

[[tenants]]
name = "G0"
guarantee = "2GiB"
"#;

#[test]
fn alibaba_lora_tenants_are_named_or_have_defaults() {
    let folder = Folder::new("alibaba-lora-config");
    let trace = lora(&folder);
    let config = folder.plain("allot.toml", LORA_CONFIG);
    let options = format!("--format alibaba-lora --config {config}");
    let run = report(&trace, &options);
    assert_eq!((&run["capacity_bytes"], &run["slots"]), (&(20_u64 << 30).into(), &().into()));
    assert_eq!((&run["hits"], &run["misses"]), (&1.into(), &4.into()), "as with two slots");
    let tenants = run["tenants"].as_array().unwrap();
    let names: Vec<_> = tenants.iter().map(|tenant| tenant["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["base-models", "G0", "G1", "G2"]);
    assert_eq!(
        (&tenants[1]["guarantee_bytes"], &tenants[1]["denied"]),
        (&(2_u64 << 30).into(), &0.into())
    );
    for other in &tenants[2..] {
        assert_eq!((&other["priority"], &other["isolation"]), (&"low".into(), &"hard".into()));
        assert_eq!(other["limit_bytes"], 1_u64 << 30);
    }
    assert_eq!((&tenants[2]["granted"], &tenants[2]["denied"]), (&1.into(), &1.into()));
    let models = &tenants[0];
    assert_eq!((&models["load_seconds"], &run["load_seconds"]), (&8.0.into(), &8.0.into()));
    assert_eq!(models["rebuild_seconds"], 2.0, "M1 was evicted for M2 and needed again");
    let waiting = report(&trace, &format!("{options} --wait 60s"));
    assert_eq!(waiting["requests"], 5);
    // Slots are for models; what runs comes on top.
    let slots = report(&trace, &format!("{options} --slots 1"));
    assert_eq!((&slots["slots"], &slots["capacity_bytes"]), (&1.into(), &(13_u64 << 30).into()));
}

#[test]
fn csv_rows_of_tenants_that_nobody_named() {
    let folder = Folder::new("csv-defaults");
    let rows = "time_ms,tenant,allocation_type,bytes,duration_ms,key\n\
        0,late,inference,30,10,\n\
        1,kept,inference,40,10,\n\
        2,later,inference,31,10,\n";
    let trace = folder.plain("t.csv", rows);
    let config = format!("{CONFIG}[defaults]\nlimit = \"30%\"\nisolation = \"hard\"\n");
    let config = folder.plain("allot.toml", config);
    let run = report(&trace, &format!("--format csv --config {config}"));
    let tenants = run["tenants"].as_array().unwrap();
    let seen: Vec<_> = tenants
        .iter()
        .map(|tenant| (tenant["name"].as_str().unwrap(), tenant["denied"].as_u64().unwrap()))
        .collect();
    assert_eq!(seen, [("late", 0), ("kept", 0), ("later", 1)]);
    assert_eq!(tenants[2]["limit_bytes"], 30);
}

/// Two tenants of which one has a guarantee.
pub const CONFIG: &str = r#"
capacity = 100

[pressure]
pool = false

[[tenants]]
name = "kept"
guarantee = 40
limit = 60
isolation = "hard"

[[tenants]]
name = "free"
isolation = "none"
"#;

#[test]
fn csv_rows_of_tenants() {
    let folder = Folder::new("csv");
    let rows = "time_ms,tenant,allocation_type,bytes,duration_ms,key\n\
        0,free,cache,30,,1\n\
        1,free,cache,30,,2\n\
        2,free,cache,30,,1\n\
        3,kept,inference,40,10,\n\
        4,kept,model_load,30,,\n\
        20,kept,inference,40,10,\n";
    let trace = folder.gz("t.csv.gz", rows);
    let config = folder.plain("allot.toml", CONFIG);
    let report = report(&trace, &format!("--format csv --config {config}"));
    assert_eq!((&report["requests"], &report["hits"]), (&6.into(), &1.into()));
    let tenants = report["tenants"].as_array().unwrap();
    assert_eq!((&tenants[0]["name"], &tenants[0]["denied"]), (&"free".into(), &0.into()));
    assert_eq!(tenants[1]["guarantee_bytes"], 40);
    assert_eq!(tenants[1]["denied"], 1, "40 and 30 are above its limit of 60");
    assert_eq!(tenants[1]["peak_used_bytes"], 40);
}
