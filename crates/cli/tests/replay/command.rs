//! Running the binary, and making the traces it reads.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// A folder of one test's own, empty at the start.
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The folder of the test of this name.
    pub fn new(test: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
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

    /// Writes a file as it is.
    pub fn plain(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// Writes a gzip file.
    pub fn gz(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        self.plain(name, gzipped(bytes.as_ref()))
    }

    /// Writes an xz file.
    pub fn xz(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let options = lzma_rust2::XzOptions::with_preset(6);
        let mut writer = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
        writer.write_all(bytes.as_ref()).unwrap();
        self.plain(name, writer.finish().unwrap())
    }

    /// Names of all files in the folder, hidden ones too.
    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.path).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// `bytes` as one gzip member.
pub fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

/// Runs `allot replay` with these words, separated by blanks, after the traces.
pub fn replay(traces: &[&str], options: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_allot"));
    command.arg("replay").args(traces).args(options.split_whitespace());
    command.output().unwrap()
}

/// The reports of a run that has to succeed.
#[track_caller]
pub fn reports(traces: &[&str], options: &str) -> Vec<Value> {
    let output = replay(traces, &format!("{options} --json"));
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{options}: {complaint}");
    assert_eq!(complaint, "", "{options}");
    let Value::Array(reports) = serde_json::from_slice(&output.stdout).unwrap() else {
        panic!("{options}: not an array")
    };
    reports.iter().for_each(sound);
    reports
}

/// The report of a run that has to succeed and is not a sweep.
#[track_caller]
pub fn report(trace: &str, options: &str) -> Value {
    let mut reports = reports(&[trace], options);
    assert_eq!(reports.len(), 1, "{options}");
    reports.remove(0)
}

/// What must hold in every run.
#[track_caller]
fn sound(report: &Value) {
    for figure in ["overcommit_bytes", "leaked_bytes", "guarantee_violations"] {
        assert_eq!(report[figure], 0, "{figure} in {report}");
    }
    let peak = report["peak_used_bytes"].as_u64().unwrap();
    assert!(peak <= report["capacity_bytes"].as_u64().unwrap(), "{report}");
}
