//! Threads on which owners are asked, so that an owner that hangs holds up nobody for long.
//!
//! ```text
//! W1  threads <= THREADS_MAX, started when needed, ended when idle for IDLE or when the pool goes
//! W2  who asks waits at most its time-out, for a free thread and the answer together
//! W3  a party owes at most OWED_MAX answers at a time, overdue or not, and while one of them is
//!     overdue it is asked for nothing more before its cool-down is over
//! ```
//!
//! Whoever finds all threads busy, or so many of them with the party it asks, waits for one, but
//! not on a thread of a pool: what is asked there may be what keeps the others busy. Nor if all of
//! those are overdue. It is answered that nobody was asked then, at once.
//!
//! A thread cannot be stopped from outside: one whose owner never answers stays until the process
//! ends. It holds nothing of the governor's, which may be dropped meanwhile.

use crate::caught::caught;
use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Threads of one pool.
const THREADS_MAX: usize = 8;
/// Answers one party may owe, overdue or not: it holds so many threads at most, however many ask
/// it at once.
const OWED_MAX: usize = 2;
/// How long a thread waits for work before it ends.
const IDLE: Duration = Duration::from_secs(10);

thread_local! {
    /// Whether this is a thread of a pool, of whatever governor.
    static IS_WORKER: Cell<bool> = const { Cell::new(false) };
}

/// Whether the caller runs on a thread of a pool.
pub(crate) fn is_worker() -> bool {
    IS_WORKER.get()
}

/// What came of a question.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reply<T> {
    Answered(T),
    Panicked,
    /// The answer, or that there was a panic, is given to `late` when it comes.
    TimedOut,
    /// There was no thread for it, or the party owes an answer.
    NotAsked,
}

/// Who is asked, and how long it is left alone if it does not answer in time.
#[derive(Clone, Copy)]
pub(crate) struct Party {
    pub number: u64,
    /// By whatever clock the cool-down is told.
    pub now_ns: u64,
    pub cooldown_ns: u64,
}

/// A pool of threads. Dropping it ends them, those that are busy once they are done.
#[derive(Default)]
pub(crate) struct Workers(Arc<Shared>);

type Job = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// There is a job, or the pool has gone.
    work: Condvar,
    /// A thread or a party may be free, or one more answer is overdue.
    free: Condvar,
}

#[derive(Default)]
struct State {
    threads: usize,
    /// Threads that wait for a job.
    waiting: usize,
    /// No more than threads.
    jobs: VecDeque<(u64, Job)>,
    /// Questions whose answer has not come, by ticket.
    open: Vec<Open>,
    ticket: u64,
    is_gone: bool,
}

struct Open {
    ticket: u64,
    party: u64,
    /// Until when its party is left alone, once the answer is overdue.
    overdue_until_ns: Option<u64>,
}

/// Whether a question can be asked.
enum Turn {
    Now,
    /// When an answer has come.
    Later,
    /// Not before its party has cooled down, or answers that are overdue have come.
    No,
}

impl State {
    fn turn(&self, party: Party) -> Turn {
        match self.turn_of(party) {
            Turn::Now if self.has_thread() => Turn::Now,
            Turn::Now if self.is_stuck() => Turn::No,
            Turn::Now => Turn::Later,
            not_now => not_now,
        }
    }

    /// W3.
    fn turn_of(&self, party: Party) -> Turn {
        let owed = self.open.iter().filter(|open| open.party == party.number);
        let overdue = owed.clone().filter_map(|open| open.overdue_until_ns);
        let hangs = overdue.clone().any(|until_ns| until_ns > party.now_ns);
        match owed.count() {
            _ if hangs || overdue.count() >= OWED_MAX => Turn::No,
            OWED_MAX.. => Turn::Later,
            _ => Turn::Now,
        }
    }

    fn has_thread(&self) -> bool {
        self.waiting > self.jobs.len() || self.threads < THREADS_MAX
    }

    fn is_stuck(&self) -> bool {
        let overdue = self.open.iter().filter(|open| open.overdue_until_ns.is_some());
        overdue.count() >= THREADS_MAX
    }

    fn close(&mut self, ticket: u64) -> Option<Open> {
        let at = self.open.iter().position(|open| open.ticket == ticket)?;
        Some(self.open.swap_remove(at))
    }
}

impl Workers {
    /// Asks a party on another thread and waits at most `timeout` for the answer. One that comes
    /// later is given to `late`, on that thread; none if the party panicked instead.
    pub(crate) fn ask<T: Send + 'static>(
        &self,
        party: Party,
        timeout: Duration,
        question: impl FnOnce() -> T + Send + 'static,
        late: impl FnOnce(Option<T>) + Send + 'static,
    ) -> Reply<T> {
        let begin = Instant::now();
        let left = || timeout.saturating_sub(begin.elapsed());
        let Some(mut state) = self.0.wait_for_thread(party, left) else { return Reply::NotAsked };
        let (tell, told) = sync_channel(1);
        state.ticket += 1;
        let (ticket, shared) = (state.ticket, self.0.clone());
        state.open.push(Open { ticket, party: party.number, overdue_until_ns: None });
        let job: Job = Box::new(move || {
            let answer = caught(question);
            shared.answered(ticket, answer, |answer| drop(tell.send(answer)), late);
        });
        state.jobs.push_back((ticket, job));
        if !self.0.clone().hand_out(state, ticket) {
            return Reply::NotAsked;
        }
        let mut answer = told.recv_timeout(left());
        if answer.is_err() {
            let until_ns = party.now_ns.saturating_add(party.cooldown_ns);
            if self.0.give_up(ticket, until_ns) {
                return Reply::TimedOut;
            }
            // It was told between the two.
            answer = told.recv_timeout(Duration::ZERO);
        }
        answer.ok().flatten().map_or(Reply::Panicked, Reply::Answered)
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.0.lock().is_gone = true;
        self.0.work.notify_all();
    }
}

