//! `allot stress`: every verb of one governor, from several threads, for as long as asked, and the
//! proof that not a byte is lost. Limits and capacity change meanwhile, tenants come and go, owners
//! answer, refuse, promise, call again and panic, threads end while they hold grants.
//!
//! | file | what is there |
//! |---|---|
//! | `verb` | all verbs, and how often each is called |
//! | `tally` | how often it was, and what came of it |
//! | `scene` | the governor, its tenants, what all threads share |
//! | `owners` | what owners answer when they are asked for a grant |
//! | `worker` | one thread, and where its verbs are: `requests`, `tickets`, `grants`, `reclaim`, |
//! | | `administration`, `looks` |
//! | `cells`, `book` | the ledger: a record of each grant's life, what each thread holds |
//! | `quiet` | the books held against the governor while nobody is at work |
//! | `bound` | what the pool has claimed held against its capacity, all the time |
//! | `fault` | the first discrepancy |
//! | `count` | words that threads share |
//! | `text` | for people; `json` for programs |

mod administration;
mod book;
mod bound;
mod cells;
mod count;
mod fault;
mod grants;
mod json;
mod looks;
mod owners;
mod quiet;
mod reclaim;
mod requests;
mod scene;
mod tally;
mod text;
mod tickets;
mod verb;
mod worker;

use std::num::NonZero;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use self::book::Book;
use self::count::lock;
use self::fault::{Fault, Sort};
use self::scene::Scene;
use self::tally::Tally;
use self::verb::{Deck, SHARE_MIN};
use self::worker::{Until, Worker};
use crate::args::StressArgs;
use crate::failure::CliError;
use crate::replay::output;
use crate::replay::progress::Progress;

/// How long a run lasts where nothing is said.
const SECONDS: u64 = 10;

/// Time between two quiet points.
const ROUND: Duration = Duration::from_secs(1);

/// Quiet points of a run of so many calls, about.
const ROUNDS: u64 = 8;

/// How long threads of the governor have to let go of it in the end.
const LET_GO: Duration = Duration::from_secs(10);

/// The exit code where a promise was broken.
const EXIT_FAULT: u8 = 1;

/// What was done and seen.
struct Stress {
    seed: u64,
    threads: u64,
    tenants: u64,
    capacity_bytes: u64,
    /// Whether the governor recorded events.
    events: bool,
    took: Duration,
    tally: Tally,
    evicted: u64,
    busy: u64,
    deferred: u64,
    calls_within: u64,
    panics: u64,
    /// Threads that ended while they held grants.
    threads_ended: u64,
    /// Grants that nobody released, and their bytes: all of them told of when the governor went.
    leaked: (u64, u64),
    quiet_points: u64,
    fault: Option<Fault>,
}

/// Hammers, checks and prints.
///
/// # Errors
///
/// If the governor could not be set up, or the report could not be printed. A discrepancy is
/// printed, and answered as an exit code.
pub fn run(args: &StressArgs) -> Result<ExitCode, CliError> {
    let stress = Stress::of(args)?;
    output::print(&if args.json { json::json(&stress) } else { text::text(&stress) })?;
    let Some(fault) = &stress.fault else { return Ok(ExitCode::SUCCESS) };
    let advice = match fault.sort {
        Sort::Run => "ask for more --operations",
        _ => "please report it",
    };
    eprintln!("allot: seed {}, {fault}; {advice}", stress.seed);
    Ok(ExitCode::from(EXIT_FAULT))
}

impl Stress {
    fn of(args: &StressArgs) -> Result<Self, CliError> {
        let cores = available_parallelism().map_or(1, NonZero::get) as u64;
        let threads = args.threads.unwrap_or(cores);
        let scene = Scene::new(args.seed, threads, args.tenants, args.events)
            .map_err(|error| CliError::new(format!("setting the governor up: {error}")))?;
        let mut books = books(&scene, threads);
        let begin = Instant::now();
        let quiet_points = rounds(&scene, &mut books, &Plan::of(args, threads));
        let took = begin.elapsed();
        let mut tally = Tally::new();
        books.iter().for_each(|book| tally.add(&book.tally));
        let visitors = books.iter().map(|book| book.visitors).sum::<u64>();
        let leaked = finish(&scene, &mut books).unwrap_or_else(|fault| {
            scene.report(fault.at(quiet_points));
            (0, 0)
        });
        if let Err(fault) = shares(&tally) {
            scene.report(fault.at(quiet_points));
        }
        drop(books);
        let answers = &scene.owners.answers;
        let panics = [&answers.panics, &answers.panics_within, &answers.panics_of_others];
        let mut stress = Self {
            seed: args.seed,
            threads,
            tenants: args.tenants,
            capacity_bytes: scene.capacity_bytes,
            events: args.events,
            took,
            tally,
            evicted: count::of(&answers.freed),
            busy: count::of(&answers.busy),
            deferred: count::of(&answers.deferred),
            calls_within: count::of(&answers.calls_within),
            panics: panics.into_iter().map(count::of).sum(),
            threads_ended: visitors + threads * quiet_points,
            leaked,
            quiet_points,
            fault: scene.fault(),
        };
        if stress.fault.is_none() {
            let told = drop_governor(scene, stress.leaked);
            stress.fault = told.err().map(|fault| fault.at(quiet_points));
        }
        Ok(stress)
    }

