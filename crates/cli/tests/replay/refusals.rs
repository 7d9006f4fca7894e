//! Every bad input: exit code 2, one message that names the place, and nothing written.

use crate::command::{Folder, gzipped, replay};
use crate::formats::{CONFIG, lora};

/// Replays and expects a refusal that says all of `parts`.
#[track_caller]
fn refused(trace: &str, options: &str, parts: &[&str]) {
    let output = replay(&[trace], options);
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{options}: {complaint}");
    assert_eq!(output.stdout, b"", "{options}");
    for part in parts {
        assert!(complaint.contains(part), "{options}: {complaint:?} does not say {part:?}");
    }
}

#[test]
fn an_unknown_format_lists_the_known_ones() {
    refused("t", "--format parquet --capacity 1", &["'parquet'", "mooncake", "oracle-general"]);
}

#[test]
fn a_capacity_of_zero() {
    let folder = Folder::new("refuse-zero");
    let trace = folder.plain("t", [0; 8]);
    for option in ["--capacity 0", "--capacity 0GiB", "--capacity 5,0"] {
        refused(&trace, &format!("--format keys-u32 {option}"), &["must be at least 1"]);
    }
    refused(&trace, "--format keys-u32 --capacity-percent 0", &["above 0"]);
    refused(&trace, "--format alibaba-lora --slots 0", &["must be at least 1"]);
    refused(&trace, "--format mooncake --capacity-blocks 0", &["must be at least 1"]);
    refused(&trace, "--format keys-u32 --capacity 5 --threads 0", &["from 1 to"]);
}

#[test]
fn a_size_that_is_missing_or_does_not_suit() {
    let folder = Folder::new("refuse-size");
    let trace = folder.plain("t", [0; 8]);
    refused(&trace, "--format keys-u32", &["needs a size", "--capacity-percent"]);
    refused(&trace, "--format keys-u32 --slots 3", &["--slots", "does not go", "--capacity"]);
    refused(&trace, "--format keys-u32 --capacity 3 --capacity-percent 3", &["not both"]);
    refused(&trace, "--format mooncake --capacity 3 --compare-lru", &["--compare-lru", "keys"]);
    refused(&trace, "--format keys-u32 --capacity 3 --unit bytes", &["--unit objects"]);
}

#[test]
fn a_part_that_is_none_or_empty() {
    let folder = Folder::new("refuse-part");
    let trace = folder.plain("t", [0; 8]);
    for part in ["60", "60-60", "70-60", "0-101", "a-b"] {
        let option = format!("--format keys-u32 --capacity 9 --part {part}");
        refused(&trace, &option, &[part, "--part", "from 0 to 100 that rise"]);
    }
    let option = "--format keys-u32 --capacity 9 --part 0-10";
    refused(&trace, option, &["part 0-10 of its 2 requests is empty", "larger"]);
}

#[test]
fn a_wait_that_is_no_time_or_does_not_suit() {
    let folder = Folder::new("refuse-wait");
    let trace = folder.plain("t", [0; 8]);
    for wait in ["0s", "30", "-1s", "soon", "1441min", "25h"] {
        let option = format!("--format mooncake --capacity 9 --wait={wait}");
        refused(&trace, &option, &[wait, "--wait", "from 1ms to 24h", "30s"]);
    }
    let parts = ["--wait", "--format keys-u32", "mooncake and alibaba-lora"];
    refused(&trace, "--format keys-u32 --capacity 9 --wait 1s", &parts);
    let option = "--format mooncake --capacity 9 --wait 1s --threads 2";
    refused(&trace, option, &["--wait", "--threads 2", "one thread"]);
    let option = "--format mooncake --capacity-blocks 9 --wait 1s";
    refused(&trace, option, &["--wait", "--capacity-blocks", "--capacity BYTES"]);
}

#[test]
fn a_file_that_is_missing_or_a_folder_or_empty() {
    let folder = Folder::new("refuse-file");
    refused(
        &folder.path("nothing.gz"),
        "--format keys-arc --capacity 3",
        &["nothing.gz", "no such file"],
    );
    refused(&folder.path(""), "--format keys-arc --capacity 3", &["is a folder"]);
    let empty = folder.plain("empty", "");
    refused(&empty, "--format keys-arc --capacity 3", &["empty", "holds no requests"]);
}

#[test]
fn torn_or_damaged_packing() {
    let folder = Folder::new("refuse-torn");
    let text: String = (0..5000).map(|key| format!("{} 1 0 0\n", key * 7919 % 5003)).collect();
    let packed = gzipped(text.as_bytes());
    let torn = folder.plain("torn.gz", &packed[..packed.len() / 2]);
    let options = "--format keys-arc --capacity 3";
    refused(&torn, options, &["torn.gz", "gzip", "torn or damaged", "fetch"]);
    let not_packed = folder.plain("plain.gz", &text);
    refused(&not_packed, options, &["plain.gz", "gzip"]);
    let mut damaged = packed.clone();
    let last = damaged.len() - 6;
    damaged[last] ^= 0xff;
    refused(&folder.plain("damaged.gz", damaged), options, &["damaged.gz", "gzip"]);
    let whole = std::fs::read(folder.xz("whole.xz", &text)).unwrap();
    let torn = folder.plain("torn.xz", &whole[..whole.len() / 2]);
    refused(&torn, options, &["torn.xz", "xz", "torn or damaged"]);
}