impl Shared {
    /// Nothing panics while it is held.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a question may be asked and there is a thread for it, if that can come.
    fn wait_for_thread(
        &self,
        party: Party,
        left: impl Fn() -> Duration,
    ) -> Option<MutexGuard<'_, State>> {
        let mut state = self.lock();
        loop {
            match state.turn(party) {
                Turn::Now => return Some(state),
                Turn::No => return None,
                Turn::Later => {}
            }
            let left = left();
            if is_worker() || left.is_zero() {
                return None;
            }
            let waited = self.free.wait_timeout(state, left);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Hands the job that was just queued to a thread, a new one if none waits; false if there is
    /// none, and then nobody has it.
    fn hand_out(self: Arc<Self>, mut state: MutexGuard<'_, State>, ticket: u64) -> bool {
        if state.waiting >= state.jobs.len() {
            drop(state);
            self.work.notify_one();
            return true;
        }
        state.threads += 1;
        drop(state);
        let worker = self.clone();
        let new = std::thread::Builder::new().name("allot-reclaim".to_string());
        if new.spawn(move || worker.work()).is_ok() {
            return true;
        }
        let mut state = self.lock();
        state.threads -= 1;
        let Some(at) = state.jobs.iter().position(|(other, _)| *other == ticket) else {
            // Another thread has become free and taken it.
            return true;
        };
        let job = state.jobs.remove(at);
        state.close(ticket);
        drop(state);
        self.free.notify_all();
        // With nothing held: what it carries may be the last of its kind.
        drop(job);
        false
    }

    /// Nobody waits for an answer any more; false if it has just come.
    fn give_up(&self, ticket: u64, until_ns: u64) -> bool {
        let mut state = self.lock();
        let Some(open) = state.open.iter_mut().find(|open| open.ticket == ticket) else {
            return false;
        };
        open.overdue_until_ns = Some(until_ns);
        drop(state);
        // Those who wait for a thread may find all of them overdue.
        self.free.notify_all();
        true
    }

    /// An answer has come, or a panic instead.
    fn answered<T>(
        &self,
        ticket: u64,
        answer: Option<T>,
        tell: impl FnOnce(Option<T>),
        late: impl FnOnce(Option<T>),
    ) {
        let mut state = self.lock();
        let open = state.open.iter().find(|open| open.ticket == ticket);
        if open.is_some_and(|open| open.overdue_until_ns.is_none()) {
            state.close(ticket);
            // There is room for the one answer: this does not wait.
            tell(answer);
            drop(state);
            self.free.notify_all();
            return;
        }
        drop(state);
        // First of all, so that the party is not asked for the same again before.
        // What is left undone by a panic there is the owner's loss.
        caught(|| late(answer));
        self.lock().close(ticket);
        self.free.notify_all();
    }

    /// A thread of the pool.
    fn work(&self) {
        IS_WORKER.set(true);
        let mut state = self.lock();
        loop {
            if let Some((_, job)) = state.jobs.pop_front() {
                drop(state);
                // Dropping what a question carries may panic.
                caught(job);
                state = self.lock();
                continue;
            }
            if state.is_gone {
                break;
            }
            state.waiting += 1;
            // All of them: who is woken may wait for its party instead.
            self.free.notify_all();
            let nothing = |state: &mut State| state.jobs.is_empty() && !state.is_gone;
            let slept = self.work.wait_timeout_while(state, IDLE, nothing);
            let (woken, timed_out) = slept.unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.waiting -= 1;
            if timed_out.timed_out() && state.jobs.is_empty() {
                break;
            }
        }
        state.threads -= 1;
        drop(state);
        self.free.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, Sender, channel};

    const SHORT: Duration = Duration::from_millis(20);
    /// Much longer than anything here takes; only a fault waits for so long.
    const TOO_LONG: Duration = Duration::from_secs(60);

    fn party(number: u64, now_ns: u64) -> Party {
        Party { number, now_ns, cooldown_ns: 100 }
    }

    /// A question that is not answered before it is told to, and where late answers go.
    fn hang(workers: &Workers, party: Party, late: &Sender<u32>) -> (Reply<u32>, Sender<u32>) {
        let (release, released) = channel();
        let late = late.clone();
        let question = move || released.recv().unwrap_or(0);
        (workers.ask(party, SHORT, question, move |n| late.send(n.unwrap()).unwrap()), release)
    }

    fn answer(workers: &Workers, party: Party) -> Reply<u32> {
        workers.ask(party, TOO_LONG, || 7, |_| ())
    }

    fn none(late: &Receiver<u32>) -> bool {
        late.try_recv().is_err()
    }

    #[test]
    fn answers_and_panics_come_back() {
        let workers = Workers::default();
        assert_eq!(answer(&workers, party(1, 0)), Reply::Answered(7));
        let question = || -> u32 { panic!("the owner's own fault") };
        assert_eq!(workers.ask(party(1, 0), TOO_LONG, question, |_| ()), Reply::Panicked);
        assert_eq!(answer(&workers, party(1, 0)), Reply::Answered(7));
        assert_eq!(workers.0.lock().open.len(), 0);
    }

    #[test]
    fn a_party_that_owes_an_answer_is_left_alone_until_it_comes_or_has_cooled_down() {
        let (workers, (late, comes)) = (Workers::default(), channel());
        let (first, release) = hang(&workers, party(1, 0), &late);
        assert_eq!(first, Reply::TimedOut);
        assert_eq!(answer(&workers, party(1, 99)), Reply::NotAsked);
        assert_eq!(answer(&workers, party(2, 99)), Reply::Answered(7), "others are asked");
        assert_eq!(answer(&workers, party(1, 100)), Reply::Answered(7), "it has cooled down");
        let (second, _never) = hang(&workers, party(1, 100), &late);
        assert_eq!(second, Reply::TimedOut);
        assert_eq!(answer(&workers, party(1, u64::MAX)), Reply::NotAsked, "it owes two");
        assert!(none(&comes));
        release.send(3).unwrap();
        assert_eq!(comes.recv_timeout(TOO_LONG), Ok(3));
        let begin = Instant::now();
        while answer(&workers, party(1, 200)) == Reply::NotAsked {
            assert!(begin.elapsed() < TOO_LONG, "it owes one answer less");
        }
    }

    #[test]
    fn a_party_that_is_asked_by_many_at_once_holds_two_threads_and_keeps_nobody_out() {
        let (workers, inside) = (Workers::default(), Mutex::new(0));
        let (inside, many) = (Arc::new(inside), 4 * THREADS_MAX);
        let most = Mutex::new(0);
        std::thread::scope(|scope| {
            for _ in 0..many {
                scope.spawn(|| {
                    let counter = inside.clone();
                    let question = move || {
                        *counter.lock().unwrap() += 1;
                        std::thread::sleep(Duration::from_millis(1));
                        let mut inside = counter.lock().unwrap();
                        *inside -= 1;
                        *inside + 1
                    };
                    let Reply::Answered(seen) =
                        workers.ask(party(1, 0), TOO_LONG, question, |_| ())
                    else {
                        panic!("it answers everybody");
                    };
                    let mut most = most.lock().unwrap();
                    *most = seen.max(*most);
                });
            }
        });
        let most = *most.lock().unwrap();
        assert!((1..=OWED_MAX).contains(&most), "{most} threads were with one party");
    }

    #[test]
    fn when_all_threads_are_overdue_nobody_waits_for_one() {
        let (workers, (late, comes)) = (Workers::default(), channel());
        let hung: Vec<_> = (0..THREADS_MAX as u64)
            .map(|number| {
                let (asked, release) = hang(&workers, party(number, 0), &late);
                assert_eq!(asked, Reply::TimedOut);
                release
            })
            .collect();
        assert_eq!(answer(&workers, party(99, 0)), Reply::NotAsked);
        assert_eq!(workers.0.lock().threads, THREADS_MAX);
        hung[0].send(1).unwrap();
        assert_eq!(comes.recv_timeout(TOO_LONG), Ok(1));
        let begin = Instant::now();
        while answer(&workers, party(99, 0)) == Reply::NotAsked {
            assert!(begin.elapsed() < TOO_LONG, "one thread is free again");
        }
        // The others hang on, and the pool goes all the same.
        drop(workers);
        drop(hung);
    }

    #[test]
    fn questions_within_questions_end_when_there_are_no_threads_left() {
        fn nested(workers: &Arc<Workers>, depth: usize) -> u32 {
            let inside = workers.clone();
            let question = move || 1 + nested(&inside, depth + 1);
            match workers.ask(party(depth as u64, 0), TOO_LONG, question, |_| ()) {
                Reply::Answered(deeper) => deeper,
                Reply::NotAsked => 0,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(nested(&Arc::default(), 0), THREADS_MAX as u32);
    }

    #[test]
    fn who_finds_all_threads_busy_waits_for_one() {
        let workers = Workers::default();
        std::thread::scope(|scope| {
            for number in 0..4 * THREADS_MAX as u64 {
                let workers = &workers;
                scope.spawn(move || {
                    for _ in 0..50 {
                        assert_eq!(answer(workers, party(number, 0)), Reply::Answered(7));
                    }
                });
            }
        });
        let state = workers.0.lock();
        assert!(state.threads <= THREADS_MAX && state.open.is_empty() && state.jobs.is_empty());
    }
}
