//! `allot audit verify`: the verdict on a log, for people or for programs, and as an exit code.
//!
//! ```text
//! 0  intact and sealed
//! 1  something is wrong with it; with --sealed also: it is not sealed
//! 2  it could not be looked at
//! 3  intact, but not sealed: a writer is at it, or was interrupted
//! ```

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use allotment::audit::{Finding, Head, Key, Tail, Verdict, verify};
use clap::Args;
use serde_json::{Value, json};

use super::key::head_file;
use super::{EXIT_FAULT, failed, when};
use crate::failure::CliError;
use crate::replay::output::print;
use crate::report::human;

const EXIT_NOT_SEALED: u8 = 3;

const EXIT_CODES: &str = "\
Exit code:
  0  intact and sealed
  1  something is wrong with the log; with --sealed also if it is not sealed
  2  it could not be looked at: no log, another key, bad options
  3  intact, but not sealed: a writer is at it, or was interrupted

Only an expected head tells a log that was interrupted, or that ends with an \
earlier seal, from one whose end was cut off.";

/// Options of `allot audit verify`.
#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub struct VerifyArgs {
    /// The folder of the log
    #[arg(value_name = "DIR")]
    folder: PathBuf,

    /// The key that the log was written with
    #[arg(long, value_name = "FILE")]
    key: PathBuf,

    /// A head that the log has to contain, as printed by an earlier run, or @FILE that has it
    /// [default: KEYFILE.head, if there is such a file]
    #[arg(long, value_name = "HEAD|@FILE", value_parser = expected)]
    expect: Option<Expected>,

    /// Count it as a fault if the log is not sealed
    #[arg(long)]
    sealed: bool,

    /// Print the verdict for programs
    #[arg(long)]
    json: bool,
}

/// A head, or where it is.
#[derive(Clone, Debug)]
enum Expected {
    Head(Head),
    File(PathBuf),
}

fn expected(text: &str) -> Result<Expected, String> {
    match text.strip_prefix('@') {
        Some(file) => Ok(Expected::File(PathBuf::from(file))),
        None => text.parse().map(Expected::Head).map_err(|error| format!("{error}")),
    }
}

/// A head that has to be there, and where it was found.
struct Wanted {
    head: Head,
    file: Option<PathBuf>,
}

/// Verifies a log and prints the verdict.
pub fn run(args: &VerifyArgs) -> Result<ExitCode, CliError> {
    let key = Key::load(&args.key).map_err(failed)?;
    // Before the log is read: its writer goes on, and a later head would not be in what we read.
    let wanted = wanted(args)?;
    let head = wanted.as_ref().map(|wanted| wanted.head);
    let verdict = verify(&args.folder, &key, head.as_ref()).map_err(failed)?;
    let code = code(&verdict, args.sealed);
    if args.json {
        print(&format!("{:#}\n", as_json(&verdict, wanted.as_ref(), code)))?;
    } else {
        print(&as_text(&args.folder, &verdict, wanted.as_ref(), args.sealed))?;
    }
    Ok(ExitCode::from(code))
}

/// Verifies a log as far as another command needs it: what is wrong, if anything.
pub fn findings(folder: &Path, key_file: &Path) -> Result<Vec<String>, CliError> {
    let key = Key::load(key_file).map_err(failed)?;
    let head = beside(key_file)?.map(|wanted| wanted.head);
    let verdict = verify(folder, &key, head.as_ref()).map_err(failed)?;
    Ok(verdict.findings.iter().map(line).collect())
}

fn wanted(args: &VerifyArgs) -> Result<Option<Wanted>, CliError> {
    match &args.expect {
        Some(Expected::Head(head)) => Ok(Some(Wanted { head: *head, file: None })),
        Some(Expected::File(file)) => {
            let head = Head::read(file).map_err(failed)?;
            Ok(Some(Wanted { head, file: Some(file.clone()) }))
        }
        None => beside(&args.key),
    }
}

/// The head that the writer keeps beside the key, if it does.
fn beside(key_file: &Path) -> Result<Option<Wanted>, CliError> {
    let file = head_file(key_file);
    if !file.exists() {
        return Ok(None);
    }
    let head = Head::read(&file).map_err(failed)?;
    Ok(Some(Wanted { head, file: Some(file) }))
}

fn code(verdict: &Verdict, must_be_sealed: bool) -> u8 {
    match (verdict.is_intact(), verdict.sealed) {
        (false, _) => EXIT_FAULT,
        (true, true) => 0,
        (true, false) if must_be_sealed => EXIT_FAULT,
        (true, false) => EXIT_NOT_SEALED,
    }
}

