//! `allot tune`: guarantees, limits and bursts that suit a recorded trace.
//!
//! | file | what is there |
//! |---|---|
//! | `objective` | what a configuration costs, and the replay that tells |
//! | `space` | what may be moved, and the constraints |
//! | `search` | which candidates are judged |
//! | `split` | the even split, and no limits, that everything is held against |
//! | `report` | what came out, as data; `text` as tables and words |
//!
//! The trace is cut in two by its requests. The search sees the first part only; what is reported
//! is the rest, on which nothing was tuned, each configuration in a replay of its own from an empty
//! memory. If the best of the search is not better there as well, nothing is proposed but what one
//! began with: the configuration, or that of a recorded log, or without either the even split.

mod objective;
mod report;
mod search;
mod space;
mod split;
mod text;

use std::collections::HashSet;
use std::num::NonZero;
use std::sync::Arc;
use std::thread::available_parallelism;

use allotment::Isolation;
use allotment_config::{Setup, load};

use crate::args::{ReplayArgs, TraceArgs, TuneArgs};
use crate::failure::CliError;
use crate::replay::history::asked_bytes;
use crate::replay::output;
use crate::replay::progress::Progress;
use crate::report::human::plural;
use crate::trace;
use crate::trace::workload::Workload;
use objective::{Judge, Weights};
use report::{EVEN_SPLIT, FOUND, NO_LIMITS, Outcome, START, TuneReport};
use search::{Found, Search};
use space::{Shares, Space};

/// Most tenants that are tuned: with more, even a long search hardly moves each once.
const TUNED_MAX: usize = 64;

/// Runs the command.
pub fn run(args: &TuneArgs) -> Result<(), CliError> {
    args.check()?;
    let json = args.json.as_ref().and_then(Option::as_ref);
    json.into_iter().chain(&args.out).try_for_each(|path| output::check_place(path))?;
    let report = tune(args, &Progress::on_terminal())?;
    if let Some(path) = &args.out {
        output::write_whole(path, &report.config)?;
    }
    match &args.json {
        None => output::print(&text::text(&report)),
        Some(None) => output::print(&report.json()),
        Some(Some(path)) => output::write_whole(path, &report.json()),
    }
}

fn tune(args: &TuneArgs, progress: &Progress) -> Result<TuneReport, CliError> {
    let given = match &args.config {
        Some(path) => Some(load(path).map_err(|error| CliError::new(error.to_string()))?),
        None => None,
    };
    let (whole, recorded) = decode(args, given.as_ref(), progress)?;
    // A log says what it was made under: that is what one begins with, unless one says otherwise.
    let given = given.or(recorded.filter(|_| args.capacity.is_none()));
    let (head, rest) = parts(args, &whole)?;
    let begin = Begin::new(args, given, &whole)?;
    let weights = Weights::new(&begin.space, &whole.tenants, &args.weight, args.rebuild_weight)?;
    let replay = ReplayArgs::plain(args.trace.clone());
    let judge = |workload| Judge { args: &replay, workload, weights: &weights };
    let (train, held_out) = (judge(Arc::new(head)), judge(Arc::new(rest)));
    let tuned = tuned(&begin.space, &train.workload)?;
    let space = Space::new(begin.space.clone(), tuned);
    let found = search(args, &space, &train, progress)?;

    let outcome = |name, setup: &Setup| Outcome::of(name, setup, &train, &held_out);
    let mut outcomes = vec![outcome(NO_LIMITS, &begin.open)?, outcome(EVEN_SPLIT, &begin.even)?];
    if begin.is_given {
        outcomes.push(outcome(START, &begin.space)?);
    }
    let best = space.setup(&found.shares);
    outcomes.push(outcome(FOUND, &best)?);
    let [.., before, after] = &outcomes[..] else {
        return Err(CliError::new("there is nothing to compare; please report it"));
    };
    let proposed = match (after.cost.total < before.cost.total, begin.is_given) {
        (true, _) => (FOUND, best),
        (false, true) => (START, begin.space),
        (false, false) => (EVEN_SPLIT, begin.even),
    };
    Ok(TuneReport::new(args, [&train, &held_out], found.runs, outcomes, &proposed))
}

