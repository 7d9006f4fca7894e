//! `allot audit report`: who held how much for how long, by what the log says.
//!
//! - `books.rs`: records become changes of accounts; `series.rs`: changes become byte-seconds
//! - `gauge.rs`: the total, told independently; `rows.rs`: the rows, and whether they add up to it
//! - `period.rs`: days, hours, months; `amount.rs`: byte-seconds and GiB-hours
//! - `text.rs`: for people; `export.rs`: for programs

mod amount;
mod books;
mod export;
mod gauge;
mod period;
mod rows;
mod series;
mod text;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use self::books::Books;
use self::period::Period;
use super::pages::{Page, Pages, first_dial};
use super::{EXIT_FAULT, verify};
use crate::failure::CliError;
use crate::replay::output::{print, write_whole};

const AFTER_HELP: &str = "\
A row has byte-seconds (as GiB-hours; exact in CSV and JSON), the peak, what was held when the \
period ended, and what happened. Days and months are those of UTC. Exit code: 0; 1 if the books do \
not add up, or the log is damaged or does not verify; 2 if it cannot be read.";

/// Options of `allot audit report`.
#[derive(Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct ReportArgs {
    /// The folder of the log
    #[arg(value_name = "DIR")]
    folder: PathBuf,

    /// A report for each hour, day or month, or for one time: FROM/TO as in `show --since`, either
    /// may be left out [default: the whole log]
    #[arg(long, value_name = "PERIOD", value_parser = Period::parse, allow_hyphen_values = true)]
    period: Option<Period>,

    /// Verify the log as well, as `verify` does
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,

    /// Print comma-separated values; to FILE if one is given
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    csv: Option<Option<PathBuf>>,

    /// Print JSON; to FILE if one is given
    #[arg(
        long, value_name = "FILE", num_args = 0..=1, require_equals = true, conflicts_with = "csv"
    )]
    json: Option<Option<PathBuf>>,
}

/// Accounts for a log.
pub fn run(args: &ReportArgs) -> Result<ExitCode, CliError> {
    let findings = args.key.as_ref().map(|key| verify::findings(&args.folder, key)).transpose()?;
    let mut books = read(&args.folder, args.period.unwrap_or(Period::All))?;
    let sections = rows::sections(&mut books);
    let verified = findings.as_deref();
    let (file, text) = match (&args.csv, &args.json) {
        (Some(file), _) => (file.as_ref(), export::csv(&sections)),
        (_, Some(file)) => (file.as_ref(), export::json(&books, &sections, verified)),
        (None, None) => (None, text::text(&books, &sections, verified)),
    };
    match file {
        Some(file) => write_whole(file, &text)?,
        None => print(&text)?,
    }
    if args.csv.is_some() {
        // Lines of values have no place for them.
        text::warnings(&books.story).iter().for_each(|warning| eprintln!("allot: {warning}"));
    }
    let is_for_programs = args.csv.is_some() || args.json.is_some();
    let faults = [&books.story.faults[..], &books.story.damage, verified.unwrap_or_default()];
    if is_for_programs {
        // What is printed is read by a program; people see this.
        faults.iter().copied().flatten().for_each(|fault| eprintln!("allot: {fault}"));
    }
    let is_sound = faults.iter().all(|faults| faults.is_empty());
    Ok(if is_sound { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAULT) })
}

/// Reads a log into books, to what is its end by now.
fn read(folder: &Path, period: Period) -> Result<Books, CliError> {
    let mut books = Books::new(period, first_dial(folder)?);
    let mut pages = Pages::open(folder)?;
    while let Some(page) = pages.read()? {
        match page {
            Page::Record(_, body) => books.take(&body),
            Page::Damage(what) => books.damage(what),
        }
    }
    books.finish();
    Ok(books)
}
