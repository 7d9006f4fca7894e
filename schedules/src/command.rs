//! The command: what it was asked for, the workers, the file of what is done, the report.
//!
//! Work is done in portions of [`PORTION`] schedules. What is kept in the file of progress is only
//! whole portions, in order, so that going on later gives what one run would have given.

use crate::campaign::{self, DEPTHS, EACH, Figures, Found, Plan};
use crate::workload::{self, STEPPED};
use allotment::internals::bugs::{self, Bug};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Instant;

/// Schedules that a worker does at a time: whole programs.
const PORTION: u64 = 256 * EACH;
/// Least share of histories in which calls overlap, in percent.
const OVERLAPPING_MIN: u64 = 60;
/// Most calls given up at random, in percent.
const GIVEN_UP_MAX: u64 = 1;

/// What was asked for.
struct Asked {
    plan: Plan,
    schedules: u64,
    first: u64,
    workers: usize,
    resume: Option<PathBuf>,
    bug: Option<Bug>,
}

/// Runs the command; whether everything was as it has to be.
///
/// # Errors
///
/// What was not understood, in words.
pub fn run(arguments: impl Iterator<Item = String>) -> Result<bool, String> {
    let Some(asked) = parse(arguments)? else { return Ok(true) };
    let before = asked.resume.as_deref().map_or(Ok(None), |file| read(file, &asked))?;
    let (mut done, mut figures) = before.unwrap_or((0, Figures::default()));
    let begin = Instant::now();
    let resumed = done;
    let found = work(&asked, &mut done, &mut figures)?;
    let seconds = begin.elapsed().as_secs_f64();
    print!("{}", report(&asked, &figures));
    println!("{:.0} schedules a second", (done - resumed) as f64 / seconds);
    match found {
        Some(found) => {
            println!("{}", explain(&asked, &found));
            Ok(false)
        }
        None => Ok(judge(&asked, &figures)),
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Option<Asked>, String> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut asked = Asked {
        plan: Plan { seed: 1, threads: None, depth: None },
        schedules: 100_000,
        first: 0,
        workers: cores,
        resume: None,
        bug: None,
    };
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        let number = |low: u64, high: u64| match value.parse() {
            Ok(number) if (low..=high).contains(&number) => Ok(number),
            _ => Err(format!("{name} {value}: give a number from {low} to {high}")),
        };
        match name.as_str() {
            "--schedules" => asked.schedules = number(1, u64::MAX >> 1)?,
            "--seed" => asked.plan.seed = number(0, u64::MAX)?,
            "--first" => asked.first = number(0, u64::MAX >> 1)?,
            "--threads" => asked.plan.threads = Some(number(2, 4)? as usize),
            "--pct" => asked.plan.depth = Some(number(2, DEPTHS as u64 - 1)? as u32),
            "--workers" => asked.workers = number(1, 1_024)? as usize,
            "--resume" => asked.resume = Some(PathBuf::from(value)),
            "--bug" if value == "list" => {
                Bug::ALL.iter().for_each(|bug| println!("{:<28} {}", bug.name(), bug.mistake()));
                return Ok(None);
            }
            "--bug" => {
                let named = Bug::ALL.into_iter().find(|bug| bug.name() == value);
                let unknown = || format!("--bug {value}: there is none; `--bug list` names all");
                asked.bug = Some(named.ok_or_else(unknown)?);
            }
            _ => return Err(format!("{name} is not known; see the top of schedules/src/main.rs")),
        }
    }
    Ok(Some(asked))
}

/// What a worker has done: the number of its portion, and what that came to.
type Portion = (u64, Figures, Option<Found>);

