// Scenarios of `src/core/waiters.rs`. Included by `waiters.rs`, where they hold, and by
// `core_mutants.rs`, where they fail.
//
// A request says by its bytes whose it is, in several of its fields, so that a mixed one shows.

use super::core::admission::Ask;
use super::core::grants::Fields;
use super::core::waiters::{Outcome, Part, Phase, Ticket, Waiters};
use loom::sync::Arc;
use loom_tests::{bound, model, thread};

const NEVER: u64 = u64::MAX;

fn ask(bytes: u64) -> Ask {
    let fields = Fields { key: bytes + 100, ..Fields::default() };
    let (account, generation, kind) = (bytes as u32, 1, 2);
    Ask { account, generation, kind, bytes, fields, cost: 1, now_ns: 0, paced: true }
}

/// Whose request it is.
fn whose(ask: &Ask) -> u64 {
    let (account, key) = (u64::from(ask.account), ask.fields.key);
    assert_eq!((account, key), (ask.bytes, ask.bytes + 100), "MIXED REQUEST");
    ask.bytes
}

fn enter(waiters: &Waiters, bytes: u64) -> Option<Ticket> {
    waiters.enter(&ask(bytes), NEVER)
}

/// Both let go of a decided waiter, as its owner and the line do.
fn let_go(waiters: &Waiters, index: u32) {
    waiters.part(index, Part::Owner);
    waiters.part(index, Part::Line);
}

/// The line hands over a grant while the owner withdraws and the deadline is seen to have passed:
/// one of them decides.
pub fn a_waiter_is_decided_once() {
    model("waiters::a_waiter_is_decided_once", None, || {
        let waiters = Arc::new(Waiters::new(1));
        let ticket = enter(&waiters, 3).unwrap();
        let others = [Phase::Withdrawn, Phase::Expired].map(|phase| {
            let waiters = waiters.clone();
            thread::spawn(move || waiters.decide_ticket(ticket, phase))
        });
        let granted = waiters.grant(ticket.index, (7, 9));
        let [withdrawn, expired] = others.map(|other| other.join().unwrap());
        let decided = [granted, withdrawn, expired].iter().filter(|&&won| won).count();
        assert_eq!(decided, 1, "DECIDED TWICE, or never: {granted} {withdrawn} {expired}");
        let outcome = waiters.outcome(ticket);
        assert_eq!(outcome == Outcome::Granted(7, 9), granted, "{outcome:?}");
        assert_eq!(outcome == Outcome::Expired, expired, "{outcome:?}");
    });
}

/// W2: who sees that it was served sees with what.
pub fn who_sees_a_grant_sees_its_slot() {
    model("waiters::who_sees_a_grant_sees_its_slot", None, || {
        let waiters = Arc::new(Waiters::new(1));
        let ticket = enter(&waiters, 3).unwrap();
        let owner = waiters.clone();
        let owner = thread::spawn(move || owner.outcome(ticket));
        assert!(waiters.grant(ticket.index, (7, 9)), "nobody else decides");
        let seen = owner.join().unwrap();
        let whole = [Outcome::Waiting, Outcome::Granted(7, 9)];
        assert!(whole.contains(&seen), "ANOTHER SLOT: {seen:?}");
    });
}

/// Two enter at once while the line takes those who have: each is found there once, whole.
pub fn each_of_those_who_enter_has_a_cell_of_its_own() {
    model("waiters::each_of_those_who_enter_has_a_cell_of_its_own", Some(3), || {
        let waiters = Arc::new(Waiters::new(2));
        let entering = [3, 5].map(|bytes| {
            let waiters = waiters.clone();
            thread::spawn(move || enter(&waiters, bytes).expect("a cell for each").index)
        });
        let take = || waiters.take_inbox().map(|cell| whose(&waiters.ask(cell, 0))).collect();
        let mut found: Vec<u64> = take();
        let cells = entering.map(|thread| thread.join().unwrap());
        assert_ne!(cells[0], cells[1], "SHARED CELL");
        let rest: Vec<u64> = take();
        found.extend(rest);
        found.sort_unstable();
        assert_eq!(found, [3, 5], "LOST WAITER, or one found twice");
    });
}

/// The owner and the line let go of a cell while another one enters: it has the cell after both.
pub fn a_cell_goes_on_once_both_have_let_go() {
    model("waiters::a_cell_goes_on_once_both_have_let_go", None, || {
        let waiters = Arc::new(Waiters::new(1));
        let parted = Arc::new(std::sync::Mutex::new(0));
        let first = enter(&waiters, 3).unwrap();
        assert_eq!(waiters.take_inbox().count(), 1);
        assert!(waiters.decide(first.index, Phase::Closed));
        let parting = [Part::Owner, Part::Line].map(|part| {
            let (waiters, parted) = (waiters.clone(), parted.clone());
            thread::spawn(move || {
                *parted.lock().unwrap() += 1;
                waiters.part(first.index, part);
            })
        });
        let next = enter(&waiters, 5);
        let before = *parted.lock().unwrap();
        assert!(next.is_none() || before == 2, "SHARED CELL: {before} of two have let go");
        for thread in parting {
            thread.join().unwrap();
        }
        let next = next.or_else(|| enter(&waiters, 5)).expect("the cell is free");
        assert_eq!(next.generation, first.generation + 1);
        assert_eq!(whose(&waiters.ask(next.index, 0)), 5);
        assert_eq!(waiters.outcome(first), Outcome::Stale, "the ticket before");
        assert_eq!(waiters.taken(), 1, "SHARED CELL: freed twice");
    });
}

/// Who looks at a cell that goes from one waiter to the next sees one of them, whole.
pub fn a_look_shows_one_waiter_whole() {
    model("waiters::a_look_shows_one_waiter_whole", bound(2, 4), || {
        let waiters = Arc::new(Waiters::new(1));
        let first = enter(&waiters, 3).unwrap();
        let moving = waiters.clone();
        let moving = thread::spawn(move || {
            assert!(moving.decide(first.index, Phase::Withdrawn));
            let_go(&moving, first.index);
            enter(&moving, 5).expect("the cell is free")
        });
        let look = waiters.look(first.index);
        let next = moving.join().unwrap();
        if let Some((ticket, ask)) = look {
            let expected = if ticket == first { 3 } else { 5 };
            assert!([first, next].contains(&ticket), "MIXED REQUEST: {ticket:?}");
            assert_eq!(whose(&ask), expected, "MIXED REQUEST: another one's");
        }
    });
}

/// I4: a ticket that is stale decides nobody, although its cell has a waiter again.
pub fn a_stale_ticket_decides_nobody() {
    model("waiters::a_stale_ticket_decides_nobody", None, || {
        let waiters = Arc::new(Waiters::new(1));
        let first = enter(&waiters, 3).unwrap();
        let owner = waiters.clone();
        let owner = thread::spawn(move || owner.decide_ticket(first, Phase::Withdrawn));
        // Whoever decided lets go, and so does the line.
        let next = waiters.decide_ticket(first, Phase::Expired).then(|| {
            let_go(&waiters, first.index);
            enter(&waiters, 5).expect("the cell is free")
        });
        let withdrawn = owner.join().unwrap();
        assert!(withdrawn != next.is_some(), "WRONG WAITER: decided by {withdrawn} and {next:?}");
        if let Some(next) = next {
            assert_eq!(waiters.outcome(next), Outcome::Waiting, "WRONG WAITER was decided");
        }
    });
}
