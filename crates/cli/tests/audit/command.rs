//! Running the binary.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

/// What the command answered.
pub struct Answer {
    pub code: i32,
    pub out: String,
    pub complaint: String,
}

/// Starts `allot audit` as [`audit`] runs it, for somebody who reads what it prints meanwhile.
pub fn start(verb: &str, folder: &Path, options: &str) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_allot"));
    command.args(["audit", verb]).arg(folder).args(options.split_whitespace());
    command.stdout(Stdio::piped()).spawn().unwrap()
}

/// Runs `allot audit` with these words, separated by blanks, after the verb and the folder.
pub fn audit(verb: &str, folder: &Path, options: &str) -> Answer {
    let mut command = Command::new(env!("CARGO_BIN_EXE_allot"));
    command.args(["audit", verb]).arg(folder).args(options.split_whitespace());
    answer(command.output().unwrap())
}

fn answer(output: Output) -> Answer {
    Answer {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        complaint: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Answer {
    /// The output of a run that had to end with this code.
    #[track_caller]
    pub fn with(self, code: i32) -> String {
        assert_eq!(self.code, code, "{}{}", self.out, self.complaint);
        self.out
    }

    /// The message of a run that had to fail, without output.
    #[track_caller]
    pub fn failure(self) -> String {
        assert_eq!((self.code, self.out.as_str()), (2, ""), "{}", self.complaint);
        assert!(self.complaint.starts_with("allot: "), "{}", self.complaint);
        assert_eq!(self.complaint.lines().count(), 1, "{}", self.complaint);
        self.complaint
    }

    /// The output as one JSON value.
    #[track_caller]
    pub fn json(self, code: i32) -> Value {
        serde_json::from_str(&self.with(code)).unwrap()
    }

    /// The output as one JSON value a line.
    #[track_caller]
    pub fn lines(self) -> Vec<Value> {
        let out = self.with(0);
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