/// The whole trace, if there is something to tune in it.
fn decode(
    args: &TuneArgs,
    given: Option<&Setup>,
    progress: &Progress,
) -> Result<(Workload, Option<Setup>), CliError> {
    let known = given.and_then(Setup::only_names);
    let TraceArgs { traces, format, .. } = &args.trace;
    let scale = args.trace.scale();
    let (whole, recorded) = trace::decode(*format, traces, &scale, known.as_ref(), progress)?;
    if let [only] = &whole.tenants[..] {
        return Err(CliError::new(format!(
            "{}: there is nothing to tune: '{only}' is the one tenant, which can have all",
            whole.name
        )));
    }
    Ok((whole, recorded))
}

/// The part to tune on, and the rest.
fn parts(args: &TuneArgs, whole: &Workload) -> Result<(Workload, Workload), CliError> {
    let (head, rest) = args.parts();
    let (head, rest) = (whole.part(head), whole.part(rest));
    if head.requests_len() == 0 || rest.requests_len() == 0 {
        return Err(CliError::new(format!(
            "{}: {} cannot be split at {} %; give a longer trace or another --train",
            whole.name,
            plural(whole.requests_len() as u64, "request"),
            args.train
        )));
    }
    Ok((head, rest))
}

/// What the search begins with, and what it is held against.
struct Begin {
    /// Every tenant of the trace, without limits.
    open: Setup,
    /// Every tenant of the trace at an even part, hard.
    even: Setup,
    /// The start of the search.
    space: Setup,
    /// Whether that is a configuration of the user's.
    is_given: bool,
}

impl Begin {
    fn new(args: &TuneArgs, given: Option<Setup>, whole: &Workload) -> Result<Self, CliError> {
        let is_given = given.is_some();
        let setup = match (given, args.capacity) {
            (Some(setup), _) => setup,
            (None, capacity) => split::empty(capacity.unwrap_or(0))?,
        };
        let tenants = || split::tenants(&setup, &whole.tenants);
        let open = split::open(&setup, tenants());
        let even = split::even(&setup, tenants(), Isolation::Hard)?;
        let soft = || split::even(&setup, tenants(), Isolation::Soft);
        let space = if is_given { setup.clone() } else { soft()? };
        Ok(Self { open, even, space, is_given })
    }
}

/// Places of the tenants that are tuned: those that ask for something in the part to tune on. Of
/// the others nothing is known, and they stay as they are.
fn tuned(setup: &Setup, train: &Workload) -> Result<Vec<usize>, CliError> {
    let asked = asked_bytes(train);
    let asking = train.tenants.iter().zip(asked).filter(|(_, bytes)| *bytes > 0);
    let asking: HashSet<&String> = asking.map(|(name, _)| name).collect();
    let named = setup.tenants.iter().enumerate();
    let tuned = named.filter(|(_, tenant)| asking.contains(&tenant.name)).map(|(at, _)| at);
    let tuned: Vec<usize> = tuned.collect();
    match tuned.len() {
        0 => Err(CliError::new(format!(
            "{}: none of the tenants of the configuration asks for anything in the part to \
             tune on; raise --train, or name others",
            train.name
        ))),
        1..=TUNED_MAX => Ok(tuned),
        many => Err(CliError::new(format!(
            "{}: {many} tenants are too many to tune, {TUNED_MAX} are the most; name those that \
             matter in --config FILE, and say under [defaults] what the others have",
            train.name
        ))),
    }
}

fn search(
    args: &TuneArgs,
    space: &Space,
    train: &Judge<'_>,
    progress: &Progress,
) -> Result<Found, CliError> {
    let cores = || available_parallelism().map_or(1, NonZero::get);
    let threads = args.threads.map_or_else(cores, |threads| threads as usize);
    let judge = |shares: &Shares| train.cost(&space.setup(shares));
    let budget = args.evaluations;
    let bar = progress.bar(budget as u64, "tuning");
    let found = Search { space, judge: &judge, budget, threads, bar: &bar }.run(args.seed);
    bar.finish_and_clear();
    found
}
