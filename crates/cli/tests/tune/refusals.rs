//! Every bad input: exit code 2, one message that says what to do, and nothing printed or written.

use crate::command::{Folder, allot, csv};

/// Tunes and expects a refusal that says all of `parts`.
#[track_caller]
fn refused(traces: &[&str], options: &str, parts: &[&str]) {
    let output = allot("tune", traces, options);
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{options}: {complaint}");
    assert_eq!(output.stdout, b"", "{options}");
    for part in parts {
        assert!(complaint.contains(part), "{options}: {complaint:?} does not say {part:?}");
    }
}

#[test]
fn numbers_out_of_bounds() {
    let folder = Folder::new("refuse-numbers");
    let trace = folder.file("t.csv", csv());
    for (option, part) in [
        ("--evaluations 0", "from 1 to 100000"),
        ("--evaluations 100001", "from 1 to 100000"),
        ("--train 0", "from 1 to 99"),
        ("--train 100", "from 1 to 99"),
        ("--weight web", "NAME=W"),
        ("--weight web=-1", "from 0 to"),
        ("--rebuild-weight nan", "from 0 to"),
        ("--threads 0", "from 1 to"),
        ("--capacity 0", "at least 1"),
    ] {
        refused(&[&trace], &format!("--format csv {option}"), &[part]);
    }
    refused(&[&trace], "--format csv --capacity 2", &["2 cannot be split among 3"]);
    refused(&[&trace], "--format csv --capacity 256TiB", &["--capacity", "281474976710655"]);
}

#[test]
fn a_size_that_is_missing_or_given_twice() {
    let folder = Folder::new("refuse-size");
    let trace = folder.file("t.csv", csv());
    refused(&[&trace], "--format csv", &["--capacity N", "--config FILE"]);
    let options = "--format csv --capacity 5 --config a.toml";
    refused(&[&trace], options, &["--capacity or --config, not both"]);
    refused(&[&trace], "--format csv --config nowhere.toml", &["nowhere.toml"]);
}

#[test]
fn tenants_that_are_not_there() {
    let folder = Folder::new("refuse-tenants");
    let trace = folder.file("t.csv", csv());
    let options = "--format csv --capacity 1000 --weight wbe=3";
    refused(&[&trace], options, &["--weight wbe=3", "no tenant 'wbe'", "web, batch, cache"]);
    let config = "capacity = 1000\n[[tenants]]\nname = \"web\"\n";
    let config = folder.file("few.toml", config);
    let options = format!("--format csv --config {config}");
    refused(&[&trace], &options, &["unknown tenant 'batch'", "[defaults]"]);
    let config = "capacity = 1000\n[defaults]\n[[tenants]]\nname = \"nobody\"\n";
    let config = folder.file("others.toml", config);
    let options = format!("--format csv --config {config}");
    refused(&[&trace], &options, &["none of the tenants of the configuration", "--train"]);
}

#[test]
fn where_there_is_nothing_to_tune() {
    let folder = Folder::new("refuse-single");
    let keys = folder.file("t", [0; 8]);
    refused(&[&keys], "--format mooncake --capacity 5", &["nothing to tune", "one tenant"]);
    let parts = ["nothing to tune", "keys-u32", "--tenant-shift"];
    refused(&[&keys], "--format keys-u32 --capacity 5", &parts);
    let options = "--format keys-u32 --tenant-shift 8 --capacity 5";
    refused(&[&keys], options, &["nothing to tune", "'0' is the one tenant"]);
    refused(&[&keys, &keys], options, &["one trace", "not 2"]);
    let header = "time_ms,tenant,allocation_type,bytes,duration_ms,key\n";
    let two = folder.file("two.csv", format!("{header}0,a,cache,1,,1\n1,b,cache,1,,1\n"));
    let options = "--format csv --capacity 5 --train 40";
    refused(&[&two], options, &["two.csv", "2 requests cannot be split at 40 %", "--train"]);
}

#[test]
fn too_many_tenants() {
    let folder = Folder::new("refuse-many");
    let mut rows = "time_ms,tenant,allocation_type,bytes,duration_ms,key\n".to_string();
    for at in 0..200 {
        rows += &format!("{at},t{},cache,1,,1\n", at % 70);
    }
    let trace = folder.file("many.csv", rows);
    let parts = ["70 tenants are too many", "64", "[defaults]"];
    refused(&[&trace], "--format csv --capacity 1000", &parts);
}

#[test]
fn a_place_where_nothing_can_be_written() {
    let folder = Folder::new("refuse-place");
    let trace = folder.file("t.csv", csv());
    let nowhere = folder.path("nowhere/out.toml");
    for option in [format!("--out {nowhere}"), format!("--json={nowhere}")] {
        let options = format!("--format csv --capacity 1000 {option}");
        refused(&[&trace], &options, &["nowhere", "create it first"]);
    }
    let here = folder.path("");
    refused(&[&trace], &format!("--format csv --capacity 9 --out {here}"), &["is a folder"]);
    assert_eq!(folder.names(), ["t.csv"]);
}

#[test]
fn options_of_other_formats() {
    let folder = Folder::new("refuse-options");
    let trace = folder.file("t.csv", csv());
    let options = "--format csv --capacity 9 --tenant-shift 3";
    refused(&[&trace], options, &["--tenant-shift", "traces of keys"]);
    refused(&[&trace], "--format csv --capacity 9 --wait 3s", &["--wait"]);
}