    /// Bytes by which a bound was exceeded.
    fn over_bytes(&self) -> u64 {
        self.fault.as_ref().map_or(0, |fault| fault.bytes(Sort::Over))
    }

    /// Bytes that the ledger and the governor do not agree on.
    fn lost_bytes(&self) -> u64 {
        self.fault.as_ref().map_or(0, |fault| fault.bytes(Sort::Lost))
    }

    fn per_second(&self) -> f64 {
        self.tally.all() as f64 / self.took.as_secs_f64()
    }
}

/// How long it goes on, and how often it rests.
struct Plan {
    end: Option<Instant>,
    /// Decks of one thread, in all and between two quiet points.
    decks: u64,
    decks_of_round: u64,
    /// What the progress bar counts: ms, or decks.
    length: u64,
}

impl Plan {
    fn of(args: &StressArgs, threads: u64) -> Self {
        let seconds = args.seconds.or(args.operations.is_none().then_some(SECONDS));
        let decks =
            args.operations.map_or(u64::MAX, |calls| calls.div_ceil(Deck::size() * threads));
        let length = seconds.map_or(decks, |seconds| seconds * 1_000);
        Self {
            end: seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds)),
            decks,
            decks_of_round: if decks == u64::MAX { decks } else { decks.div_ceil(ROUNDS) },
            length,
        }
    }
}

fn books(scene: &Scene, threads: u64) -> Vec<Book<'_>> {
    (0..threads).map(|number| Book::new(number, scene::dice(scene.seed, number))).collect()
}

/// Lets all threads work and end, round after round, and looks at the books in between; answers how
/// often.
fn rounds<'g>(scene: &'g Scene, books: &mut Vec<Book<'g>>, plan: &Plan) -> u64 {
    let (begin, bar) = (Instant::now(), Progress::on_terminal().bar(plan.length, "hammering"));
    let mut quiet_points = 0;
    let mut left = plan.decks;
    loop {
        let round = Instant::now() + ROUND;
        let decks = plan.decks_of_round.min(left);
        let time = Some(plan.end.map_or(round, |end| end.min(round)));
        let least = work(scene, books, Until { time, decks });
        left = left.saturating_sub(least);
        quiet_points += 1;
        let checked = scene.fault().map_or_else(|| quiet::check(scene, books), Err);
        if let Err(fault) = checked {
            let at = fault.quiet_point.is_none() && !scene.is_faulty();
            scene.report(if at { fault.at(quiet_points) } else { fault });
            break;
        }
        let done =
            if plan.end.is_some() { begin.elapsed().as_millis() as u64 } else { plan.decks - left };
        bar.set_position(done);
        if left == 0 || plan.end.is_some_and(|end| Instant::now() >= end) {
            break;
        }
        // What one thread holds another one gives back.
        books.rotate_left(1);
    }
    bar.finish_and_clear();
    quiet_points
}

