//! `allot replay --format audit`: does a log again, and says how much of it came out the same.

use std::fmt::Write;

use super::reproduce::reproduce;
use super::tally::Tally;
use super::tape::Tape;
use crate::args::ReplayArgs;
use crate::failure::CliError;

/// Does every log that is named again.
pub fn run(args: &ReplayArgs) -> Result<(), CliError> {
    let mut text = String::new();
    for trace in &args.traces {
        let mut tape = Tape::open(&trace.path)?;
        let tally = reproduce(&mut tape)?;
        write_tally(&mut text, &trace.tenant, &tally);
    }
    print!("{text}");
    Ok(())
}

fn write_tally(text: &mut String, name: &str, tally: &Tally) {
    let Tally { records, calls, answers, differing, .. } = tally;
    // To write into a string cannot fail.
    let _ = writeln!(text, "{name}: {records} records, {calls} calls made again");
    let _ = writeln!(text, "  {answers} answers the same, {differing} different");
    for difference in &tally.differences {
        let _ = writeln!(text, "  {difference}");
    }
}