fn as_text(
    folder: &Path,
    verdict: &Verdict,
    wanted: Option<&Wanted>,
    must_be_sealed: bool,
) -> String {
    let mut out = String::new();
    let said = match (verdict.is_intact(), verdict.sealed) {
        (false, _) => "NOT INTACT",
        (true, true) => "intact and sealed",
        (true, false) if must_be_sealed => "intact, but NOT SEALED",
        (true, false) => "intact, not sealed",
    };
    let Verdict { log_id, first_sequence, last_sequence, .. } = verdict;
    let _ = writeln!(out, "{}: {said}", folder.display());
    let _ = writeln!(
        out,
        "  log {log_id}: {}, {} ({first_sequence} to {last_sequence}), {}",
        human::plural(verdict.segments, "segment"),
        human::plural(verdict.records, "record"),
        human::plural(verdict.checkpoints, "checkpoint")
    );
    if let Some(tail) = &verdict.tail {
        push_tail(&mut out, tail);
    }
    push_counts(&mut out, verdict);
    if let Some(wanted) = wanted.filter(|wanted| !misses(verdict, wanted)) {
        let place = wanted.file.as_ref().map(|file| format!(" of {}", file.display()));
        let (place, at) = (place.unwrap_or_default(), wanted.head.sequence);
        let _ = writeln!(out, "  the head{place}, record {at}, is in it");
    } else if wanted.is_none() {
        out.push_str("  no head was expected: that its end was not cut off is not shown\n");
        if verdict.head.is_some() {
            out.push_str(
                "  keep the head below, elsewhere, and name it next time: --expect HEAD\n",
            );
        }
    }
    for finding in &verdict.findings {
        let _ = writeln!(out, "{}", line(finding));
    }
    if !verdict.is_complete {
        let count = verdict.findings.len();
        let _ = writeln!(out, "  the verification ended after {count} findings; there may be more");
    }
    if let Some(head) = &verdict.head {
        let _ = writeln!(out, "head {head}");
    }
    out
}

fn push_tail(out: &mut String, tail: &Tail) {
    let records = human::plural(tail.records, "record");
    let _ = match &tail.after {
        Some(at) => writeln!(
            out,
            "  the last checkpoint is record {} of {} ({}:{}); {records} after it verify",
            at.sequence,
            when::short(at.unix_ns.into()),
            at.segment,
            at.offset
        ),
        None => writeln!(out, "  there is no checkpoint; {records} verify"),
    };
    for torn in &tail.torn {
        let bytes = human::plural(torn.bytes, "byte");
        let (segment, offset) = (&torn.segment, torn.offset);
        let _ = writeln!(out, "  {segment}:{offset}: {bytes} of a record that was never finished");
    }
    out.push_str(if tail.is_writer_active {
        "  a writer has it open now\n"
    } else {
        "  no writer has it open: the last one was interrupted\n"
    });
}

fn push_counts(out: &mut String, verdict: &Verdict) {
    if verdict.events_lost > 0 {
        let events = human::plural(verdict.events_lost, "event");
        let _ = writeln!(out, "  {events} lost before they reached the log, by its own account");
    }
    if verdict.requests_refused > 0 {
        let requests = human::plural(verdict.requests_refused, "request");
        let _ = writeln!(out, "  {requests} refused because the log had no room");
    }
}

/// Whether the expected head is not there, or was not looked for to the end.
fn misses(verdict: &Verdict, wanted: &Wanted) -> bool {
    use allotment::audit::FindingKind::{Forked, HeadRetired, Truncated};
    let is_about = |finding: &Finding| {
        matches!(finding.kind, Forked | HeadRetired | Truncated)
            && finding.sequence == Some(wanted.head.sequence)
    };
    !verdict.is_complete || verdict.findings.iter().any(is_about)
}

/// `segment:offset: record N: what`.
fn line(finding: &Finding) -> String {
    let Finding { kind, segment, offset, sequence, what, .. } = finding;
    let record = sequence.map(|sequence| format!("record {sequence}: ")).unwrap_or_default();
    format!("{segment}:{offset}: {record}{kind}: {what}")
}

fn as_json(verdict: &Verdict, wanted: Option<&Wanted>, code: u8) -> Value {
    let findings = verdict.findings.iter().map(|finding| {
        json!({
            "kind": finding.kind.to_string(),
            "segment": finding.segment,
            "offset": finding.offset,
            "sequence": finding.sequence,
            "what": finding.what,
        })
    });
    let tail = verdict.tail.as_ref().map(|tail| {
        let after = tail.after.as_ref().map(|at| {
            json!({
                "sequence": at.sequence,
                "segment": at.segment,
                "offset": at.offset,
                "time": when::utc(at.unix_ns.into()),
            })
        });
        let torn = tail.torn.iter().map(
            |torn| json!({ "segment": torn.segment, "offset": torn.offset, "bytes": torn.bytes }),
        );
        json!({
            "after": after,
            "records": tail.records,
            "torn": torn.collect::<Vec<_>>(),
            "writer_active": tail.is_writer_active,
        })
    });
    json!({
        "exit_code": code,
        "intact": verdict.is_intact(),
        "sealed": verdict.sealed,
        "complete": verdict.is_complete,
        "log_id": verdict.log_id.to_string(),
        "segments": verdict.segments,
        "records": verdict.records,
        "first_sequence": verdict.first_sequence,
        "last_sequence": verdict.last_sequence,
        "checkpoints": verdict.checkpoints,
        "events_lost": verdict.events_lost,
        "requests_refused": verdict.requests_refused,
        "expected_head": wanted.map(|wanted| wanted.head.to_string()),
        "expected_head_file":
            wanted.and_then(|wanted| Some(wanted.file.as_ref()?.display().to_string())),
        "head": verdict.head.map(|head| head.to_string()),
        "tail": tail,
        "findings": findings.collect::<Vec<_>>(),
    })
}