/// One round; answers the decks that every thread has played.
fn work<'g>(scene: &'g Scene, books: &mut Vec<Book<'g>>, until: Until) -> u64 {
    let before: Vec<u64> = books.iter().map(|book| book.decks).collect();
    *books = std::thread::scope(|scope| {
        let spawn = |book| scope.spawn(move || Worker::new(scene, book).work(until));
        let running: Vec<_> = books.drain(..).map(spawn).collect();
        running.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    if books.len() < before.len() {
        scene.report(Fault::new("threads that panicked", 0, (before.len() - books.len()) as u64));
    }
    books.iter().zip(before).map(|(book, before)| book.decks - before).min().unwrap_or(0)
}

/// Every verb has had its share.
fn shares(tally: &Tally) -> Result<(), Fault> {
    let rarest = tally.rarest();
    if tally.share(rarest) >= SHARE_MIN {
        return Ok(());
    }
    let least = (tally.all() as f64 * SHARE_MIN) as u64;
    let what = format!("calls of {}, at least 1 % of all", rarest.name());
    Err(Fault::of_run(what, least, tally.calls(rarest)))
}

/// Gives everything back but what is leaked, which has to be all that the governor knows then.
fn finish(scene: &Scene, books: &mut [Book<'_>]) -> Result<(u64, u64), Fault> {
    if scene.is_faulty() {
        return Ok((0, 0));
    }
    for book in &mut *books {
        book.places.clear();
        let reserved = book.reserved.drain(..).map(|reserved| reserved.entry);
        for entry in book.held.drain(..).chain(book.doubtful.drain(..)).chain(reserved) {
            if entry.owned.is_none() {
                while let Err(allotment::Error::Busy(_)) =
                    scene.governor.release(entry.tenant, entry.id)
                {
                    std::thread::yield_now();
                }
            }
        }
    }
    quiet::check(scene, books)
        .map_err(|fault| Fault { what: format!("in the end, {}", fault.what), ..fault })?;
    let kept = books.iter().flat_map(|book| &book.leaked);
    let leaked = kept.fold((0, 0), |(grants, bytes), entry| (grants + 1, bytes + entry.bytes));
    let told = scene.governor.leak_report().map_or((0, 0), |leak| (leak.grants, leak.bytes));
    match told == leaked {
        true => Ok(leaked),
        false => Err(Fault::lost("leaked bytes that are reported", leaked.1, told.1)),
    }
}

/// Lets the governor go, which tells of what is leaked.
fn drop_governor(scene: Scene, leaked: (u64, u64)) -> Result<(), Fault> {
    let Scene { governor, leak, .. } = scene;
    let begin = Instant::now();
    while Arc::strong_count(&governor) > 1 && begin.elapsed() < LET_GO {
        std::thread::yield_now();
    }
    let holders = Arc::strong_count(&governor) as u64;
    let Some(governor) = Arc::into_inner(governor) else {
        return Err(Fault::new("holders of the governor in the end", 1, holders));
    };
    drop(governor);
    let told = lock(&leak).as_ref().map_or((0, 0), |leak| (leak.grants, leak.bytes));
    match told == leaked {
        true => Ok(()),
        false => Err(Fault::lost("leaked bytes told of in the end", leaked.1, told.1)),
    }
}

#[cfg(test)]
mod tests {
    use allotment::{AllocationType, Grant, Request};

    use super::*;

    /// Rounds in which something was taken of which the books know nothing.
    fn faulty(meddle: impl Fn(&Scene)) -> Fault {
        let scene = Scene::new(7, 2, 8, false).unwrap();
        let mut books = books(&scene, 2);
        meddle(&scene);
        let plan = Plan { end: None, decks: 2, decks_of_round: 1, length: 2 };
        assert_eq!(rounds(&scene, &mut books, &plan), 1, "it ends where the fault is found");
        scene.fault().expect("a fault")
    }

    #[test]
    fn a_run_without_faults_rests_as_often_as_it_should() {
        let scene = Scene::new(7, 2, 8, false).unwrap();
        let mut books = books(&scene, 2);
        let plan = Plan { end: None, decks: 6, decks_of_round: 2, length: 6 };
        assert_eq!(rounds(&scene, &mut books, &plan), 3);
        assert_eq!(scene.fault(), None);
        let leaked = finish(&scene, &mut books).unwrap();
        drop(books);
        assert_eq!(drop_governor(scene, leaked), Ok(()));
    }

    #[test]
    fn a_run_ends_with_the_first_byte_that_the_books_do_not_know() {
        let fault = faulty(|scene| {
            let of = &scene.residents[0];
            let request = Request::new(of.tenant, AllocationType::ModelLoad, 1);
            scene.governor.request(&request).map(Grant::into_id).unwrap();
        });
        assert_eq!((fault.sort, fault.quiet_point), (Sort::Lost, Some(1)), "{fault}");
        assert_eq!((fault.tenant.as_deref(), fault.bytes(Sort::Lost)), (Some("t0"), 1));
        assert!(fault.to_string().starts_with("quiet point 1, tenant t0: bytes"), "{fault}");
    }

    #[test]
    fn a_run_ends_where_more_is_claimed_than_there_may_be() {
        let fault = faulty(|scene| {
            // The pool is larger than the run believes.
            scene.governor.set_capacity(scene.capacity_bytes * 2).unwrap();
            let tenant = scene.residents[1].tenant;
            let bytes = scene.capacity_bytes;
            let request = Request::new(tenant, AllocationType::ModelLoad, bytes);
            scene.governor.request(&request).map(Grant::into_id).unwrap();
        });
        assert_eq!((fault.sort, fault.tenant.is_none()), (Sort::Over, true), "{fault}");
    }

    #[test]
    fn a_verb_that_was_hardly_called_is_a_fault_of_the_run() {
        let mut tally = Tally::new();
        for verb in verb::Verb::ALL {
            (0..100).for_each(|_| tally.count(verb, tally::Outcome::Done));
        }
        assert_eq!(shares(&tally), Ok(()));
        (0..2_000).for_each(|_| tally.count(verb::Verb::Touch, tally::Outcome::Done));
        assert_eq!(shares(&tally).unwrap_err().sort, Sort::Run);
    }
}
