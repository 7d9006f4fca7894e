//! Where and of what it was measured: the commit, the date, the machine, the versions of the peers.

use std::fs;
use std::process::Command;

/// What the head of the document says.
pub struct Machine {
    /// The day, in UTC.
    pub date: String,
    /// The commit, and whether files differed from it.
    pub commit: String,
    /// Model of the processor.
    pub processor: String,
    /// Threads at once.
    pub cores: usize,
    /// Memory in GiB.
    pub memory: String,
    /// System and its version.
    pub system: String,
    /// Version of the compiler.
    pub compiler: String,
}

impl Machine {
    /// What this one is. What it does not tell is `unknown`.
    pub fn look() -> Self {
        let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let total = field(&memory, "MemTotal").and_then(|total| {
            let kilobytes: f64 = total.split_ascii_whitespace().next()?.parse().ok()?;
            Some(format!("{:.1} GiB", kilobytes / f64::from(1 << 20)))
        });
        Self {
            date: said(&["date", "-u", "+%Y-%m-%d"]),
            commit: commit(),
            processor: field(&cpu, "model name").unwrap_or_else(unknown),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory: total.unwrap_or_else(unknown),
            system: said(&["uname", "-srm"]),
            compiler: said(&["rustc", "--version"]),
        }
    }
}

fn unknown() -> String {
    "unknown".to_string()
}

/// The first line that a command prints.
fn said(command: &[&str]) -> String {
    all_said(command)
        .and_then(|text| text.lines().next().map(str::to_string))
        .unwrap_or_else(unknown)
}

fn all_said(command: &[&str]) -> Option<String> {
    let output = Command::new(command[0]).args(&command[1..]).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The document that is being written does not count as a difference.
fn commit() -> String {
    let commit = said(&["git", "rev-parse", "--short=12", "HEAD"]);
    let others = ["git", "status", "--porcelain", "--", ":/", ":(exclude,top)docs/BENCHMARKS.md"];
    match all_said(&others) {
        Some(changes) if changes.trim().is_empty() => commit,
        Some(_) => format!("{commit}, and changes that are not committed"),
        None => commit,
    }
}

/// `name : value` in a list of such lines.
fn field(text: &str, name: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let (known, value) = line.split_once(':')?;
        (known.trim() == name).then(|| value.trim().to_string())
    })
}

/// The version of a package that was built in, by the lock file.
pub fn version(package: &str) -> String {
    version_in(include_str!("../Cargo.lock"), package).unwrap_or_else(unknown)
}

fn version_in(lock: &str, package: &str) -> Option<String> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != name).skip(1);
    let version = lines.next()?.strip_prefix("version = \"")?;
    version.strip_suffix('"').map(str::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_name() {
        let text = "model\t: 2\nmodel name\t: A: fast one\n";
        assert_eq!(field(text, "model name").unwrap(), "A: fast one");
        assert_eq!(field(text, "none"), None);
    }

    #[test]
    fn a_version_is_found_in_the_lock() {
        let lock = "[[package]]\nname = \"a-b\"\nversion = \"2.0.0\"\n\n\
                    [[package]]\nname = \"a\"\nversion = \"1.2.3\"\n";
        assert_eq!(version_in(lock, "a").unwrap(), "1.2.3");
        assert_eq!(version_in(lock, "c"), None);
        assert_ne!(version("moka"), "unknown");
    }
}
