//! `allot audit show`: what happened, record by record.

mod filter;
mod json;
mod line;

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use allotment::TenantId;
use allotment::audit::{Body, Entry};
use clap::Args;

use self::filter::Filter;
use super::pages::{Page, Pages, both_clocks, clock_ns, first_dial};
use super::roster::{Roster, Told};
use super::when::Dial;
use super::{EXIT_FAULT, kind, when};
use crate::args::quantity;
use crate::failure::CliError;

/// How often a log that is followed is looked at.
const FOLLOW_PAUSE: Duration = Duration::from_millis(200);

const AFTER_HELP: &str = "\
Times are of the day, in UTC, by what the log itself says of it. \"uses\" is what the account used \
after the event. Exit code: 0, 1 if something is wrong with the log, 2 if it cannot be read.";

/// Options of `allot audit show`.
#[derive(Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct ShowArgs {
    /// The folder of the log
    #[arg(value_name = "DIR")]
    folder: PathBuf,

    /// Only what is about this tenant or group, by name or UUID
    #[arg(long, value_name = "NAME|UUID")]
    tenant: Option<String>,

    /// Only these kinds: granted, denied, evicted ...; a wrong one lists all. Checkpoints, balances
    /// and configurations (`configured`) are shown only if they are named
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = kind::parse)]
    kind: Vec<&'static str>,

    /// Only these allocation types: model-load, inference, cache, background
    #[arg(
        long = "type",
        value_name = "TYPE",
        value_delimiter = ',',
        value_parser = kind::parse_type
    )]
    types: Vec<u8>,

    /// Only from this time on: 2026-01-31T09:30:00Z, 2026-01-31, or -2h
    #[arg(long, value_name = "TIME", value_parser = when::parse, allow_hyphen_values = true)]
    since: Option<i128>,

    /// Only before this time
    #[arg(long, value_name = "TIME", value_parser = when::parse, allow_hyphen_values = true)]
    until: Option<i128>,

    /// Only what is about this grant, by its id in hex
    #[arg(long, value_name = "ID", value_parser = grant)]
    grant: Option<u64>,

    /// Only denials for these reasons: capacity, tenant-limit ...; a wrong one lists all
    #[arg(long, value_name = "REASON", value_delimiter = ',', value_parser = kind::parse_reason)]
    reason: Vec<u8>,

    /// Only what is about at least so many bytes [suffixes: KiB MiB GiB TiB]
    #[arg(long, value_name = "BYTES", value_parser = quantity)]
    min_bytes: Option<u64>,

    /// Also what was asked for and used, where that is recorded
    #[arg(long)]
    calls: bool,

    /// Only the first N
    #[arg(long, value_name = "N")]
    limit: Option<u64>,

    /// Go on with what is written from now on
    #[arg(long)]
    follow: bool,

    /// Print one JSON object a line, with every field
    #[arg(long)]
    json: bool,
}

fn grant(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let wrong = |_| "write the 16 hex digits that a line ends with".to_string();
    u64::from_str_radix(digits, 16).map_err(wrong)
}

/// One thing that happened, with what is needed to tell of it.
struct Happened<'a> {
    entry: &'a Entry,
    body: &'a Body,
    /// Of a text.
    told: Option<&'a Told>,
    /// By its own time and that of day; none if it has no time.
    unix_ns: Option<i128>,
    account: Option<u32>,
    roster: &'a Roster,
}

impl Happened<'_> {
    /// The tenant or group it is about.
    fn name(&self) -> Option<String> {
        self.account.map(|account| self.roster.name(account))
    }

    fn id(&self) -> Option<TenantId> {
        self.roster.get(self.account?)?.id
    }
}

/// Shows a log.
pub fn run(args: &ShowArgs) -> Result<ExitCode, CliError> {
    let mut show = Show {
        filter: Filter::new(args),
        json: args.json,
        dial: first_dial(&args.folder)?,
        roster: Roster::default(),
        left: args.limit.unwrap_or(u64::MAX),
    };
    let is_sound = show.all(&args.folder, args.follow)?;
    if let Some(tenant) = show.filter.unmet() {
        return Err(CliError::new(format!(
            "{tenant}: no tenant or group of this log has that name or id; `--kind configured` \
             lists them"
        )));
    }
    Ok(if is_sound { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAULT) })
}

struct Show {
    filter: Filter,
    json: bool,
    dial: Dial,
    roster: Roster,
    /// How many may still be shown.
    left: u64,
}

impl Show {
    /// Answers whether nothing was wrong with the log.
    fn all(&mut self, folder: &Path, follow: bool) -> Result<bool, CliError> {
        let mut pages = Pages::open(folder)?;
        let mut out = std::io::BufWriter::new(std::io::stdout().lock());
        let mut is_sound = true;
        while self.left > 0 {
            match pages.read()? {
                Some(Page::Record(entry, body)) => {
                    let Some(line) = self.take(&entry, &body) else { continue };
                    if !is_read(writeln!(out, "{line}"))? {
                        return Ok(is_sound);
                    }
                }
                Some(Page::Damage(what)) => {
                    is_sound = false;
                    eprintln!("allot: {what}");
                }
                None if follow => {
                    if !is_read(out.flush())? {
                        return Ok(is_sound);
                    }
                    std::thread::sleep(FOLLOW_PAUSE);
                }
                None => break,
            }
        }
        is_read(out.flush())?;
        Ok(is_sound)
    }

    /// The line of a record, if it is to be shown.
    fn take(&mut self, entry: &Entry, body: &Body) -> Option<String> {
        if let Body::Opened { .. } = body {
            self.roster.clear();
        }
        if let Some((clock_ns, unix_ns)) = both_clocks(body) {
            self.dial.set(clock_ns, unix_ns);
        }
        let told = match body {
            Body::Text(part) => Some(self.roster.take(part)?),
            _ => None,
        };
        let configured = told.as_ref().and_then(|told| told.configured.as_ref());
        let account = match body {
            Body::Event(event) => Some(event.account),
            Body::Balance { account, .. } => Some(*account),
            _ => configured.map(|configured| configured.account()),
        };
        let happened = Happened {
            entry,
            body,
            told: told.as_ref(),
            unix_ns: clock_ns(body).map(|clock_ns| self.dial.unix_ns(clock_ns)),
            account,
            roster: &self.roster,
        };
        if !self.filter.wants(&happened) {
            return None;
        }
        self.left -= 1;
        Some(if self.json { json::json(&happened) } else { line::line(&happened) })
    }
}

/// Whether somebody still reads what is printed.
fn is_read(written: std::io::Result<()>) -> Result<bool, CliError> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(CliError::file(Path::new("standard output"), &error)),
    }
}
