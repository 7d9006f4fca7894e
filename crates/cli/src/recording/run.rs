//! `allot replay --format audit`: does a log again, and says how much of it came out the same.

use std::fmt::Write;
use std::path::Path;

use serde::Serialize;

use super::follow::follow;
use super::reproduce::reproduce;
use super::shape::Shape;
use super::tally::Tally;
use super::tape::Tape;
use super::what_if::WhatIf;
use crate::args::ReplayArgs;
use crate::failure::CliError;
use crate::replay::output;
use crate::trace::TraceFile;

/// What a log came to.
#[derive(Serialize)]
struct Outcome {
    log: String,
    shape: Shape,
    #[serde(flatten)]
    tally: Tally,
}

/// Does every log that is named again, or asks what if.
pub fn run(args: &ReplayArgs) -> Result<(), CliError> {
    if let Some(other) = &args.what_if {
        return what_if(args, other);
    }
    let outcomes: Result<Vec<Outcome>, CliError> =
        args.trace.traces.iter().map(|t| again(&t.path, args.trace.sitting)).collect();
    let outcomes = outcomes?;
    let text = || outcomes.iter().map(in_words).collect();
    show(args, &outcomes, text)
}

fn what_if(args: &ReplayArgs, other: &Path) -> Result<(), CliError> {
    let ask = |trace: &TraceFile| WhatIf::of(args, &trace.path, other);
    let answers: Vec<WhatIf> = args.trace.traces.iter().map(ask).collect::<Result<_, _>>()?;
    let text = || answers.iter().map(WhatIf::text).collect();
    show(args, &answers, text)
}

/// As `--json` says.
fn show<T: Serialize>(
    args: &ReplayArgs,
    what: &[T],
    text: impl FnOnce() -> String,
) -> Result<(), CliError> {
    let Some(to) = &args.json else { return output::print(&text()) };
    let json = serde_json::to_string_pretty(what);
    let json = json.map_err(|error| CliError::new(error.to_string()))?;
    match to {
        None => output::print(&json),
        Some(path) => output::write_whole(path, &json),
    }
}

fn again(folder: &Path, sitting: Option<u64>) -> Result<Outcome, CliError> {
    let shape = Shape::of(Tape::open(folder, sitting)?)?;
    let mut tape = Tape::open(folder, sitting)?;
    let tally = match shape {
        Shape::InTurn => reproduce(&mut tape)?,
        Shape::Overlapping | Shape::AnswersOnly => follow(&mut tape)?,
    };
    Ok(Outcome { log: folder.display().to_string(), shape, tally })
}

fn in_words(outcome: &Outcome) -> String {
    let Outcome { log, shape, tally } = outcome;
    let Tally { records, calls, answers, differing, gaps, .. } = tally;
    let how = match shape {
        Shape::InTurn => "made again one after the other, to the bit",
        Shape::Overlapping => "overlapping; evictions, ends and pressure taken from the log",
        Shape::AnswersOnly => "not recorded; evictions, ends and pressure taken from the log",
    };
    let compared = answers + differing;
    let share = *differing as f64 * 100.0 / compared.max(1) as f64;
    let mut text = String::new();
    // To write into a string cannot fail.
    let _ = writeln!(text, "{log}");
    let _ = writeln!(text, "  {records} records, {calls} calls: {how}");
    let _ = writeln!(text, "  {answers} answers the same, {differing} different ({share:.3} %)");
    if *gaps > 0 {
        let _ = writeln!(text, "  the log has {gaps} gaps: what is in them was not made again");
    }
    for difference in &tally.differences {
        let _ = writeln!(text, "    {difference}");
    }
    text
}