/// Does all portions that are left, up to the first that goes wrong.
fn work(asked: &Asked, done: &mut u64, figures: &mut Figures) -> Result<Option<Found>, String> {
    let (to_workers, from_workers) = mpsc::channel::<Portion>();
    let next = std::sync::Mutex::new(*done);
    let mut waiting: Vec<Portion> = Vec::new();
    let mut found: Option<Found> = None;
    std::thread::scope(|scope| {
        for _ in 0..asked.workers {
            let (sender, next) = (to_workers.clone(), &next);
            scope.spawn(move || {
                bugs::plant(asked.bug);
                while let Some(begin) = take(next, asked.schedules) {
                    let end = (begin + PORTION).min(asked.schedules);
                    let (begin_at, end_at) = (asked.first + begin, asked.first + end);
                    let (figures, found) = campaign::run(asked.plan, begin_at, end_at);
                    if found.is_some() {
                        // The others end after what they are at.
                        *next.lock().unwrap_or_else(|lock| lock.into_inner()) = u64::MAX;
                    }
                    if sender.send((begin, figures, found)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(to_workers);
        for portion in from_workers {
            waiting.push(portion);
            while let Some(at) = waiting.iter().position(|(begin, ..)| begin == done) {
                let (_, more, wrong) = waiting.swap_remove(at);
                figures.add(&more);
                *done = (*done + PORTION).min(asked.schedules);
                found = found.take().or(wrong);
                if let (Some(file), None) = (&asked.resume, &found) {
                    write(file, asked, *done, figures)?;
                }
            }
        }
        // One that stopped all may have left others before it unfinished.
        let wrong = waiting.into_iter().filter_map(|(_, more, wrong)| {
            figures.add(&more);
            wrong
        });
        let found = found.into_iter().chain(wrong).min_by_key(|found| found.number);
        Ok(found)
    })
}

fn take(next: &std::sync::Mutex<u64>, end: u64) -> Option<u64> {
    let mut next = next.lock().unwrap_or_else(|lock| lock.into_inner());
    let begin = *next;
    (begin < end).then(|| {
        *next = begin + PORTION;
        begin
    })
}

/// How the schedules of a plan are called again, but for which of them.
fn command(asked: &Asked) -> String {
    let Plan { seed, threads, depth } = asked.plan;
    let mut text =
        "RUSTFLAGS=\"--cfg allot_steps\" cargo run --release -p schedules --".to_string();
    let mut option = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = write!(text, " {name} {value}");
        }
    };
    option("--seed", Some(seed.to_string()));
    option("--threads", threads.map(|n| n.to_string()));
    option("--pct", depth.map(|n| n.to_string()));
    option("--bug", asked.bug.map(|bug| bug.name().to_string()));
    text
}

fn explain(asked: &Asked, found: &Found) -> String {
    let Found { number, history, fault } = found;
    let again = command(asked);
    format!(
        "schedule {number} of seed {} has no explanation:\n\n{history}\n{}\n\n{again} --first \
         {number} --schedules 1",
        asked.plan.seed,
        history.describe(fault)
    )
}

fn percent(part: u64, whole: u64) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

/// The chance to find a bug of a depth that shows in a schedule of any of these programs.
fn report(asked: &Asked, figures: &Figures) -> String {
    let mut text = format!("seed {}\n", asked.plan.seed);
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "{name:<48} {value}");
    };
    line("schedules", figures.schedules.to_string());
    line("calls checked", figures.operations.to_string());
    let overlapping = percent(figures.overlapping, figures.schedules);
    line("histories in which calls overlap", format!("{overlapping:.2} %"));
    let given_up = percent(figures.given_up_at_random, figures.at_random);
    line("calls given up, schedules at random", format!("{given_up:.3} %"));
    let given_up = percent(figures.given_up_by_priority, figures.by_priority);
    line("calls given up, schedules by priority", format!("{given_up:.3} %"));
    for (depth, ln_missed) in figures.ln_missed.iter().enumerate().filter(|(_, ln)| **ln < 0.0) {
        let name = format!("chance to miss a bug of depth {depth} in all");
        line(&name, format!("{:.6}", ln_missed.exp()));
    }
    for (at, verb) in STEPPED.iter().enumerate() {
        let (most, bound) = (figures.steps_max[at], workload::steps_bound(at));
        line(&format!("most own steps of a {verb}"), format!("{most} of {bound}"));
        let most = figures.steps_waiting_max[at];
        line(&format!("most own steps of a {verb} while others wait"), most.to_string());
    }
    text
}

fn judge(asked: &Asked, figures: &Figures) -> bool {
    let overlap = percent(figures.overlapping, figures.schedules) >= OVERLAPPING_MIN as f64;
    let given_up = percent(figures.given_up_at_random, figures.at_random) < GIVEN_UP_MAX as f64;
    // A few schedules say nothing of shares.
    if asked.schedules < PORTION {
        return true;
    }
    if !overlap {
        println!("fewer than {OVERLAPPING_MIN} % of the histories overlap: they show little");
    }
    if !given_up {
        println!("{GIVEN_UP_MAX} % of the calls or more were given up: they show little");
    }
    overlap && given_up
}

// The file of progress: names and numbers, a line each.

fn write(file: &Path, asked: &Asked, done: u64, figures: &Figures) -> Result<(), String> {
    let mut text = format!("{}\ndone {done}\n", command(asked));
    for (name, value) in figures.numbers() {
        let _ = writeln!(text, "{name} {value}");
    }
    for (depth, ln_missed) in figures.ln_missed.iter().enumerate() {
        let _ = writeln!(text, "missed_{depth} {ln_missed:e}");
    }
    // Whoever reads it finds the one or the other.
    let beside = file.with_extension("new");
    std::fs::write(&beside, text)
        .and_then(|()| std::fs::rename(&beside, file))
        .map_err(|error| format!("{}: {error}; name a file that can be written", file.display()))
}

fn read(file: &Path, asked: &Asked) -> Result<Option<(u64, Figures)>, String> {
    let Ok(text) = std::fs::read_to_string(file) else { return Ok(None) };
    let mut lines = text.lines();
    if lines.next() != Some(command(asked).as_str()) {
        let file = file.display();
        return Err(format!("{file} is of another seed or plan; name another file, or remove it"));
    }
    let mut figures = Figures::default();
    let mut done = 0;
    for line in lines {
        let bad = || format!("{}: `{line}` is not a name and a number", file.display());
        let (name, value) = line.split_once(' ').ok_or_else(bad)?;
        let depth = name.strip_prefix("missed_").and_then(|depth| depth.parse::<usize>().ok());
        match depth.and_then(|depth| figures.ln_missed.get_mut(depth)) {
            Some(ln_missed) => *ln_missed = value.parse().map_err(|_| bad())?,
            None if name == "done" => done = value.parse().map_err(|_| bad())?,
            None => figures.set(name, value.parse().map_err(|_| bad())?).ok_or_else(bad)?,
        }
    }
    Ok(Some((done, figures)))
}