#[test]
fn malformed_lines_are_named_by_file_and_line() {
    let folder = Folder::new("refuse-lines");
    let arc = folder.plain("a.lis", "1 1 0 0\n1 one 0 0\n");
    refused(&arc, "--format keys-arc --capacity 3", &["a.lis: line 2", "first_block count"]);
    let endless = folder.plain("e.lis", "1 999999999999 0 0\n");
    refused(&endless, "--format keys-arc --capacity 3", &["e.lis: line 1", "1073741824 requests"]);
    let sized = folder.gz("s.gz", "1 1 10\n2 2\n");
    refused(&sized, "--format keys-sized --capacity 3", &["s.gz: line 2", "time key bytes"]);
    let nothing = folder.plain("n", "1 1 0\n");
    refused(&nothing, "--format keys-sized --capacity 3", &["line 1", "0 bytes", "--unit objects"]);
    let json = folder.plain("m.jsonl", "{\"timestamp\": 0}\n");
    refused(&json, "--format mooncake --capacity 3", &["m.jsonl: line 1", "output_length"]);
    let binary = folder.plain("b", [0xff, 0xfe, 0x0a]);
    refused(&binary, "--format keys-arc --capacity 3", &["b: line 1", "not text"]);
}

#[test]
fn records_cut_short_are_named_by_number() {
    let folder = Folder::new("refuse-records");
    let trace = folder.plain("r", [0; 10]);
    refused(&trace, "--format keys-u32 --capacity 3", &["r: record 3", "2 of 4 bytes"]);
    refused(&trace, "--format keys-u64 --capacity 3", &["r: record 2", "2 of 8 bytes"]);
    refused(&trace, "--format oracle-general --capacity 3", &["record 1", "10 of 24 bytes"]);
}

#[test]
fn headers_and_rows_of_services() {
    let folder = Folder::new("refuse-services");
    let azure = folder.plain("a.csv", "when,how much\n");
    refused(&azure, "--format azure-llm --capacity 3", &["a.csv: line 1", "TIMESTAMP"]);
    let row = "TIMESTAMP,ContextTokens,GeneratedTokens\nyesterday,1,1\n";
    let azure = folder.plain("b.csv", row);
    refused(&azure, "--format azure-llm --capacity 3", &["b.csv: line 2"]);
    let row = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,1,1\n";
    let azure = folder.plain("b.csv", row);
    let again = format!("b={azure}");
    let output = replay(&[&azure, &again], "--format azure-llm --capacity 3");
    assert!(String::from_utf8_lossy(&output.stderr).contains("two traces are called 'b'"));
    let lora = folder.plain("l.csv", "gmt_create\n");
    let load_times = "basemodel_update_latency_anon.csv.gz";
    refused(&lora, "--format alibaba-lora --slots 3", &[load_times, "no such file", "beside"]);
    folder.gz(load_times, "timestamp_anon,value\n1,2000\n");
    refused(&lora, "--format alibaba-lora --slots 3", &["l.csv: line 1", "exec_time_seconds"]);
}

#[test]
fn tenants_that_nobody_configured() {
    let folder = Folder::new("refuse-tenants");
    let config = folder.plain("allot.toml", CONFIG);
    let header = "time_ms,tenant,allocation_type,bytes,duration_ms,key\n";
    let csv = folder.plain("t.csv", format!("{header}0,free,cache,1,,1\n1,nobody,cache,1,,1\n"));
    refused(&csv, "--format csv", &["needs --config"]);
    let options = format!("--format csv --config {config}");
    refused(&csv, &options, &["t.csv: line 3", "unknown tenant 'nobody'", "--config"]);
    let back = folder.plain("b.csv", format!("{header}5,free,cache,1,,1\n4,free,cache,1,,1\n"));
    refused(&back, &options, &["b.csv: line 3", "back in time"]);
    let keys = folder.plain("k", [0; 8]);
    let options = format!("--format keys-u32 --config {config}");
    refused(&keys, &options, &["unknown tenant 'trace'", "--config", "[defaults]"]);
    let config = folder.plain("lora.toml", "capacity = 9\n[[tenants]]\nname = \"base-models\"\n");
    let options = format!("--format alibaba-lora --config {config}");
    refused(&lora(&folder), &options, &["unknown tenant 'G0'", "[defaults]"]);
    refused(&csv, "--format csv --config nowhere.toml", &["nowhere.toml"]);
}

#[test]
fn nothing_is_half_written() {
    let folder = Folder::new("refuse-output");
    let torn = gzipped(b"1 1 0 0\n");
    let trace = folder.plain("torn.gz", &torn[..torn.len() - 3]);
    let (json, html) = (folder.path("out.json"), folder.path("out.html"));
    let options = format!("--format keys-arc --capacity 3 --json={json} --html {html}");
    refused(&trace, &options, &["torn.gz"]);
    assert_eq!(folder.names(), ["torn.gz"]);
    let trace = folder.plain("good", "1 1 0 0\n");
    let nowhere = folder.path("nowhere/out.html");
    let options = format!("--format keys-arc --capacity 3 --html {nowhere}");
    refused(&trace, &options, &["nowhere", "create it first"]);
}
