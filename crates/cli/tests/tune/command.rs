//! Running the binary, and making the traces it reads.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// Limits to begin with: two levels, all fields of a tenant.
pub const START: &str = "capacity = 1000\n\
    [pressure]\nhigh = 85\n\
    [[groups]]\nname = \"services\"\nguarantee = 300\n\
    [[tenants]]\nname = \"web\"\ngroup = \"services\"\nguarantee = 100\nlimit = 400\n\
    burst = 500\npriority = \"high\"\n\
    [[tenants]]\nname = \"batch\"\nlimit = 333\nisolation = \"hard\"\npriority = \"low\"\n\
    [[tenants]]\nname = \"cache\"\nguarantee = 200\npolicy = \"lru\"\n";

/// A folder of one test's own, empty at the start.
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The folder of the test of this name.
    pub fn new(test: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("tune-{test}"));
        if path.exists() {
            std::fs::remove_dir_all(&path).unwrap();
        }
        std::fs::create_dir_all(&path).unwrap();
        Self { path }
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> String {
        self.path.join(name).to_str().unwrap().to_string()
    }

    /// Writes a file.
    pub fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// Names of all files in the folder, hidden ones too.
    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.path).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }
}

/// Three tenants that an even split of 1000 bytes suits badly: `web` runs about 700 bytes of small
/// requests, `batch` 150 of larger ones, and `cache` reuses 40 keys of 10 bytes.
pub fn csv() -> String {
    let mut text = "time_ms,tenant,allocation_type,bytes,duration_ms,key\n".to_string();
    let mut state = 7_u32;
    let mut dice = |sides: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % sides
    };
    // More than a minute: pressure falls in steps of a second.
    for at in 0..1500 {
        let time_ms = at * 50;
        text += &format!("{time_ms},web,inference,{},1000,\n", 10 + dice(50));
        if at % 10 == 0 {
            text += &format!("{time_ms},batch,inference,{},1500,\n", 40 + dice(20));
        }
        if at % 5 == 0 {
            text += &format!("{time_ms},cache,cache,10,,{}\n", dice(7) * dice(7));
        }
    }
    text
}

/// Runs a command of `allot` with these words, separated by blanks, after the traces.
pub fn allot(command: &str, traces: &[&str], options: &str) -> Output {
    let mut allot = Command::new(env!("CARGO_BIN_EXE_allot"));
    allot.arg(command).args(traces).args(options.split_whitespace());
    allot.output().unwrap()
}

/// The standard output of a run that has to succeed.
#[track_caller]
pub fn printed(command: &str, traces: &[&str], options: &str) -> String {
    let output = allot(command, traces, options);
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{options}: {complaint}");
    assert_eq!(complaint, "", "{options}");
    String::from_utf8(output.stdout).unwrap()
}

/// The report of a search that has to succeed.
#[track_caller]
pub fn tuned(traces: &[&str], options: &str) -> Value {
    serde_json::from_str(&printed("tune", traces, &format!("{options} --json"))).unwrap()
}

/// One configuration of a report.
#[track_caller]
pub fn outcome<'a>(report: &'a Value, name: &str) -> &'a Value {
    let outcomes = report["outcomes"].as_array().unwrap();
    let named = outcomes.iter().find(|outcome| outcome["name"] == name);
    named.unwrap_or_else(|| panic!("no outcome {name} in {report}"))
}

/// The cost of one configuration of a report.
#[track_caller]
pub fn cost(report: &Value, name: &str) -> f64 {
    outcome(report, name)["cost"]["total"].as_f64().unwrap()
}
